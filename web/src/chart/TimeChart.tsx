/**
 * Lines over time, by uPlot: in the colours of the theme, told apart by dashes as well, with marks of what happened, with the values under the pointer beside
 * the names, and as a table for those who would rather read one.
 */
import { Skeleton, useComputedColorScheme } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import UPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { clock } from '../lib/time';
import classes from './chart.module.css';
import { columns, lastAt, rows, value, type Columns, type Marker, type Series, type Unit } from './data';

interface Props {
  /** What is shown, for those who do not see it. */
  title: string;
  series: Series[];
  markers?: Marker[];
  /** In px. */
  height?: number;
  /** Charts of one key share the pointer's place. */
  sync?: string;
  /** The range of the axis in seconds since 1970; without one that of the data. */
  range?: [number, number];
  loading?: boolean;
  empty?: string;
  /** Hears a range that was drawn with the pointer. */
  onRange?: (from: number, to: number) => void;
}

/** Colours that people with the common colour blindnesses tell apart (Okabe and Ito), darkened or lightened for contrast. */
const palette = { light: ['#0072b2', '#b35900', '#00795a', '#a33f7f', '#8a6d00', '#3a7fb5', '#5c6570'], dark: ['#56b4e9', '#f0a04b', '#3cc79a', '#e29bc4', '#e6d44c', '#9ccdf0', '#a2aab3'] };
const dashes: (number[] | undefined)[] = [undefined, [6, 4], [2, 3], [10, 4, 2, 4]];
const kinds = { new: { color: '--g-new', width: 2.2, dash: undefined }, old: { color: '--g-old', width: 1.6, dash: [7, 4] }, baseline: { color: '--g-baseline', width: 1.6, dash: [2, 3] } } as const;
const tones = { good: '--g-success', bad: '--g-failure', neutral: '--g-dim' } as const;

/** What lies between two marks of the axis of time, in seconds: its labels go down to the second. */
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800];

interface Look {
  color: string;
  width: number;
  dash: readonly number[] | undefined;
}

function looks(series: Series[], scheme: 'light' | 'dark'): Look[] {
  const css = getComputedStyle(document.documentElement);
  let n = 0;
  return series.map((s) => {
    if (s.kind) return { color: css.getPropertyValue(kinds[s.kind].color).trim(), width: kinds[s.kind].width, dash: kinds[s.kind].dash };
    const i = n++;
    const colors = palette[scheme];
    return { color: colors[i % colors.length]!, width: 1.8, dash: dashes[Math.floor(i / colors.length) % dashes.length] };
  });
}

export function TimeChart({ title, series, markers = [], height = 200, sync, range, loading, empty = 'There is nothing to show in this time.', onRange }: Props) {
  const scheme = useComputedColorScheme('light');
  const data = useMemo(() => columns(series), [series]);
  const styles = useMemo(() => looks(series, scheme), [series, scheme]);
  const [at, setAt] = useState<number | null>(null);
  const [table, setTable] = useState(false);
  if (loading) return <Skeleton height={height + 24} />;
  if (series.length === 0) return <div className={classes.empty} style={{ height: height + 24 }}>{empty}</div>;
  const place = at ?? data[0].length - 1;
  const unit = series[0]!.unit;
  return (
    <div className={classes.chart}>
      {table ? <Table title={title} data={data} series={series} height={height} /> : (
        <div role="img" aria-label={`${title}: ${series.map((s, i) => `${s.label} ${value(lastAt(data[i + 1]!, data[0].length - 1), s.unit)}`).slice(0, 12).join(', ')}`}>
          <Canvas key={scheme} data={data} series={series} styles={styles} markers={markers} height={height} sync={sync} unit={unit} range={range} onAt={setAt} onRange={onRange} />
        </div>
      )}
      <div className={classes.foot}>
        <ul className={classes.legend}>
          {series.map((s, i) => (
            <li key={i}>
              <svg width="22" height="8" aria-hidden><line x1="0" x2="22" y1="4" y2="4" stroke={styles[i]!.color} strokeWidth="2.4" strokeDasharray={styles[i]!.dash?.join(' ')} /></svg>
              <span className={classes.label} title={s.label}>{s.label}</span>
              <b className="num">{value(lastAt(data[i + 1]!, place), s.unit)}</b>
            </li>
          ))}
        </ul>
        <span className={classes.at}>{at !== null && data[0][at] !== undefined && <span className="num">{clock(data[0][at]! * 1000)}</span>}</span>
        <button type="button" className={classes.toggle} aria-pressed={table} onClick={() => setTable(!table)}>{table ? 'As a plot' : 'As a table'}</button>
      </div>
    </div>
  );
}

interface CanvasProps {
  data: Columns;
  series: Series[];
  styles: Look[];
  markers: Marker[];
  height: number;
  sync?: string;
  unit?: Unit;
  range?: [number, number];
  onAt: (i: number | null) => void;
  onRange?: (from: number, to: number) => void;
}

