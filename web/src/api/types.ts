/** The shapes of the HTTP API, as the server's Go types have them. Lists of Go may be null where they are empty. */

export type Status = 'pending' | 'queued' | 'waiting' | 'running' | 'success' | 'failure' | 'cancelled' | 'skipped';

/** A point in time, RFC 3339 in UTC; null where there is none. */
export type Time = string | null;

export interface Page<T> {
  items: T[] | null;
  next?: string;
}

export interface Grant {
  project: string;
  role: Role;
}

export type Role = 'viewer' | 'developer' | 'releaser' | 'auditor' | 'admin';

export type Action =
  | 'project:read' | 'project:write' | 'project:create' | 'project:delete'
  | 'run:read' | 'run:start' | 'run:cancel' | 'run:rerun' | 'run:delete'
  | 'approval:read' | 'approval:decide'
  | 'release:read' | 'release:start' | 'release:control' | 'release:promote'
  | 'secret:list' | 'secret:write'
  | 'event:read' | 'runner:read' | 'runner:write'
  | 'agent:read' | 'agent:write' | 'metrics:read' | 'metrics:write'
  | 'account:read' | 'account:write' | 'token:own'
  | 'settings:read' | 'settings:write';

export interface Me {
  identity: { kind: string; account?: string; actor: string; name: string; grants: Grant[] | null; csrf?: string };
  permissions: Record<string, Action[] | null>;
  server: { version: string; database: string; oidc: boolean; started_at: Time };
  csrf?: string;
}

export interface SessionOptions {
  oidc: boolean;
  oidc_name?: string;
  first_start: boolean;
}

export interface Project {
  id: string;
  name: string;
  source: { url: string; path?: string; folder?: boolean; default_branch?: string };
  forge: { kind?: string; base_url?: string; repository?: string; comment?: boolean; has_token: boolean; has_webhook_secret: boolean };
  poll_seconds: number;
  paused: boolean;
  retention: { runs_days: number; logs_days: number; artifacts_days: number };
  created_at: Time;
  updated_at: Time;
  version: number;
}

export interface Environment {
  project: string;
  name: string;
  approvals: number;
  approvers: string[] | null;
  not_starter: boolean;
  wait_minutes: number;
  refs: string[] | null;
  expire_hours: number;
  updated_at: Time;
}

export interface Variable {
  project: string;
  environment?: string;
  name: string;
  value: string;
  updated_at: Time;
}

export interface SecretInfo {
  name: string;
  environment: string;
  version: number;
  updated_at: Time;
  updated_by: string;
}

export interface Run {
  id: string;
  project: string;
  pipeline: string;
  file: string;
  number: number;
  attempt: number;
  title: string;
  status: Status;
  reason?: string;
  cancelling?: boolean;
  event: string;
  ref: string;
  branch: string;
  sha: string;
  pull_request?: number;
  actor: string;
  started_by: string;
  inputs?: Record<string, string>;
  jobs: Partial<Record<Status, number>> | null;
  created_at: Time;
  started_at: Time;
  finished_at: Time;
}

export interface Started {
  runs: Run[] | null;
  not_started: { file: string; name: string; reason: string }[] | null;
}

export interface Step {
  number: number;
  id?: string;
  name: string;
  status: Status;
  reason?: string;
  tolerated?: boolean;
  exit?: number | null;
  first_line: number;
  started_at: Time;
  finished_at: Time;
}

export interface Job {
  id: string;
  run: string;
  project: string;
  attempt: number;
  path: string;
  key: string;
  leg?: string;
  name: string;
  needs: string[] | null;
  status: Status;
  reason?: string;
  tolerated?: boolean;
  try: number;
  reused?: boolean;
  origin?: string;
  critical?: boolean;
  runs_on: string[] | null;
  runner?: string;
  environment?: string;
  environment_url?: string;
  summary?: string;
  artifacts: string[] | null;
  steps: Step[] | null;
  lines: number;
  queued_at: Time;
  started_at: Time;
  finished_at: Time;
}

export interface Annotation {
  job: string;
  job_name: string;
  step?: string;
  level: string;
  message: string;
  title?: string;
  file?: string;
  line?: number;
  end_line?: number;
  column?: number;
  end_column?: number;
}

export interface Artifact {
  run: string;
  attempt: number;
  job: string;
  name: string;
  size: number;
  digest: string;
  created_at: Time;
  expires_at: Time;
}

export interface TestCase {
  class?: string;
  name: string;
  status: Status;
  seconds: number;
  message?: string;
  output?: string;
}

export interface TestSuite {
  job: string;
  job_name: string;
  name: string;
  tests: number;
  failures: number;
  errors: number;
  skipped: number;
  seconds: number;
  cases: TestCase[] | null;
}

export interface Decision {
  actor: string;
  approve: boolean;
  comment?: string;
  at: Time;
}

export interface Approval {
  id: string;
  project: string;
  run: string;
  job: string;
  job_name: string;
  run_title: string;
  environment?: string;
  manual?: boolean;
  status: Status;
  reason?: string;
  required: number;
  decisions: Decision[] | null;
  started_by: string;
  not_starter?: boolean;
  approvers?: string[] | null;
  created_at: Time;
  expires_at: Time;
  decided_at: Time;
}

export interface InputInfo {
  name: string;
  description?: string;
  type: string;
  required: boolean;
  default?: string;
  options?: string[] | null;
}

export interface PipelineInfo {
  file: string;
  name: string;
  events: string[] | null;
  manual: boolean;
  inputs: InputInfo[] | null;
  schedules: { cron: string; time_zone: string; next: Time }[] | null;
  errors: string[] | null;
}

export interface Delivery {
  id: string;
  project: string;
  event: string;
  outcome: string;
  reason?: string;
  runs: string[] | null;
  at: Time;
}

export interface DayCount {
  day: string;
  success: number;
  failure: number;
  other: number;
  seconds: number;
}

export interface Overview {
  red: Run[] | null;
  active: Run[] | null;
  recent: Run[] | null;
  waiting: Approval[] | null;
  days: DayCount[] | null;
  queue: number;
  busy: number;
  places: number;
}

export interface Runner {
  id: string;
  name: string;
  labels: string[] | null;
  os: string;
  arch: string;
  version: string;
  places: number;
  embedded: boolean;
  online: boolean;
  jobs: string[] | null;
  last_seen: Time;
  created_at: Time;
}

/** One line of a log: number, time, step (0: the job itself), group marker, whether Gantry says it, text with ANSI colours. */
export interface LogLine {
  n: number;
  t: Time;
  s: number;
  g?: 'begin' | 'end';
  i?: boolean;
  x: string;
}

export interface LogPage {
  lines: LogLine[] | null;
  total: number;
  complete: boolean;
}

export interface LogMatches {
  lines: number[] | null;
  more: boolean;
  next?: number;
}

export interface Event {
  seq: number;
  time: Time;
  type: string;
  project?: string;
  run?: string;
  subject?: string;
  actor: string;
  data?: unknown;
}

export interface Account {
  name: string;
  display: string;
  disabled: boolean;
  oidc: boolean;
  grants: Grant[] | null;
  created_at: Time;
  last_login_at: Time;
}

export interface TokenInfo {
  id: string;
  name: string;
  scopes: string[] | null;
  projects: string[] | null;
  created_at: Time;
  expires_at: Time;
  last_used_at: Time;
}

export interface Settings {
  version: string;
  database: string;
  url: string;
  listen: string;
  tls: boolean;
  oidc_issuer?: string;
  started_at: Time;
  data_size_bytes: number;
}
