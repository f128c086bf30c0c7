/** Requests to the API. It is the only place that knows how they are made: cookies, the CSRF token, idempotency, problems. */
import { parseProblem, Problem, Unreachable } from './problem';

const base = '/api/v1';

let csrf = '';

/** What /me has given out; every request that changes something carries it. */
export function setCSRF(token: string): void {
  csrf = token;
}

type Query = Record<string, string | number | boolean | undefined | null | readonly string[]>;

/** The address of a route with its query; lists repeat their key, empty values are left out. */
export function address(path: string, query: Query = {}): string {
  const q = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    for (const v of Array.isArray(value) ? (value as readonly string[]) : [value as string | number | boolean | undefined | null]) {
      if (v !== undefined && v !== null && v !== '') q.append(key, String(v));
    }
  }
  const s = q.toString();
  return base + path + (s ? `?${s}` : '');
}

async function send(method: string, path: string, o: { query?: Query; body?: unknown; signal?: AbortSignal; once?: string } = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (o.body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'GET' && csrf) headers['X-CSRF-Token'] = csrf;
  if (o.once) headers['Idempotency-Key'] = o.once;
  let response: Response;
  try {
    response = await fetch(address(path, o.query), {
      method,
      headers,
      body: o.body === undefined ? undefined : JSON.stringify(o.body),
      signal: o.signal,
      credentials: 'same-origin',
    });
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e;
    throw new Unreachable();
  }
  if (!response.ok) {
    throw parseProblem(response.status, response.headers.get('Content-Type') ?? '', await response.text().catch(() => ''), response.headers.get('Retry-After'));
  }
  return response;
}

export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  return (await (await send('GET', path, { query, signal })).json()) as T;
}

/** Changes something. once makes a second sending of the same thing harmless. An answer without content is undefined. */
export async function change<T = void>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown, o: { query?: Query; once?: string } = {}): Promise<T> {
  const response = await send(method, path, { body, ...o });
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

/** A key for one act of a person: made when a form opens, so that a double click or a second try makes one thing. */
export function onceKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
}

export function isStatus(e: unknown, status: number): e is Problem {
  return e instanceof Problem && e.status === status;
}

/** A segment of a path: names may hold anything. */
export const seg = encodeURIComponent;
