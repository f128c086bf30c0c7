import { describe, expect, it } from 'vitest';
import { between, duration, lineTime, relative, utc } from './time';

const now = Date.parse('2026-11-23T03:00:00Z');
const at = (seconds: number): string => new Date(now + seconds * 1000).toISOString();

describe('duration', () => {
  it.each([
    [0.04, '0.0 s'], [0.94, '0.9 s'], [0.96, '1 s'], [59.4, '59 s'], [59.6, '1 min 00 s'], [125, '2 min 05 s'],
    [3599.7, '1 h 00 min'], [4800, '1 h 20 min'], [270000, '3 d 3 h'], [-1, ''], [Number.NaN, ''],
  ])('%d s is %s', (s, want) => expect(duration(s)).toBe(want));
});

describe('relative', () => {
  it.each([
    [-5, 'just now'], [5, 'just now'], [-45, '45 s ago'], [-61, '1 min ago'], [7200, 'in 2 h'], [-90000, '1 d ago'], [-40 * 86400, '2026-10-14'],
  ])('%d s away is %s', (s, want) => expect(relative(at(s), now)).toBe(want));
  it('is empty for no time', () => expect(relative(null, now)).toBe(''));
});

describe('between', () => {
  it('runs on until the end is known', () => {
    expect(between(at(-30), null, now)).toBe(30);
    expect(between(at(-30), at(-10), now)).toBe(20);
    expect(between(null, null, now)).toBeNaN();
  });
  it('is never negative, whatever the clocks say', () => expect(between(at(5), null, now)).toBe(0));
});

it('shows times of lines to the millisecond', () => {
  expect(lineTime('2026-11-23T03:00:00.123456Z')).toBe('03:00:00.123');
  expect(lineTime(null)).toHaveLength(12);
  expect(utc('2026-11-23T03:00:00.5Z')).toBe('2026-11-23 03:00:00.500 UTC');
});
