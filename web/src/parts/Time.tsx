/** Times that go on by themselves: all of the page tick together, once a second, and only while the page is seen. */
import { Tooltip } from '@mantine/core';
import { useSyncExternalStore } from 'react';
import { between, clock, duration, ms, relative, utc } from '../lib/time';

let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;
const watchers = new Set<() => void>();

function tick(): void {
  if (document.visibilityState === 'hidden') return;
  now = Date.now();
  for (const w of watchers) w();
}

function subscribe(w: () => void): () => void {
  watchers.add(w);
  if (watchers.size === 1) {
    now = Date.now();
    timer = setInterval(tick, 1000);
    document.addEventListener('visibilitychange', tick);
  }
  return () => {
    watchers.delete(w);
    if (watchers.size === 0) {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', tick);
    }
  };
}

/** The time, to the second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

/** "5 min ago", with the exact time on hover and for machines. */
export function Ago({ at, none = '' }: { at: string | null | undefined; none?: string }) {
  const n = useNow();
  if (!at) return <>{none}</>;
  return (
    <Tooltip label={<>{clock(ms(at))}<br />{utc(at)}</>} openDelay={250}>
      <time dateTime={at} className="num">{relative(at, n)}</time>
    </Tooltip>
  );
}

/** How long something took, or takes so far. */
export function Took({ from, to }: { from: string | null | undefined; to: string | null | undefined }) {
  return from ? to ? <span className="num">{duration(between(from, to, 0))}</span> : <Ticking from={from} /> : null;
}

function Ticking({ from }: { from: string }) {
  return <span className="num">{duration(between(from, null, useNow()))}</span>;
}
