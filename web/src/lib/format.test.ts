import { expect, it } from 'vitest';
import { actorName, bytes, count, plural } from './format';

it.each([[0, '0'], [999, '999'], [1000, '1,000'], [1300000, '1,300,000'], [-1234, '-1,234']])('counts %d', (n, want) => expect(count(n)).toBe(want));

it.each([
  [0, '0 B'], [999, '999 B'], [1000, '1.0 KB'], [1234, '1.2 KB'], [9960, '10 KB'], [999499, '999 KB'], [999500, '1.0 MB'], [48e6, '48 MB'], [1e18, '1000 PB'], [-1, ''],
])('%d bytes', (n, want) => expect(bytes(n)).toBe(want));

it('agrees in number', () => {
  expect(plural(1, 'job')).toBe('1 job');
  expect(plural(0, 'job')).toBe('0 jobs');
  expect(plural(2, 'match', 'matches')).toBe('2 matches');
});

it.each([['account:ann', 'ann'], ['forge:github', 'GitHub'], ['gantry', 'Gantry'], ['token:t1', 'token t1'], ['odd', 'odd']])('names %s', (a, want) => expect(actorName(a)).toBe(want));
