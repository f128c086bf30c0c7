import { expect, it } from 'vitest';
import { staleBy } from './live';

it.each([
  [{ type: 'job.finished', run: '7', subject: '7.1.2', project: 'a' }, [['events'], ['run', '7'], ['job', '7.1.2'], ['overview'], ['runners']]],
  [{ type: 'secret.set', project: 'a', subject: 'TOKEN' }, [['events'], ['project', 'a']]],
  [{ type: 'rollout.holding', project: 'a', subject: '8', data: { release: '2' } }, [['events'], ['release', '2'], ['rollout', '8'], ['status', 'a'], ['releases']]],
  [{ type: 'agent.offline', subject: 'eu-1' }, [['events'], ['agents'], ['agent', 'eu-1']]],
  [{ type: 'login.refused', subject: 'ann' }, [['events']]],
  [{ type: 'grant.given', subject: 'bo' }, [['events'], ['accounts'], ['me']]],
])('%o makes old what shows it', (e, keys) => expect(staleBy(e)).toEqual(keys));
