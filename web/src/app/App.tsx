/** What all screens stand on: the theme, the cache of what was read, and which screen an address is. */
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { createBrowserRouter, Navigate, useLocation, useRouteError } from 'react-router';
import { RouterProvider } from 'react-router/dom';
import { isStatus } from '../api/client';
import { Problem, Unreachable } from '../api/problem';
import { q } from '../api/queries';
import { Empty, Page } from '../parts/Page';
import { ProblemAlert } from '../parts/Problem';
import { Overview } from '../screens/Overview';
import { SignIn } from '../screens/SignIn';
import { Shell } from './Shell';
import { readable, theme } from './theme';

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: true,
      // A refusal does not change by asking again; a server that is away may come back.
      retry: (tries, e) => tries < 3 && !(e instanceof Problem && e.status < 500),
      retryDelay: (tries) => Math.min(8000, 600 * 2 ** tries),
    },
  },
});

const schemes = localStorageColorSchemeManager({ key: 'gantry-color-scheme' });

const router = createBrowserRouter([
  { path: '/sign-in', element: <SignIn /> },
  { path: '/welcome', hydrateFallbackElement: <></>, lazy: async () => ({ Component: (await import('../screens/Welcome')).Welcome }) },
  {
    element: <SignedIn><Shell /></SignedIn>,
    errorElement: <Broken />,
    hydrateFallbackElement: <></>,
    children: [
      {
        errorElement: <Broken />,
        children: [
          { path: '/', element: <Overview /> },
          { path: '/projects', lazy: async () => ({ Component: (await import('../screens/Projects')).Projects }) },
          { path: '/projects/:project/:tab?', lazy: async () => ({ Component: (await import('../screens/project/Project')).ProjectScreen }) },
          { path: '/runs', lazy: async () => ({ Component: (await import('../screens/Runs')).Runs }) },
          { path: '/runs/:run/jobs/:job', lazy: async () => ({ Component: (await import('../screens/JobScreen')).JobScreen }) },
          { path: '/runs/:run/:tab?', lazy: async () => ({ Component: (await import('../screens/run/RunScreen')).RunScreen }) },
          { path: '/releases', lazy: async () => ({ Component: (await import('../screens/releases/Releases')).Releases }) },
          { path: '/releases/:release', lazy: async () => ({ Component: (await import('../screens/releases/ReleaseScreen')).ReleaseScreen }) },
          { path: '/approvals', lazy: async () => ({ Component: (await import('../screens/Approvals')).Approvals }) },
          { path: '/agents', lazy: async () => ({ Component: (await import('../screens/agents/Agents')).Agents }) },
          { path: '/agents/:agent', lazy: async () => ({ Component: (await import('../screens/agents/AgentScreen')).AgentScreen }) },
          { path: '/explore', lazy: async () => ({ Component: (await import('../screens/Metrics')).Metrics }) },
          { path: '/runners', lazy: async () => ({ Component: (await import('../screens/Runners')).Runners }) },
          { path: '/audit', lazy: async () => ({ Component: (await import('../screens/Audit')).Audit }) },
          { path: '/settings/:tab?', lazy: async () => ({ Component: (await import('../screens/settings/Settings')).Settings }) },
          { path: '*', element: <Page title="Nothing here"><Empty title="There is no such page">The address may be mistyped, or what it named is gone.</Empty></Page> },
        ],
      },
    ],
  },
]);

export function App({ nonce }: { nonce: string }) {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={readable} defaultColorScheme="auto" colorSchemeManager={schemes} getStyleNonce={() => nonce}>
      <QueryClientProvider client={client}>
        <Notifications position="bottom-right" limit={4} />
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  );
}

/** Lets in who is signed in; others sign in first and come back to where they wanted to be. */
function SignedIn({ children }: { children: ReactNode }) {
  const me = useQuery(q.me());
  const here = useLocation();
  if (isStatus(me.error, 401)) return <Navigate to={`/sign-in?return=${encodeURIComponent(here.pathname + here.search + here.hash)}`} replace />;
  if (me.data) return <>{children}</>;
  if (me.error) {
    return (
      <div style={{ maxWidth: 520, margin: '15vh auto', padding: 16 }}>
        <ProblemAlert error={me.error instanceof Unreachable ? new Unreachable() : me.error} retry={() => void me.refetch()} />
      </div>
    );
  }
  return null;
}

/** A screen that could not be shown. After an upgrade of the server, parts of the old page are gone: loading anew helps. */
function Broken() {
  const e = useRouteError();
  return (
    <Page title="Something went wrong">
      <ProblemAlert error={e ?? new Error('unknown')} retry={() => window.location.reload()} />
    </Page>
  );
}
