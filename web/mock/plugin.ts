/** Answers the API from an invented world, for development without a server. It is no part of what is built. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connect, Plugin } from 'vite';
import type { Event, Job, Run } from '../src/api/types';
import { logLine, plainText } from './log';
import * as world from './world';

export function mockServer(): Plugin {
  const install = (server: { middlewares: Connect.Server }) => {
    server.middlewares.use((req, res, next) => {
      if (!req.url?.startsWith('/api/')) return next();
      answer(req, res).catch((e: unknown) => problem(res, 500, String(e)));
    });
  };
  return { name: 'gantry-mock', apply: 'serve', configureServer: install, configurePreviewServer: install };
}

const all = ['project:read', 'project:write', 'project:create', 'project:delete', 'run:read', 'run:start', 'run:cancel', 'run:rerun', 'run:delete', 'approval:read', 'approval:decide', 'secret:list', 'secret:write', 'event:read', 'runner:read', 'runner:write', 'account:read', 'account:write', 'token:own', 'settings:read', 'settings:write'];

let signedIn = true;
let seq = 9000;
const streams = new Set<ServerResponse>();
const begun = Date.now();
const environments = [
  { project: '', name: 'production', approvals: 2, approvers: [], not_starter: true, wait_minutes: 10, refs: ['refs/heads/main'], expire_hours: 720, updated_at: world.ago(8e5) },
  { project: '', name: 'staging', approvals: 0, approvers: [], not_starter: false, wait_minutes: 0, refs: [], expire_hours: 0, updated_at: world.ago(9e5) },
];
const variables = [{ project: '', name: 'REGION', value: 'us-east-1', updated_at: world.ago(5e5) }, { project: '', environment: 'production', name: 'REGION', value: 'us-east-1, eu-west-1', updated_at: world.ago(4e5) }];
const secrets = [{ name: 'VENUE_TOKEN', environment: '', version: 4, updated_at: world.ago(3e6), updated_by: 'account:ann' }, { name: 'VENUE_TOKEN', environment: 'production', version: 2, updated_at: world.ago(2e6), updated_by: 'account:bo' }];
const tokens = [{ id: 't1', name: 'deploy script', scopes: ['run'], projects: ['meridian-gateway'], created_at: world.ago(9e5), expires_at: new Date(Date.now() + 5e9).toISOString(), last_used_at: world.ago(4000) }];
const accounts = [
  { name: 'ann', display: 'ann', disabled: false, oidc: false, grants: [{ project: '*', role: 'admin' }], created_at: world.ago(9e6), last_login_at: world.ago(500) },
  { name: 'bo', display: 'bo', disabled: false, oidc: true, grants: [{ project: 'meridian-gateway', role: 'releaser' }, { project: 'meridian-ledger', role: 'viewer' }], created_at: world.ago(8e6), last_login_at: world.ago(90000) },
];

function json(res: ServerResponse, body: unknown, status = 200): void {
  res.writeHead(status, { 'Content-Type': 'application/json' });
  res.end(JSON.stringify(body));
}

function problem(res: ServerResponse, status: number, detail: string, errors: unknown[] = []): void {
  res.writeHead(status, { 'Content-Type': 'application/problem+json' });
  res.end(JSON.stringify({ title: 'Problem', status, detail, errors }));
}

async function bodyOf(req: IncomingMessage): Promise<Record<string, unknown>> {
  let s = '';
  for await (const c of req) s += c;
  return s ? JSON.parse(s) : {};
}

function tell(e: Omit<Event, 'seq' | 'time'>): void {
  const event = { ...e, seq: ++seq, time: new Date().toISOString() };
  world.events.unshift(event);
  for (const s of streams) s.write(`event: ${event.type}\nid: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`);
}

function sse(res: ServerResponse): void {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  res.write(': hello\n\n');
}

/** A job, whose log grows while it runs. */
function jobOf(id: string): Job | undefined {
  const [run, attempt] = id.split('.');
  const r = world.runs.find((x) => x.id === run);
  const j = r && world.jobsOf(r, Number(attempt)).find((x) => x.id === id);
  if (j?.status === 'running') j.lines += Math.floor((Date.now() - begun) / 40);
  return j;
}

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const url = new URL(req.url!, 'http://localhost');
  const q = url.searchParams;
  const parts = url.pathname.split('/').slice(3).map(decodeURIComponent);
  const [kind, id, what, name, more] = parts;
  const key = `${req.method} ${kind}`;
  if (key === 'GET session') return json(res, { oidc: true, oidc_name: 'Company account', first_start: false });
  if (req.method === 'POST' && kind === 'session') {
    const b = await bodyOf(req);
    if (id !== 'link' && b.password !== 'gantry') return problem(res, 401, 'the name or the password is wrong');
    signedIn = true;
    return void res.writeHead(204).end();
  }
  if (!signedIn) return problem(res, 401, 'sign in first');
  switch (key) {
    case 'DELETE session':
      signedIn = false;
      return void res.writeHead(204).end();
    case 'GET me':
      return json(res, { identity: { kind: 'account', account: 'ann', actor: 'account:ann', name: 'ann', grants: [{ project: '*', role: 'admin' }], csrf: 'x' }, permissions: { '*': all }, server: { version: '0.3.0', database: 'sqlite', oidc: true, started_at: world.ago(86400) } });
    case 'GET overview':
      return json(res, overview());
    case 'GET runs':
      return runs(id, what, name, q, res);
    case 'POST runs': {
      const run = world.runs.find((r) => r.id === id)!;
      if (what === 'cancel') Object.assign(run, { status: 'cancelled', finished_at: new Date().toISOString() });
      else Object.assign(run, { status: 'running', attempt: run.attempt + 1, started_at: new Date().toISOString(), finished_at: null });
      tell({ type: `run.${what}`, project: run.project, run: run.id, actor: 'account:ann' });
      return json(res, run);
    }
    case 'GET jobs':
      return job(id!, what, name, q, req, res);
    case 'GET approvals':
      return id ? json(res, world.approvals.find((a) => a.id === id)) : json(res, { items: world.approvals.filter((a) => (!q.get('status') || a.status === q.get('status')) && (!q.get('run') || a.run === q.get('run'))) });
    case 'POST approvals': {
      const a = world.approvals.find((x) => x.id === id)!;
      const b = await bodyOf(req);
      if (a.not_starter && a.started_by === 'ann') return problem(res, 403, 'you started this run, and production asks for another person');
      a.decisions = [...(a.decisions ?? []), { actor: 'account:ann', approve: !!b.approve, comment: String(b.comment ?? ''), at: new Date().toISOString() }];
      if (!b.approve || a.decisions.length >= a.required) Object.assign(a, { status: b.approve ? 'success' : 'failure', decided_at: new Date().toISOString() });
      tell({ type: 'approval.decided', project: a.project, run: a.run, subject: a.id, actor: 'account:ann' });
      return json(res, a);
    }
    case 'GET projects':
      return projects(id, what, res);
    case 'POST projects': {
      const b = await bodyOf(req);
      if (what === 'runs') {
        const run: Run = { ...world.runs[0]!, id: String(Number(world.runs[0]!.id) + 1), status: 'running', event: 'workflow_dispatch', created_at: new Date().toISOString(), started_at: new Date().toISOString(), inputs: b.inputs as Record<string, string> };
        world.runs.unshift(run);
        tell({ type: 'run.created', project: run.project, run: run.id, actor: 'account:ann' });
        return json(res, { runs: [run], not_started: [] });
      }
      if (!/^[a-z][a-z0-9-]{0,63}$/.test(String(b.id))) return problem(res, 422, 'validation failed', [{ location: 'body.id', message: 'must have 1 to 64 of a-z, 0-9 and "-", and begin with a letter', value: b.id }]);
      const p = { ...world.projects[0]!, ...b, version: 1 } as (typeof world.projects)[0];
      world.projects.push(p);
      return json(res, p, 201);
    }
    case 'GET runners':
      return json(res, { items: world.runners });
    case 'POST runners': {
      const b = await bodyOf(req);
      const runner = { ...world.runners[1]!, id: `r${Date.now()}`, name: String(b.name), labels: b.labels as string[] };
      world.runners.push(runner);
      return json(res, { runner, token: 'gantryr_example-only-0000' }, 201);
    }
    case 'GET events':
      if (id === 'stream') {
        sse(res);
        streams.add(res);
        res.on('close', () => streams.delete(res));
        return;
      }
      return eventsPage(q, res);
    case 'GET tokens':
      return json(res, { items: tokens });
    case 'POST tokens':
      return json(res, { token: 'gantry_example-only-0000', info: tokens[0] }, 201);
    case 'GET accounts':
      return json(res, { items: accounts });
    case 'GET settings':
      return json(res, { version: '0.3.0', database: 'sqlite', data_size_bytes: 734_000_000, url: 'https://gantry.example.com', listen: '127.0.0.1:8484', tls: false, oidc_issuer: 'https://id.example.com', retention: { runs_days: 365, logs_days: 90 } });
  }
  if (req.method !== 'GET') {
    await bodyOf(req);
    return more === 'never' ? undefined : json(res, id && kind === 'projects' && !what ? world.projects.find((p) => p.id === id) : {});
  }
  problem(res, 404, `there is no ${url.pathname}`);
}

