/** An invented world to develop the UI in: three services of a trading platform, their runs, and what is left of them. */
import type { Annotation, Approval, Artifact, Event, Job, PipelineInfo, Project, Run, Runner, Status, Step, TestSuite } from '../src/api/types';

const now = Date.now();
export const ago = (seconds: number): string => new Date(now - seconds * 1000).toISOString();

const project = (id: string, name: string, kind: string, over: Partial<Project> = {}): Project => ({
  id, name,
  source: { url: `https://git.example.com/meridian/${id}.git`, default_branch: 'main' },
  forge: { kind, repository: `meridian/${id}`, comment: true, has_token: true, has_webhook_secret: true },
  poll_seconds: kind ? 0 : 60, paused: false,
  retention: { runs_days: 365, logs_days: 90, artifacts_days: 30 },
  created_at: ago(90 * 86400), updated_at: ago(86400), version: 3, ...over,
});

export const projects: Project[] = [
  project('meridian-gateway', 'Meridian gateway', 'github'),
  project('meridian-ledger', 'Meridian ledger', 'gitlab'),
  project('meridian-web', 'Meridian web', '', { source: { url: '/srv/meridian/web', folder: true }, paused: true }),
];

export const pipelines: PipelineInfo[] = [
  { file: '.github/workflows/ci.yml', name: 'CI', events: ['push', 'pull_request', 'workflow_dispatch'], manual: true, schedules: [{ cron: '30 5 * * 1-5', time_zone: 'America/New_York', next: new Date(now + 9 * 3600e3).toISOString() }], errors: [],
    inputs: [
      { name: 'environment', description: 'Where the build goes', type: 'environment', required: true, options: ['staging', 'production'] },
      { name: 'level', description: 'How much the tests say', type: 'choice', required: false, default: 'info', options: ['debug', 'info', 'warn'] },
      { name: 'race', description: 'Run with the race detector', type: 'boolean', required: false, default: 'true' },
      { name: 'count', description: 'Rounds of the property tests', type: 'number', required: false, default: '100' },
      { name: 'note', type: 'string', required: false },
    ] },
  { file: '.github/workflows/nightly.yml', name: 'Nightly', events: ['schedule'], manual: false, inputs: [], schedules: [{ cron: '0 2 * * *', time_zone: 'UTC', next: new Date(now + 20 * 3600e3).toISOString() }], errors: [] },
  { file: '.github/workflows/release.yml', name: 'Release', events: ['push'], manual: false, inputs: [], schedules: [], errors: ['.github/workflows/release.yml:14:9: a job needs "runs-on", or "uses" for a reusable workflow'] },
];

const titles = ['Route orders by venue latency', 'Bound the retry queue', 'Refuse quotes older than 250 ms', 'Settle in batches of 500', 'Name the venue in rejections', 'Read limits from the ledger', 'Speed up the book by sorted levels'];
const people = ['ann', 'bo'];

function makeRun(i: number): Run {
  const p = projects[i % 7 === 3 ? 1 : i % 9 === 4 ? 2 : 0]!;
  const status: Status = i === 0 ? 'running' : i === 1 ? 'waiting' : i === 2 ? 'queued' : i % 6 === 3 ? 'failure' : i % 17 === 9 ? 'cancelled' : 'success';
  const created = i * i * 37 + i * 1400 + 90;
  const took = 150 + ((i * 53) % 240);
  const ended = !['running', 'waiting', 'queued'].includes(status);
  const branch = i % 3 === 1 ? 'venue-latency' : 'main';
  return {
    id: String(4200 - i), project: p.id, pipeline: i % 8 === 5 ? 'Nightly' : 'CI', file: i % 8 === 5 ? '.github/workflows/nightly.yml' : '.github/workflows/ci.yml',
    number: 812 - i, attempt: i === 3 ? 2 : 1, title: titles[i % titles.length]!, status,
    reason: status === 'failure' ? 'job "test (race)" failed' : status === 'cancelled' ? 'a newer run of the same group has begun' : undefined,
    event: i % 8 === 5 ? 'schedule' : i % 3 === 1 ? 'pull_request' : 'push', ref: `refs/heads/${branch}`, branch,
    sha: ((i + 3) * 2654435761).toString(16).padStart(12, '0').repeat(4).slice(0, 40), pull_request: i % 3 === 1 ? 77 : undefined,
    actor: `account:${people[i % 2]}`, started_by: people[i % 2]!, jobs: ended ? { success: 8, ...(status === 'failure' ? { failure: 1, skipped: 2 } : {}) } : { success: 4, running: 2, pending: 4 },
    created_at: ago(created), started_at: status === 'queued' ? null : ago(created - 4), finished_at: ended ? ago(created - 4 - took) : null,
  };
}

export const runs: Run[] = Array.from({ length: 130 }, (_, i) => makeRun(i));

