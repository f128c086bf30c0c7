/** The audit trail: everything that has happened and who did it, the newest first. */
import { Button, Select, Skeleton, Stack } from '@mantine/core';
import { DateTimeField } from '../parts/DateTimeField';
import { IconX } from '@tabler/icons-react';
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { get } from '../api/client';
import { q } from '../api/queries';
import type { Event, Page as PageOf } from '../api/types';
import { readEventFilter, writeEventFilter, type EventFilter } from '../lib/filters';
import { actorName } from '../lib/format';
import { clock, ms, utc } from '../lib/time';
import { FilterText } from '../parts/FilterText';
import { Empty, Page } from '../parts/Page';
import { ProblemAlert } from '../parts/Problem';
import classes from './audit.module.css';
import filters from './filters.module.css';

export function Audit() {
  const [params, setParams] = useSearchParams();
  const filter = readEventFilter(params);
  const set = (change: Partial<EventFilter>) => setParams(writeEventFilter({ ...filter, ...change }), { replace: true });
  const projects = useQuery(q.projects()).data ?? [];
  const filtered = writeEventFilter(filter).size > 0;
  return (
    <Page title="Audit trail" sub="Every change and every refusal, written in the same transaction as what it tells of. Nothing here is ever changed.">
      <div className={filters.bar} role="search">
        <FilterText value={filter.type} label="Type, such as run or login.refused" search className={filters.wide} onSet={(type) => set({ type })} />
        <Select aria-label="Project" placeholder="All projects" data={projects.map((p) => ({ value: p.id, label: p.name || p.id }))} value={filter.project || null} onChange={(v) => set({ project: v ?? '' })} clearable className={filters.multi} />
        <FilterText value={filter.actor} label="Actor, such as account:ann" className={filters.multi} onSet={(actor) => set({ actor })} />
        <FilterText value={filter.run} label="Run" className={filters.narrow} onSet={(run) => set({ run })} />
        <DateTimeField label="Since" value={filter.since} onSet={(since) => set({ since })} />
        <DateTimeField label="Until" value={filter.until} onSet={(until) => set({ until })} />
        {filtered && <Button variant="subtle" color="gray" size="sm" leftSection={<IconX size={14} />} onClick={() => setParams({}, { replace: true })}>Clear</Button>}
      </div>
      <Events filter={filter} />
    </Page>
  );
}

function Events({ filter }: { filter: EventFilter }) {
  const events = useInfiniteQuery({
    queryKey: ['events', filter],
    queryFn: ({ pageParam, signal }) => get<PageOf<Event>>('/events', { ...filter, order: 'desc', limit: 100, after: pageParam }, signal),
    initialPageParam: '',
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: keepPreviousData,
  });
  if (events.error && !events.data) return <ProblemAlert error={events.error} retry={() => void events.refetch()} />;
  if (!events.data) return <Stack gap={6} aria-busy="true" aria-label="Loading">{Array.from({ length: 10 }, (_, i) => <Skeleton key={i} height={32} />)}</Stack>;
  const list = events.data.pages.flatMap((p) => p.items ?? []);
  if (list.length === 0) return <Empty title="No event matches">What you may read of the trail is what your roles give: auditors and administrators read all of it.</Empty>;
  return (
    <>
      <ul className={classes.list}>{list.map((e) => <Row key={e.seq} event={e} />)}</ul>
      {events.hasNextPage && <div className={filters.more}><Button variant="default" loading={events.isFetchingNextPage} onClick={() => void events.fetchNextPage()}>Older events</Button></div>}
    </>
  );
}

function Row({ event: e }: { event: Event }) {
  const [open, setOpen] = useState(false);
  return (
    <li className={classes.row}>
      <button type="button" className={classes.head} aria-expanded={open} onClick={() => setOpen(!open)}>
        <time dateTime={e.time ?? undefined} className="num dim" title={utc(e.time)}>{clock(ms(e.time))}</time>
        <span className={classes.type} data-refused={/refused|denied|failed/.test(e.type) || undefined}>{e.type}</span>
        <span className="clip">{actorName(e.actor)}</span>
        <span className={`${classes.subject} clip mono dim`}>{[e.project, e.subject].filter(Boolean).join(' · ')}</span>
      </button>
      {open && (
        <div className={classes.more}>
          <div className="dim">Event {e.seq}, {utc(e.time)}, by <span className="mono">{e.actor}</span>{e.run && <>, of <Link to={`/runs/${e.run}`}>run {e.run}</Link></>}</div>
          <pre>{e.data === undefined ? 'nothing else is told' : JSON.stringify(e.data, null, 2)}</pre>
        </div>
      )}
    </li>
  );
}
