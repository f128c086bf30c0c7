/** What a query has: its data, a calm place while it comes, or what went wrong. */
import { Skeleton, Stack } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { ProblemAlert } from './Problem';

export function Loaded<T>({ query, children, rows = 5, height = 34 }: { query: UseQueryResult<T>; children: (data: T) => ReactNode; rows?: number; height?: number }) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.error) return <ProblemAlert error={query.error} retry={() => void query.refetch()} />;
  return (
    <Stack gap={6} aria-busy="true" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => <Skeleton key={i} height={height} radius="sm" />)}
    </Stack>
  );
}
