/** The metrics explorer: questions in PromQL to everything that is measured, kept in the address. */
import { ActionIcon, Button, SegmentedControl, Select, TextInput, Tooltip } from '@mantine/core';
import { IconChevronLeft, IconChevronRight, IconPlus, IconRefresh, IconZoomOut } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { useSearchParams } from 'react-router';
import { useMe } from '../api/queries';
import { count, plural } from '../lib/format';
import { may, whyNot } from '../lib/permissions';
import classes from '../metrics/metrics.module.css';
import { Panel } from '../metrics/Panel';
import { metricNames } from '../metrics/prom';
import { ends, mostQueries, ranges, readDuration, readExplorer, refreshes, shifted, stepOf, wider, writeDuration, writeExplorer, type Explorer } from '../metrics/state';
import { CopyIcon } from '../parts/Copy';
import { DateTimeField } from '../parts/DateTimeField';
import { Empty, Page, Section } from '../parts/Page';
import { ProblemAlert } from '../parts/Problem';

const sub = 'What services and agents measure, asked in PromQL. Grafana and promtool ask the same at /prometheus.';

export function Metrics() {
  const me = useMe();
  if (me && !may(me, 'metrics:read')) return <Page title="Metrics" sub={sub}><Empty title="You may not read metrics">{whyNot('metrics:read')}</Empty></Page>;
  return <ExplorerScreen />;
}

function ExplorerScreen() {
  const [params, setParams] = useSearchParams();
  const explorer = readExplorer(params);
  const [look, setLook] = useState(0);
  // What is typed and not run yet, so that a change elsewhere runs it too rather than losing it.
  const drafts = useRef(explorer.queries);
  useEffect(() => {
    drafts.current = readExplorer(params).queries;
  }, [params]);
  const set = (change: Partial<Explorer>, replace = false) => setParams(writeExplorer({ ...explorer, queries: drafts.current.map((q) => q.trim()), ...change }), { replace });
  const now = () => Date.now() / 1000;
  const [from, to] = ends(explorer.range, now());
  const put = (i: number, q: string) => {
    const queries = drafts.current.map((d) => d.trim());
    queries[i] = q;
    if (queries.join('\0') === explorer.queries.join('\0')) setLook(look + 1);
    else set({ queries });
  };
  const asked = explorer.queries.some(Boolean);
  return (
    <Page title="Metrics" sub={sub} wide actions={asked && <CopyIcon value={window.location.origin + window.location.pathname + (params.size ? `?${params}` : '')} label="Copy the link to this" />}>
      <div className={classes.bar}>
        <Select
          aria-label="Range" className={classes.range} allowDeselect={false}
          data={[...ranges.map((r) => ({ value: String(r), label: `Last ${spoken(r)}` })), ...('last' in explorer.range && !ranges.includes(explorer.range.last) ? [{ value: String(explorer.range.last), label: `Last ${spoken(explorer.range.last)}` }] : []), { value: 'fixed', label: 'From – to' }]}
          value={'last' in explorer.range ? String(explorer.range.last) : 'fixed'}
          onChange={(v) => set({ range: v === 'fixed' ? { from, to } : { last: Number(v) } })}
        />
        {'from' in explorer.range && (
          <>
            <DateTimeField label="From" value={new Date(from * 1000).toISOString()} onSet={(v) => v && Date.parse(v) / 1000 < to && set({ range: { from: Date.parse(v) / 1000, to } }, true)} />
            <DateTimeField label="To" value={new Date(to * 1000).toISOString()} onSet={(v) => v && Date.parse(v) / 1000 > from && set({ range: { from, to: Date.parse(v) / 1000 } }, true)} />
          </>
        )}
        <ActionIcon.Group>
          <Tooltip label="Earlier"><ActionIcon variant="default" size={36} aria-label="Earlier" onClick={() => set({ range: shifted(explorer.range, -0.5, now()) })}><IconChevronLeft size={17} /></ActionIcon></Tooltip>
          <Tooltip label="A longer range"><ActionIcon variant="default" size={36} aria-label="A longer range" onClick={() => set({ range: wider(explorer.range, now()) })}><IconZoomOut size={17} /></ActionIcon></Tooltip>
          <Tooltip label="Later"><ActionIcon variant="default" size={36} aria-label="Later" disabled={'last' in explorer.range} onClick={() => set({ range: shifted(explorer.range, 0.5, now()) })}><IconChevronRight size={17} /></ActionIcon></Tooltip>
        </ActionIcon.Group>
        {explorer.view === 'graph' && <Step value={explorer.step} auto={stepOf(0, to - from)} onSet={(step) => set({ step })} />}
        <Select
          aria-label="Refresh" className={classes.small} allowDeselect={false} disabled={!('last' in explorer.range)}
          data={refreshes.map((r) => ({ value: String(r), label: r === 0 ? 'By hand' : `Every ${spoken(r)}` }))}
          value={String(explorer.refresh)} onChange={(v) => set({ refresh: Number(v) }, true)}
        />
        <Tooltip label="Ask again"><ActionIcon variant="default" size={36} aria-label="Ask again" disabled={!asked} onClick={() => setLook(look + 1)}><IconRefresh size={17} /></ActionIcon></Tooltip>
        <SegmentedControl aria-label="Show" data={[{ value: 'graph', label: 'Graph' }, { value: 'values', label: 'Values' }]} value={explorer.view} onChange={(v) => set({ view: v as Explorer['view'] })} />
      </div>
      <div className={classes.panels}>
        {explorer.queries.map((query, i) => (
          <Panel
            key={i} name={String.fromCharCode(65 + i)} query={query} explorer={explorer} look={look}
            onRun={(q) => put(i, q)}
            onDraft={(q) => { drafts.current = drafts.current.map((d, k) => (k === i ? q : d)); }}
            onRemove={explorer.queries.length > 1 ? () => set({ queries: drafts.current.map((d) => d.trim()).filter((_, k) => k !== i) }) : undefined}
            onRange={(from, to) => set({ range: { from, to } })}
          />
        ))}
      </div>
      {asked && explorer.queries.length < mostQueries && <Button className={classes.more} variant="default" leftSection={<IconPlus size={15} />} onClick={() => set({ queries: [...drafts.current.map((d) => d.trim()), ''] })}>Another query</Button>}
      {!asked && <Examples onPick={(q) => put(0, q)} />}
    </Page>
  );
}

