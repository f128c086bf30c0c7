/** The jobs of an attempt: as a graph, as a list, and what they have to say. */
import { lazy, Suspense } from 'react';
import { Link } from 'react-router';
import type { Job, Run } from '../../api/types';
import { criticalPath } from '../../graph/critical';
import { boxHeight } from '../../graph/layout';
import { Empty, Section } from '../../parts/Page';
import { StatusIcon } from '../../parts/Status';
import { Took } from '../../parts/Time';
import shared from '../../parts/table.module.css';
import classes from './run.module.css';

const RunGraph = lazy(() => import('../../graph/RunGraph'));
const Markdown = lazy(() => import('../../parts/Markdown'));

export function Jobs({ run, jobs }: { run: Run; jobs: Job[] }) {
  if (jobs.length === 0) return <Empty title="No jobs yet">{run.reason || 'The jobs are planned when the run begins.'}</Empty>;
  const ended = run.finished_at !== null;
  const critical = ended ? criticalPath(jobs, 0) : new Set<string>();
  const summaries = jobs.filter((j) => j.summary);
  return (
    <>
      {jobs.length > 1 && (
        <Section title="Graph">
          <Suspense fallback={<div style={{ height: Math.min(620, Math.max(180, boxHeight(jobs))) }} />}><RunGraph jobs={jobs} run={run.id} /></Suspense>
        </Section>
      )}
      <Section title="Jobs">
        <div className={shared.frame}>
          <table className={shared.table}>
            <thead><tr><th>Job</th><th className={shared.hide}>Runner</th><th className={shared.hide}>Waited</th><th className={shared.right}>Duration</th></tr></thead>
            <tbody>
              {jobs.map((j) => (
                <tr key={j.id} data-dim={['skipped', 'pending'].includes(j.status) || undefined}>
                  <td>
                    <Link to={`/runs/${run.id}/jobs/${j.id}`} className={classes.job}><StatusIcon status={j.status} />{j.name}</Link>
                    {critical.has(j.id) && <span className={shared.tag} data-tone="critical">critical path</span>}
                    {j.environment && <span className={shared.tag}>to {j.environment}</span>}
                    {j.reused && <span className={shared.tag}>from an earlier attempt</span>}
                    {j.tolerated && <span className={shared.tag}>failure tolerated</span>}
                    {j.try > 1 && <span className={shared.tag}>try {j.try}</span>}
                    {j.reason && <div className={classes.why}>{j.reason}</div>}
                  </td>
                  <td className={`${shared.hide} dim`}>{j.runner}</td>
                  <td className={`${shared.hide} dim`}>{j.queued_at && (j.started_at || j.status === 'queued') && <Took from={j.queued_at} to={j.started_at} />}</td>
                  <td className={shared.right}><Took from={j.started_at} to={j.finished_at} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Section>
      {summaries.length > 0 && (
        <Section title="Summaries">
          {summaries.map((j) => (
            <div key={j.id} className={classes.summary}>
              <div className={classes.summaryHead}>{j.name}</div>
              <Suspense fallback={<div style={{ minHeight: 80 }} />}><Markdown text={j.summary!} /></Suspense>
            </div>
          ))}
        </Section>
      )}
    </>
  );
}
