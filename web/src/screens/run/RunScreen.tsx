/** One run: how it stands, its graph and jobs, and what it has left. */
import { Button, Menu, Select, Tabs, Tooltip } from '@mantine/core';
import { IconChevronDown, IconExternalLink, IconGitBranch, IconGitPullRequest } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { Link, useNavigate, useParams, useSearchParams } from 'react-router';
import { change, seg } from '../../api/client';
import { q, useMe } from '../../api/queries';
import type * as t from '../../api/types';
import { plural, shortSHA } from '../../lib/format';
import { may } from '../../lib/permissions';
import { CanButton } from '../../parts/Can';
import { Confirm } from '../../parts/Confirm';
import { CopyIcon } from '../../parts/Copy';
import { Loaded } from '../../parts/Loaded';
import { Page } from '../../parts/Page';
import { tell, tellProblem } from '../../parts/Problem';
import { StatusText } from '../../parts/Status';
import { Ago, Took } from '../../parts/Time';
import { useCancel, useRerun } from './actions';
import { Annotations } from './Annotations';
import { Artifacts } from './Artifacts';
import { Jobs } from './Jobs';
import { RunApprovals } from './RunApprovals';
import { Tests } from './Tests';
import shared from '../../parts/table.module.css';
import classes from './run.module.css';

const ended = (s: t.Status) => ['success', 'failure', 'cancelled', 'skipped'].includes(s);

export function RunScreen() {
  const { run = '' } = useParams();
  const query = useQuery({ ...q.run(run), refetchInterval: (s) => (s.state.data && !ended(s.state.data.status) ? 10_000 : false) });
  if (!query.data) return <Page title={`Run ${run}`}><Loaded query={query}>{() => null}</Loaded></Page>;
  return <Screen run={query.data} />;
}