function overview(): unknown {
  const days = Array.from({ length: 14 }, (_, i) => ({ day: new Date(Date.now() - (13 - i) * 86400e3).toISOString().slice(0, 10), success: i % 7 > 4 ? 2 : 18 + ((i * 7) % 13), failure: (i * 5) % 6, other: i % 3, seconds: 190 + ((i * 29) % 70) }));
  const of = (...s: string[]) => world.runs.filter((r) => s.includes(r.status));
  return { red: of('failure').slice(0, 4), active: of('running', 'queued', 'waiting'), recent: world.runs.slice(0, 12), waiting: world.approvals.filter((a) => a.status === 'waiting'), days, queue: 3, busy: 2, places: 12 };
}

function runs(id: string | undefined, what: string | undefined, name: string | undefined, q: URLSearchParams, res: ServerResponse): void {
  if (!id) {
    const has = (k: string, v: string) => q.getAll(k).length === 0 || q.getAll(k).includes(v);
    const found = world.runs.filter((r) => has('project', r.project) && has('status', r.status) && has('branch', r.branch) && has('event', r.event) && has('actor', r.started_by) && has('file', r.file) && r.title.toLowerCase().includes((q.get('text') ?? '').toLowerCase()));
    const after = Number(q.get('after') ?? 0);
    const limit = Number(q.get('limit') ?? 50);
    return json(res, { items: found.slice(after, after + limit), next: after + limit < found.length ? String(after + limit) : undefined });
  }
  const run = world.runs.find((r) => r.id === id);
  if (!run) return problem(res, 404, `there is no run ${id}`);
  const jobs = world.jobsOf(run, Number(q.get('attempt') ?? run.attempt));
  switch (what) {
    case undefined:
      return json(res, run);
    case 'jobs':
      return json(res, { items: jobs });
    case 'annotations':
      return json(res, { items: world.annotationsOf(jobs) });
    case 'tests':
      return json(res, { items: world.testsOf(jobs) });
    case 'artifacts':
      return name ? void res.writeHead(200, { 'Content-Type': 'application/zip' }).end() : json(res, { items: world.artifactsOf(jobs) });
  }
  problem(res, 404, `there is no ${what}`);
}

