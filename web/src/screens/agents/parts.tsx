/** What both screens of agents show. */
import table from '../../parts/table.module.css';

export const agentState = { new: 'not heard yet', online: 'online', offline: 'offline' } as const;

export function Labels({ labels }: { labels: Record<string, string> | undefined }) {
  return <>{Object.entries(labels ?? {}).sort().map(([k, v]) => <span key={k} className={table.tag} style={{ marginLeft: 0, marginRight: 5 }}>{k}={v}</span>)}</>;
}
