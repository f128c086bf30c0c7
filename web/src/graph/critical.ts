/** The critical path: the chain of jobs that the run's duration is made of. To be faster, one of them has to be. */
import type { Job } from '../api/types';
import { between } from '../lib/time';

/**
 * The IDs of the jobs on the longest chain of durations. Where the server has marked it, which it does at the run's end, that counts;
 * until then it is that of what has run so far.
 */
export function criticalPath(jobs: readonly Job[], now: number): Set<string> {
  const marked = jobs.filter((j) => j.critical);
  if (marked.length > 0) return new Set(marked.map((j) => j.id));
  const byID = new Map(jobs.map((j) => [j.id, j]));
  const longest = new Map<string, { seconds: number; before: string | null }>();
  const visit = (id: string, above: Set<string>): number => {
    const known = longest.get(id);
    if (known) return known.seconds;
    const job = byID.get(id);
    if (!job || above.has(id)) return 0;
    above.add(id);
    let most = 0;
    let before: string | null = null;
    for (const n of job.needs ?? []) {
      const s = visit(n, above);
      if (s > most) {
        most = s;
        before = n;
      }
    }
    above.delete(id);
    const took = between(job.started_at, job.finished_at, now);
    const seconds = most + (Number.isNaN(took) || job.reused ? 0 : took);
    longest.set(id, { seconds, before });
    return seconds;
  };
  let end: string | null = null;
  let most = 0;
  for (const j of jobs) {
    const s = visit(j.id, new Set());
    // Of two equal chains, the shorter one: what comes behind it has not run.
    if (s > most) {
      most = s;
      end = j.id;
    }
  }
  const path = new Set<string>();
  for (let id = end; id !== null; id = longest.get(id)?.before ?? null) path.add(id);
  return path;
}
