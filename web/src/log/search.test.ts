import { expect, it } from 'vitest';
import { firstFrom, part, Search, type Find } from './search';

/** A log in which each tenth of 25,000 lines matches. */
const tenth: Find = async (from, limit) => {
  const lines = [];
  let n = Math.ceil(from / 10) * 10;
  for (; n <= 25_000 && lines.length < limit; n += 10) lines.push(n);
  const more = n <= 25_000;
  return { lines, more, next: more ? lines.at(-1)! + 1 : undefined };
};

it('reads part by part, once each', async () => {
  let calls = 0;
  const s = new Search((...a) => (calls++, tenth(...a)), () => {});
  await Promise.all([s.more(), s.more()]);
  expect([calls, s.matches.lines.length, s.matches.next]).toEqual([1, part, 10_001]);
  await s.more();
  await s.more();
  await s.more();
  expect([calls, s.matches.lines.length, s.matches.next]).toEqual([3, 2500, 0]);
  expect(new Set(s.matches.lines).size).toBe(2500);
});

it('keeps an error, and ends', async () => {
  const s = new Search(async () => Promise.reject(new Error('no')), () => {});
  await s.more();
  expect(s.matches).toMatchObject({ busy: false, next: 0, error: new Error('no') });
});

it('says nothing after it was stopped', async () => {
  let changes = 0;
  const s = new Search(tenth, () => changes++);
  const reading = s.more();
  s.stop();
  await reading;
  expect(changes).toBe(1);
  expect(s.matches.lines).toEqual([]);
});

it('goes on where the log has grown', async () => {
  const s = new Search(async (from) => ({ lines: from < 100 ? [7] : [123], more: false }), () => {});
  await s.more();
  s.grown(101);
  await s.more();
  expect(s.matches.lines).toEqual([7, 123]);
});

it.each([[0, 0], [10, 0], [11, 1], [30, 2], [31, 3]])('finds the first match from line %d', (line, want) => expect(firstFrom([10, 20, 30], line)).toBe(want));
