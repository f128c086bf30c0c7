/** To which environment a secret or a variable belongs. */
import { Autocomplete } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { q } from '../../api/queries';
import type { Project } from '../../api/types';

export function EnvironmentField({ project, value, onChange, error }: { project: Project; value: string; onChange: (v: string) => void; error?: string }) {
  const known = useQuery(q.environments(project.id)).data ?? [];
  return <Autocomplete label="Environment" description="Only jobs of this environment get it. Empty: all jobs." data={known.map((e) => e.name)} value={value} onChange={onChange} error={error} spellCheck={false} />;
}