function job(id: string, what: string | undefined, more: string | undefined, q: URLSearchParams, req: IncomingMessage, res: ServerResponse): void {
  const j = jobOf(id);
  if (!j) return problem(res, 404, `there is no job ${id}`);
  if (what !== 'log') return json(res, j);
  const complete = j.finished_at !== null;
  const range = (from: number, limit: number) => {
    const first = from < 0 ? Math.max(1, j.lines + from + 1) : Math.max(1, from);
    return Array.from({ length: Math.max(0, Math.min(limit, j.lines - first + 1)) }, (_, i) => logLine(j, first + i));
  };
  switch (more) {
    case undefined:
      return json(res, { lines: range(Number(q.get('from') ?? 1), Math.min(10000, Number(q.get('limit') || 1000))), total: j.lines, complete });
    case 'search': {
      let pattern: RegExp;
      try {
        const p = q.get('pattern')!;
        pattern = new RegExp(p.replace(/^\(\?i\)/, ''), p.startsWith('(?i)') ? 'i' : '');
      } catch (e) {
        return problem(res, 422, 'the pattern is not understood', [{ location: 'query.pattern', message: String(e), value: q.get('pattern') }]);
      }
      const lines: number[] = [];
      let n = Number(q.get('from') || 1);
      const limit = Number(q.get('limit') || 1000);
      for (; n <= j.lines && lines.length < limit; n++) if (pattern.test(plainText(logLine(j, n).x))) lines.push(n);
      return json(res, { lines, more: n <= j.lines, next: n <= j.lines ? n : undefined });
    }
    case 'raw':
      res.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' });
      return void res.end(range(1, 5000).map((l) => plainText(l.x)).join('\n'));
    case 'follow': {
      sse(res);
      let at = Number(req.headers['last-event-id'] ?? Number(q.get('from') || 1) - 1);
      const send = () => {
        const now = jobOf(id)!;
        if (now.lines > at) {
          const lines = Array.from({ length: Math.min(200, now.lines - at) }, (_, i) => logLine(now, at + 1 + i));
          at += lines.length;
          res.write(`event: lines\nid: ${at}\ndata: ${JSON.stringify({ lines, total: now.lines })}\n\n`);
        }
        if (now.finished_at && at >= now.lines) {
          res.write('event: end\ndata: {}\n\n');
          clearInterval(timer);
        }
      };
      const timer = setInterval(send, 250);
      res.on('close', () => clearInterval(timer));
    }
  }
}

