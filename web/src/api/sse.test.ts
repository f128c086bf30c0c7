import { expect, it } from 'vitest';
import { backoff, Cutter } from './sse';

const text = ': hello\n\nevent: run.started\nid: 7\ndata: {"a":1}\n\ndata: one\r\ndata:two\r\n\r\n: alive\n\nid: 9\nevent: nothing\n\ndata: cut';

it('cuts messages out of a stream', () => {
  expect(new Cutter().push(text)).toEqual([
    { event: 'run.started', data: '{"a":1}', id: '7' },
    { event: 'message', data: 'one\ntwo', id: '7' },
  ]);
});

it('does so wherever the pieces end', () => {
  const whole = new Cutter().push(text);
  for (let size = 1; size < 9; size++) {
    const c = new Cutter();
    const got = [];
    for (let i = 0; i < text.length; i += size) got.push(...c.push(text.slice(i, i + size)));
    expect(got).toEqual(whole);
  }
});

it('waits longer each time, up to a bound', () => {
  expect([0, 1, 2, 3, 9].map((n) => backoff(n, 0.5))).toEqual([1000, 2000, 4000, 8000, 15000]);
});