/** key, legs, needs, seconds, environment */
const plan: [string, string[], string[], number, string?][] = [
  ['lint', [''], [], 24],
  ['build', ['(linux, amd64)', '(linux, arm64)', '(darwin, arm64)'], [], 71],
  ['test', ['(race)', '(unit)', '(integration)'], ['build'], 118],
  ['fuzz', [''], ['build'], 60],
  ['image', [''], ['build', 'lint'], 45],
  ['scan', [''], ['image'], 33],
  ['staging', [''], ['test', 'scan', 'build'], 20, 'staging'],
  ['production', [''], ['staging', 'fuzz'], 26, 'production'],
];

export function jobsOf(run: Run, attempt: number): Job[] {
  const jobs: Job[] = [];
  const ends = new Map<string, number>();
  const start = Date.parse(run.started_at ?? run.created_at!);
  let n = 0;
  for (const [key, legs, needs, seconds, environment] of plan) {
    const begin = Math.max(start, ...needs.map((k) => ends.get(k) ?? start));
    for (const [li, leg] of legs.entries()) {
      n++;
      const took = (seconds - li * 9) * 1000;
      const end = begin + took;
      ends.set(key, Math.max(ends.get(key) ?? 0, end));
      let status: Status = 'success';
      let reason: string | undefined;
      const upstreamFailed = run.status === 'failure' && ['staging', 'production'].includes(key);
      if (run.status === 'queued') status = 'pending';
      else if (run.status === 'failure' && leg === '(race)') { status = 'failure'; reason = 'step "go test" failed with exit code 1'; }
      else if (upstreamFailed) { status = 'skipped'; reason = 'needs "test", which failed'; }
      else if (run.status === 'waiting' && key === 'production') { status = 'waiting'; reason = 'waits for an approval of production'; }
      else if (run.status === 'cancelled' && n > 6) { status = 'cancelled'; reason = 'the run was cancelled'; }
      else if (run.status === 'running' && end > now) { status = begin < now ? 'running' : key === 'fuzz' ? 'queued' : 'pending'; }
      else if (key === 'fuzz' && run.event === 'pull_request') { status = 'skipped'; reason = "its condition is false: github.event_name != 'pull_request'"; }
      const begun = !['pending', 'queued', 'waiting', 'skipped'].includes(status);
      const ended = begun && status !== 'running';
      const lines = !begun ? 0 : leg === '(integration)' ? 1_300_000 : leg === '(race)' ? 48_211 : 300 + n * 37;
      jobs.push({
        id: `${run.id}.${attempt}.${n}`, run: run.id, project: run.project, attempt, path: leg ? `${key} ${leg}` : key, key, leg: leg || undefined, name: leg ? `${key} ${leg}` : key,
        needs: jobs.filter((j) => needs.includes(j.key)).map((j) => j.id), status, reason, try: 1, critical: ended && ['build', 'test', 'staging', 'production'].includes(key) && li === 0,
        runs_on: ['ubuntu-24.04'], runner: begun ? 'embedded' : undefined, environment, environment_url: environment && ended ? `https://${environment}.example.com` : undefined,
        summary: key === 'test' && ended ? `### Tests ${leg}\n\n| package | tests | time |\n|---|---:|---:|\n| \`gateway/route\` | 412 | 3.1 s |\n| \`gateway/book\` | 98 | 0.8 s |\n\n- [x] no data race\n- [ ] coverage above 90 %\n\n<script>alert(1)</script> is text here.` : undefined,
        artifacts: key === 'build' && ended ? [`gateway-${leg.replace(/\W+/g, '-')}`] : [], steps: stepsOf(status, lines, begin, end), lines,
        queued_at: begun ? new Date(begin - 900).toISOString() : null, started_at: begun ? new Date(begin).toISOString() : null, finished_at: ended ? new Date(end).toISOString() : null,
        reused: attempt > 1 && key === 'lint', origin: attempt > 1 && key === 'lint' ? `${run.id}.1.1` : undefined,
      });
    }
  }
  return jobs;
}

function stepsOf(status: Status, lines: number, begin: number, end: number): Step[] {
  const names = ['actions/checkout', 'actions/setup-go', 'go test', 'Upload report', 'Clean up'];
  if (lines === 0) return names.map((name, i) => ({ number: i + 1, name, status: status === 'skipped' ? 'skipped' : 'pending', first_line: 0, started_at: null, finished_at: null }));
  const firsts = [3, 40, 70, Math.max(lines - 60, 80), Math.max(lines - 20, 90)];
  const shares = [0, 0.04, 0.1, 0.9, 0.97, 1];
  return names.map((name, i) => {
    const cut = status === 'failure' || status === 'running';
    const s: Status = cut && i === 2 ? status : cut && i > 2 ? (status === 'running' ? 'pending' : i === 4 ? 'success' : 'skipped') : 'success';
    const has = !(cut && i > 2);
    return {
      number: i + 1, name, status: s, first_line: has ? firsts[i]! : 0, exit: s === 'failure' ? 1 : s === 'success' ? 0 : null,
      reason: s === 'skipped' ? 'an earlier step failed' : undefined,
      started_at: has ? new Date(begin + (end - begin) * shares[i]!).toISOString() : null,
      finished_at: has && s !== 'running' ? new Date(begin + (end - begin) * shares[i + 1]!).toISOString() : null,
    };
  });
}