const words: [number, string][] = [[604_800, 'week'], [86_400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];

/** "15 minutes", "hour": what comes after "last" and "every". */
function spoken(seconds: number): string {
  const [size, name] = words.find(([s]) => seconds % s === 0) ?? [1, 'second'];
  const n = seconds / size;
  return n === 1 ? name : `${n} ${name}s`;
}

function Step({ value, auto, onSet }: { value: number; auto: number; onSet: (step: number) => void }) {
  const shown = value ? writeDuration(value) : '';
  const [text, setText] = useState(shown);
  useEffect(() => setText(shown), [shown]);
  const wrong = text.trim() !== '' && !readDuration(text);
  const send = () => {
    if (!wrong && text.trim() !== shown) onSet(readDuration(text) ?? 0);
  };
  return (
    <TextInput
      aria-label="Step" className={classes.small} placeholder={`Step ${writeDuration(auto)}`} title="How far apart values are: 15s, 1m, 2h. Empty: as fine as the plot can show."
      value={text} error={wrong ? 'Like 15s, 1m or 2h' : undefined}
      onChange={(e) => setText(e.currentTarget.value)} onBlur={send} onKeyDown={(e) => e.key === 'Enter' && send()}
    />
  );
}

/** Questions that people begin with, and the metric that each is about. */
const examples: [string, string, string][] = [
  ['Requests, by service and version', 'gantry_requests_total', 'sum by (service, version, region) (rate(gantry_requests_total[1m]))'],
  ['Share of requests that fail', 'gantry_requests_total', 'sum by (service, version) (rate(gantry_requests_total{code=~"5.."}[1m])) / sum by (service, version) (rate(gantry_requests_total[1m]))'],
  ['Latency that 99 of 100 stay under', 'gantry_request_duration_seconds', 'histogram_quantile(0.99, sum by (service, version) (rate(gantry_request_duration_seconds[1m])))'],
  ['Instances that are healthy', 'gantry_instance_healthy', 'sum by (service, version, environment) (gantry_instance_healthy)'],
  ['Targets that cannot be scraped', 'up', 'up == 0'],
  ['Memory of each service', 'process_resident_memory_bytes', 'sum by (service, version) (process_resident_memory_bytes)'],
  ['Series that there are most of', 'up', 'topk(10, count by (__name__) ({__name__!=""}))'],
];

/** Metrics that are listed at most; the field's completion has all. */
const mostNames = 120;

function Examples({ onPick }: { onPick: (q: string) => void }) {
  const names = useQuery({ queryKey: ['metrics', 'names'], queryFn: ({ signal }) => metricNames(signal), staleTime: 10_000 });
  if (names.error) return <div className={classes.more}><ProblemAlert error={names.error} retry={() => void names.refetch()} /></div>;
  if (!names.data) return null;
  const have = new Set(names.data);
  if (have.size === 0) {
    return (
      <div className={classes.more}>
        <Empty title="Nothing has been measured yet">
          As soon as a release runs on an agent, its requests are counted here by service, version, environment and region, and what its <code>metrics</code> in <code>gantry.yaml</code> names is scraped. Other senders: remote write and OTLP, see the documentation on metrics.
        </Empty>
      </div>
    );
  }
  // What people name themselves comes first: the rest is alike everywhere.
  const common = (n: string) => /^(go|process|promhttp|scrape|gantry)_|^(up|target_info)$/.test(n);
  const sorted = [...names.data].sort((a, b) => Number(common(a)) - Number(common(b)) || (a < b ? -1 : 1));
  return (
    <>
      <div className={classes.examples}>
        {examples.filter(([, metric]) => have.has(metric)).map(([title, , q]) => <button key={title} type="button" className={classes.example} onClick={() => onPick(q)}><b>{title}</b><code>{q}</code></button>)}
      </div>
      <Section title={<>All metrics <span className="dim num">{count(have.size)}</span></>}>
        <ul className={classes.names}>
          {sorted.slice(0, mostNames).map((n) => <li key={n}><button type="button" onClick={() => onPick(n)}>{n}</button></li>)}
          {sorted.length > mostNames && <li className="dim">and {plural(sorted.length - mostNames, 'more', 'more')}: the field completes their names</li>}
        </ul>
      </Section>
    </>
  );
}
