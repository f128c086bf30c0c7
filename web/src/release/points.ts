/** What both versions answered, as lines of a plot. */
import type { Judgement, Point, Side } from '../api/releases';

/** One version's line. Times are seconds since 1970; null is a gap. */
export interface Line {
  side: Side;
  times: number[];
  values: (number | null)[];
}

export const sides: Side[] = ['new', 'old', 'baseline'];
export const sideNames: Record<Side, string> = { new: 'new', old: 'old', baseline: 'baseline (old, started anew)' };

/** A quantity of each version over time; a moment without requests has none. Versions that never had any are left out. */
export function lines(points: Point[], of: (p: Point) => number): Line[] {
  return sides.flatMap((side) => {
    const own = points.filter((p) => p.side === side && p.at);
    if (!own.some((p) => p.requests > 0)) return [];
    return [{ side, times: own.map((p) => Date.parse(p.at!) / 1000), values: own.map((p) => (p.requests > 0 ? of(p) : null)) }];
  });
}

/** How many requests each version answered, and how many failed. */
export function totals(points: Point[]): Record<Side, { requests: number; errors: number }> {
  const t = { new: { requests: 0, errors: 0 }, old: { requests: 0, errors: 0 }, baseline: { requests: 0, errors: 0 } };
  for (const p of points) {
    t[p.side].requests += p.requests;
    t[p.side].errors += p.errors;
  }
  return t;
}

/** What is marked on the plots: when something was judged. */
export function marks(judgements: Judgement[]): { time: number; label: string; tone: 'good' | 'bad' | 'neutral' }[] {
  return judgements.filter((j) => j.at).map((j) => ({
    time: Date.parse(j.at!) / 1000,
    label: j.verdict === 'fail' ? 'withdrawn' : `${j.weight / 100} % ${j.verdict === 'pass' ? 'passed' : j.verdict}`,
    tone: j.verdict === 'pass' ? 'good' : j.verdict === 'fail' ? 'bad' : 'neutral',
  }));
}
