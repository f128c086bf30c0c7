/** What can be done with a run. */
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from 'react-router';
import { change, onceKey, seg } from '../../api/client';
import type { Run } from '../../api/types';
import { tell } from '../../parts/Problem';

export interface Rerun {
  mode: 'all' | 'failed' | 'job';
  job?: string;
}

export function useRerun(run: string): (r: Rerun) => Promise<void> {
  const client = useQueryClient();
  const navigate = useNavigate();
  return async (r) => {
    const next = await change<Run>('POST', `/runs/${seg(run)}/rerun`, r, { once: onceKey() });
    client.setQueryData(['run', run], next);
    void client.invalidateQueries({ queryKey: ['run', run] });
    void client.invalidateQueries({ queryKey: ['runs'] });
    tell(`Attempt ${next.attempt} is on its way`);
    void navigate(`/runs/${next.id}`);
  };
}

export function useCancel(run: string): (kill: boolean) => Promise<void> {
  const client = useQueryClient();
  return async (kill) => {
    const next = await change<Run>('POST', `/runs/${seg(run)}/cancel`, { kill });
    if (next) client.setQueryData(['run', run], next);
    void client.invalidateQueries({ queryKey: ['run', run] });
    tell(kill ? 'The run is stopped without clean-up' : 'The run is asked to stop; clean-up still runs');
  };
}
