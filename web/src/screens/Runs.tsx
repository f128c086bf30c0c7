/** All runs, filtered by the address. */
import { Button, MultiSelect, Skeleton, Stack } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery, keepPreviousData } from '@tanstack/react-query';
import { useSearchParams } from 'react-router';
import { get } from '../api/client';
import { q } from '../api/queries';
import type { Page as PageOf, Run, Status } from '../api/types';
import { readRunFilter, statuses, writeRunFilter, type RunFilter } from '../lib/filters';
import { FilterText } from '../parts/FilterText';
import { Empty, Page } from '../parts/Page';
import { ProblemAlert } from '../parts/Problem';
import { RunList } from '../parts/RunList';
import { statusWord } from '../parts/Status';
import classes from './filters.module.css';

/** The runs that a filter lets through, page by page. */
export function useRuns(filter: RunFilter) {
  return useInfiniteQuery({
    queryKey: ['runs', filter],
    queryFn: ({ pageParam, signal }) => get<PageOf<Run>>('/runs', { ...filter, limit: 50, after: pageParam }, signal),
    initialPageParam: '',
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: keepPreviousData,
  });
}

export function Runs() {
  const [params, setParams] = useSearchParams();
  const filter = readRunFilter(params);
  const set = (change: Partial<RunFilter>) => setParams(writeRunFilter({ ...filter, ...change }), { replace: true });
  const projects = useQuery(q.projects()).data ?? [];
  const filtered = writeRunFilter(filter).size > 0;
  return (
    <Page title="Runs">
      <div className={classes.bar} role="search">
        <FilterText value={filter.text} label="Title" search className={classes.wide} onSet={(text) => set({ text })} />
        <MultiSelect aria-label="Projects" placeholder={filter.project.length ? undefined : 'All projects'} data={projects.map((p) => ({ value: p.id, label: p.name || p.id }))} value={filter.project} onChange={(project) => set({ project })} clearable className={classes.multi} />
        <MultiSelect aria-label="Statuses" placeholder={filter.status.length ? undefined : 'Any status'} data={statuses.map((s) => ({ value: s, label: statusWord(s) }))} value={filter.status} onChange={(s) => set({ status: s as Status[] })} clearable className={classes.multi} />
        <FilterText value={filter.branch} label="Branch" className={classes.narrow} onSet={(branch) => set({ branch })} />
        <FilterText value={filter.event} label="Event" className={classes.narrow} onSet={(event) => set({ event })} />
        <FilterText value={filter.actor} label="Started by" className={classes.narrow} onSet={(actor) => set({ actor })} />
        {filtered && <Button variant="subtle" color="gray" size="sm" leftSection={<IconX size={14} />} onClick={() => setParams({}, { replace: true })}>Clear</Button>}
      </div>
      <RunPages filter={filter} none={filtered ? <Empty title="No run matches" action={<Button variant="default" onClick={() => setParams({}, { replace: true })}>Clear the filter</Button>}>Runs that a project no longer keeps are not found either.</Empty> : <Empty title="Nothing has run yet">A run begins with a push, a pull request, a schedule, or by hand on the page of a project.</Empty>} />
    </Page>
  );
}

export function RunPages({ filter, none, project }: { filter: RunFilter; none: React.ReactNode; project?: boolean }) {
  const runs = useRuns(filter);
  if (runs.error && !runs.data) return <ProblemAlert error={runs.error} retry={() => void runs.refetch()} />;
  if (!runs.data) return <Stack gap={6} aria-busy="true" aria-label="Loading">{Array.from({ length: 8 }, (_, i) => <Skeleton key={i} height={50} />)}</Stack>;
  const list = runs.data.pages.flatMap((p) => p.items ?? []);
  if (list.length === 0) return <>{none}</>;
  return (
    <>
      {runs.error && <div style={{ marginBottom: 10 }}><ProblemAlert error={runs.error} /></div>}
      <div style={{ opacity: runs.isPlaceholderData ? 0.55 : 1 }} aria-busy={runs.isPlaceholderData}><RunList runs={list} project={project} /></div>
      {runs.hasNextPage && <div className={classes.more}><Button variant="default" loading={runs.isFetchingNextPage} onClick={() => void runs.fetchNextPage()}>Older runs</Button></div>}
    </>
  );
}
