/** One host: what runs there, where it listens, and what it writes. */
import { Alert } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { Link, useNavigate, useParams, useSearchParams } from 'react-router';
import { change, seg } from '../../api/client';
import { qr, type Agent, type HealthCheck, type Instance } from '../../api/releases';
import { bytes, plural } from '../../lib/format';
import { clock, lineTime, ms } from '../../lib/time';
import { CanButton } from '../../parts/Can';
import { Confirm } from '../../parts/Confirm';
import { Loaded } from '../../parts/Loaded';
import { Empty, Page, Section } from '../../parts/Page';
import { tell } from '../../parts/Problem';
import { StatusIcon } from '../../parts/Status';
import type { Status } from '../../api/types';
import table from '../../parts/table.module.css';
import { Ago } from '../../parts/Time';
import run from '../run/run.module.css';
import classes from './agents.module.css';
import { agentState, Labels } from './parts';

export function AgentScreen() {
  const { agent = '' } = useParams();
  const query = useQuery(qr.agent(agent));
  if (!query.data) return <Page title={agent}><Loaded query={query}>{() => null}</Loaded></Page>;
  return <Screen agent={query.data} />;
}

function Screen({ agent: a }: { agent: Agent }) {
  const [params, setParams] = useSearchParams();
  const [removing, setRemoving] = useState(false);
  const client = useQueryClient();
  const navigate = useNavigate();
  const instances = a.instances ?? [];
  const shown = instances.find((i) => i.id === params.get('log'));
  const problems = Object.entries(a.problems ?? {});
  const addresses = Object.entries(a.addresses ?? {}).sort();
  return (
    <Page
      title={a.name}
      heading={<>{a.name} <span className={table.tag}>{agentState[a.state]}</span></>}
      sub={<><Link to="/agents">Agents</Link> / {a.info.hostname || a.name}</>}
      actions={<CanButton action="agent:write" variant="default" onClick={() => setRemoving(true)}>Take it out</CanButton>}
    >
      {a.state === 'offline' && <Alert color="yellow" variant="light" mb="md" title="Nothing is heard of it">It serves on by itself with what it had. It was last seen <Ago at={a.seen_at} />.</Alert>}
      <dl className={run.facts}>
        <Fact name="Seen"><Ago at={a.seen_at} none="never" /></Fact>
        <Fact name="Machine">{a.info.os}/{a.info.arch}, {plural(a.info.cpus, 'CPU')}, {bytes(a.info.memory)}</Fact>
        <Fact name="Agent’s version"><span className="mono">{a.info.version}</span></Fact>
        <Fact name="Joined"><Ago at={a.joined_at} /></Fact>
        <Fact name="Certificate ends"><Ago at={a.certificate_expires_at} /></Fact>
        <Fact name="Routes">{a.applied === a.generation ? 'as wanted' : `${a.generation - a.applied} behind`}</Fact>
        {Object.keys(a.info.labels ?? {}).length > 0 && <Fact name="Labels"><Labels labels={a.info.labels} /></Fact>}
      </dl>
      {problems.length > 0 && <Alert color="red" variant="light" mt="md" title="What keeps it from being as it should"><ul style={{ margin: 0, paddingLeft: 18 }}>{problems.map(([k, v]) => <li key={k}><b>{k}</b>: {v}</li>)}</ul></Alert>}
      <Section title="Instances">
        {instances.length === 0 ? <Empty title="Nothing runs here">A release brings instances to hosts that its targets name.</Empty> : (
          <div className={table.frame} tabIndex={0} role="region" aria-label="Instances">
            <table className={table.table}>
              <thead><tr><th>Instance</th><th>State</th><th>Health</th><th className={table.hide}>Ports</th><th className={table.hide}>Process</th><th /></tr></thead>
              <tbody>{[...instances].sort((x, y) => x.id.localeCompare(y.id)).map((i) => <Row key={i.id} i={i} open={shown?.id === i.id} onLog={() => setParams(shown?.id === i.id ? {} : { log: i.id }, { replace: true, preventScrollReset: true })} />)}</tbody>
            </table>
          </div>
        )}
      </Section>
      {shown && <Section title={<>Log of {shown.id}</>} id="log"><Log agent={a.name} instance={shown.id} /></Section>}
      {addresses.length > 0 && (
        <Section title="Listens at">
          <ul className={classes.addresses}>{addresses.map(([name, address]) => <li key={name}><span className="mono">{address}</span> {name !== address && <span className="dim">{name}</span>}</li>)}</ul>
        </Section>
      )}
      <Confirm opened={removing} onClose={() => setRemoving(false)} title={`Take ${a.name} out?`} verb="Take it out" type={a.name} act={async () => {
        await change('DELETE', `/agents/${seg(a.name)}`);
        void client.invalidateQueries({ queryKey: ['agents'] });
        tell(`${a.name} is out`);
        void navigate('/agents');
      }}>
        Its certificate is refused from now on, and releases no longer reach it. What runs there runs on until somebody ends it on the host.
      </Confirm>
    </Page>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return <div className={run.fact}><dt>{name}</dt><dd>{children}</dd></div>;
}

const signs: Record<Instance['state'], Status> = { starting: 'running', healthy: 'success', unhealthy: 'failure', stopping: 'running', crashed: 'failure', ended: 'skipped' };

function Row({ i, open, onLog }: { i: Instance; open: boolean; onLog: () => void }) {
  const place = i.labels?.service ?? '';
  return (
    <tr>
      <td><span className={table.name}>{place || i.id}</span><div className="dim" style={{ fontSize: 12.5 }}>{place && <span className="mono">{i.id}</span>}</div></td>
      <td>
        <span style={{ display: 'inline-flex', gap: 7, alignItems: 'center', whiteSpace: 'nowrap' }}><StatusIcon status={signs[i.state]} label="" />{i.crashLoop ? 'crash loop' : i.state}</span>
        <div className="dim" style={{ fontSize: 12.5 }}><Ago at={i.since} />{i.reason && `, ${i.reason}`}</div>
        {i.lastExit && <div className="dim" style={{ fontSize: 12.5 }}>before: {i.lastExit}</div>}
      </td>
      <td><Health checks={i.health ?? []} /></td>
      <td className={`${table.hide} num`}>{Object.entries(i.ports ?? {}).map(([k, v]) => <div key={k}>{k} {v}</div>)}</td>
      <td className={table.hide}><span className="dim">{i.pid ? `pid ${i.pid}` : 'none'}{i.restarts > 0 && `, ${plural(i.restarts, 'restart')}`}{i.adopted && ', taken over'}</span>{(i.limits ?? []).length > 0 && <div className="dim" style={{ fontSize: 12.5 }}>{i.limits!.join('; ')}</div>}</td>
      <td className={table.right}><CanButton action="agent:read" variant={open ? 'filled' : 'default'} size="compact-xs" onClick={onLog}>Log</CanButton></td>
    </tr>
  );
}

/** The last checks as dots, the newest last. */
function Health({ checks }: { checks: HealthCheck[] }) {
  const bad = checks.filter((c) => !c.ok).length;
  const last = checks[checks.length - 1];
  if (!last) return <span className="dim">not checked</span>;
  return (
    <div>
      <div className={classes.dots} role="img" aria-label={`${checks.length - bad} of the last ${checks.length} checks passed`}>
        {checks.map((c, n) => <span key={n} data-ok={c.ok || undefined} title={`${clock(ms(c.at))}: ${c.ok ? 'passed' : c.reason || 'failed'} in ${(c.took / 1e6).toFixed(1)} ms`} />)}
      </div>
      <div className="dim" style={{ fontSize: 12.5 }}>{last.ok ? `${(last.took / 1e6).toFixed(1)} ms` : last.reason}</div>
    </div>
  );
}

function Log({ agent, instance }: { agent: string; instance: string }) {
  const query = useQuery(qr.instanceLog(agent, instance));
  return (
    <Loaded query={query} rows={6} height={18}>
      {(lines) => lines.length === 0 ? <p className="dim" style={{ margin: 0 }}>It has written nothing yet.</p> : (
        <div className={classes.log} tabIndex={0} role="log" aria-label={`The last lines of ${instance}`} ref={(e) => { if (e && !e.dataset.seen) { e.dataset.seen = '1'; e.scrollTop = e.scrollHeight; } }}>
          {lines.map((l, n) => <div key={n} data-stream={l.stream}><time>{lineTime(l.time)}</time>{l.text}</div>)}
        </div>
      )}
    </Loaded>
  );
}
