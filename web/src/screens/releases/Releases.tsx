/** All releases, filtered by the address. */
import { Button, MultiSelect, Skeleton, Stack } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { useSearchParams } from 'react-router';
import { get } from '../../api/client';
import { q } from '../../api/queries';
import type { Release, ReleaseFilter, ReleaseStatus } from '../../api/releases';
import type { Page as PageOf } from '../../api/types';
import { readReleaseFilter, writeReleaseFilter } from '../../lib/filters';
import { FilterText } from '../../parts/FilterText';
import { Empty, Page } from '../../parts/Page';
import { ProblemAlert } from '../../parts/Problem';
import { ReleaseList } from '../../release/ReleaseList';
import { releaseStatuses, statusWords } from '../../release/status';
import classes from '../filters.module.css';

export function Releases() {
  const [params, setParams] = useSearchParams();
  const filter = readReleaseFilter(params);
  const set = (change: Partial<ReleaseFilter>) => setParams(writeReleaseFilter({ ...filter, ...change }), { replace: true });
  const projects = useQuery(q.projects()).data ?? [];
  const filtered = writeReleaseFilter(filter).size > 0;
  return (
    <Page title="Releases" sub="A release is a commit on its way through environments. Begin one on a project’s page, or by gantry ship.">
      <div className={classes.bar} role="search">
        <MultiSelect aria-label="Projects" placeholder={filter.project.length ? undefined : 'All projects'} data={projects.map((p) => ({ value: p.id, label: p.name || p.id }))} value={filter.project} onChange={(project) => set({ project })} clearable className={classes.multi} />
        <MultiSelect aria-label="Statuses" placeholder={filter.status.length ? undefined : 'Any status'} data={releaseStatuses.map((s) => ({ value: s, label: statusWords(s) }))} value={filter.status} onChange={(s) => set({ status: s as ReleaseStatus[] })} clearable className={classes.multi} />
        <FilterText value={filter.environment} label="Environment" className={classes.narrow} onSet={(environment) => set({ environment })} />
        <FilterText value={filter.service} label="Service" className={classes.narrow} onSet={(service) => set({ service })} />
        {filtered && <Button variant="subtle" color="gray" size="sm" leftSection={<IconX size={14} />} onClick={() => setParams({}, { replace: true })}>Clear</Button>}
      </div>
      <ReleasePages filter={filter} none={filtered ? <Empty title="No release matches" action={<Button variant="default" onClick={() => setParams({}, { replace: true })}>Clear the filter</Button>} /> : (
        <Empty title="Nothing has been released yet">A project whose repository has a <code>gantry.yaml</code> can be shipped: on its page, under Releases, or by <code>gantry ship</code>. <code>gantry init</code> writes the file from what it finds.</Empty>
      )} />
    </Page>
  );
}

export function ReleasePages({ filter, none, project }: { filter: ReleaseFilter; none: React.ReactNode; project?: boolean }) {
  const query = useInfiniteQuery({
    queryKey: ['releases', filter],
    queryFn: ({ pageParam, signal }) => get<PageOf<Release>>('/releases', { ...filter, limit: 30, after: pageParam }, signal),
    initialPageParam: '',
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: keepPreviousData,
  });
  if (query.error && !query.data) return <ProblemAlert error={query.error} retry={() => void query.refetch()} />;
  if (!query.data) return <Stack gap={6} aria-busy="true" aria-label="Loading">{Array.from({ length: 5 }, (_, i) => <Skeleton key={i} height={50} />)}</Stack>;
  const list = query.data.pages.flatMap((p) => p.items ?? []);
  if (list.length === 0) return <>{none}</>;
  return (
    <>
      {query.error && <div style={{ marginBottom: 10 }}><ProblemAlert error={query.error} /></div>}
      <div style={{ opacity: query.isPlaceholderData ? 0.55 : 1 }} aria-busy={query.isPlaceholderData}><ReleaseList releases={list} project={project} /></div>
      {query.hasNextPage && <div className={classes.more}><Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Older releases</Button></div>}
    </>
  );
}
