/** One query of the explorer: its field, and what was answered as a plot or as values, or where it is wrong. */
import { ActionIcon, Alert, Button, Skeleton, Tooltip } from '@mantine/core';
import { IconDownload, IconPlayerPlay, IconTrash } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useEffect, useMemo, useState } from 'react';
import { Problem } from '../api/problem';
import { TimeChart } from '../chart/TimeChart';
import { count, plural } from '../lib/format';
import { ProblemAlert } from '../parts/Problem';
import table from '../parts/table.module.css';
import classes from './metrics.module.css';
import { placeOf, QueryError, queryAt, queryRange, type Answer, type Row } from './prom';
import { columnsOf, csvOfRange, csvOfValues, linesOf, textOf } from './shape';
import { ends, stepOf, stepProblem, type Explorer } from './state';

const Editor = lazy(() => import('./Editor'));

interface Props {
  /** "A", "B" … */
  name: string;
  query: string;
  explorer: Explorer;
  /** Counts up whenever somebody wants to see it anew. */
  look: number;
  onRun: (query: string) => void;
  onRemove?: () => void;
  onRange: (from: number, to: number) => void;
  /** How what others typed and did not run yet is kept: by whoever holds the panels. */
  onDraft: (query: string) => void;
}

interface Seen extends Answer {
  from: number;
  to: number;
  step: number;
}

export function Panel({ name, query, explorer, look, onRun, onRemove, onRange, onDraft }: Props) {
  const [draft, setDraft] = useState(query);
  useEffect(() => setDraft(query), [query]);
  const { range, refresh, view } = explorer;
  const [from, to] = ends(range, Date.now() / 1000);
  const wrongStep = view === 'graph' ? stepProblem(explorer.step, to - from) : '';
  const asked = useQuery({
    queryKey: ['metrics', view, query, range, view === 'graph' ? explorer.step : 0, look],
    enabled: query.trim() !== '' && !wrongStep,
    queryFn: async ({ signal }): Promise<Seen> => {
      const [from, to] = ends(range, Date.now() / 1000);
      const step = stepOf(explorer.step, to - from);
      return { ...(view === 'graph' ? await queryRange(query, from, to, step, signal) : await queryAt(query, to, signal)), from, to, step };
    },
    refetchInterval: 'last' in range && refresh > 0 ? refresh * 1000 : false,
    refetchOnWindowFocus: false,
    staleTime: Infinity,
    retry: (tries, e) => tries < 2 && !(e instanceof QueryError) && !(e instanceof Problem && e.status < 500),
    placeholderData: (before, q) => (q && q.queryKey[1] === view && q.queryKey[2] === query ? keepPreviousData(before) : undefined),
  });
  const seen = asked.data;
  const run = (q: string) => onRun(q.trim());
  const download = () => {
    if (!seen) return;
    const url = URL.createObjectURL(new Blob([view === 'graph' ? csvOfRange(seen.rows) : csvOfValues(seen.rows)], { type: 'text/csv' }));
    const a = document.createElement('a');
    a.href = url;
    a.download = `query-${name.toLowerCase()}.csv`;
    a.click();
    URL.revokeObjectURL(url);
  };
  return (
    <section className={classes.panel} aria-label={`Query ${name}`}>
      <div className={classes.ask}>
        <span className={classes.letter} aria-hidden>{name}</span>
        <div className={classes.editor}>
          <Suspense fallback={<Skeleton height={37} />}>
            <Editor label={`Query ${name}`} value={draft} onChange={(q) => { setDraft(q); onDraft(q); }} onRun={() => run(draft)} autoFocus={name === 'A' && query === ''} search={name === 'A'} />
          </Suspense>
        </div>
        <Button size="sm" h={36} variant={draft.trim() === query ? 'default' : 'filled'} leftSection={<IconPlayerPlay size={14} />} loading={asked.isFetching && !seen} onClick={() => run(draft)}>Run</Button>
        <Tooltip label="Download as CSV"><ActionIcon variant="subtle" color="gray" size="lg" disabled={!seen || seen.rows.length === 0} onClick={download} aria-label={`Download the answer of query ${name} as CSV`}><IconDownload size={17} /></ActionIcon></Tooltip>
        {onRemove && <Tooltip label="Remove"><ActionIcon variant="subtle" color="gray" size="lg" onClick={onRemove} aria-label={`Remove query ${name}`}><IconTrash size={17} /></ActionIcon></Tooltip>}
      </div>
      {query !== '' && (
        <div className={classes.answer} aria-busy={asked.isFetching}>
          {wrongStep ? <Alert color="yellow" variant="light" role="alert" title="The step is too short">{wrongStep}</Alert>
            : asked.error ? <Wrong error={asked.error} query={query} retry={() => void asked.refetch()} />
            : view === 'graph' ? <Graph seen={seen} query={query} onRange={onRange} /> : <Values seen={seen} />}
          {!asked.error && seen?.warnings.map((w) => <p key={w} className={classes.warning}>{w}</p>)}
        </div>
      )}
    </section>
  );
}

