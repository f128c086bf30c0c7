/** A search through a log: matches come in parts from the server, as far as somebody goes through them. */
import type { LogMatches } from '../api/types';

/** How many matches are asked for at a time. */
export const part = 1000;

export interface Find {
  (from: number, limit: number, signal: AbortSignal): Promise<LogMatches>;
}

/** The matches that are known, in order. It is replaced, never changed. */
export interface Matches {
  lines: readonly number[];
  /** Where the search goes on; 0: it is at the end. */
  next: number;
  /** Whether a part is on its way. */
  busy: boolean;
  error: unknown;
}

export const noMatches: Matches = { lines: [], next: 1, busy: false, error: null };

export class Search {
  matches: Matches = noMatches;
  private readonly abort = new AbortController();
  private running: Promise<void> | null = null;

  constructor(
    private readonly find: Find,
    private readonly changed: () => void,
  ) {}

  /** Reads the next part. */
  more(): Promise<void> {
    if (this.running) return this.running;
    if (this.matches.next === 0) return Promise.resolve();
    this.set({ busy: true, error: null });
    this.running = this.find(this.matches.next, part, this.abort.signal).then(
      (m) => this.set({ lines: [...this.matches.lines, ...(m.lines ?? [])], next: m.more ? m.next ?? 0 : 0, busy: false }),
      (error: unknown) => {
        if (!this.abort.signal.aborted) this.set({ busy: false, error, next: 0 });
      },
    ).finally(() => {
      this.running = null;
    });
    return this.running;
  }

  /** The log has grown after the search was at its end. */
  grown(from: number): void {
    if (this.matches.next === 0 && !this.matches.error) this.set({ next: from });
  }

  stop(): void {
    this.abort.abort();
  }

  private set(m: Partial<Matches>): void {
    if (this.abort.signal.aborted) return;
    this.matches = { ...this.matches, ...m };
    this.changed();
  }
}

/** The index of the first match at or behind a line; the number of matches where all are before it. */
export function firstFrom(lines: readonly number[], line: number): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (lines[middle]! < line) low = middle + 1;
    else high = middle;
  }
  return low;
}