function Screen({ run }: { run: t.Run }) {
  const { tab = 'jobs' } = useParams();
  const [params, setParams] = useSearchParams();
  const navigate = useNavigate();
  const wanted = Number(params.get('attempt'));
  const attempt = wanted >= 1 && wanted <= run.attempt ? wanted : run.attempt;
  const jobs = useQuery(q.jobs(run.id, attempt));
  const annotations = useQuery(q.annotations(run.id, attempt));
  const tests = useQuery(q.tests(run.id, attempt));
  const artifacts = useQuery(q.artifacts(run.id));
  const bad = (annotations.data ?? []).filter((a) => a.level === 'error').length;
  const failed = (tests.data ?? []).reduce((n, s) => n + s.failures + s.errors, 0);
  const cases = (tests.data ?? []).reduce((n, s) => n + s.tests, 0);
  const search = params.size > 0 ? `?${params}` : '';
  return (
    <Page
      title={`${run.title || run.pipeline} #${run.number}`}
      heading={run.title || run.pipeline}
      sub={<><Link to={`/projects/${run.project}`}>{run.project}</Link> / <Link to={`/runs?project=${encodeURIComponent(run.project)}&file=${encodeURIComponent(run.file)}`}>{run.pipeline}</Link> <span className="num">#{run.number}</span></>}
      actions={<Actions run={run} />}
    >
      <Facts run={run} attempt={attempt} onAttempt={(a) => setParams(a === run.attempt ? {} : { attempt: String(a) }, { replace: true })} />
      <RunApprovals run={run} />
      <Tabs value={tab} onChange={(v) => void navigate(`/runs/${run.id}${v === 'jobs' ? '' : `/${v}`}${search}`)} keepMounted={false} mt="md">
        <Tabs.List className={shared.tabs}>
          <Tabs.Tab value="jobs">Jobs{jobs.data && <Count n={jobs.data.length} />}</Tabs.Tab>
          <Tabs.Tab value="annotations">Annotations<Count n={annotations.data?.length} bad={bad > 0} /></Tabs.Tab>
          <Tabs.Tab value="tests">Tests<Count n={failed > 0 ? failed : cases} bad={failed > 0} /></Tabs.Tab>
          <Tabs.Tab value="artifacts">Artifacts<Count n={artifacts.data?.length} /></Tabs.Tab>
        </Tabs.List>
        <div className={shared.panel}>
          <Tabs.Panel value="jobs"><Loaded query={jobs} rows={6} height={60}>{(list) => <Jobs run={run} jobs={list} />}</Loaded></Tabs.Panel>
          <Tabs.Panel value="annotations"><Loaded query={annotations}>{(list) => <Annotations run={run} list={list} />}</Loaded></Tabs.Panel>
          <Tabs.Panel value="tests"><Loaded query={tests}>{(list) => <Tests suites={list} run={run} />}</Loaded></Tabs.Panel>
          <Tabs.Panel value="artifacts"><Loaded query={artifacts}>{(list) => <Artifacts run={run} list={list} />}</Loaded></Tabs.Panel>
        </div>
      </Tabs>
    </Page>
  );
}

function Count({ n, bad }: { n: number | undefined; bad?: boolean }) {
  return n ? <span className={shared.count} data-bad={bad || undefined}>{n}</span> : null;
}

function Facts({ run, attempt, onAttempt }: { run: t.Run; attempt: number; onAttempt: (a: number) => void }) {
  const forge = useQuery(q.project(run.project)).data?.forge;
  const commit = forge?.kind === 'github' && !forge.base_url && forge.repository ? `https://github.com/${forge.repository}/commit/${run.sha}` : undefined;
  return (
    <dl className={classes.facts}>
      <Fact name="Status"><StatusText status={run.status} cancelling={run.cancelling} />{run.reason && <div className={classes.reason}>{run.reason}</div>}</Fact>
      <Fact name={run.pull_request ? `Pull request #${run.pull_request}` : 'Branch'}>
        <span className={classes.inline}>{run.pull_request ? <IconGitPullRequest size={14} /> : <IconGitBranch size={14} />}<span className="mono clip" title={run.ref}>{run.branch || run.ref}</span></span>
      </Fact>
      <Fact name="Commit"><span className={classes.inline}>{commit ? <a href={commit} target="_blank" rel="noreferrer" className="mono">{shortSHA(run.sha)} <IconExternalLink size={12} /></a> : <span className="mono">{shortSHA(run.sha)}</span>}<CopyIcon value={run.sha} label="Copy the commit" /></span></Fact>
      <Fact name="Started by">{run.started_by} <span className="dim">by {run.event}</span></Fact>
      <Fact name="Begun"><Ago at={run.created_at} /></Fact>
      <Fact name="Duration"><Took from={run.started_at} to={run.finished_at} />{!run.started_at && <span className="dim">not started</span>}</Fact>
      {run.attempt > 1 && (
        <Fact name="Attempt">
          <Select size="xs" w={150} aria-label="Attempt" allowDeselect={false} value={String(attempt)} onChange={(v) => onAttempt(Number(v))} data={Array.from({ length: run.attempt }, (_, i) => ({ value: String(run.attempt - i), label: `${run.attempt - i}${i === 0 ? ' (newest)' : ''}` }))} />
        </Fact>
      )}
      {Object.keys(run.inputs ?? {}).length > 0 && <Fact name="Inputs"><span className="mono">{Object.entries(run.inputs!).map(([k, v]) => `${k}=${v}`).join('  ')}</span></Fact>}
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return <div className={classes.fact}><dt>{name}</dt><dd>{children}</dd></div>;
}

function Actions({ run }: { run: t.Run }) {
  const me = useMe();
  const client = useQueryClient();
  const navigate = useNavigate();
  const rerun = useRerun(run.id);
  const cancel = useCancel(run.id);
  const [busy, setBusy] = useState(false);
  const [ask, setAsk] = useState<'kill' | 'delete' | null>(null);
  const act = (f: () => Promise<unknown>) => {
    setBusy(true);
    f().catch(tellProblem).finally(() => setBusy(false));
  };
  const over = ended(run.status);
  const bad = run.status === 'failure' || run.status === 'cancelled';
  return (
    <>
      {!over && !run.cancelling && <CanButton action="run:cancel" project={run.project} variant="default" loading={busy} onClick={() => act(() => cancel(false))}>Cancel</CanButton>}
      {!over && run.cancelling && (
        <Tooltip label="Stop at once, without the clean-up that still runs"><span><CanButton action="run:cancel" project={run.project} color="red" variant="light" loading={busy} onClick={() => setAsk('kill')}>Stop without clean-up</CanButton></span></Tooltip>
      )}
      {over && bad && <CanButton action="run:rerun" project={run.project} loading={busy} onClick={() => act(() => rerun({ mode: 'failed' }))}>Re-run failed jobs</CanButton>}
      {over && <CanButton action="run:rerun" project={run.project} variant={bad ? 'default' : 'filled'} loading={busy} onClick={() => act(() => rerun({ mode: 'all' }))}>Re-run all jobs</CanButton>}
      {over && may(me, 'run:delete', run.project) && (
        <Menu position="bottom-end">
          <Menu.Target><Button variant="default" px={8} aria-label="More"><IconChevronDown size={15} /></Button></Menu.Target>
          <Menu.Dropdown><Menu.Item color="red" onClick={() => setAsk('delete')}>Delete this run</Menu.Item></Menu.Dropdown>
        </Menu>
      )}
      <Confirm opened={ask === 'kill'} onClose={() => setAsk(null)} title="Stop without clean-up?" verb="Stop at once" act={() => cancel(true)}>
        Post steps and clean-up of the jobs that run are not waited for. What they would have removed (locks, temporary environments) may stay.
      </Confirm>
      <Confirm opened={ask === 'delete'} onClose={() => setAsk(null)} title="Delete this run?" verb="Delete" act={async () => {
        await change('DELETE', `/runs/${seg(run.id)}`);
        void client.invalidateQueries({ queryKey: ['runs'] });
        tell('The run is deleted');
        void navigate('/runs');
      }}>
        Its logs, artifacts, test reports and {plural(run.attempt, 'attempt')} go with it. The audit trail keeps what happened.
      </Confirm>
    </>
  );
}
