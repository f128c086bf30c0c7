/** Filters of lists, kept in the address, so that a list can be linked to and the back button works. */
import type { ReleaseFilter, ReleaseStatus } from '../api/releases';
import type { Status } from '../api/types';
import { releaseStatuses } from '../release/status';

export const statuses: Status[] = ['pending', 'queued', 'waiting', 'running', 'success', 'failure', 'cancelled', 'skipped'];

export interface RunFilter {
  project: string[];
  status: Status[];
  branch: string;
  event: string;
  actor: string;
  file: string;
  text: string;
}

const runText = ['branch', 'event', 'actor', 'file', 'text'] as const;

/** Reads a filter from an address; what is unknown there is left out. */
export function readRunFilter(q: URLSearchParams): RunFilter {
  const f: RunFilter = {
    project: unique(q.getAll('project')),
    status: unique(q.getAll('status')).filter((s): s is Status => (statuses as string[]).includes(s)),
    branch: '', event: '', actor: '', file: '', text: '',
  };
  for (const key of runText) f[key] = q.get(key)?.trim() ?? '';
  return f;
}

/** Writes a filter into an address, in an order of its own, so that equal filters are equal addresses. */
export function writeRunFilter(f: RunFilter): URLSearchParams {
  const q = new URLSearchParams();
  for (const p of [...f.project].sort()) q.append('project', p);
  for (const s of statuses) if (f.status.includes(s)) q.append('status', s);
  for (const key of runText) if (f[key].trim()) q.set(key, f[key].trim());
  return q;
}

const releaseText = ['service', 'environment'] as const;

export function readReleaseFilter(q: URLSearchParams): ReleaseFilter {
  const f: ReleaseFilter = { project: unique(q.getAll('project')), status: unique(q.getAll('status')).filter((s): s is ReleaseStatus => (releaseStatuses as string[]).includes(s)), service: '', environment: '' };
  for (const key of releaseText) f[key] = q.get(key)?.trim() ?? '';
  return f;
}

export function writeReleaseFilter(f: ReleaseFilter): URLSearchParams {
  const q = new URLSearchParams();
  for (const p of [...f.project].sort()) q.append('project', p);
  for (const s of releaseStatuses) if (f.status.includes(s)) q.append('status', s);
  for (const key of releaseText) if (f[key].trim()) q.set(key, f[key].trim());
  return q;
}

export interface EventFilter {
  project: string;
  run: string;
  type: string;
  actor: string;
  /** Times as the address has them: RFC 3339, or empty. */
  since: string;
  until: string;
}

const eventText = ['project', 'run', 'type', 'actor'] as const;
const eventTimes = ['since', 'until'] as const;

export function readEventFilter(q: URLSearchParams): EventFilter {
  const f: EventFilter = { project: '', run: '', type: '', actor: '', since: '', until: '' };
  for (const key of eventText) f[key] = q.get(key)?.trim() ?? '';
  for (const key of eventTimes) {
    const at = Date.parse(q.get(key) ?? '');
    if (!Number.isNaN(at)) f[key] = new Date(at).toISOString();
  }
  return f;
}

export function writeEventFilter(f: EventFilter): URLSearchParams {
  const q = new URLSearchParams();
  for (const key of [...eventText, ...eventTimes]) if (f[key]) q.set(key, f[key]);
  return q;
}

/** Lines that an address points at: "#L10" or "#L10-L20", in either order; null for anything else. */
export function readLines(hash: string): { from: number; to: number } | null {
  const m = /^#?L(\d{1,12})(?:-L?(\d{1,12}))?$/.exec(hash);
  if (!m) return null;
  const a = Number(m[1]);
  const b = m[2] ? Number(m[2]) : a;
  return a > 0 && b > 0 ? { from: Math.min(a, b), to: Math.max(a, b) } : null;
}

export function writeLines(r: { from: number; to: number }): string {
  return r.from === r.to ? `#L${r.from}` : `#L${r.from}-L${r.to}`;
}

const unique = (list: string[]): string[] => [...new Set(list.filter(Boolean))];
