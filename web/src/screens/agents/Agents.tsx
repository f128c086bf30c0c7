/** The hosts that workloads run on. */
import { Select, TextInput, TagsInput } from '@mantine/core';
import { IconAlertTriangle, IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { change, seg } from '../../api/client';
import { useMe } from '../../api/queries';
import { qr, type Agent, type JoinToken } from '../../api/releases';
import { plural } from '../../lib/format';
import { may } from '../../lib/permissions';
import { CanButton } from '../../parts/Can';
import { Confirm } from '../../parts/Confirm';
import { CopyBlock } from '../../parts/Copy';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { Empty, Page, Section } from '../../parts/Page';
import table from '../../parts/table.module.css';
import { Ago } from '../../parts/Time';
import { TokenOnce } from '../../parts/Token';
import { agentState, Labels } from './parts';

export function Agents() {
  const list = useQuery(qr.agents());
  const me = useMe();
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState<JoinToken | null>(null);
  return (
    <Page title="Agents" sub="Hosts that run what is released. Targets in gantry.yaml choose them by name or by label." actions={<CanButton action="agent:write" leftSection={<IconPlus size={15} />} onClick={() => setAdding(true)}>Add an agent</CanButton>}>
      <Loaded query={list} rows={3}>
        {(all) => all.length === 0 ? <Empty title="No host has joined">Add an agent: this page makes a token, and a command to run once on the host. From then on the host holds what releases bring, also while this server is away.</Empty> : <Table agents={all} />}
      </Loaded>
      {may(me, 'agent:write') && <Tokens />}
      {adding && <Add onClose={() => setAdding(false)} done={setMade} />}
      <TokenOnce token={made?.token ?? null} onClose={() => setMade(null)} title="The host’s token, to be used once">
        <p style={{ fontSize: 13, margin: '14px 0 6px' }}>Keep it in a file on the host, and start the agent there; the address is the one that this server hears agents at:</p>
        <CopyBlock value={`gantry agent --server ${agentsAddress()} --token-file join.token --dir /var/lib/gantry-agent`} label="command" />
      </TokenOnce>
    </Page>
  );
}

/** Where agents are heard unless --agents-listen says otherwise: the port after the server's own. */
function agentsAddress(): string {
  const port = Number(window.location.port || (window.location.protocol === 'https:' ? 443 : 80));
  return `https://${window.location.hostname}:${port + 1}`;
}

function Table({ agents }: { agents: Agent[] }) {
  return (
    <div className={table.frame} tabIndex={0} role="region" aria-label="Agents">
      <table className={table.table}>
        <thead><tr><th>Agent</th><th>Instances</th><th className={table.hide}>Labels</th><th className={table.hide}>Host</th><th className={table.right}>Seen</th></tr></thead>
        <tbody>
          {agents.map((a) => {
            const instances = a.instances ?? [];
            const well = instances.filter((i) => i.state === 'healthy').length;
            const problems = Object.values(a.problems ?? {});
            return (
              <tr key={a.name} data-dim={a.state === 'offline' || undefined}>
                <td><Link to={`/agents/${encodeURIComponent(a.name)}`} className={table.name}>{a.name}</Link> <span className={table.tag}>{agentState[a.state]}</span></td>
                <td><span className="num">{well === instances.length ? plural(instances.length, 'instance') : `${well} of ${plural(instances.length, 'instance')} healthy`}</span>{problems.length > 0 && <div style={{ color: 'var(--g-failure)', fontSize: 12.5, display: 'flex', gap: 5 }} title={problems.join('\n')}><IconAlertTriangle size={14} style={{ flex: 'none', marginTop: 2 }} />{problems[0]}</div>}</td>
                <td className={table.hide}><Labels labels={a.info.labels} /></td>
                <td className={`${table.hide} dim`}>{[a.info.hostname, `${a.info.os}/${a.info.arch}`, a.info.version].filter(Boolean).join(' · ')}</td>
                <td className={`${table.right} dim`}><Ago at={a.seen_at} none="never" /></td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Tokens() {
  const query = useQuery(qr.joinTokens());
  const client = useQueryClient();
  const [gone, setGone] = useState<JoinToken | null>(null);
  const list = query.data ?? [];
  if (list.length === 0) return null;
  return (
    <Section title="Tokens that hosts may still join by">
      <div className={table.frame}>
        <table className={table.table}>
          <thead><tr><th>For</th><th className={table.hide}>Labels</th><th>Made by</th><th className={table.right}>Ends</th><th /></tr></thead>
          <tbody>
            {list.map((t) => (
              <tr key={t.id}>
                <td className={table.name}>{t.name || 'any name'}</td>
                <td className={table.hide}><Labels labels={t.labels} /></td>
                <td className="dim">{t.created_by.replace(/^account:/, '')}</td>
                <td className={`${table.right} dim`}><Ago at={t.expires_at} /></td>
                <td className={table.right}><CanButton action="agent:write" variant="subtle" color="red" size="compact-xs" onClick={() => setGone(t)}>Revoke</CanButton></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Confirm opened={gone !== null} onClose={() => setGone(null)} title="Revoke the token?" verb="Revoke" act={async () => {
        await change('DELETE', `/agent-tokens/${seg(gone!.id)}`);
        await client.invalidateQueries({ queryKey: ['agent-tokens'] });
      }}>No host can join by it any more. Hosts that have joined stay.</Confirm>
    </Section>
  );
}

const day = 86_400;

function Add({ onClose, done }: { onClose: () => void; done: (t: JoinToken) => void }) {
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [labels, setLabels] = useState<string[]>([]);
  const [ttl, setTTL] = useState(String(day));
  const bad = labels.find((l) => !/^[^=]+=.*$/.test(l));
  return (
    <FormDialog opened onClose={onClose} title="Add an agent" verb="Make its token" known={['name']} act={async () => {
      if (bad) throw new Error(`${bad}: labels are written key=value`);
      const made = await change<JoinToken>('POST', '/agent-tokens', { name: name.trim() || undefined, labels: Object.fromEntries(labels.map((l) => [l.slice(0, l.indexOf('=')), l.slice(l.indexOf('=') + 1)])), ttl: Number(ttl) });
      void client.invalidateQueries({ queryKey: ['agent-tokens'] });
      done(made);
    }}>
      {(at) => (
        <>
          <TextInput label="Name" description="What the agent has to be called. Empty: as the host is called." data-autofocus value={name} onChange={(e) => setName(e.currentTarget.value)} error={at('name')} spellCheck={false} />
          <TagsInput label="Labels" description="What targets may ask for, such as region=eu. Press Enter after each. With none, the host says its own." value={labels} onChange={setLabels} error={bad ? 'Labels are written key=value' : at('labels')} />
          <Select label="To be used within" allowDeselect={false} value={ttl} onChange={(v) => v && setTTL(v)} data={[{ value: '3600', label: 'an hour' }, { value: String(day), label: 'a day' }, { value: String(7 * day), label: 'a week' }]} />
        </>
      )}
    </FormDialog>
  );
}
