/** The approvals that a run waits for, above all else: somebody came here to give them. */
import { useQuery } from '@tanstack/react-query';
import { q } from '../../api/queries';
import type { Run } from '../../api/types';
import { ApprovalCard } from '../../parts/ApprovalCard';
import { Section } from '../../parts/Page';

export function RunApprovals({ run }: { run: Run }) {
  const list = useQuery(q.approvals({ run: run.id })).data ?? [];
  if (list.length === 0) return null;
  const open = list.filter((a) => a.status === 'waiting');
  const shown = open.length > 0 ? open : list;
  return <Section title={open.length > 0 ? 'Waits for an approval' : 'Approvals'}>{shown.map((a) => <ApprovalCard key={a.id} approval={a} withRun={false} />)}</Section>;
}
