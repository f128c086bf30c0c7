import { describe, expect, it } from 'vitest';
import type { Job } from '../api/types';
import { criticalPath } from './critical';
import { boxHeight, layout } from './layout';

const base = Date.parse('2026-11-23T00:00:00Z');
const at = (s: number) => new Date(base + s * 1000).toISOString();

/** A job by "name:needs:begin-end", legs as "name (leg)". */
function jobs(...list: string[]): Job[] {
  const out: Job[] = [];
  for (const text of list) {
    const [name, needs = '', time = ''] = text.split(':');
    const leg = /\(.*\)$/.exec(name!)?.[0];
    const [begin, end] = time.split('-');
    out.push({
      id: name!, path: name!, key: name!.replace(/ \(.*/, ''), leg, name: name!, status: 'success',
      needs: out.filter((j) => needs.split(',').includes(j.key)).map((j) => j.id),
      started_at: begin ? at(Number(begin)) : null, finished_at: end ? at(Number(end)) : null,
    } as Job);
  }
  return out;
}

const columnsOf = (list: Job[]) => {
  const l = layout(list);
  const xs = [...new Set(l.boxes.map((b) => b.x))].sort((a, b) => a - b);
  return xs.map((x) => l.boxes.filter((b) => b.x === x).sort((a, b) => a.y - b.y).map((b) => b.id));
};
const linesOf = (list: Job[]) => layout(list).lines.map((l) => `${l.from}>${l.to}`).sort();

describe('layout', () => {
  it('puts jobs behind what they need', () => expect(columnsOf(jobs('a', 'b:a', 'c:a', 'd:b,c'))).toEqual([['a'], ['b', 'c'], ['d']]));
  it('makes one box of a matrix', () => {
    const list = jobs('build (x)', 'build (y)', 'test:build');
    expect(columnsOf(list)).toEqual([['build'], ['test']]);
    expect(linesOf(list)).toEqual(['build>test']);
    expect(layout(list).boxes[0]!.jobs).toHaveLength(2);
  });
  it('leaves out lines that others imply', () => expect(linesOf(jobs('a', 'b:a', 'c:a,b', 'd:a,c'))).toEqual(['a>b', 'b>c', 'c>d']));
  it('lets few lines cross', () => {
    const list = jobs('a', 'b', 'c', 'x:c', 'y:b', 'z:a');
    const [, second] = columnsOf(list);
    expect(second).toEqual(['z', 'y', 'x']);
  });
  it('lets no boxes overlap', () => {
    const list = jobs('a', ...Array.from({ length: 12 }, (_, i) => `m (${i}):a`), 'b:a', 'c:a', 'd:m,b,c', 'e');
    const { boxes, height } = layout(list);
    for (const p of boxes) {
      expect(p.y).toBeGreaterThanOrEqual(0);
      expect(p.y + p.height).toBeLessThanOrEqual(height);
      expect(p.height).toBe(boxHeight(p.jobs));
      for (const o of boxes) if (o !== p && o.x === p.x) expect(p.y + p.height <= o.y || o.y + o.height <= p.y).toBe(true);
    }
  });
  it('is the same however the run goes', () => {
    const list = jobs('a', 'b:a', 'c:a');
    const places = (l: Job[]) => layout(l).boxes.map((b) => [b.id, b.x, b.y]);
    expect(places(list.map((j) => ({ ...j, status: 'failure' as const })))).toEqual(places(list));
  });
  it('bears nothing, unknown needs and cycles', () => {
    expect(layout([])).toEqual({ boxes: [], lines: [], width: 0, height: 0 });
    const [a, b] = jobs('a', 'b:a');
    a!.needs = ['b', 'gone'];
    expect(layout([a!, b!]).boxes).toHaveLength(2);
  });
});

describe('the critical path', () => {
  it('is the longest chain of durations', () => {
    const list = jobs('a::0-10', 'b:a:10-70', 'c:a:10-30', 'd:b,c:70-75', 'e::0-60');
    expect([...criticalPath(list, base)].sort()).toEqual(['a', 'b', 'd']);
  });
  it('goes on while jobs run', () => {
    const list = jobs('a::0-10', 'b:a:10', 'c:a:10-50');
    expect([...criticalPath(list, base + 20_000)].sort()).toEqual(['a', 'c']);
    expect([...criticalPath(list, base + 90_000)].sort()).toEqual(['a', 'b']);
  });
  it('is what the server says, once it does', () => {
    const list = jobs('a::0-10', 'b::0-90');
    list[0]!.critical = true;
    expect([...criticalPath(list, base)]).toEqual(['a']);
  });
  it('is empty before anything has run, and leaves out what was not run again', () => {
    expect(criticalPath(jobs('a', 'b:a'), base).size).toBe(0);
    const list = jobs('a::0-90', 'b::0-5');
    list[0]!.reused = true;
    expect([...criticalPath(list, base)]).toEqual(['b']);
  });
});
