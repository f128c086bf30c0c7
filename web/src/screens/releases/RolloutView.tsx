/** One candidate on its way into one environment: its steps, its traffic, both versions' curves and what was judged. */
import { Button, SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { moving, qr, type Release, type Rollout, type Seen } from '../../api/releases';
import { count, plural } from '../../lib/format';
import { Section } from '../../parts/Page';
import { Took, useNow } from '../../parts/Time';
import { commands, Tell } from '../../release/commands';
import { StateText } from '../../release/Sign';
import { Split } from '../../release/Split';
import { ended, way } from '../../release/status';
import { Curves } from './Curves';
import { Judgements, Now } from './Judgements';
import classes from './releases.module.css';
import { Way } from './Way';

export function RolloutView({ release, rollout: r }: { release: Release; rollout: Rollout }) {
  const now = useNow();
  const [promoting, setPromoting] = useState(false);
  const [wave, setWave] = useState<string | null>(null);
  const live = !ended(r.state.phase) && r.state.phase !== 'warm';
  const refetchInterval = live ? moving : false;
  const judgements = useQuery({ ...qr.judgements(r.id), refetchInterval });
  const series = useQuery({ ...qr.series(r.id), refetchInterval });
  const watching = useQuery({ ...qr.watching(r.id), refetchInterval, enabled: live });
  const waves = r.state.waves;
  const several = waves.length > 1;
  const many = (release.rollouts ?? []).filter((x) => (x.may ?? []).includes('promote')).length > 1;
  const shownWave = wave === null ? undefined : Number(wave);
  return (
    <Section
      title={<>{r.service} in {r.environment}: {r.state.strategy.kind}</>}
      id={`rollout-${r.id}`}
      actions={many && (r.may ?? []).includes('promote') && (release.may ?? []).includes('promote') ? <Button size="compact-sm" variant="default" leftSection={commands.promote.icon} onClick={() => setPromoting(true)}>Promote this one</Button> : undefined}
    >
      <div className={classes.rollout}>
        <div className={classes.now}>
          <StateText state={r.state.paused && live ? 'paused' : r.state.phase} />
          {r.state.phase !== 'succeeded' && <span>{r.state.cause || r.state.reason}</span>}
          {live && r.state.since && <span className="dim">for <Took from={r.state.since} to={null} /></span>}
        </div>
        {waves.map((regions, i) => (
          <div key={i} className={classes.wave}>
            <div className={classes.waveHead}>{several && <span className="dim">Wave {i + 1}</span>} {regions.map((x) => <b key={x}>{x}</b>)}</div>
            <Way stops={way(r, i, now)} />
            <div className={classes.regions}>{regions.map((x) => <Region key={x} name={x} seen={r.regions?.[x]} rollout={r} alone={waves.flat().length === 1} />)}</div>
          </div>
        ))}
        <Curves rollout={r} points={series.data} judgements={judgements.data ?? []} />
        {live && watching.data && <Now watching={watching.data} />}
        <div className={classes.judgeHead} id="judgements">
          <h3>Judgements</h3>
          {several && (judgements.data ?? []).length > 4 && <SegmentedControl size="xs" value={wave ?? 'all'} onChange={(v) => setWave(v === 'all' ? null : v)} data={[{ value: 'all', label: 'All waves' }, ...waves.map((w, i) => ({ value: String(i), label: w.join(', ') }))]} aria-label="Which wave" />}
        </div>
        <Judgements rollout={r} query={judgements} wave={shownWave} />
      </div>
      {promoting && <Tell release={release} told={{ verb: 'promote', service: r.service, environment: r.environment }} onClose={() => setPromoting(false)} />}
    </Section>
  );
}

function Region({ name, seen, rollout: r, alone }: { name: string; seen: Seen | undefined; rollout: Rollout; alone: boolean }) {
  if (!seen) return <div className={classes.regionBox}>{!alone && <b>{name}</b>} <span className="dim">its turn has not come</span></div>;
  const versions = [
    { side: 'new' as const, version: r.version_new, word: 'new' },
    ...(r.version_old && r.version_old !== r.version_new ? [{ side: 'old' as const, version: r.version_old, word: 'old' }] : []),
  ];
  return (
    <div className={classes.regionBox}>
      {!alone && <b>{name}</b>}
      <Split legend parts={versions.map((v) => ({ side: v.side, weight: seen.weights[v.version] ?? 0, label: `${v.word} ${v.version}` }))} />
      <div className={classes.instances}>
        {versions.map((v) => {
          const healthy = seen.healthy[v.version] ?? 0;
          const running = seen.running[v.version] ?? 0;
          return (
            <span key={v.version}>
              <i data-side={v.side} aria-hidden /> {v.word}: {running === 0 ? 'nothing runs' : <>{healthy} of {plural(running, 'instance')} healthy</>}
              {(seen.requests[v.version] ?? 0) > 0 && <span className="dim">, {count(seen.requests[v.version]!)} requests</span>}
              {seen.failed?.[v.version] && <span className={classes.bad}> {seen.failed[v.version]}</span>}
            </span>
          );
        })}
      </div>
    </div>
  );
}
