/** Releases, what they are made of and where they run: the shapes of the API and how they are read. Weights are in ten-thousandths, durations in ns unless said. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query';
import { get, seg } from './client';
import type { Page, Time } from './types';

/** Where a release, or its part in an environment, is. */
export type ReleaseStatus = 'building' | 'waiting' | 'pending' | 'gated' | 'running' | 'paused' | 'returning' | 'succeeded' | 'failed' | 'rolled-back' | 'skipped' | 'cancelled';

/** Where a rollout is. */
export type Phase = 'waiting' | 'expanding' | 'placing' | 'checking' | 'routing' | 'holding' | 'soaking' | 'warm' | 'contracting' | 'retiring' | 'succeeded' | 'rolled-back' | 'cancelled' | 'returning' | 'removing';

export type Verb = 'approve' | 'reject' | 'pause' | 'resume' | 'promote' | 'abort' | 'rollback';

export type Verdict = 'pass' | 'fail' | 'inconclusive' | 'error';

export interface Decided {
  by: string;
  name: string;
  at: Time;
  comment: string;
  decision: 'approve' | 'reject';
}

export interface Gates {
  frozen_until?: Time;
  frozen_reason?: string;
  approvals: { needed: number; role?: string; given: Decided[] | null }[] | null;
  required: { name: string; ok: boolean; reason: string }[] | null;
  may_approve: boolean;
}

export interface Member {
  service: string;
  needs: string[] | null;
  rollout?: number;
  back?: number;
  status: ReleaseStatus | Phase | 'unchanged' | 'queued';
  version: string;
  old_version: string;
  reason: string;
  config: string;
}

export interface ReleaseEnvironment {
  name: string;
  status: ReleaseStatus;
  reason: string;
  gate?: Gates;
  services: Member[] | null;
}

export interface Release {
  id: string;
  project: string;
  number: number;
  kind: 'ship' | 'rollback';
  of?: string;
  ref: string;
  commit: string;
  title: string;
  status: ReleaseStatus;
  reason: string;
  actor: string;
  actor_name: string;
  created_at: Time;
  updated_at: Time;
  ended_at?: Time;
  notes: string[] | null;
  builds: { run: string; pipeline: string; status: ReleaseStatus; reason?: string }[] | null;
  candidates: { service: string; artifact: string; size: number; run: string; name: string }[] | null;
  environments: ReleaseEnvironment[] | null;
  may: Verb[] | null;
  /** Only where one release is asked for. */
  rollouts?: Rollout[] | null;
}

/** A state of a region on its way from one version to the next. */
export interface Step {
  new: number;
  old: number;
  baseline: number;
  weight: number;
  smoke: boolean;
  hold: number;
  requests: number;
  analyse: boolean;
  manual: boolean;
}

/** What was last seen of a region, by versions. */
export interface Seen {
  at: Time;
  healthy: Record<string, number>;
  running: Record<string, number>;
  weights: Record<string, number>;
  requests: Record<string, number>;
  failed?: Record<string, string>;
}

export interface Rollout {
  id: number;
  project: string;
  service: string;
  environment: string;
  release?: string;
  queued?: boolean;
  created_at: Time;
  updated_at: Time;
  version_new: string;
  version_old: string;
  steps: Step[] | null;
  regions: Record<string, Seen>;
  may: string[] | null;
  state: {
    waves: string[][];
    strategy: { kind: 'rolling' | 'blue-green' | 'canary'; instances: number; soak?: number; warm?: number; analyse?: boolean; extend?: number };
    expand?: boolean;
    contract?: boolean;
    phase: Phase;
    wave: number;
    step: number;
    since: Time;
    extended?: number;
    paused?: boolean;
    doubt?: boolean;
    contracted?: boolean;
    reason?: string;
    cause?: string;
  };
}

export interface Counts {
  samples: number;
  bad?: number;
  missing?: number;
  typical?: number;
}

/** What is said of one metric. */
export interface Result {
  metric: string;
  kind: string;
  informative?: boolean;
  verdict: Verdict;
  test?: string;
  p?: number;
  e?: number;
  limit?: number;
  canary: Counts;
  reference?: Counts;
  reason: string;
}

export interface Judgement {
  id: number;
  rollout: number;
  wave: number;
  step: number;
  weight: number;
  phase: Phase;
  kind: 'watch' | 'step';
  verdict: Verdict;
  reason: string;
  at: Time;
  results: Result[] | null;
}

export interface Watching {
  verdict: Verdict;
  reason: string;
  early: boolean;
  since: Time;
  scrapes: number;
  results: Result[] | null;
}

export type Side = 'new' | 'old' | 'baseline';

/** Requests since the point before, and how long they took in seconds. */
export interface Point {
  at: Time;
  side: Side;
  requests: number;
  errors: number;
  p50: number;
  p99: number;
}

export interface PlacedVersion {
  version: string;
  artifact: string;
  config: string;
  healthy: number;
  running: number;
  weight: number;
  baseline: boolean;
  failed?: string;
  commit?: string;
  release?: string;
  released_at?: Time;
}

