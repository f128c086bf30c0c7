import { describe, expect, it } from 'vitest';
import type { LogLine, LogPage } from '../api/types';
import { groupEnd, Pages, type Source } from './pages';

const line = (n: number, g?: 'begin' | 'end'): LogLine => ({ n, t: null, s: 1, x: `line ${n}`, ...(g ? { g } : {}) });

/** A log of a length that can grow; it counts what is read, and can be held up. */
class Log implements Source {
  reads: [number, number][] = [];
  complete = false;
  groups = new Map<number, 'begin' | 'end'>();
  held: (() => void)[] | null = null;
  fail: Error | null = null;
  constructor(public total: number) {}
  async read(from: number, limit: number, signal: AbortSignal): Promise<LogPage> {
    this.reads.push([from, limit]);
    if (this.held) await new Promise<void>((go) => this.held!.push(go));
    signal.throwIfAborted();
    if (this.fail) throw this.fail;
    const first = from < 0 ? Math.max(1, this.total + from + 1) : from;
    const lines = [];
    for (let n = first; n < first + limit && n <= this.total; n++) lines.push(line(n, this.groups.get(n)));
    return { lines, total: this.total, complete: this.complete };
  }
}

const settled = () => new Promise((go) => setImmediate(go));

describe('pages', () => {
  it('know the length from the end of the log', async () => {
    const pages = new Pages(new Log(1_300_000), { size: 500 });
    await pages.open();
    expect(pages.total).toBe(1_300_000);
    expect(pages.line(1_300_000)?.n).toBe(1_300_000);
  });

  it('are read once, and only those in view', async () => {
    const log = new Log(10_000);
    const pages = new Pages(log, { size: 100 });
    await pages.open();
    log.reads = [];
    pages.want(250, 320);
    pages.want(251, 321);
    await settled();
    expect(log.reads).toEqual([[201, 100], [301, 100]]);
    expect(pages.line(250)?.x).toBe('line 250');
    pages.want(250, 320);
    expect(log.reads).toHaveLength(2);
  });

  it('stay within bounds, however much is looked at', async () => {
    const log = new Log(1_300_000);
    const pages = new Pages(log, { size: 500, keep: 10 });
    await pages.open();
    for (let n = 1; n < 400_000; n += 700) {
      pages.want(n, n + 60);
      await settled();
      expect(pages.line(n)?.n).toBe(n);
      expect(pages.held).toBeLessThanOrEqual(5000);
    }
  });

  it('that go out of view while they are read are given up', async () => {
    const log = new Log(10_000);
    const pages = new Pages(log, { size: 100 });
    await pages.open();
    log.held = [];
    pages.want(1, 50);
    pages.want(5000, 5050);
    for (const go of log.held) go();
    await settled();
    expect(pages.line(1)).toBeUndefined();
    expect(pages.line(5000)?.n).toBe(5000);
  });

  it('grow with a stream, and fill what a stream has left out', async () => {
    const log = new Log(150);
    const pages = new Pages(log, { size: 100 });
    await pages.open();
    pages.append([line(151), line(152)], 152);
    log.total = 152;
    pages.want(101, 152);
    await settled();
    expect(pages.line(152)?.n).toBe(152);
    log.total = 400;
    pages.append([line(399), line(400)], 400);
    expect(pages.total).toBe(400);
    expect(pages.line(399)).toBeUndefined();
    pages.want(380, 400);
    await settled();
    expect(pages.line(399)?.n).toBe(399);
  });

  it('that were cut short by the end are read again once there is more', async () => {
    const log = new Log(120);
    const pages = new Pages(log, { size: 100 });
    await pages.open();
    pages.want(101, 120);
    await settled();
    log.total = 180;
    pages.append([], 180);
    pages.want(101, 180);
    await settled();
    expect(pages.line(180)?.n).toBe(180);
  });

  it('say what went wrong, and forget it when it works again', async () => {
    const log = new Log(1000);
    let changes = 0;
    const pages = new Pages(log, { size: 100, changed: () => changes++ });
    await pages.open();
    log.fail = new Error('away');
    pages.want(1, 10);
    await settled();
    expect(pages.error).toBe(log.fail);
    expect(changes).toBeGreaterThan(0);
    log.fail = null;
    pages.want(1, 10);
    await settled();
    expect(pages.error).toBeNull();
    expect(pages.line(1)?.n).toBe(1);
  });

  it('never ask beyond the log', async () => {
    const log = new Log(0);
    const pages = new Pages(log);
    await pages.open();
    log.reads = [];
    pages.want(1, 50);
    expect(log.reads).toEqual([]);
    expect(await pages.get(0)).toBeUndefined();
  });
});

describe('the end of a group', () => {
  const never = new AbortController().signal;

  it('is found pages ahead, past groups within', async () => {
    const log = new Log(5000);
    for (const [n, g] of [[10, 'begin'], [100, 'begin'], [200, 'end'], [3210, 'end'], [3300, 'end']] as const) log.groups.set(n, g);
    const pages = new Pages(log, { size: 100, keep: 5 });
    await pages.open();
    expect(await groupEnd(pages, 10, 5000, never)).toBe(3210);
    expect(await groupEnd(pages, 100, 5000, never)).toBe(200);
  });

  it('is that of its step where nobody closed it', async () => {
    const pages = new Pages(new Log(500), { size: 100 });
    await pages.open();
    expect(await groupEnd(pages, 10, 320, never)).toBe(320);
    expect(await groupEnd(pages, 10, 900, never)).toBe(500);
  });

  it('is not looked for any longer when nobody asks', async () => {
    const pages = new Pages(new Log(5000), { size: 100 });
    await pages.open();
    const abort = new AbortController();
    abort.abort();
    await expect(groupEnd(pages, 10, 5000, abort.signal)).rejects.toThrow();
  });
});
