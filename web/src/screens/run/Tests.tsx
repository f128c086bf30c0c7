/** Test reports of a run: failures first, and any number of cases. */
import { SegmentedControl, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useMemo, useRef, useState } from 'react';
import { Link } from 'react-router';
import type { Run, TestCase, TestSuite } from '../../api/types';
import { count } from '../../lib/format';
import { duration } from '../../lib/time';
import { Empty } from '../../parts/Page';
import { StatusIcon } from '../../parts/Status';
import shared from '../../parts/table.module.css';
import classes from './run.module.css';
import { Section } from '../../parts/Page';

interface Row {
  key: string;
  suite: TestSuite;
  test: TestCase;
}

const rank: Record<string, number> = { failure: 0, skipped: 2 };

/** All cases that are wanted, failures first, else in the order of the reports. */
export function casesOf(suites: readonly TestSuite[], text: string, show: string): Row[] {
  const wanted = text.trim().toLowerCase();
  const rows: Row[] = [];
  suites.forEach((suite, s) =>
    (suite.cases ?? []).forEach((test, c) => {
      if (show !== 'all' && test.status !== show) return;
      if (wanted && !`${suite.name} ${test.class ?? ''} ${test.name} ${test.message ?? ''}`.toLowerCase().includes(wanted)) return;
      rows.push({ key: `${s}.${c}`, suite, test });
    }),
  );
  return rows.sort((a, b) => (rank[a.test.status] ?? 1) - (rank[b.test.status] ?? 1));
}

export function Tests({ suites, run }: { suites: TestSuite[]; run: Run }) {
  const [text, setText] = useState('');
  const failed = suites.reduce((n, s) => n + s.failures + s.errors, 0);
  const [show, setShow] = useState('all');
  const rows = useMemo(() => casesOf(suites, text, show), [suites, text, show]);
  if (suites.length === 0) {
    return <Empty title="No test reports">Upload a JUnit XML file as an artifact (<code>go test</code> by gotestsum, <code>pytest --junitxml</code>, Maven and Gradle write such files), and its tests are listed here, failures first.</Empty>;
  }
  const sum = (key: 'tests' | 'skipped' | 'seconds') => suites.reduce((n, s) => n + s[key], 0);
  return (
    <>
      <div className={classes.bar}>
        <TextInput aria-label="Search the tests" placeholder="Search the tests" data-search leftSection={<IconSearch size={15} />} value={text} onChange={(e) => setText(e.currentTarget.value)} style={{ flex: '1 1 220px' }} />
        <SegmentedControl size="xs" value={show} onChange={setShow} aria-label="Which tests" data={[{ value: 'all', label: `All ${count(sum('tests'))}` }, { value: 'failure', label: `Failed ${count(failed)}` }, { value: 'skipped', label: `Skipped ${count(sum('skipped'))}` }]} />
        <span className="dim num">{duration(sum('seconds'))} in all</span>
      </div>
      <div style={{ marginTop: 10 }}>{rows.length === 0 ? <Empty title="No test matches" /> : <Cases rows={rows} run={run} />}</div>
      <Section title="Suites">
        <div className={shared.frame}>
          <table className={shared.table}>
            <thead><tr><th>Suite</th><th>Job</th><th className={shared.right}>Tests</th><th className={shared.right}>Failed</th><th className={shared.right}>Skipped</th><th className={shared.right}>Time</th></tr></thead>
            <tbody>
              {suites.map((s, i) => (
                <tr key={i}>
                  <td>{s.name}</td><td><Link to={`/runs/${run.id}/jobs/${s.job}`}>{s.job_name}</Link></td>
                  <td className={`${shared.right} num`}>{count(s.tests)}</td><td className={`${shared.right} num`}>{count(s.failures + s.errors)}</td><td className={`${shared.right} num`}>{count(s.skipped)}</td><td className={`${shared.right} num`}>{duration(s.seconds)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Section>
    </>
  );
}

function Cases({ rows, run }: { rows: Row[]; run: Run }) {
  const frame = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<Set<string>>(() => new Set(rows.filter((r) => r.test.status === 'failure').slice(0, 3).map((r) => r.key)));
  const list = useVirtualizer({ count: rows.length, getScrollElement: () => frame.current, estimateSize: () => 33, overscan: 12, getItemKey: (i) => rows[i]!.key });
  const toggle = (key: string) => setOpen((o) => {
    const next = new Set(o);
    if (!next.delete(key)) next.add(key);
    return next;
  });
  return (
    <div ref={frame} className={classes.cases} style={{ height: rows.length < 14 && open.size === 0 ? rows.length * 33 + 2 : undefined }} tabIndex={0} role="list" aria-label="Tests">
      <div style={{ height: list.getTotalSize(), position: 'relative' }}>
        {list.getVirtualItems().map((item) => {
          const { test, suite, key } = rows[item.index]!;
          const text = [test.message, test.output].filter(Boolean).join('\n\n');
          return (
            <div key={item.key} ref={list.measureElement} data-index={item.index} className={classes.case} style={{ transform: `translateY(${item.start}px)` }} role="listitem">
              <div className={classes.caseHead}>
                <StatusIcon status={test.status} size={15} />
                <button type="button" disabled={!text} aria-expanded={text ? open.has(key) : undefined} onClick={() => toggle(key)}>{test.name} <span className="dim">{test.class || suite.name}</span></button>
                <Link to={`/runs/${run.id}/jobs/${suite.job}`} className={`${shared.hide} dim`}>{suite.job_name}</Link>
                <span className="num dim">{duration(test.seconds)}</span>
              </div>
              {open.has(key) && text && <pre className={classes.output}>{text}</pre>}
            </div>
          );
        })}
      </div>
    </div>
  );
}
