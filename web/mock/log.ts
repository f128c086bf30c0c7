/** Logs by formula: any line of any length of log, without keeping one. */
import type { Job, LogLine } from '../src/api/types';

const e = '\x1b';

/** A line of a job's log. Lines 5 and 900 of each step open a group, lines 60 and 4000 close it, where the step is that long. */
export function logLine(job: Job, n: number): LogLine {
  const steps = (job.steps ?? []).filter((s) => s.first_line > 0);
  const step = steps.findLast((s) => s.first_line <= n);
  const at = n - (step?.first_line ?? 1) + 1;
  const started = Date.parse(job.started_at ?? '2026-11-23T00:00:00Z');
  const line: LogLine = { n, t: new Date(started + n * 3).toISOString(), s: step?.number ?? 0, x: '' };
  if (!step) return { ...line, i: true, x: n === 1 ? `runner ${job.runner ?? 'embedded'} takes ${job.path}` : `work folder is ready after ${n * 2} ms` };
  if (at === 1) return { ...line, i: true, x: `${step.name}: bash -euo pipefail` };
  if (at === 5 || at === 900) return { ...line, g: 'begin', x: at === 5 ? 'Install dependencies' : 'Run the property tests' };
  if (at === 60 || at === 4000) return { ...line, g: 'end', x: '' };
  if (step.status === 'failure' && n === job.lines - 1) return { ...line, x: `${e}[1;31merror${e}[0m: ${e}[1mrouting: order 8812 went to two venues${e}[0m` };
  if (step.status === 'failure' && n === job.lines) return { ...line, i: true, x: 'the step ended with exit code 1' };
  const word = ['orders', 'venues', 'quotes', 'ledger', 'risk', 'settlement'][(n * 7) % 6];
  const texts = [
    `${e}[32m✓${e}[0m ${word}: case ${n} holds ${e}[2m(${(n * 13) % 40} ms)${e}[0m`,
    `${e}[36mINFO${e}[0m  ${word}/router.go:${(n * 31) % 400} matched batch=${n} latency=${((n * 17) % 900) / 10}ms`,
    `${e}[33mWARN${e}[0m  ${word}: retry ${n % 4} of 5, ${e}[4mbackoff${e}[0m ${(n % 7) * 100} ms`,
    `${e}[38;5;${16 + (n % 216)}mpalette ${16 + (n % 216)}${e}[0m ${e}[38;2;${n % 256};${(n * 3) % 256};180mtruecolor${e}[0m ${word} checksum ${(n * 2654435761) % 4294967296}`,
    `ok  \tgithub.com/meridian/gateway/${word}\t${((n * 7) % 3000) / 1000}s\tcoverage: ${60 + (n % 40)}.${n % 10}% of statements`,
    `    ${word}_test.go:${n % 300}: ${'the quick order crosses the lazy book '.repeat(1 + (n % 97 === 0 ? 8 : 0))}`,
  ];
  return { ...line, x: texts[(n * 11) % texts.length]! };
}

/** Without colours, as the server searches. */
export function plainText(x: string): string {
  // eslint-disable-next-line no-control-regex
  return x.replace(/\x1b\[[0-9;]*m/g, '');
}
