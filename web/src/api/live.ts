/**
 * One stream of events for the whole page: each says what of what is on the screen has become old. Invalidations are gathered for a
 * moment, for a run of many jobs tells of a hundred things a second.
 */
import type { QueryClient, QueryKey } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';
import { address } from './client';
import { stream } from './sse';
import type { Event } from './types';

/** Whether the stream stands. "off": nobody is signed in. */
export type Link = 'off' | 'connecting' | 'live' | 'lost';

/** The keys of queries that an event makes old, as beginnings. */
export function staleBy(e: Pick<Event, 'type' | 'project' | 'run' | 'subject' | 'data'>): QueryKey[] {
  const kind = e.type.split('.', 1)[0];
  const keys: QueryKey[] = [['events']];
  if (e.run) keys.push(['run', e.run]);
  switch (kind) {
    case 'run':
      keys.push(['runs'], ['overview'], ['approvals']);
      break;
    case 'job':
    case 'step':
      if (e.subject) keys.push(['job', e.subject]);
      keys.push(['overview'], ['runners']);
      break;
    case 'approval':
      keys.push(['approvals'], ['overview'], ['runs']);
      break;
    case 'release':
    case 'rollout': {
      const of = (e.data as { release?: unknown } | null | undefined)?.release;
      if (typeof of === 'string' && of !== '') keys.push(['release', of]);
      if (kind === 'rollout' && e.subject) keys.push(['rollout', e.subject]);
      if (e.project) keys.push(['status', e.project]);
      keys.push(['releases']);
      break;
    }
    case 'agent':
      keys.push(['agents']);
      if (e.subject) keys.push(['agent', e.subject]);
      break;
    case 'project':
      keys.push(['projects'], ['overview']);
      if (e.project) keys.push(['project', e.project]);
      break;
    case 'environment':
    case 'variable':
    case 'secret':
    case 'delivery':
    case 'report':
      if (e.project) keys.push(['project', e.project]);
      break;
    case 'runner':
      keys.push(['runners'], ['overview']);
      break;
    case 'account':
    case 'grant':
      keys.push(['accounts'], ['me']);
      break;
    case 'token':
      keys.push(['tokens']);
      break;
  }
  return keys;
}

let link: Link = 'off';
const watchers = new Set<() => void>();
const listeners = new Set<(e: Event) => void>();

function setLink(l: Link): void {
  if (l === link) return;
  link = l;
  for (const w of watchers) w();
}

/** Whether the page is live. */
export function useLink(): Link {
  return useSyncExternalStore(
    (w) => {
      watchers.add(w);
      return () => watchers.delete(w);
    },
    () => link,
  );
}

/** Hears every event of the stream. */
export function onEvent(f: (e: Event) => void): () => void {
  listeners.add(f);
  return () => listeners.delete(f);
}

/** How long events are gathered, in ms. */
const gather = 250;

/** Opens the stream; the result closes it. */
export function listen(client: QueryClient): () => void {
  let flush: ReturnType<typeof setTimeout> | undefined;
  let stale = new Map<string, QueryKey>();
  setLink('connecting');
  const close = stream(address('/events/stream'), {
    open(again) {
      setLink('live');
      // What is on the screen may be older than the first event that the new stream tells.
      if (again) void client.invalidateQueries();
    },
    lost: () => setLink('lost'),
    refused(p) {
      setLink('off');
      if (p.status === 401) void client.invalidateQueries({ queryKey: ['me'] });
    },
    message(m) {
      let event: Event;
      try {
        event = JSON.parse(m.data) as Event;
      } catch {
        return;
      }
      for (const f of listeners) f(event);
      for (const key of staleBy(event)) stale.set(JSON.stringify(key), key);
      flush ??= setTimeout(() => {
        flush = undefined;
        const keys = stale;
        stale = new Map();
        for (const queryKey of keys.values()) void client.invalidateQueries({ queryKey });
      }, gather);
    },
  });
  return () => {
    clearTimeout(flush);
    close();
    setLink('off');
  };
}
