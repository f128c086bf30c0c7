/** What was answered, as lines of a plot, rows of a table, or a file: names that tell series apart, units by what a query asks for, the largest first. */
import type { Series, Unit } from '../chart/data';
import type { Labels, Row } from './prom';

/** A series as PromQL writes it: orders_total{region="eu"}. */
export function nameOf(metric: Labels): string {
  const { __name__: name = '', ...labels } = metric;
  const inner = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(', ');
  return inner ? `${name}{${inner}}` : name || '{}';
}

/** What people look for first, in this order; the other labels by their names. */
const first = ['__name__', 'service', 'version', 'environment', 'region', 'instance'];

function byWeight(a: string, b: string): number {
  const [i, k] = [first.indexOf(a), first.indexOf(b)];
  return i >= 0 && k >= 0 ? i - k : i >= 0 ? -1 : k >= 0 ? 1 : a < b ? -1 : 1;
}

/** Short names for series that are shown together: only what tells them apart. The full ones where nothing does, and the query's for a single one without labels. */
export function labelsOf(metrics: Labels[], query: string): string[] {
  const keys = [...new Set(metrics.flatMap((m) => Object.keys(m)))].sort(byWeight);
  const differ = keys.filter((k) => new Set(metrics.map((m) => m[k])).size > 1);
  return metrics.map((m) => {
    const own = differ.filter((k) => m[k] !== undefined).map((k) => (k === '__name__' ? m[k]! : `${k} ${m[k]}`));
    if (own.length > 0) return own.join(', ');
    const full = nameOf(m);
    return full === '{}' ? query.trim() : full;
  });
}

/** Lines that a plot shows at most: more are neither told apart nor drawn fast. */
export const mostLines = 40;

const numbers = (row: Row): [number, number][] => (row.values ?? (row.value ? [row.value] : [])).map(([t, v]) => [t, Number(v)]);

function peak(row: Row): number {
  let most = -Infinity;
  for (const [, v] of numbers(row)) if (Math.abs(v) > most) most = Math.abs(v);
  return most;
}

/**
 * The lines of a plot, the largest where there are too many, and how many there were. A step at which a series has no value is a gap: from and step (seconds)
 * say where values would be.
 */
export function linesOf(rows: Row[], query: string, from: number, to: number, step: number): { series: Series[]; of: number } {
  const plain = rows.filter((r) => r.values && r.values.length > 0);
  const kept = plain.length <= mostLines ? plain : [...plain].sort((a, b) => peak(b) - peak(a)).slice(0, mostLines);
  const names = labelsOf(kept.map((r) => r.metric), query);
  const unit = unitOf(query);
  const count = Math.floor((to - from) / step + 1e-6) + 1;
  return {
    of: plain.length,
    series: kept.map((r, i) => {
      const at = new Map(numbers(r).map(([t, v]) => [Math.round((t - from) / step), v]));
      const times: number[] = [];
      const values: (number | null)[] = [];
      for (let k = 0; k < count; k++) {
        times.push(from + k * step);
        const v = at.get(k);
        values.push(v === undefined || !Number.isFinite(v) ? null : v);
      }
      return { label: names[i]!, times, values, unit };
    }),
  };
}

/** What a query's values are, by its names and functions: a guess that only chooses how numbers are written. */
export function unitOf(query: string): Unit {
  const q = query.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, '""').replace(/\{[^}]*\}|\[[^\]]*\]|#.*$/gm, '').replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '');
  const [above, below, more] = q.split('/');
  const one: Unit = unitOfPart(above ?? '');
  if (below === undefined) return one;
  if (more !== undefined) return 'count';
  const other = unitOfPart(below);
  if (/_sum\b/.test(above!) && /_count\b/.test(below)) return /_seconds_sum\b/.test(above!) ? 'seconds' : /_bytes_sum\b/.test(above!) ? 'bytes' : 'count';
  if (/^\s*[\d.e+-]+\s*$/i.test(below)) return 'count';
  return one === other ? 'ratio' : 'count';
}

function unitOfPart(q: string): Unit {
  if (/\bhistogram_fraction\b|_ratio\b/.test(q)) return 'ratio';
  if (/\bhistogram_(quantile|avg|stddev)\b/.test(q)) return /_seconds(_bucket)?\b/.test(q) ? 'seconds' : /_bytes(_bucket)?\b/.test(q) ? 'bytes' : 'count';
  const rate = /\b(?:rate|irate|deriv|histogram_count)\b/.test(q);
  if (/_seconds_total\b|_timestamp_seconds\b|_time_seconds\b/.test(q)) return 'count';
  if (rate) return /_bytes/.test(q) ? 'bytes' : /_seconds_(?:sum)\b/.test(q) ? 'count' : 'per-second';
  if (/\b(?:count|count_values|group|absent|present_over_time|changes|resets)\b/.test(q)) return 'count';
  if (/_bytes(_sum|_total)?\b/.test(q)) return 'bytes';
  if (/_seconds(_sum)?\b/.test(q)) return 'seconds';
  return 'count';
}

const cell = (s: string): string => (/[",\n\r]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s);

/** All values of a range as a file for a spreadsheet (RFC 4180): a line for each time (RFC 3339, UTC), a column for each series. */
export function csvOfRange(rows: Row[]): string {
  const at = new Map<number, Map<number, string>>();
  rows.forEach((r, i) => {
    for (const [t, v] of r.values ?? []) {
      if (!at.has(t)) at.set(t, new Map());
      at.get(t)!.set(i, v);
    }
  });
  const lines = [['time', ...rows.map((r) => nameOf(r.metric))]];
  for (const t of [...at.keys()].sort((a, b) => a - b)) lines.push([new Date(t * 1000).toISOString(), ...rows.map((_, i) => at.get(t)!.get(i) ?? '')]);
  return lines.map((l) => `${l.map(cell).join(',')}\r\n`).join('');
}

/** The values of one time as a file: a column for each label. */
export function csvOfValues(rows: Row[]): string {
  const keys = columnsOf(rows);
  const lines = [[...keys, 'value'], ...rows.map((r) => [...keys.map((k) => r.metric[k] ?? ''), textOf(r)])];
  return lines.map((l) => `${l.map(cell).join(',')}\r\n`).join('');
}

/** The labels that rows have, the metric's name first. */
export function columnsOf(rows: Row[]): string[] {
  return [...new Set(rows.flatMap((r) => Object.keys(r.metric)))].sort(byWeight);
}

/** The value of a row at one time, as text. */
export function textOf(r: Row): string {
  return r.histogram ? `${r.histogram[1].count} values, ${r.histogram[1].sum} in all` : (r.value?.[1] ?? '');
}
