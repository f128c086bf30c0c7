import { expect, it } from 'vitest';
import type { Me } from '../api/types';
import { may, mayAnywhere, whyNot } from './permissions';

const me = { permissions: { '*': ['token:own'], atlas: ['run:start', 'run:read'], borealis: null } } as unknown as Me;

it('decides by the project, and by the server for all', () => {
  expect(may(me, 'run:start', 'atlas')).toBe(true);
  expect(may(me, 'run:start', 'borealis')).toBe(false);
  expect(may(me, 'run:start')).toBe(false);
  expect(may(me, 'token:own', 'borealis')).toBe(true);
  expect(mayAnywhere(me, 'run:start')).toBe(true);
  expect(mayAnywhere(me, 'secret:write')).toBe(false);
  expect(may(undefined, 'run:read', 'atlas')).toBe(false);
});

it('says which role is missing', () => expect(whyNot('run:start', 'atlas')).toContain('developers in atlas'));