export const annotationsOf = (jobs: Job[]): Annotation[] =>
  jobs.filter((j) => j.key === 'test' && j.finished_at).flatMap((j) => [
    ...(j.status === 'failure' ? [{ job: j.id, job_name: j.name, step: 'go test', level: 'error', title: 'Test failed', message: 'routing: order 8812 went to two venues', file: 'route/route_test.go', line: 188, column: 3 }] : []),
    { job: j.id, job_name: j.name, step: 'go test', level: 'warning', message: 'the book was locked for 14 ms; its budget is 10 ms', file: 'book/book.go', line: 96 },
    ...(j.leg === '(unit)' ? [{ job: j.id, job_name: j.name, level: 'notice', message: 'the cache was restored from the key go-1.26-main' }] : []),
  ]);

export const testsOf = (jobs: Job[]): TestSuite[] =>
  jobs.filter((j) => j.key === 'test' && j.finished_at).map((j) => {
    const cases = Array.from({ length: 412 }, (_, i) => {
      const failed = j.status === 'failure' && i === 187;
      return { class: 'gateway/route', name: `TestRoute/venue_${i % 9}/order_${8625 + i}`, status: (failed ? 'failure' : i % 50 === 7 ? 'skipped' : 'success') as Status, seconds: ((i * 37) % 900) / 1000,
        message: failed ? 'order 8812 went to two venues' : i % 50 === 7 ? 'needs a venue that is open' : undefined, output: failed ? 'route_test.go:188: got [XNAS XNYS], want one venue\n    seed 0x5eed' : undefined };
    });
    return { job: j.id, job_name: j.name, name: 'gateway/route', tests: 412, failures: j.status === 'failure' ? 1 : 0, errors: 0, skipped: 9, seconds: 41.2, cases };
  });

export const artifactsOf = (jobs: Job[]): Artifact[] =>
  jobs.flatMap((j) => (j.artifacts ?? []).map((name, i) => ({ run: j.run, attempt: j.attempt, job: j.id, name, size: 18_400_000 + i, digest: `sha256:${'3f9a'.repeat(16)}`, created_at: j.finished_at, expires_at: new Date(now + 30 * 86400e3).toISOString() })));

export const approvals: Approval[] = [
  { id: '91', project: 'meridian-gateway', run: '4199', job: '4199.1.12', job_name: 'production', run_title: titles[1]!, environment: 'production', status: 'waiting', required: 2, decisions: [{ actor: 'account:bo', approve: true, comment: 'staging looks well', at: ago(300) }], started_by: 'bo', not_starter: true, approvers: null, created_at: ago(900), expires_at: new Date(now + 28 * 86400e3).toISOString(), decided_at: null },
  { id: '90', project: 'meridian-ledger', run: '4170', job: '4170.1.12', job_name: 'production', run_title: titles[4]!, environment: 'production', status: 'waiting', required: 1, decisions: [], started_by: 'ann', not_starter: true, approvers: ['ann', 'bo'], created_at: ago(7200), expires_at: new Date(now + 3600e3).toISOString(), decided_at: null },
  { id: '88', project: 'meridian-gateway', run: '4150', job: '4150.1.12', job_name: 'production', run_title: titles[2]!, environment: 'production', status: 'failure', reason: 'rejected by bo', required: 1, decisions: [{ actor: 'account:bo', approve: false, comment: 'not during the auction', at: ago(9000) }], started_by: 'ann', created_at: ago(12000), expires_at: null, decided_at: ago(9000) },
];

export const runners: Runner[] = [
  { id: 'embedded-1', name: 'this server', labels: ['*'], os: 'linux', arch: 'amd64', version: '0.3.0', places: 4, embedded: true, online: true, jobs: ['4200.1.5', '4200.1.6'], last_seen: ago(1), created_at: ago(8e6) },
  { id: 'r2', name: 'arm-builder', labels: ['linux', 'arm64'], os: 'linux', arch: 'arm64', version: '0.3.0', places: 8, embedded: false, online: false, jobs: [], last_seen: ago(4000), created_at: ago(5e6) },
];

const types = ['run.created', 'job.started', 'job.finished', 'run.finished', 'approval.asked', 'approval.decided', 'login.accepted', 'login.refused', 'secret.set', 'project.updated', 'permission.refused'];
export const events: Event[] = Array.from({ length: 900 }, (_, i) => {
  const type = types[(i * 5) % types.length]!;
  const run = runs[i % runs.length]!;
  const of = /^(run|job|approval)/.test(type);
  return { seq: 9000 - i, time: ago(20 + i * 61), type, project: of || /^(secret|project)/.test(type) ? run.project : undefined, run: of ? run.id : undefined, subject: type.startsWith('job') ? `${run.id}.1.${1 + (i % 12)}` : type === 'secret.set' ? 'VENUE_TOKEN' : people[i % 2],
    actor: type.startsWith('job') ? 'runner:embedded-1' : i % 13 === 0 ? 'forge:github' : `account:${people[i % 2]}`, data: type === 'login.refused' ? { reason: 'wrong password', address: '192.0.2.7' } : of ? { status: run.status } : undefined };
});
