/** Questions in PromQL to the server: Prometheus' own HTTP API, which the server has below /metrics, with errors that say where in the query they are. */
import { address } from '../api/client';
import { parseProblem, Unreachable } from '../api/problem';

export type Labels = Record<string, string>;

/** A value at a time in seconds since 1970; Prometheus writes values as text, since JSON has no NaN. */
export type Point = [number, string];

/** A native histogram, of which only count and sum are shown: what it holds is asked by histogram_quantile and the like. */
export type HistogramPoint = [number, { count: string; sum: string }];

export interface Row {
  metric: Labels;
  values?: Point[];
  histograms?: HistogramPoint[];
  value?: Point;
  histogram?: HistogramPoint;
}

export interface Answer {
  rows: Row[];
  warnings: string[];
}

/** A query that was not answered. */
export class QueryError extends Error {
  constructor(
    message: string,
    /** Prometheus' word for its kind: bad_data, execution, timeout, canceled, unavailable … */
    readonly kind: string,
    /** Where in the query, from 1; 0 where that is not known. */
    readonly line = 0,
    readonly column = 0,
  ) {
    super(message);
    this.name = 'QueryError';
  }
}

/** Takes the place out of what Prometheus says: "invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis". */
export function readError(text: string, kind: string): QueryError {
  const m = /^(?:invalid parameter "\w+": )?(\d+):(\d+): (?:parse error: )?([^]*)$/.exec(text);
  if (m) return new QueryError(m[3]!, kind, Number(m[1]), Number(m[2]));
  return new QueryError(text.replace(/^invalid parameter "\w+": /, '').replace(/^parse error: /, ''), kind);
}

/** The line of a query that an error is in, split where it is; null where it says no place in it. */
export function placeOf(query: string, e: QueryError): { before: string; at: string; after: string } | null {
  const line = query.split('\n')[e.line - 1];
  // Columns of the parser count bytes.
  const bytes = line === undefined ? undefined : new TextEncoder().encode(line);
  if (!line || !bytes || e.column < 1 || e.column > bytes.length + 1) return null;
  const before = new TextDecoder().decode(bytes.slice(0, e.column - 1));
  const rest = line.slice(before.length);
  const at = /^(?:[\w:]+|\s*\S|\s+)/.exec(rest)?.[0] ?? '';
  return { before, at, after: rest.slice(at.length) };
}

async function ask(path: string, query: Record<string, string | number>, signal?: AbortSignal): Promise<{ data: unknown; warnings: string[] }> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(address(`/metrics/${path}`, query), { headers: { Accept: 'application/json' }, credentials: 'same-origin', signal });
    text = await response.text();
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
    throw new Unreachable();
  }
  let answer: { status?: string; data?: unknown; error?: string; errorType?: string; warnings?: string[]; infos?: string[] } = {};
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    // Not Prometheus' answer: a problem of ours, or of something between.
  }
  if (answer.status === 'error') throw readError(answer.error ?? '', answer.errorType ?? '');
  if (!response.ok || answer.status !== 'success') throw parseProblem(response.status, response.headers.get('Content-Type') ?? '', text, response.headers.get('Retry-After'));
  return { data: answer.data, warnings: [...(answer.warnings ?? []), ...(answer.infos ?? [])] };
}

interface Result {
  resultType: 'matrix' | 'vector' | 'scalar' | 'string';
  result: Row[] | Point;
}

const rowsOf = (r: Result): Row[] => (r.resultType === 'scalar' || r.resultType === 'string' ? [{ metric: {}, value: r.result as Point }] : (r.result as Row[]));

/** Values of a range, from and to in seconds since 1970, step in seconds. */
export async function queryRange(query: string, from: number, to: number, step: number, signal?: AbortSignal): Promise<Answer> {
  const { data, warnings } = await ask('query_range', { query, start: from, end: to, step }, signal);
  return { rows: rowsOf(data as Result), warnings };
}

/** Values at one time. */
export async function queryAt(query: string, time: number, signal?: AbortSignal): Promise<Answer> {
  const { data, warnings } = await ask('query', { query, time }, signal);
  return { rows: rowsOf(data as Result), warnings };
}

/** Which of these metrics there are. */
export async function metricNames(signal?: AbortSignal): Promise<string[]> {
  return (await ask('label/__name__/values', {}, signal)).data as string[];
}