function projects(id: string | undefined, what: string | undefined, res: ServerResponse): void {
  if (!id) return json(res, { items: world.projects });
  const p = world.projects.find((x) => x.id === id);
  if (!p) return problem(res, 404, `there is no project ${id}`);
  const lists: Record<string, unknown[]> = {
    pipelines: world.pipelines, environments, variables, secrets,
    deliveries: [
      { id: 'd-1', project: id, event: 'push', outcome: 'started', runs: ['4200'], at: world.ago(90) },
      { id: 'd-2', project: id, event: 'ping', outcome: 'ignored', reason: 'nothing starts on ping', runs: [], at: world.ago(900) },
      { id: 'd-3', project: id, event: 'push', outcome: 'refused', reason: 'the signature does not match the secret', runs: [], at: world.ago(1900) },
    ],
  };
  if (!what) return json(res, p);
  json(res, { items: lists[what] ?? [] });
}

function eventsPage(q: URLSearchParams, res: ServerResponse): void {
  const since = Date.parse(q.get('since') ?? '') || 0;
  const until = Date.parse(q.get('until') ?? '') || Number.POSITIVE_INFINITY;
  const after = Number(q.get('after') || Number.POSITIVE_INFINITY);
  const limit = Number(q.get('limit') ?? 100);
  const has = (k: string, v = '') => !q.get(k) || v === q.get(k) || (k === 'type' && v.startsWith(`${q.get(k)}.`));
  const found = world.events.filter((e) => e.seq < after && has('project', e.project) && has('run', e.run) && has('type', e.type) && has('actor', e.actor) && Date.parse(e.time!) >= since && Date.parse(e.time!) < until);
  json(res, { items: found.slice(0, limit), next: found.length > limit ? String(found[limit - 1]!.seq) : undefined });
}
