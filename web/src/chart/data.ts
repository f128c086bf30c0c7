/** What plots are made of: lines on one axis of time, and their values as people read them. */

export type Unit = 'ratio' | 'seconds' | 'count' | 'bytes' | 'per-second';

export type Tone = 'good' | 'bad' | 'neutral';

export interface Series {
  label: string;
  /** Versions of a release have colours and dashes of their own; others get the next of the palette. */
  kind?: 'new' | 'old' | 'baseline';
  /** Seconds since 1970, ascending. */
  times: number[];
  /** One for each time; null is a gap. */
  values: (number | null)[];
  unit?: Unit;
}

export interface Marker {
  /** Seconds since 1970. */
  time: number;
  label: string;
  tone: Tone;
}

/** A column of times and one of values for each series. Where another series has a time and this one has not, the value is undefined: a line goes on there, while null breaks it. */
export type Columns = [number[], ...(number | null | undefined)[][]];

export function columns(series: Series[]): Columns {
  const times = [...new Set(series.flatMap((s) => s.times))].sort((a, b) => a - b);
  const at = new Map(times.map((t, i) => [t, i]));
  return [times, ...series.map((s) => {
    const values = new Array<number | null | undefined>(times.length).fill(undefined);
    s.times.forEach((t, i) => {
      const v = s.values[i];
      values[at.get(t)!] = v === undefined || v === null || !Number.isFinite(v) ? null : v;
    });
    return values;
  })];
}

const small = (v: number, digits: number): string => String(Number(v.toPrecision(digits)));

/** A value with its unit: 0.05 of "ratio" is "5 %", 0.0021 of "seconds" "2.1 ms". */
export function value(v: number | null | undefined, unit: Unit = 'count'): string {
  if (v === null || v === undefined || !Number.isFinite(v)) return '–';
  const n = Math.abs(v);
  switch (unit) {
    case 'ratio':
      return `${small(v * 100, 3)} %`;
    case 'seconds':
      if (n === 0) return '0 s';
      return n < 1e-3 ? `${small(v * 1e6, 3)} µs` : n < 1 ? `${small(v * 1e3, 3)} ms` : n < 120 ? `${small(v, 3)} s` : n < 7200 ? `${small(v / 60, 3)} min` : `${small(v / 3600, 3)} h`;
    case 'bytes':
      return scaled(v, ['B', 'KB', 'MB', 'GB', 'TB', 'PB'], ' ');
    case 'per-second':
      return `${scaled(v, ['', 'k', 'M', 'G', 'T'], '')}/s`;
    default:
      return scaled(v, ['', 'k', 'M', 'G', 'T'], '');
  }
}

function scaled(v: number, units: string[], between: string): string {
  let i = 0;
  while (Math.abs(v) >= 999.5 && i < units.length - 1) {
    v /= 1000;
    i++;
  }
  return `${small(v, 3)}${between}${units[i]}`.trim();
}

/** Rows for those who read a table rather than a plot: at most most of them, evenly taken, the first and the last among them. */
export function rows(data: Columns, most: number): number[] {
  const n = data[0].length;
  if (n <= most) return Array.from({ length: n }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.round((i * (n - 1)) / (most - 1)));
}

/** The last value that a series has at or before a place. */
export function lastAt(values: (number | null | undefined)[], i: number): number | null {
  for (let k = Math.min(i, values.length - 1); k >= 0; k--) {
    const v = values[k];
    if (v !== undefined) return v;
  }
  return null;
}
