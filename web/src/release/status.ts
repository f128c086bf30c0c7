/** What releases and rollouts are doing, in words and in the signs that runs have. */
import type { Member, Phase, Release, ReleaseStatus, Rollout, Step, Verdict } from '../api/releases';
import type { Status } from '../api/types';

export const releaseStatuses: ReleaseStatus[] = ['building', 'waiting', 'running', 'paused', 'returning', 'succeeded', 'failed', 'rolled-back', 'cancelled'];

const words: Record<string, string> = {
  building: 'Building', waiting: 'Waiting', pending: 'Not yet', gated: 'Waits at its gate', running: 'Under way', paused: 'Paused', returning: 'Going back', succeeded: 'Succeeded',
  failed: 'Failed', 'rolled-back': 'Rolled back', skipped: 'Not reached', cancelled: 'Cancelled', unchanged: 'Unchanged', queued: 'Queued', expanding: 'Expand migrations',
  placing: 'Starting instances', checking: 'Smoke checks', routing: 'Moving traffic', holding: 'Watching', soaking: 'Soaking', warm: 'Old version kept warm',
  contracting: 'Contract migrations', retiring: 'Ending the old version', removing: 'Ending the new version',
};

/** A state in a word or two. */
export const statusWords = (s: string): string => words[s] ?? s;

const signs: Record<string, Status> = {
  building: 'running', waiting: 'waiting', pending: 'pending', gated: 'waiting', running: 'running', paused: 'waiting', returning: 'running', succeeded: 'success', failed: 'failure',
  'rolled-back': 'failure', skipped: 'skipped', cancelled: 'cancelled', unchanged: 'skipped', queued: 'queued', warm: 'success',
};

/** The sign that a state has: phases that are not named are under way. */
export const signOf = (s: string): Status => signs[s] ?? 'running';

const verdictSigns: Record<Verdict, Status> = { pass: 'success', fail: 'failure', inconclusive: 'pending', error: 'waiting' };
const verdictNames: Record<Verdict, string> = { pass: 'Passed', fail: 'Failed', inconclusive: 'Too little to judge by', error: 'Could not be judged' };

export const verdictSign = (v: Verdict): Status => verdictSigns[v] ?? 'pending';
export const verdictWords = (v: Verdict): string => verdictNames[v] ?? v;

const over: string[] = ['succeeded', 'failed', 'rolled-back', 'skipped', 'cancelled', 'unchanged'];

/** Whether nothing more happens. */
export const ended = (s: string): boolean => over.includes(s);

/** A share in ten-thousandths as percents: 500 is "5 %", 25 is "0.25 %". */
export function share(weight: number): string {
  return `${Number((weight / 100).toFixed(2))} %`;
}

/** The rollout that a person wants to see first: one that asks for somebody, one that moves, one that went back, and else the last that was judged. */
export function interesting(r: Release): number | undefined {
  const all = r.rollouts ?? [];
  const rank = (x: Rollout): number => {
    const s = x.state;
    if (s.paused && !ended(s.phase)) return 0;
    if (s.phase === 'returning' || s.phase === 'removing') return 1;
    if (!ended(s.phase) && !x.queued && s.phase !== 'warm' && s.phase !== 'waiting') return 2;
    if (s.phase === 'rolled-back') return 3;
    if (s.strategy.analyse) return 4;
    return 5;
  };
  return [...all].sort((a, b) => rank(a) - rank(b) || b.id - a.id)[0]?.id;
}

/** A point on a region's way: a step of the plan, or the watch after its last one. */
export interface Stop {
  label: string;
  /** What has to come to pass before it is left, in words. */
  wants: string;
  state: 'done' | 'now' | 'next' | 'undone';
  /** How much of its time has passed, 0 to 1; undefined where it has none. */
  passed?: number;
}

const after: Phase[] = ['soaking', 'warm', 'contracting', 'retiring', 'succeeded'];

/** The way of one wave of regions. now is in ms. */
export function way(r: Rollout, wave: number, now: number): Stop[] {
  const s = r.state;
  const steps = r.steps ?? [];
  const back = ['returning', 'removing', 'rolled-back', 'cancelled'].includes(s.phase);
  const last = s.waves.length - 1;
  const since = s.since ? Date.parse(s.since) : now;
  const through = (seconds: number) => (seconds > 0 ? Math.min(1, Math.max(0, (now - since) / 1000 / seconds)) : undefined);
  // On the way back the wave and the step say how far it had come.
  const here = s.wave === wave;
  const stops = steps.map((step, i): Stop => {
    const state = wave < s.wave || (here && (i < s.step || (after.includes(s.phase) && i <= s.step))) || (after.slice(1).includes(s.phase)) ? 'done' : here && i === s.step ? 'now' : 'next';
    return {
      label: r.state.strategy.kind === 'rolling' && steps.length > 1 ? `${step.new} of ${r.state.strategy.instances}` : share(step.weight),
      wants: wantsOf(step),
      state: back && state !== 'next' ? 'undone' : state === 'now' && s.phase === 'waiting' ? 'next' : state,
      passed: !back && state === 'now' && s.phase === 'holding' && !s.paused ? through(step.hold / 1e9) : undefined,
    };
  });
  if (s.strategy.soak && wave < last) {
    const state = wave < s.wave || after.slice(1).includes(s.phase) ? 'done' : here && s.phase === 'soaking' ? 'now' : 'next';
    stops.push({ label: 'Soak', wants: `${seconds(s.strategy.soak)} before the next regions`, state: back && state === 'done' ? 'undone' : state, passed: state === 'now' && !back ? through(s.strategy.soak / 1e9) : undefined });
  }
  return stops;
}

const seconds = (ns: number): string => {
  const s = ns / 1e9;
  return s < 120 ? `${Number(s.toFixed(1))} s` : s < 7200 ? `${Number((s / 60).toFixed(1))} min` : `${Number((s / 3600).toFixed(1))} h`;
};

function wantsOf(step: Step): string {
  const all: string[] = [];
  if (step.smoke) all.push('smoke checks');
  if (step.hold > 0) all.push(seconds(step.hold));
  if (step.requests > 0) all.push(`${step.requests} requests`);
  if (step.analyse) all.push('a verdict');
  if (step.manual) all.push('a person');
  return all.length === 0 ? 'healthy instances' : all.join(', ');
}

/** Members of an environment in the order in which they are released: after all that they need, and else as they are named. */
export function inOrder(members: Member[]): Member[] {
  const by = new Map(members.map((m) => [m.service, m]));
  const done = new Set<string>();
  const out: Member[] = [];
  const add = (m: Member) => {
    if (done.has(m.service)) return;
    done.add(m.service);
    for (const n of m.needs ?? []) {
      const needed = by.get(n);
      if (needed) add(needed);
    }
    out.push(m);
  };
  members.forEach(add);
  return out;
}
