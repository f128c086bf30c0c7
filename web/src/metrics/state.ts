/** What the metrics explorer shows, kept in the address: a link to it shows somebody else the same. */
import { count } from '../lib/format';

/** A range of time: the last so many seconds until now, or from one time to another (seconds since 1970). */
export type Range = { last: number } | { from: number; to: number };

export interface Explorer {
  /** PromQL, one for each panel; an empty one is a panel that nobody has filled in yet. */
  queries: string[];
  range: Range;
  /** Seconds between two values; 0: as many as the plot can show. */
  step: number;
  /** Seconds between two looks; 0: only when asked. */
  refresh: number;
  view: 'graph' | 'values';
}

/** Ranges that are offered, in seconds. */
export const ranges = [300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 2 * 86_400, 7 * 86_400, 14 * 86_400];
export const refreshes = [0, 5, 10, 30, 60, 300];
const standard: Explorer = { queries: [''], range: { last: 3600 }, step: 0, refresh: 0, view: 'graph' };

/** How many panels there may be at most: each asks the server. */
export const mostQueries = 12;

const units: [string, number][] = [['w', 7 * 86_400], ['d', 86_400], ['h', 3600], ['m', 60], ['s', 1]];

/** "90s", "15m", "1h30m", "2w" in seconds, as Prometheus writes durations; null for anything else. */
export function readDuration(s: string): number | null {
  const m = /^(?:(\d{1,7})w)?(?:(\d{1,7})d)?(?:(\d{1,7})h)?(?:(\d{1,7})m)?(?:(\d{1,7})s)?$/.exec(s.trim());
  if (!m || !s.trim()) return null;
  return units.reduce((sum, [, seconds], i) => sum + Number(m[i + 1] ?? 0) * seconds, 0);
}

export function writeDuration(seconds: number): string {
  let left = Math.round(seconds);
  let s = '';
  for (const [name, size] of units) {
    // Fourteen days are "2w", ten are "10d" and not "1w3d".
    const n = name === 'w' && left % size !== 0 ? 0 : Math.floor(left / size);
    if (n > 0) s += `${n}${name}`;
    left -= n * size;
  }
  return s || '0s';
}

/** Reads the address; what it does not have, or has wrong, is as at first. */
export function readExplorer(q: URLSearchParams): Explorer {
  const e: Explorer = { ...standard };
  const queries = q.getAll('q').slice(0, mostQueries);
  if (queries.length > 0) e.queries = queries;
  const from = Date.parse(q.get('from') ?? '');
  const to = Date.parse(q.get('to') ?? '');
  const last = readDuration(q.get('range') ?? '');
  if (from < to) e.range = { from: from / 1000, to: to / 1000 };
  else if (last) e.range = { last };
  e.step = readDuration(q.get('step') ?? '') ?? 0;
  const refresh = readDuration(q.get('refresh') ?? '') ?? 0;
  if (refreshes.includes(refresh)) e.refresh = refresh;
  if (q.get('view') === 'values') e.view = 'values';
  return e;
}

/** Writes the address: only what is not as at first. */
export function writeExplorer(e: Explorer): URLSearchParams {
  const q = new URLSearchParams();
  if (e.queries.length > 1 || e.queries[0]) for (const x of e.queries) q.append('q', x);
  if ('from' in e.range) {
    q.set('from', iso(e.range.from));
    q.set('to', iso(e.range.to));
  } else if (e.range.last !== 3600) q.set('range', writeDuration(e.range.last));
  if (e.step) q.set('step', writeDuration(e.step));
  if (e.refresh) q.set('refresh', writeDuration(e.refresh));
  if (e.view !== 'graph') q.set('view', e.view);
  return q;
}

const iso = (seconds: number): string => new Date(Math.round(seconds * 1000)).toISOString();

/** The range as two times in whole seconds; now in seconds since 1970. */
export function ends(r: Range, now: number): [number, number] {
  return 'last' in r ? [Math.floor(now) - r.last, Math.floor(now)] : [r.from, r.to];
}

/** Steps that are taken by themselves, in seconds. */
const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];

/** How many values a line has at most where nobody has set a step: about one for each four pixels of a wide plot. */
const points = 250;

/** Prometheus refuses more values of a series than this (its query_range). */
export const mostPoints = 11_000;

/** The step of a range in seconds: as set, or the smallest that is not too fine. */
export function stepOf(set: number, seconds: number): number {
  return set || steps.find((s) => seconds / s <= points) || Math.ceil(seconds / points);
}

/** Why a step is not possible for a range, and what would be; empty where it is. */
export function stepProblem(step: number, seconds: number): string {
  if (step === 0 || seconds / step <= mostPoints) return '';
  const least = steps.find((s) => seconds / s <= mostPoints) ?? Math.ceil(seconds / mostPoints);
  return `${writeDuration(step)} makes ${count(seconds / step)} values of each series, and at most ${count(mostPoints)} are given: take ${writeDuration(least)} or more, or a shorter range.`;
}

/** The range so many of its lengths later (or earlier, below 0), never beyond now. */
export function shifted(r: Range, by: number, now: number): Range {
  const [from, to] = ends(r, now);
  const end = Math.min(now, to + by * (to - from));
  return { from: end - (to - from), to: end };
}

/** Twice the range around its middle, never beyond now. */
export function wider(r: Range, now: number): Range {
  if ('last' in r) return { last: Math.min(r.last * 2, ranges.at(-1)! * 26) };
  const length = (r.to - r.from) * 2;
  const to = Math.min(now, r.to + length / 4);
  return { from: to - length, to };
}
