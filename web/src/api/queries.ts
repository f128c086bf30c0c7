/** What is read from the server, each under a key; live.ts says by those keys what an event makes old. */
import { keepPreviousData, queryOptions, useQuery } from '@tanstack/react-query';
import { get, seg, setCSRF } from './client';
import type * as t from './types';

const items = async <T>(path: string, query: Parameters<typeof get>[1] | undefined, signal: AbortSignal): Promise<T[]> => (await get<t.Page<T>>(path, query, signal)).items ?? [];

export const q = {
  me: () =>
    queryOptions({
      queryKey: ['me'],
      queryFn: async ({ signal }) => {
        const me = await get<t.Me>('/me', undefined, signal);
        setCSRF(me.csrf ?? me.identity.csrf ?? '');
        return me;
      },
      staleTime: 60_000,
      retry: false,
    }),
  sessionOptions: () => queryOptions({ queryKey: ['session-options'], queryFn: ({ signal }) => get<t.SessionOptions>('/session/options', undefined, signal) }),
  overview: () => queryOptions({ queryKey: ['overview'], queryFn: ({ signal }) => get<t.Overview>('/overview', undefined, signal) }),
  projects: () => queryOptions({ queryKey: ['projects'], queryFn: ({ signal }) => items<t.Project>('/projects', { limit: 200 }, signal) }),
  newestRuns: () => queryOptions({ queryKey: ['runs', 'newest'], queryFn: ({ signal }) => items<t.Run>('/runs', { limit: 200 }, signal) }),
  project: (id: string) => queryOptions({ queryKey: ['project', id], queryFn: ({ signal }) => get<t.Project>(`/projects/${seg(id)}`, undefined, signal) }),
  pipelines: (id: string, ref?: string) =>
    queryOptions({ queryKey: ['project', id, 'pipelines', ref ?? ''], queryFn: ({ signal }) => items<t.PipelineInfo>(`/projects/${seg(id)}/pipelines`, { ref }, signal), placeholderData: keepPreviousData }),
  environments: (id: string) => queryOptions({ queryKey: ['project', id, 'environments'], queryFn: ({ signal }) => items<t.Environment>(`/projects/${seg(id)}/environments`, undefined, signal) }),
  variables: (id: string) => queryOptions({ queryKey: ['project', id, 'variables'], queryFn: ({ signal }) => items<t.Variable>(`/projects/${seg(id)}/variables`, undefined, signal) }),
  secrets: (id: string) => queryOptions({ queryKey: ['project', id, 'secrets'], queryFn: ({ signal }) => items<t.SecretInfo>(`/projects/${seg(id)}/secrets`, undefined, signal) }),
  deliveries: (id: string) => queryOptions({ queryKey: ['project', id, 'deliveries'], queryFn: ({ signal }) => items<t.Delivery>(`/projects/${seg(id)}/deliveries`, undefined, signal) }),
  run: (id: string) => queryOptions({ queryKey: ['run', id], queryFn: ({ signal }) => get<t.Run>(`/runs/${seg(id)}`, undefined, signal) }),
  jobs: (run: string, attempt: number) =>
    queryOptions({ queryKey: ['run', run, 'jobs', attempt], queryFn: ({ signal }) => items<t.Job>(`/runs/${seg(run)}/jobs`, { attempt }, signal), placeholderData: keepPreviousData }),
  annotations: (run: string, attempt: number) => queryOptions({ queryKey: ['run', run, 'annotations', attempt], queryFn: ({ signal }) => items<t.Annotation>(`/runs/${seg(run)}/annotations`, { attempt }, signal) }),
  tests: (run: string, attempt: number) => queryOptions({ queryKey: ['run', run, 'tests', attempt], queryFn: ({ signal }) => items<t.TestSuite>(`/runs/${seg(run)}/tests`, { attempt }, signal) }),
  artifacts: (run: string) => queryOptions({ queryKey: ['run', run, 'artifacts'], queryFn: ({ signal }) => items<t.Artifact>(`/runs/${seg(run)}/artifacts`, undefined, signal) }),
  job: (id: string) => queryOptions({ queryKey: ['job', id], queryFn: ({ signal }) => get<t.Job>(`/jobs/${seg(id)}`, undefined, signal) }),
  approvals: (filter: { run?: string; project?: string; status?: string; limit?: number }) =>
    queryOptions({ queryKey: ['approvals', filter], queryFn: ({ signal }) => items<t.Approval>('/approvals', filter, signal), placeholderData: keepPreviousData }),
  runners: () => queryOptions({ queryKey: ['runners'], queryFn: ({ signal }) => items<t.Runner>('/runners', undefined, signal), refetchInterval: 15_000 }),
  tokens: () => queryOptions({ queryKey: ['tokens'], queryFn: ({ signal }) => items<t.TokenInfo>('/tokens', undefined, signal) }),
  accounts: () => queryOptions({ queryKey: ['accounts'], queryFn: ({ signal }) => items<t.Account>('/accounts', { limit: 200 }, signal) }),
  settings: () => queryOptions({ queryKey: ['settings'], queryFn: ({ signal }) => get<t.Settings>('/settings', undefined, signal) }),
};

/** Who is signed in. It is there on all screens within the shell. */
export function useMe(): t.Me | undefined {
  return useQuery(q.me()).data;
}
