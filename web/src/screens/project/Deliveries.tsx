/** How a forge tells this server of pushes, and what has come of what it told. */
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { q } from '../../api/queries';
import type { Project } from '../../api/types';
import { CopyBlock } from '../../parts/Copy';
import { Loaded } from '../../parts/Loaded';
import { Empty, Section } from '../../parts/Page';
import table from '../../parts/table.module.css';
import { Ago } from '../../parts/Time';

export function Deliveries({ project: p }: { project: Project }) {
  const list = useQuery(q.deliveries(p.id));
  return (
    <>
      <Section title="The address for the forge’s webhook">
        <CopyBlock value={`${window.location.origin}/hooks/${p.id}`} label="address of the webhook" />
        <p className="dim" style={{ fontSize: 13, maxWidth: '75ch' }}>
          {p.forge.has_webhook_secret ? 'A secret is set: what does not carry its signature is refused.' : 'No secret is set yet, so every delivery is refused. Set one under Settings, the same as at the forge.'} Send pushes and pull requests as JSON.
        </p>
      </Section>
      <Section title="Newest deliveries">
        <Loaded query={list} rows={4}>
          {(all) => all.length === 0 ? <Empty title="No webhook has come">The forge’s page of the webhook says whether it could reach this server.</Empty> : (
            <div className={table.frame}>
              <table className={table.table}>
                <thead><tr><th>Event</th><th>Outcome</th><th className={table.hide}>Delivery</th><th className={table.right}>Came</th></tr></thead>
                <tbody>
                  {all.map((d) => (
                    <tr key={d.id}>
                      <td>{d.event}</td>
                      <td>
                        <span className={table.outcome} data-outcome={d.outcome}>{d.outcome}</span>
                        {(d.runs ?? []).map((r) => <Link key={r} to={`/runs/${r}`} style={{ marginLeft: 8 }}>run {r}</Link>)}
                        {d.reason && <div className="dim" style={{ fontSize: 12.5 }}>{d.reason}</div>}
                      </td>
                      <td className={`${table.hide} mono dim`}>{d.id}</td>
                      <td className={`${table.right} dim`}><Ago at={d.at} /></td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Loaded>
      </Section>
    </>
  );
}
