/** What runs where: services by environments, a cell with a line for each region. */
import { Tooltip } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { Link } from 'react-router';
import type { Placed, PlacedVersion, Release } from '../api/releases';
import { plural, shortSHA } from '../lib/format';
import { Ago } from '../parts/Time';
import classes from './release.module.css';
import { Sign } from './Sign';
import { ended, share, statusWords } from './status';
import { Split } from './Split';

/** environments are in the order in which releases go through them. */
export function Matrix({ placed, environments, active }: { placed: Placed[]; environments: string[]; active: Release[] }) {
  const columns = [...environments, ...[...new Set(placed.map((p) => p.environment))].filter((e) => !environments.includes(e)).sort()];
  const services = [...new Set(placed.map((p) => p.service))].sort();
  return (
    <div className={classes.matrixFrame} tabIndex={0} role="region" aria-label="What runs where">
      <table className={classes.matrix}>
        <thead><tr><th scope="col">Service</th>{columns.map((e) => <th key={e} scope="col">{e}</th>)}</tr></thead>
        <tbody>
          {services.map((s) => (
            <tr key={s}>
              <th scope="row">{s}</th>
              {columns.map((e) => {
                const here = placed.filter((p) => p.service === s && p.environment === e).sort((a, b) => a.wave - b.wave || a.region.localeCompare(b.region));
                return <td key={e}>{here.length === 0 ? <span className="dim">nothing</span> : here.map((p) => <Region key={p.region} p={p} alone={here.length === 1} />)}<UnderWay active={active} service={s} environment={e} /></td>;
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Region({ p, alone }: { p: Placed; alone: boolean }) {
  const versions = (p.versions ?? []).filter((v) => v.running > 0 || v.healthy > 0 || v.weight > 0);
  const main = [...versions].sort((a, b) => b.weight - a.weight)[0];
  const problems = p.problems ?? [];
  const plain = alone && p.region === 'default';
  return (
    <div className={classes.place} data-plain={plain || undefined}>
      {!plain && <span className={classes.region}>{p.region}</span>}
      {versions.length === 0 ? <span className="dim">nothing runs</span> : versions.filter((v) => v.weight > 0 || v === main).map((v) => <Version key={v.version + v.baseline} v={v} of={p.instances} split={versions.filter((x) => x.weight > 0).length > 1} />)}
      {versions.filter((v) => v.weight > 0).length > 1 && <Split parts={versions.map((v) => ({ side: v.baseline ? 'baseline' : v === main ? 'old' : 'new', weight: v.weight, label: named(v) }))} />}
      {problems.length > 0 && <Tooltip multiline maw={420} label={problems.join('; ')}><span className={classes.problem} tabIndex={0}><IconAlertTriangle size={14} /> <span className="clip">{problems[0]}</span></span></Tooltip>}
    </div>
  );
}

const named = (v: PlacedVersion): string => (v.commit ? shortSHA(v.commit) : v.version);

function Version({ v, of, split }: { v: PlacedVersion; of: number; split: boolean }) {
  const healthy = v.healthy >= v.running && v.running > 0;
  return (
    <Tooltip multiline maw={360} label={<>version {v.version}{v.commit && <>, commit {v.commit.slice(0, 12)}</>}<br />{plural(v.healthy, 'healthy instance')} of {v.running} running, {of} wanted<br />{share(v.weight)} of the traffic{v.failed && <><br />{v.failed}</>}</>}>
      <span className={classes.version}>
        {v.release ? <Link to={`/releases/${v.release}`} className="mono">{named(v)}</Link> : <span className="mono">{named(v)}</span>}
        {v.baseline && <span className="dim">baseline</span>}
        <span className={classes.health} data-ok={healthy || undefined}><span aria-hidden>{healthy ? '●' : '○'}</span> {v.healthy}/{v.running}<span className="visually-hidden"> healthy</span></span>
        {split && <span className="num">{share(v.weight)}</span>}
        {!split && v.released_at && <span className="dim"><Ago at={v.released_at} /></span>}
      </span>
    </Tooltip>
  );
}

function UnderWay({ active, service, environment }: { active: Release[]; service: string; environment: string }) {
  for (const r of active) {
    const m = (r.environments ?? []).find((e) => e.name === environment && !ended(e.status))?.services?.find((x) => x.service === service);
    if (m && !ended(m.status) && m.status !== 'warm' && m.status !== 'pending') {
      return <Link to={`/releases/${r.id}${m.rollout ? `?rollout=${m.back || m.rollout}` : ''}`} className={classes.underWay}><Sign state={m.status} size={13} /> release {r.number}: {statusWords(m.status).toLowerCase()}</Link>;
    }
  }
  return null;
}
