import { describe, expect, it } from 'vitest';
import { readEventFilter, readLines, readRunFilter, writeEventFilter, writeLines, writeRunFilter } from './filters';

const run = (s: string) => readRunFilter(new URLSearchParams(s));

describe('filters of runs', () => {
  it('come back as they were written', () => {
    const s = 'project=a&project=b&status=running&status=failure&branch=main&event=push&actor=ann&file=.github%2Fworkflows%2Fci.yml&text=fix+%26+more';
    expect(writeRunFilter(run(s)).toString()).toBe(s);
  });
  it('are equal addresses where they mean the same', () => {
    expect(writeRunFilter(run('status=failure&text=%20x%20&project=b&project=a&project=b')).toString()).toBe('project=a&project=b&status=failure&text=x');
  });
  it('leave out what nobody knows', () => expect(writeRunFilter(run('status=green&colour=red&branch=')).toString()).toBe(''));
});

describe('filters of events', () => {
  it('keep times, in one form', () => {
    const f = readEventFilter(new URLSearchParams('type=run&since=2026-11-23T04:00:00%2B01:00&until=never'));
    expect(f.since).toBe('2026-11-23T03:00:00.000Z');
    expect(f.until).toBe('');
    expect(readEventFilter(writeEventFilter(f))).toEqual(f);
  });
});

describe('lines of an address', () => {
  it.each([
    ['#L12', { from: 12, to: 12 }], ['#L10-L20', { from: 10, to: 20 }], ['#L20-L10', { from: 10, to: 20 }], ['#L3-5', { from: 3, to: 5 }],
    ['#L0', null], ['#L', null], ['#M3', null], ['', null], ['#L1-L2-L3', null], ['#L9999999999999', null],
  ])('%s', (hash, want) => expect(readLines(hash)).toEqual(want));
  it('are written as they are read', () => {
    expect(writeLines({ from: 4, to: 4 })).toBe('#L4');
    expect(readLines(writeLines({ from: 4, to: 9 }))).toEqual({ from: 4, to: 9 });
  });
});
