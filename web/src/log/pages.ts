/**
 * The lines of a log that are in memory: pages of a fixed size, read by range when they come into view, the least recently seen thrown
 * away. Lines that a stream brings are kept where they continue a page that is here.
 */
import type { LogLine, LogPage } from '../api/types';

export interface Source {
  read(from: number, limit: number, signal: AbortSignal): Promise<LogPage>;
}

interface Loading {
  abort: AbortController;
  done: Promise<void>;
  /** Somebody waits for these lines, whatever is in view. */
  wanted: boolean;
}

export interface Options {
  /** Lines a page. */
  size?: number;
  /** Pages that are kept. */
  keep?: number;
  /** Called when lines, the total or an error have changed. */
  changed?: () => void;
}

export class Pages {
  /** How many lines the log has, as far as is known; complete: there will be no more. */
  total = 0;
  complete = false;
  /** Why the last range could not be read; null once one could. */
  error: unknown = null;
  readonly size: number;
  private readonly keep: number;
  private readonly changed: () => void;
  /** By page, from 0, the least recently used first. A page may be shorter than its size at the end of a growing log. */
  private readonly pages = new Map<number, LogLine[]>();
  private readonly loading = new Map<number, Loading>();
  private closed = false;

  constructor(
    private readonly source: Source,
    o: Options = {},
  ) {
    this.size = o.size ?? 500;
    this.keep = o.keep ?? 40;
    this.changed = o.changed ?? (() => {});
  }

  /** How many lines are in memory. */
  get held(): number {
    let n = 0;
    for (const lines of this.pages.values()) n += lines.length;
    return n;
  }

  /** A line by its number, where it is here. */
  line(n: number): LogLine | undefined {
    const p = Math.floor((n - 1) / this.size);
    return this.pages.get(p)?.[n - 1 - p * this.size];
  }

  /** Sees to it that the lines of a range come. Reading of what is no longer in view is given up. */
  want(from: number, to: number): void {
    if (this.closed || this.total === 0) return;
    const first = Math.floor((Math.max(1, from) - 1) / this.size);
    const last = Math.floor((Math.min(Math.max(to, from), this.total) - 1) / this.size);
    for (const [p, l] of this.loading) {
      if ((p < first || p > last) && !l.wanted) l.abort.abort();
    }
    for (let p = first; p <= last; p++) {
      if (this.touch(p)) continue;
      this.load(p, false).catch(() => {});
    }
  }

  /** Gives a line, reading its page where it has to; undefined beyond the end. */
  async get(n: number): Promise<LogLine | undefined> {
    const p = Math.floor((n - 1) / this.size);
    if (n < 1 || (this.total > 0 && n > this.total)) return undefined;
    if (!this.line(n)) await this.load(p, true);
    return this.line(n);
  }

  /** Reads the end of the log, to know how long it is. */
  async open(): Promise<void> {
    const abort = new AbortController();
    const page = await this.source.read(-this.size, this.size, abort.signal);
    if (this.closed) return;
    this.append(page.lines ?? [], page.total);
    this.complete = page.complete;
    this.error = null;
    this.changed();
  }

  /** Takes lines that follow each other, as a stream or a read brings them. */
  append(lines: readonly LogLine[], total: number): void {
    this.total = Math.max(this.total, total, lines.at(-1)?.n ?? 0);
    for (const l of lines) {
      const p = Math.floor((l.n - 1) / this.size);
      const at = l.n - 1 - p * this.size;
      let page = this.pages.get(p);
      if (!page && at === 0) {
        page = [];
        this.pages.set(p, page);
      }
      // Lines that leave a gap are read by range when somebody looks at them.
      if (page && at === page.length) page.push(l);
    }
    this.evict(this.pageOf(this.total));
    this.changed();
  }

  end(): void {
    this.complete = true;
    this.changed();
  }

  close(): void {
    this.closed = true;
    for (const l of this.loading.values()) l.abort.abort();
  }

  private pageOf(n: number): number {
    return Math.floor((Math.max(1, n) - 1) / this.size);
  }

  /** Whether a page is here in full, as far as the log goes; it becomes the most recently used. */
  private touch(p: number): boolean {
    const lines = this.pages.get(p);
    if (!lines) return false;
    this.pages.delete(p);
    this.pages.set(p, lines);
    return lines.length >= Math.min(this.size, this.total - p * this.size);
  }

  private load(p: number, wanted: boolean): Promise<void> {
    const running = this.loading.get(p);
    if (running && !running.abort.signal.aborted) {
      running.wanted ||= wanted;
      return running.done;
    }
    const abort = new AbortController();
    const entry: Loading = { abort, wanted, done: Promise.resolve() };
    entry.done = this.source
      .read(p * this.size + 1, this.size, abort.signal)
      .then(
        (page) => {
          if (this.closed || abort.signal.aborted) return;
          const lines = page.lines ?? [];
          const held = this.pages.get(p);
          // A stream may have brought more of this page meanwhile.
          if (!held || held.length < lines.length) this.pages.set(p, [...lines]);
          this.total = Math.max(this.total, page.total);
          this.complete ||= page.complete;
          this.error = null;
          this.evict(p);
        },
        (e: unknown) => {
          if (abort.signal.aborted) {
            if (wanted) throw e;
            return;
          }
          this.error = e;
          throw e;
        },
      )
      .finally(() => {
        if (this.loading.get(p) === entry) this.loading.delete(p);
        if (!this.closed && !abort.signal.aborted) this.changed();
      });
    this.loading.set(p, entry);
    return entry.done;
  }

  private evict(except: number): void {
    for (const p of this.pages.keys()) {
      if (this.pages.size <= this.keep) return;
      if (p !== except) this.pages.delete(p);
    }
  }
}

/**
 * The line at which a group that begins at a line ends: that of its end marker, or the last one before its step ends. It reads ahead
 * page by page, and stops with the signal.
 */
export async function groupEnd(pages: Pages, begin: number, last: number, signal: AbortSignal): Promise<number> {
  let depth = 1;
  for (let n = begin + 1; n <= last; n++) {
    const line = pages.line(n) ?? (await pages.get(n));
    signal.throwIfAborted();
    if (!line) return n - 1;
    if (line.g === 'begin') depth++;
    if (line.g === 'end' && --depth === 0) return n;
  }
  return last;
}
