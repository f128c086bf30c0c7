/** Makes room for the pictures of this run: those of an earlier one would tell of screens as they were. */
import { mkdirSync, rmSync } from 'node:fs';
import { shots } from './browser';

export default function setup(): void {
  rmSync(shots, { recursive: true, force: true });
  mkdirSync(shots, { recursive: true });
}
