import { describe, expect, it } from 'vitest';
import { columns, lastAt, rows, value, type Columns, type Unit } from './data';

it('lines share one axis; what only another line has is no gap', () => {
  const got = columns([
    { label: 'a', times: [1, 3, 5], values: [10, null, 50] },
    { label: 'b', times: [2, 3], values: [Number.NaN, 7] },
  ]);
  expect(got).toEqual([[1, 2, 3, 5], [10, undefined, null, 50], [undefined, null, 7, undefined]]);
  expect(columns([])).toEqual([[]]);
});

describe('values', () => {
  it.each<[number | null, Unit, string]>([
    [0.05, 'ratio', '5 %'], [0.00123, 'ratio', '0.123 %'], [0, 'ratio', '0 %'], [0.0021, 'seconds', '2.1 ms'], [0.0000213, 'seconds', '21.3 µs'], [0, 'seconds', '0 s'], [61, 'seconds', '61 s'], [180, 'seconds', '3 min'],
    [1234, 'count', '1.23k'], [999.9, 'count', '1k'], [25_276_514_304, 'bytes', '25.3 GB'], [12, 'bytes', '12 B'], [40.25, 'per-second', '40.3/s'], [null, 'count', '–'], [Number.POSITIVE_INFINITY, 'count', '–'], [-1500, 'count', '-1.5k'],
  ])('%f as %s is %s', (v, unit, want) => expect(value(v, unit)).toBe(want));
});

it('a table has the first and the last row, and no more than asked for', () => {
  const data: Columns = [Array.from({ length: 101 }, (_, i) => i)];
  expect(rows(data, 11)).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
  expect(rows([[4, 5]], 11)).toEqual([0, 1]);
});

it('what holds at a place is the last that was known, and a gap is known', () => {
  expect(lastAt([1, undefined, null, undefined], 1)).toBe(1);
  expect(lastAt([1, undefined, null, undefined], 3)).toBe(null);
  expect(lastAt([], 3)).toBe(null);
});
