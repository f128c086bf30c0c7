import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// What a test waits for has a limit of its own, of 20 s; that of the test is for the looks at screens, which take their time beside other work.
// The tests of a file drive one browser through one server, one after the other: each goes on where the one before ended.

export default defineConfig({
  root: join(import.meta.dirname, '..'),
  test: { include: ['e2e/**/*.test.ts'], globalSetup: 'e2e/shots.ts', environment: 'node', fileParallelism: false, sequence: { concurrent: false }, testTimeout: 180_000, hookTimeout: 60_000, bail: 1, reporters: ['verbose'] },
});
