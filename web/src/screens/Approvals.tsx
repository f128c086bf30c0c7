/** The inbox of approvals: those that I can give first. */
import { SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import { useLocation, useSearchParams } from 'react-router';
import { q, useMe } from '../api/queries';
import type { Approval } from '../api/types';
import { ApprovalCard, whyICannot } from '../parts/ApprovalCard';
import { Loaded } from '../parts/Loaded';
import { Empty, Page, Section } from '../parts/Page';

export function Approvals() {
  const [params, setParams] = useSearchParams();
  const all = params.get('show') === 'all';
  const list = useQuery(q.approvals(all ? { limit: 100 } : { status: 'waiting', limit: 100 }));
  const { hash } = useLocation();
  useEffect(() => {
    if (hash && list.data) document.getElementById(decodeURIComponent(hash.slice(1)))?.scrollIntoView({ block: 'center' });
  }, [hash, list.data === undefined]);
  return (
    <Page title="Approvals" actions={<SegmentedControl size="xs" aria-label="Which approvals" value={all ? 'all' : 'waiting'} onChange={(v) => setParams(v === 'all' ? { show: 'all' } : {}, { replace: true })} data={[{ value: 'waiting', label: 'Waiting' }, { value: 'all', label: 'All' }]} />}>
      <Loaded query={list} height={110} rows={3}>{(items) => <Inbox items={items} all={all} />}</Loaded>
    </Page>
  );
}

function Inbox({ items, all }: { items: Approval[]; all: boolean }) {
  const me = useMe();
  if (items.length === 0) {
    return <Empty title={all ? 'Nobody was ever asked' : 'Nothing waits'}>A job that deploys to an environment with approvals waits here until enough people agree. Set how many on the project’s page, under Environments.</Empty>;
  }
  const mine = items.filter((a) => whyICannot(a, me) === null);
  const open = items.filter((a) => a.status === 'waiting' && !mine.includes(a));
  const done = items.filter((a) => a.status !== 'waiting');
  const part = (title: string, list: Approval[]) => list.length > 0 && <Section title={title}>{list.map((a) => <ApprovalCard key={a.id} approval={a} />)}</Section>;
  return (
    <>
      {part('Wait for me', mine)}
      {part('Wait for others', open)}
      {part('Decided', done)}
    </>
  );
}
