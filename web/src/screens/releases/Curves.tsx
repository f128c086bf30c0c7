/** Both versions side by side over time: the share of requests that fail, and how long they take. */
import { SegmentedControl } from '@mantine/core';
import { useMemo, useState } from 'react';
import type { Judgement, Point, Rollout } from '../../api/releases';
import { TimeChart } from '../../chart/TimeChart';
import { count } from '../../lib/format';
import { lines, marks, sideNames, totals } from '../../release/points';
import classes from './releases.module.css';

export function Curves({ rollout: r, points, judgements }: { rollout: Rollout; points: Point[] | undefined; judgements: Judgement[] }) {
  const [quantile, setQuantile] = useState<'p50' | 'p99'>('p99');
  const marked = useMemo(() => marks(judgements), [judgements]);
  const all = points ?? [];
  const name = (side: 'new' | 'old' | 'baseline') => (side === 'new' ? `new ${r.version_new}` : side === 'old' ? `old ${r.version_old}` : sideNames.baseline);
  const errors = useMemo(() => lines(all, (p) => p.errors / p.requests).map((l) => ({ label: name(l.side), kind: l.side, times: l.times, values: l.values, unit: 'ratio' as const })), [points]);
  const latency = useMemo(() => lines(all, (p) => p[quantile]).map((l) => ({ label: name(l.side), kind: l.side, times: l.times, values: l.values, unit: 'seconds' as const })), [points, quantile]);
  const sum = totals(all);
  if (points && errors.length === 0) return <p className={classes.noCurves}>No requests have been seen yet. Curves begin with the first ones.</p>;
  return (
    <div className={classes.curves}>
      <figure>
        <figcaption>Requests that fail <span className="dim">{(['new', 'old', 'baseline'] as const).filter((s) => sum[s].requests > 0).map((s) => `${s} ${count(sum[s].errors)} of ${count(sum[s].requests)}`).join(', ')}</span></figcaption>
        <TimeChart title="Share of requests that fail" series={errors} markers={marked} height={190} sync={`rollout-${r.id}`} loading={!points} />
      </figure>
      <figure>
        <figcaption>Time of requests <SegmentedControl size="xs" value={quantile} onChange={(v) => setQuantile(v as 'p50' | 'p99')} data={[{ value: 'p50', label: 'p50' }, { value: 'p99', label: 'p99' }]} aria-label="Quantile" /></figcaption>
        <TimeChart title={`Time of requests, ${quantile}`} series={latency} markers={marked} height={190} sync={`rollout-${r.id}`} loading={!points} />
      </figure>
    </div>
  );
}