const kinds: Record<string, string> = {
  bad_data: 'The query is not understood',
  execution: 'The query cannot be answered',
  timeout: 'The query takes too long',
  canceled: 'The query was cancelled',
  unavailable: 'The metrics are not available',
};

function Wrong({ error, query, retry }: { error: unknown; query: string; retry: () => void }) {
  if (!(error instanceof QueryError)) return <ProblemAlert error={error} retry={retry} />;
  const place = placeOf(query, error);
  return (
    <Alert color="red" variant="light" role="alert" title={kinds[error.kind] ?? 'The query was not answered'}>
      {error.line > 0 && <>Line {error.line}, column {error.column}: </>}{error.message}
      {place && <pre className={classes.place}>{place.before}<mark>{place.at || ' '}</mark>{place.after}</pre>}
      {error.kind === 'timeout' && <p>A shorter range, a longer step, or fewer series (a label in the selector) make it lighter.</p>}
    </Alert>
  );
}

function Graph({ seen, query, onRange }: { seen: Seen | undefined; query: string; onRange: Props['onRange'] }) {
  const lines = useMemo(() => seen && linesOf(seen.rows, query, seen.from, seen.to, seen.step), [seen, query]);
  if (!seen || !lines) return <TimeChart title={query} series={[]} height={height} loading />;
  const histograms = lines.of === 0 && seen.rows.some((r) => r.histograms);
  return (
    <>
      <TimeChart
        title={query} series={lines.series} height={height} sync="explorer" range={[seen.from, seen.to]} onRange={onRange}
        empty={histograms ? `These are histograms, and a plot shows numbers: histogram_quantile(0.99, rate(…)) is one.` : 'Nothing was measured by this name and these labels in this time.'}
      />
      {lines.of > lines.series.length && <p className={classes.warning}>The {lines.series.length} largest of {count(lines.of)} series are shown. The file has all; sum by (…) or topk(10, …) makes fewer.</p>}
    </>
  );
}

const height = 230;

/** Rows that a table shows at most. */
const mostRows = 500;

function Values({ seen }: { seen: Seen | undefined }) {
  const rows = useMemo(() => [...(seen?.rows ?? [])].sort((a, b) => Number(b.value?.[1] ?? 0) - Number(a.value?.[1] ?? 0)), [seen]);
  if (!seen) return <Skeleton height={120} />;
  if (rows.length === 0) return <p className={classes.none}>Nothing has a value by this name and these labels at the end of this range.</p>;
  const keys = columnsOf(rows);
  return (
    <>
      <div className={`${table.frame} ${classes.values}`} tabIndex={0} role="region" aria-label="Values">
        <table className={table.table}>
          <thead><tr>{keys.map((k) => <th key={k} scope="col">{k === '__name__' ? 'metric' : k}</th>)}<th scope="col" className={table.right}>value</th></tr></thead>
          <tbody>{rows.slice(0, mostRows).map((r: Row, i) => <tr key={i}>{keys.map((k) => <td key={k} className="mono">{r.metric[k] ?? ''}</td>)}<td className={`${table.right} num mono`}>{textOf(r)}</td></tr>)}</tbody>
        </table>
      </div>
      <p className={classes.warning}>{rows.length > mostRows ? `The ${mostRows} largest of ${plural(rows.length, 'series', 'series')}; the file has all.` : plural(rows.length, 'series', 'series')}</p>
    </>
  );
}
