/** What of a project runs where, and its releases. */
import { useQuery } from '@tanstack/react-query';
import { moving, qr } from '../../api/releases';
import type { Project } from '../../api/types';
import { CanButton } from '../../parts/Can';
import { Loaded } from '../../parts/Loaded';
import { Empty, Section } from '../../parts/Page';
import { Matrix } from '../../release/Matrix';
import { ended } from '../../release/status';
import { ReleasePages } from '../releases/Releases';

export function ProjectReleases({ project: p, onShip }: { project: Project; onShip: () => void }) {
  const newest = useQuery(qr.newest(p.id)).data?.[0];
  const underWay = (useQuery(qr.underWay()).data ?? []).filter((r) => r.project === p.id);
  const placed = useQuery({ ...qr.status(p.id), refetchInterval: underWay.some((r) => !ended(r.status)) ? moving : 10_000 });
  return (
    <>
      <Section title="What runs where">
        <Loaded query={placed} rows={3} height={56}>
          {(list) => list.length === 0 ? <Empty title="Nothing of it runs yet" action={<CanButton action="release:start" project={p.id} onClick={onShip}>Ship</CanButton>}>A release brings what the pipeline has built to the hosts that <code>gantry.yaml</code> names. <code>gantry init</code> writes that file; hosts join under Agents.</Empty> : (
            <Matrix placed={list} environments={(newest?.environments ?? []).map((e) => e.name)} active={underWay} />
          )}
        </Loaded>
      </Section>
      <Section title="Releases">
        <ReleasePages project={false} filter={{ project: [p.id], status: [], service: '', environment: '' }} none={<Empty title="No release yet" />} />
      </Section>
    </>
  );
}
