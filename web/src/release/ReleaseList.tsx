/** Releases as rows: what, where it is in each environment, by whom. */
import { IconArrowBackUp, IconGitCommit } from '@tabler/icons-react';
import { Link } from 'react-router';
import type { Release } from '../api/releases';
import { shortSHA } from '../lib/format';
import runs from '../parts/runlist.module.css';
import { Ago, Took } from '../parts/Time';
import classes from './release.module.css';
import { Sign } from './Sign';
import { statusWords } from './status';

export function ReleaseList({ releases, project = true }: { releases: Release[]; project?: boolean }) {
  return (
    <ul className={runs.list}>
      {releases.map((r) => (
        <li key={r.id} className={runs.row}>
          <Sign state={r.status} />
          <div className={runs.main}>
            <Link to={`/releases/${r.id}`} className={runs.title}>{r.title || `Release ${r.number}`}</Link>
            <div className={runs.sub}>
              {project && <><Link to={`/projects/${r.project}/releases`}>{r.project}</Link><span aria-hidden>·</span></>}
              <span>release <span className="num">#{r.number}</span></span>
              <span aria-hidden>·</span>
              <span>{statusWords(r.status).toLowerCase()}</span>
              {r.reason && <><span aria-hidden>·</span><span className={runs.reason} data-status={r.status === 'failed' || r.status === 'rolled-back' ? 'failure' : undefined} title={r.reason}>{r.reason}</span></>}
            </div>
          </div>
          <div className={classes.trail}>
            {(r.environments ?? []).map((e) => <span key={e.name} className={classes.stage} data-status={e.status}><Sign state={e.status} size={13} /><span className="clip">{e.name}</span></span>)}
          </div>
          <div className={runs.by}>
            <span className={classes.commit}>{r.kind === 'rollback' ? <IconArrowBackUp size={14} aria-label="rollback" /> : <IconGitCommit size={14} />}<span className="mono">{shortSHA(r.commit)}</span></span>
            <span className="clip dim">{r.actor_name}</span>
          </div>
          <div className={runs.times}><span><Took from={r.created_at} to={r.ended_at} /></span><span className="dim"><Ago at={r.created_at} /></span></div>
        </li>
      ))}
    </ul>
  );
}
