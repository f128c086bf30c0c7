/** Runs as rows: what, where, by whom, how it went. */
import { IconGitBranch, IconGitPullRequest } from '@tabler/icons-react';
import { Link } from 'react-router';
import type { Run } from '../api/types';
import { shortSHA } from '../lib/format';
import classes from './runlist.module.css';
import { StatusIcon, statusWord } from './Status';
import { Ago, Took } from './Time';

export function RunList({ runs, project = true }: { runs: Run[]; project?: boolean }) {
  return (
    <ul className={classes.list}>
      {runs.map((r) => (
        <li key={r.id} className={classes.row}>
          <StatusIcon status={r.status} label={statusWord(r.status, r.cancelling)} />
          <div className={classes.main}>
            <Link to={`/runs/${r.id}`} className={classes.title}>{r.title || r.pipeline}</Link>
            <div className={classes.sub}>
              {project && <><Link to={`/projects/${r.project}`}>{r.project}</Link><span aria-hidden>·</span></>}
              <span>{r.pipeline} <span className="num">#{r.number}</span>{r.attempt > 1 && `, attempt ${r.attempt}`}</span>
              {r.reason && <><span aria-hidden>·</span><span className={classes.reason} data-status={r.status}>{r.reason}</span></>}
            </div>
          </div>
          <div className={classes.branch}>
            {r.pull_request ? <IconGitPullRequest size={14} /> : <IconGitBranch size={14} />}
            <span className="clip mono" title={r.ref}>{r.pull_request ? `#${r.pull_request}` : r.branch}</span>
            <span className="mono dim">{shortSHA(r.sha)}</span>
          </div>
          <div className={classes.by}><span className="clip">{r.event}</span><span className="clip dim">{r.started_by}</span></div>
          <div className={classes.times}><span><Took from={r.started_at} to={r.finished_at} /></span><span className="dim"><Ago at={r.created_at} /></span></div>
        </li>
      ))}
    </ul>
  );
}
