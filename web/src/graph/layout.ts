/**
 * Where the jobs of a run are drawn: columns by what they need, legs of one matrix as one box, lines that the eye can follow. It is a
 * function of the jobs' names and needs alone, so that nothing moves while a run goes on.
 */
import type { Job } from '../api/types';

export interface Box {
  /** The key of the job that the legs belong to. */
  id: string;
  title: string;
  jobs: Job[];
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Line {
  from: string;
  to: string;
}

export interface Layout {
  boxes: Box[];
  lines: Line[];
  width: number;
  height: number;
}

export const boxWidth = 228;
export const columnGap = 60;
export const rowGap = 18;
export const headHeight = 28;
export const legHeight = 34;

/** The height of a box, in px: a matrix has a head above its legs. */
export function boxHeight(jobs: readonly Job[]): number {
  return (grouped(jobs) ? headHeight : 0) + jobs.length * legHeight + 8;
}

export function grouped(jobs: readonly Job[]): boolean {
  return jobs.length > 1 || Boolean(jobs[0]?.leg);
}

export function layout(jobs: readonly Job[]): Layout {
  const boxes = new Map<string, Job[]>();
  const boxOf = new Map<string, string>();
  for (const j of jobs) {
    const key = groupKey(j);
    boxes.set(key, [...(boxes.get(key) ?? []), j]);
    boxOf.set(j.id, key);
  }
  const needs = new Map<string, Set<string>>();
  for (const j of jobs) {
    const to = boxOf.get(j.id)!;
    const set = needs.get(to) ?? new Set<string>();
    for (const n of j.needs ?? []) {
      const from = boxOf.get(n);
      if (from !== undefined && from !== to) set.add(from);
    }
    needs.set(to, set);
  }
  const column = columns([...boxes.keys()], needs);
  const lines = reduce(needs, column);
  // A cycle would leave a column without boxes.
  const grid: string[][] = Array.from({ length: Math.max(0, ...column.values()) + 1 }, () => []);
  for (const key of boxes.keys()) grid[column.get(key)!]!.push(key);
  const filled = grid.filter((col) => col.length > 0);
  order(filled, lines);
  return place(filled, boxes, lines);
}

/** Legs of one matrix share a key; of a called workflow's jobs, those of one leg of the call. */
function groupKey(j: Job): string {
  return j.leg && j.path.endsWith(` ${j.leg}`) ? j.path.slice(0, -j.leg.length - 1) : j.leg && j.path.endsWith(j.leg) ? j.path.slice(0, -j.leg.length).trimEnd() : j.path;
}

/** The column of each box: one behind the last of those that it needs. A cycle, which no run has, would end it, too. */
function columns(keys: string[], needs: Map<string, Set<string>>): Map<string, number> {
  const out = new Map<string, number>();
  const visit = (key: string, above: Set<string>): number => {
    const known = out.get(key);
    if (known !== undefined) return known;
    if (above.has(key)) return 0;
    above.add(key);
    let c = 0;
    for (const n of needs.get(key) ?? []) c = Math.max(c, visit(n, above) + 1);
    above.delete(key);
    out.set(key, c);
    return c;
  };
  for (const key of keys) visit(key, new Set());
  return out;
}

/** Leaves out lines that others imply: where a needs b and b needs c, that a needs c as well says nothing about the order. */
function reduce(needs: Map<string, Set<string>>, column: Map<string, number>): Line[] {
  const reach = new Map<string, Set<string>>();
  const above = (key: string): Set<string> => {
    const known = reach.get(key);
    if (known) return known;
    const all = new Set<string>();
    reach.set(key, all);
    for (const n of needs.get(key) ?? []) {
      all.add(n);
      for (const a of above(n)) all.add(a);
    }
    return all;
  };
  const lines: Line[] = [];
  for (const [to, set] of needs) {
    for (const from of set) {
      const implied = [...set].some((other) => other !== from && above(other).has(from) && column.get(other)! < column.get(to)!);
      if (!implied) lines.push({ from, to });
    }
  }
  return lines;
}

/** Orders columns so that few lines cross: each box goes to the middle of those that it is joined with, forth and back a few times. */
function order(grid: string[][], lines: readonly Line[]): void {
  const at = new Map<string, number>();
  const number = () => grid.forEach((col) => col.forEach((key, i) => at.set(key, (i + 0.5) / col.length)));
  number();
  for (let round = 0; round < 6; round++) {
    const forth = round % 2 === 0;
    const cols = forth ? grid.slice(1) : grid.slice(0, -1).reverse();
    for (const col of cols) {
      const middle = new Map(col.map((key) => {
        const joined = lines.filter((l) => (forth ? l.to : l.from) === key).map((l) => at.get(forth ? l.from : l.to)!);
        return [key, joined.length > 0 ? joined.reduce((a, b) => a + b, 0) / joined.length : at.get(key)!];
      }));
      const before = new Map(col.map((key, i) => [key, i]));
      col.sort((a, b) => middle.get(a)! - middle.get(b)! || before.get(a)! - before.get(b)!);
      col.forEach((key, i) => at.set(key, (i + 0.5) / col.length));
    }
  }
}

function place(grid: string[][], boxes: Map<string, Job[]>, lines: Line[]): Layout {
  const heights = grid.map((col) => col.reduce((h, key) => h + boxHeight(boxes.get(key)!), 0) + Math.max(0, col.length - 1) * rowGap);
  const height = Math.max(0, ...heights);
  const out: Box[] = [];
  grid.forEach((col, c) => {
    let y = Math.round((height - heights[c]!) / 2);
    for (const key of col) {
      const jobs = boxes.get(key)!;
      const h = boxHeight(jobs);
      out.push({ id: key, title: grouped(jobs) ? key : jobs[0]!.name, jobs, x: c * (boxWidth + columnGap), y, width: boxWidth, height: h });
      y += h + rowGap;
    }
  });
  return { boxes: out, lines, width: grid.length === 0 ? 0 : grid.length * (boxWidth + columnGap) - columnGap, height };
}
