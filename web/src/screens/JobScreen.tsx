/** One job: its steps beside its log. */
import { ActionIcon, Anchor, Skeleton, Tooltip } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { IconArrowLeft, IconExternalLink } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useRef } from 'react';
import { Link, useParams } from 'react-router';
import { q } from '../api/queries';
import type { Job } from '../api/types';
import type { Viewer } from '../log/LogViewer';
import { CanButton } from '../parts/Can';
import { ProblemAlert, tellProblem } from '../parts/Problem';
import { StatusIcon, StatusText } from '../parts/Status';
import { Took } from '../parts/Time';
import { useRerun } from './run/actions';
import classes from './job.module.css';

const LogViewer = lazy(() => import('../log/LogViewer'));

export function JobScreen() {
  const { job: id = '', run = '' } = useParams();
  const job = useQuery({ ...q.job(id), refetchInterval: (s) => (s.state.data && !s.state.data.finished_at && s.state.data.status !== 'skipped' ? 5000 : false) });
  if (job.data) return <Screen key={id} job={job.data} run={run} />;
  return <div style={{ padding: 24 }}>{job.error ? <ProblemAlert error={job.error} retry={() => void job.refetch()} /> : <Skeleton height={300} />}</div>;
}

function Screen({ job, run }: { job: Job; run: string }) {
  const viewer = useRef<Viewer>(null);
  const rerun = useRerun(run);
  const parent = useQuery(q.run(run)).data;
  useDocumentTitle(`${job.name} · run ${run} · Gantry`);
  const steps = job.steps ?? [];
  return (
    <div className={classes.screen}>
      <header className={classes.head}>
        <Tooltip label="Back to the run">
          <ActionIcon component={Link} to={`/runs/${run}`} variant="subtle" color="gray" aria-label="Back to the run"><IconArrowLeft size={18} /></ActionIcon>
        </Tooltip>
        <div className={classes.titles}>
          <h1>{job.name}</h1>
          <div className={classes.sub}>
            <StatusText status={job.status} />
            <span><Took from={job.started_at} to={job.finished_at} /></span>
            {job.runner && <span>on {job.runner}</span>}
            {job.try > 1 && <span>try {job.try}</span>}
            {parent && <span className="clip">of <Link to={`/runs/${run}`}>{parent.title}</Link></span>}
            {job.reason && <span className={classes.reason}>{job.reason}</span>}
          </div>
        </div>
        {job.environment_url && <Anchor href={job.environment_url} target="_blank" rel="noreferrer" size="sm">{job.environment} <IconExternalLink size={13} /></Anchor>}
        {job.finished_at && <CanButton action="run:rerun" project={job.project} variant="default" onClick={() => rerun({ mode: 'job', job: job.id }).catch(tellProblem)}>Run again from here</CanButton>}
      </header>
      <div className={classes.body}>
        <ol className={classes.steps} aria-label="Steps">
          {steps.map((s) => (
            <li key={s.number}>
              <button type="button" disabled={s.first_line === 0} onClick={() => viewer.current?.show(s.first_line)} data-status={s.status}>
                <StatusIcon status={s.status} size={14} />
                <span className={classes.step}>
                  <span className="clip">{s.name}</span>
                  {s.reason && <span className={classes.why}>{s.reason}</span>}
                </span>
                <span className={classes.took}><Took from={s.started_at} to={s.finished_at} /></span>
              </button>
            </li>
          ))}
        </ol>
        <Suspense fallback={<div style={{ flex: 1 }} />}>
          <LogViewer ref={viewer} job={job} source={job.reused && job.origin ? job.origin : job.id} />
        </Suspense>
      </div>
    </div>
  );
}
