/** One release, live: where it is, why, what can be done, and each rollout in full. */
import { Alert } from '@mantine/core';
import { IconGitCommit } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link, useParams, useSearchParams } from 'react-router';
import { moving, qr, type Release } from '../../api/releases';
import { actorName, bytes, shortSHA } from '../../lib/format';
import { CopyIcon } from '../../parts/Copy';
import { Loaded } from '../../parts/Loaded';
import { Page, Section } from '../../parts/Page';
import { StatusIcon } from '../../parts/Status';
import table from '../../parts/table.module.css';
import { Ago, Took } from '../../parts/Time';
import { Commands } from '../../release/commands';
import { StateText } from '../../release/Sign';
import { ended, interesting, signOf } from '../../release/status';
import run from '../run/run.module.css';
import { Environments } from './Environments';
import { RolloutView } from './RolloutView';

/** A release has ended for people when nothing moves any more; the old versions may still be kept warm. */
export const moves = (r: Release): boolean => !ended(r.status) || (r.rollouts ?? []).some((x) => !ended(x.state.phase));

export function ReleaseScreen() {
  const { release = '' } = useParams();
  const query = useQuery({ ...qr.release(release), refetchInterval: (s) => (s.state.data && moves(s.state.data) ? moving : false) });
  if (!query.data) return <Page title={`Release ${release}`}><Loaded query={query}>{() => null}</Loaded></Page>;
  return <Screen release={query.data} />;
}

function Screen({ release: r }: { release: Release }) {
  const [params, setParams] = useSearchParams();
  const rollouts = r.rollouts ?? [];
  const wanted = Number(params.get('rollout'));
  const shown = rollouts.find((x) => x.id === wanted) ?? rollouts.find((x) => x.id === interesting(r));
  return (
    <Page
      title={`Release ${r.number}: ${r.title}`}
      heading={r.title || `Release ${r.number}`}
      sub={<><Link to={`/projects/${r.project}/releases`}>{r.project}</Link> / release <span className="num">#{r.number}</span>{r.kind === 'rollback' && <>, a rollback of <Link to={`/releases/${r.of}`}>release {r.of}</Link></>}</>}
      actions={<Commands release={r} />}
    >
      <Outcome release={r} />
      <dl className={run.facts}>
        <Fact name="Status"><StateText state={r.status} /></Fact>
        <Fact name="Commit"><span className={run.inline}><IconGitCommit size={14} /><span className="mono">{shortSHA(r.commit)}</span><CopyIcon value={r.commit} label="Copy the commit" /></span></Fact>
        <Fact name="From"><span className="mono">{r.ref.replace(/^refs\/(heads|tags)\//, '') || 'the default branch'}</span></Fact>
        <Fact name="Begun by">{r.actor_name || actorName(r.actor)} <span className="dim"><Ago at={r.created_at} /></span></Fact>
        <Fact name="Duration"><Took from={r.created_at} to={r.ended_at} /></Fact>
        {(r.builds ?? []).map((b) => <Fact key={b.run} name="Built by"><StatusIcon status={signOf(b.status)} /> <Link to={`/runs/${b.run}`}>{b.pipeline.replace(/^.*\//, '') || `run ${b.run}`}</Link>{b.reason && <div className={run.reason}>{b.reason}</div>}</Fact>)}
      </dl>
      {(r.notes ?? []).length > 0 && <Alert variant="light" color="gray" mt="md" title="Known before it began"><ul style={{ margin: 0, paddingLeft: 18 }}>{r.notes!.map((n) => <li key={n}>{n}</li>)}</ul></Alert>}
      <Section title="Environments"><Environments release={r} shown={shown?.id} onShow={(id) => setParams({ rollout: String(id) }, { replace: true })} /></Section>
      {shown && <RolloutView key={shown.id} release={r} rollout={shown} />}
      {(r.candidates ?? []).length > 0 && (
        <Section title="Candidates">
          <div className={table.frame}>
            <table className={table.table}>
              <thead><tr><th>Service</th><th>Artifact</th><th className={`${table.right} ${table.hide}`}>Size</th><th className={table.hide}>Made by</th></tr></thead>
              <tbody>
                {r.candidates!.map((c) => (
                  <tr key={c.service}>
                    <td className={table.name}>{c.service}</td>
                    <td><span className={run.inline}><span className="mono" title={c.artifact}>{c.artifact.replace(/^sha256:(.{16}).*/, 'sha256:$1…')}</span><CopyIcon value={c.artifact} label="Copy the digest" /></span></td>
                    <td className={`${table.right} ${table.hide} num`}>{bytes(c.size)}</td>
                    <td className={table.hide}><Link to={`/runs/${c.run}/artifacts`}>{c.name}</Link></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </Section>
      )}
    </Page>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return <div className={run.fact}><dt>{name}</dt><dd>{children}</dd></div>;
}

/** Why it is as it is, first, where that is not as it should be. */
function Outcome({ release: r }: { release: Release }) {
  const bad = r.status === 'rolled-back' || r.status === 'failed' || r.status === 'returning';
  if (!r.reason || !(bad || r.status === 'paused' || r.status === 'cancelled')) return null;
  const titles: Record<string, string> = { 'rolled-back': 'Withdrawn and rolled back', failed: 'The release failed', returning: 'The release goes back', paused: 'The release waits', cancelled: 'The release was cancelled' };
  const cause = (r.rollouts ?? []).find((x) => x.state.cause?.startsWith('the analysis'));
  return (
    <Alert variant="light" color={bad ? 'red' : 'yellow'} mb="md" role="status" title={titles[r.status]}>
      {r.reason}
      {cause && bad && <div style={{ marginTop: 4 }}><a href="#judgements">What it was judged by</a></div>}
    </Alert>
  );
}
