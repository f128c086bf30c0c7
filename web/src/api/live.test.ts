import { expect, it } from 'vitest';
import { staleBy } from './live';

it.each([
  [{ type: 'job.finished', run: '7', subject: '7.1.2', project: 'a' }, [['events'], ['run', '7'], ['job', '7.1.2'], ['overview'], ['runners']]],
  [{ type: 'secret.set', project: 'a', subject: 'TOKEN' }, [['events'], ['project', 'a']]],
  [{ type: 'login.refused', subject: 'ann' }, [['events']]],
  [{ type: 'grant.given', subject: 'bo' }, [['events'], ['accounts'], ['me']]],
])('%o makes old what shows it', (e, keys) => expect(staleBy(e)).toEqual(keys));
