/** A job's log in a component: its pages, what a stream adds, and when something has changed. */
import { useEffect, useReducer, useRef, useState } from 'react';
import { address, get, seg } from '../api/client';
import { stream } from '../api/sse';
import type { LogLine, LogMatches, LogPage } from '../api/types';
import { Pages } from './pages';
import { noMatches, Search, type Matches } from './search';

export interface Log {
  pages: Pages;
  /** Grows with every change. */
  version: number;
  /** The log was opened: its length is known. */
  ready: boolean;
  error: unknown;
}

export function useLog(job: string): Log {
  const [version, bump] = useReducer((n: number) => n + 1, 0);
  const [state, setState] = useState<{ pages: Pages; ready: boolean; error: unknown } | null>(null);
  const frame = useRef(0);
  const [empty] = useState(() => new Pages({ read: async () => ({ lines: [], total: 0, complete: false }) }));

  useEffect(() => {
    // Many changes within one frame are one.
    const changed = () => {
      frame.current ||= requestAnimationFrame(() => {
        frame.current = 0;
        bump();
      });
    };
    const pages = new Pages({ read: (from, limit, signal) => get<LogPage>(`/jobs/${seg(job)}/log`, { from, limit }, signal) }, { changed });
    let stop = () => {};
    let closed = false;
    const open = () =>
      pages.open().then(
        () => {
          if (closed) return;
          setState({ pages, ready: true, error: null });
          if (!pages.complete) stop = follow(job, pages);
        },
        (error: unknown) => {
          if (!closed) setState({ pages, ready: false, error });
        },
      );
    setState({ pages, ready: false, error: null });
    void open();
    return () => {
      closed = true;
      stop();
      pages.close();
      cancelAnimationFrame(frame.current);
      frame.current = 0;
    };
  }, [job]);

  return { pages: state?.pages ?? empty, version, ready: state?.ready ?? false, error: state?.error ?? null };
}

/** Reads on behind the last line until the log is complete; a lost stream goes on where it was. */
function follow(job: string, pages: Pages): () => void {
  const stop = stream(address(`/jobs/${seg(job)}/log/follow`, { from: pages.total + 1 }), {
    message(m) {
      if (m.event === 'end') {
        pages.end();
        stop();
        return;
      }
      if (m.event !== 'lines') return;
      try {
        const d = JSON.parse(m.data) as { lines: LogLine[] | null; total: number };
        pages.append(d.lines ?? [], d.total);
      } catch {
        // Half a message cannot be: the cutter gives whole ones. What is no JSON is left to the reads by range.
      }
    },
  });
  return stop;
}

/** A search by a pattern; null is none. */
export function useSearch(job: string, pattern: string | null, total: number): { matches: Matches; more: () => Promise<void> } {
  const [matches, setMatches] = useState<Matches>(noMatches);
  const search = useRef<Search | null>(null);
  useEffect(() => {
    setMatches(noMatches);
    if (pattern === null) return;
    const s: Search = new Search(
      (from, limit, signal) => get<LogMatches>(`/jobs/${seg(job)}/log/search`, { pattern, from, limit }, signal),
      () => setMatches(s.matches),
    );
    search.current = s;
    void s.more();
    return () => {
      s.stop();
      search.current = null;
    };
  }, [job, pattern]);
  const searched = useRef(total);
  useEffect(() => {
    if (matches.next === 0 && !matches.busy && total > searched.current) search.current?.grown(searched.current + 1);
    if (matches.busy) searched.current = total;
  }, [total, matches]);
  return { matches, more: () => search.current?.more() ?? Promise.resolve() };
}