/** A service in a region as it is now. */
export interface Placed {
  project: string;
  environment: string;
  service: string;
  region: string;
  wave: number;
  instances: number;
  rollout: number;
  since: Time;
  versions: PlacedVersion[] | null;
  problems: string[] | null;
  addresses: string[] | null;
  agents: string[] | null;
}

export interface HealthCheck {
  at: Time;
  took: number;
  ok: boolean;
  reason?: string;
}

/** A process on a host. */
export interface Instance {
  id: string;
  labels?: Record<string, string>;
  state: 'starting' | 'healthy' | 'unhealthy' | 'stopping' | 'crashed' | 'ended';
  reason?: string;
  since: Time;
  pid?: number;
  started?: Time;
  ports?: Record<string, number>;
  adopted?: boolean;
  restarts: number;
  crashes: number;
  crashLoop?: boolean;
  lastExit?: string;
  nextStart?: Time;
  limits?: string[] | null;
  health?: HealthCheck[] | null;
}

export interface Agent {
  name: string;
  state: 'new' | 'online' | 'offline';
  info: { version: string; hostname: string; os: string; arch: string; cpus: number; memory: number; labels?: Record<string, string> };
  joined_at: Time;
  seen_at: Time;
  certificate_expires_at: Time;
  generation: number;
  applied: number;
  problems: Record<string, string> | null;
  instances: Instance[] | null;
  addresses: Record<string, string> | null;
}

export interface JoinToken {
  id: string;
  token?: string;
  name?: string;
  labels?: Record<string, string>;
  created_by: string;
  created_at: Time;
  expires_at: Time;
}

export interface InstanceLine {
  time: Time;
  stream: 'stdout' | 'stderr' | 'agent';
  text: string;
}

export interface ReleaseFilter {
  project: string[];
  status: ReleaseStatus[];
  service: string;
  environment: string;
}

const items = async <T>(path: string, query: Parameters<typeof get>[1] | undefined, signal: AbortSignal): Promise<T[]> => (await get<Page<T>>(path, query, signal)).items ?? [];

/** What is seen of hosts changes without an event, so it is asked again: every 2 s where somebody looks at what moves. */
export const moving = 2_000;

export const qr = {
  underWay: () => queryOptions({ queryKey: ['releases', 'under-way'], queryFn: ({ signal }) => items<Release>('/releases', { status: ['building', 'waiting', 'running', 'paused', 'returning'], limit: 20 }, signal) }),
  newest: (project: string) => queryOptions({ queryKey: ['releases', 'newest', project], queryFn: ({ signal }) => items<Release>('/releases', { project, limit: 1 }, signal) }),
  release: (id: string) => queryOptions({ queryKey: ['release', id], queryFn: ({ signal }) => get<Release>(`/releases/${seg(id)}`, undefined, signal) }),
  status: (project: string) => queryOptions({ queryKey: ['status', project], queryFn: ({ signal }) => items<Placed>(`/projects/${seg(project)}/status`, undefined, signal) }),
  judgements: (rollout: number) => queryOptions({ queryKey: ['rollout', String(rollout), 'judgements'], queryFn: ({ signal }) => items<Judgement>(`/rollouts/${rollout}/judgements`, undefined, signal), placeholderData: keepPreviousData }),
  watching: (rollout: number) => queryOptions({ queryKey: ['rollout', String(rollout), 'watch'], queryFn: ({ signal }) => get<Watching>(`/rollouts/${rollout}/watch`, undefined, signal) }),
  series: (rollout: number) => queryOptions({ queryKey: ['rollout', String(rollout), 'series'], queryFn: ({ signal }) => items<Point>(`/rollouts/${rollout}/series`, undefined, signal) }),
  explain: (judgement: number) => queryOptions({ queryKey: ['judgement', judgement], queryFn: ({ signal }) => get<{ text: string; verified: boolean; verdict: Verdict }>(`/judgements/${judgement}/explain`, undefined, signal), staleTime: Infinity }),
  agents: () => queryOptions({ queryKey: ['agents'], queryFn: ({ signal }) => items<Agent>('/agents', undefined, signal), refetchInterval: 10_000 }),
  agent: (name: string) => queryOptions({ queryKey: ['agent', name], queryFn: ({ signal }) => get<Agent>(`/agents/${seg(name)}`, undefined, signal), refetchInterval: moving }),
  joinTokens: () => queryOptions({ queryKey: ['agent-tokens'], queryFn: ({ signal }) => items<JoinToken>('/agent-tokens', undefined, signal) }),
  instanceLog: (agent: string, instance: string) =>
    queryOptions({ queryKey: ['agent', agent, 'log', instance], queryFn: ({ signal }) => items<InstanceLine>(`/agents/${seg(agent)}/instances/${seg(instance)}/logs`, { tail: 500 }, signal), refetchInterval: moving }),
};