function Canvas({ data, series, styles, markers, height, sync, unit, range, onAt, onRange }: CanvasProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  // The plot is made once for the lines that there are; what changes with each look is read through this.
  const latest = useRef({ markers, range, onAt, onRange });
  latest.current = { markers, range, onAt, onRange };
  const shape = JSON.stringify([series.map((s) => [s.label, s.kind, s.unit]), height, sync, unit, styles]);

  useEffect(() => {
    const css = getComputedStyle(document.documentElement);
    const v = (name: string) => css.getPropertyValue(name).trim();
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: v('--g-dim'), font, grid: { stroke: v('--g-line'), width: 1 }, ticks: { stroke: v('--g-line'), width: 1, size: 4 } };
    const u = new UPlot({
      width: Math.max(60, box.current!.clientWidth),
      height,
      legend: { show: false },
      cursor: { sync: sync ? { key: sync } : undefined, points: { size: 6 }, drag: { x: Boolean(latest.current.onRange), y: false, setScale: false } },
      scales: {
        x: { range: (_, from, to) => latest.current.range ?? (from === to ? [from - 30, to + 30] : [from, to]) },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), !high || high <= 0 ? (unit === 'ratio' ? 0.05 : 1) : high * 1.08] },
      },
      axes: [
        { ...axis, space: 70, incrs: steps, values: (_, splits, __, ___, step) => splits.map((s) => clock(s * 1000).slice(...(step >= 86_400 ? [5, 10] : step >= 60 ? [11, 16] : [11, 19]) as [number, number])) },
        { ...axis, size: 58, space: 32, values: (_, splits) => splits.map((s) => value(s, unit)) },
      ],
      series: [{}, ...series.map((s, i) => ({ label: s.label, stroke: styles[i]!.color, width: styles[i]!.width, dash: styles[i]!.dash as number[] | undefined, points: { show: false } }))],
      hooks: {
        setCursor: [(p) => latest.current.onAt(p.cursor.idx ?? null)],
        setSelect: [(p) => {
          if (p.select.width < 4) return;
          latest.current.onRange?.(p.posToVal(p.select.left, 'x'), p.posToVal(p.select.left + p.select.width, 'x'));
          p.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
        draw: [(p) => mark(p, latest.current.markers, v, font)],
      },
    }, data as UPlot.AlignedData, box.current!);
    plot.current = u;
    const sized = new ResizeObserver(() => {
      const width = box.current?.clientWidth ?? 0;
      if (width > 0 && width !== u.width) u.setSize({ width, height });
    });
    sized.observe(box.current!);
    return () => {
      sized.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(data as UPlot.AlignedData);
  }, [data, range?.[0], range?.[1]]);
  useEffect(() => {
    plot.current?.redraw(false);
  }, [markers]);

  return <div ref={box} className={classes.canvas} style={{ height }} />;
}

/** Draws what happened as lines from top to bottom with its name, one below the other where they come close. */
function mark(u: UPlot, markers: Marker[], v: (name: string) => string, font: string): void {
  const { ctx, bbox } = u;
  const scale = devicePixelRatio;
  const ends: number[] = [];
  ctx.save();
  ctx.textAlign = 'left';
  ctx.textBaseline = 'alphabetic';
  ctx.font = font.replace(/^\d+/, (n) => String(Number(n) * scale));
  for (const m of [...markers].sort((a, b) => a.time - b.time)) {
    const x = Math.round(u.valToPos(m.time, 'x', true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = v(tones[m.tone]);
    ctx.lineWidth = (m.tone === 'bad' ? 2 : 1) * scale;
    ctx.setLineDash(m.tone === 'bad' ? [] : [3 * scale, 3 * scale]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const wide = ctx.measureText(m.label).width + 8 * scale;
    const left = x + wide > bbox.left + bbox.width ? x - wide : x + 4 * scale;
    let row = 0;
    while ((ends[row] ?? -Infinity) > left) row++;
    ends[row] = left + wide;
    ctx.fillText(m.label, left, bbox.top + (11 + 13 * row) * scale);
  }
  ctx.restore();
}

/** How many rows a table has at most. */
const mostRows = 60;

function Table({ title, data, series, height }: { title: string; data: Columns; series: Series[]; height: number }) {
  return (
    <div className={classes.table} style={{ height }} tabIndex={0} role="region" aria-label={title}>
      <table>
        <thead><tr><th scope="col">Time</th>{series.map((s, i) => <th key={i} scope="col">{s.label}</th>)}</tr></thead>
        <tbody>{rows(data, mostRows).map((i) => <tr key={i}><th scope="row">{clock(data[0][i]! * 1000)}</th>{series.map((s, k) => <td key={k}>{value(data[k + 1]![i], s.unit)}</td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}
