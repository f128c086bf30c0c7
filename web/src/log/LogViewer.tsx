/**
 * A job's log: any length, in the memory of a few pages. The lines are read by range as they come into view; the address names lines
 * ("#L10-L20"); while the job runs, the log grows and is followed.
 */
import { Button, useComputedColorScheme } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconArrowBarToDown } from '@tabler/icons-react';
import { useCallback, useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState, type Ref } from 'react';
import { useLocation, useNavigate } from 'react-router';
import { get, seg } from '../api/client';
import type { Job, LogPage } from '../api/types';
import { useKeys } from '../app/keys';
import { readLines, writeLines } from '../lib/filters';
import { plural } from '../lib/format';
import { ProblemAlert, tell, tellProblem } from '../parts/Problem';
import { plain } from './ansi';
import { compile } from './highlight';
import { LogBar } from './LogBar';
import { LineRow, StepRow } from './LogRow';
import classes from './log.module.css';
import { firstFrom } from './search';
import { useFolds } from './useFolds';
import { useLog, useSearch } from './useLog';
import { rowHeight, useScroll } from './useScroll';

/** At most so many lines are copied at once. */
const mostCopied = 10_000;

export interface Viewer {
  /** Shows a line. */
  show: (line: number) => void;
}

export default function LogViewer({ job, source, ref }: { job: Job; source: string; ref?: Ref<Viewer> }) {
  const log = useLog(source);
  const { pages } = log;
  const dark = useComputedColorScheme('light') === 'dark';
  const location = useLocation();
  const navigate = useNavigate();
  const steps = useMemo(() => job.steps ?? [], [job.steps]);
  const byNumber = useMemo(() => new Map(steps.map((s) => [s.number, s])), [steps]);
  const { rows, folds, busy, toggleStep, toggleGroup, foldSteps, reveal } = useFolds(pages, pages.total, steps);

  const hash = location.hash;
  const marked = useMemo(() => readLines(hash), [hash]);
  const [following, setFollowing] = useState(() => !job.finished_at && !readLines(hash));
  const [times, setTimes] = useState(false);
  const [cursor, setCursor] = useState(0);
  const field = useRef<HTMLInputElement>(null);

  const scroll = useScroll(rows.count, (up, atEnd) => {
    if (up) setFollowing(false);
    else if (atEnd && !pages.complete) setFollowing(true);
  });
  const { show, toEnd } = scroll;

  const showLine = useCallback((line: number, at: number | 'near' = 0.35) => show(reveal(line).indexOf(line), at), [reveal, show]);
  useImperativeHandle(ref, () => ({
    show(line) {
      setFollowing(false);
      setCursor(line);
      show(Math.max(0, reveal(line).indexOf(line) - 1), 0);
    },
  }), [reveal, show]);

  // Where to begin: at the lines of the address, at the end while it grows, at what failed, at the begin.
  const placed = useRef('');
  useLayoutEffect(() => {
    if (!log.ready || pages.total === 0 || placed.current === source) return;
    placed.current = source;
    const failed = steps.find((s) => s.status === 'failure' && s.first_line > 0);
    if (marked) showLine(marked.from);
    else if (following) toEnd();
    else if (failed) show(rows.indexOf(rows.boundsOf(failed.number)?.last ?? 1) + 1, 1);
  });

  // Lines of an address that was gone to afterwards; those that were picked here are in view already.
  const picked = useRef(hash);
  useEffect(() => {
    if (hash === picked.current) return;
    picked.current = hash;
    if (marked && log.ready) {
      setFollowing(false);
      showLine(marked.from);
    }
  }, [hash, marked, log.ready, showLine]);

  useLayoutEffect(() => {
    if (following) toEnd();
  }, [following, rows.count, toEnd]);

  // What is drawn is what is read.
  const drawnRows = useMemo(() => {
    const out = [];
    for (let i = scroll.first; i < scroll.end; i++) {
      const r = rows.at(i);
      if (r) out.push({ index: i, ...r });
    }
    return out;
  }, [rows, scroll.first, scroll.end]);
  useEffect(() => {
    const lines = drawnRows.flatMap((r) => (r.kind === 'line' ? [r.line] : []));
    if (lines.length > 0) pages.want(lines[0]!, lines.at(-1)!);
  });

  // Once something wide was seen, the log stays as wide: otherwise it would jump sideways while it is scrolled.
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const e = scroll.element.current;
    if (e && e.scrollWidth > e.clientWidth && e.scrollWidth > width) setWidth(e.scrollWidth);
  });

  // Search.
  const [text, setText] = useState('');
  const [exact, setExact] = useState(false);
  const [settled] = useDebouncedValue(text, 250);
  const pattern = settled === '' ? null : exact ? settled : `(?i)${settled}`;
  const { matches, more } = useSearch(source, pattern, pages.total);
  const [current, setCurrent] = useState(-1);
  const marking = useMemo(() => (settled ? compile(settled, !exact) : null), [settled, exact]);
  const jumped = useRef<string | null>(null);
  const goMatch = useCallback(
    (i: number) => {
      const line = matches.lines[i];
      if (line === undefined) return;
      setCurrent(i);
      setFollowing(false);
      setCursor(line);
      showLine(line);
    },
    [matches.lines, showLine],
  );
  useEffect(() => {
    if (pattern === null || pattern !== jumped.current) setCurrent(-1);
    if (pattern === null) {
      jumped.current = null;
    } else if (jumped.current !== pattern && matches.lines.length > 0) {
      jumped.current = pattern;
      const top = rows.at(scroll.seen.first);
      const from = firstFrom(matches.lines, top?.kind === 'line' ? top.line : top?.first ?? 1);
      goMatch(from < matches.lines.length ? from : 0);
    }
  }, [pattern, matches.lines, goMatch, rows, scroll.seen.first]);
  const waiting = useRef(false);
  useEffect(() => {
    if (waiting.current && !matches.busy) {
      waiting.current = false;
      goMatch(current + 1 < matches.lines.length ? current + 1 : 0);
    }
  }, [matches, current, goMatch]);
  const stepMatch = (by: 1 | -1) => {
    const n = matches.lines.length;
    if (n === 0) return;
    if (by === 1 && current + 1 >= n && matches.next > 0) {
      waiting.current = true;
      void more();
    } else goMatch((current + by + n) % n);
  };

  const lineAt = (row: number): number => {
    const r = rows.at(Math.min(Math.max(0, row), rows.count - 1));
    return r === undefined ? 0 : r.kind === 'line' ? r.line : r.first;
  };
  const moveCursor = (by: number) => {
    const from = cursor > 0 ? rows.indexOf(cursor) : by > 0 ? scroll.seen.first - 1 : scroll.seen.last + 1;
    let row = from + by;
    if (rows.at(row)?.kind === 'step' && rows.at(row + by)?.kind === 'line') row += by;
    row = Math.min(Math.max(0, row), rows.count - 1);
    setFollowing(false);
    setCursor(lineAt(row));
    show(row, 'near');
  };

  const pick = useCallback(
    (line: number, extend: boolean) => {
      const range = extend && marked ? { from: Math.min(marked.from, line), to: Math.max(marked.to, line) } : { from: line, to: line };
      if (extend && marked && line > marked.from && line < marked.to) range.to = line;
      const to = writeLines(range);
      picked.current = to;
      setCursor(line);
      setFollowing(false);
      void navigate({ hash: to }, { replace: true, preventScrollReset: true });
    },
    [marked, navigate],
  );

  const copied = marked ?? (cursor > 0 ? { from: cursor, to: cursor } : null);
  const copy = async () => {
    if (!copied) return;
    try {
      const limit = Math.min(mostCopied, copied.to - copied.from + 1);
      const p = await get<LogPage>(`/jobs/${seg(source)}/log`, { from: copied.from, limit });
      const lines = p.lines ?? [];
      await navigator.clipboard.writeText(lines.map((l) => plain(l.x)).join('\n'));
      tell(`${plural(lines.length, 'line')} copied${limit < copied.to - copied.from + 1 ? '; the raw log has all' : ''}`);
    } catch (e) {
      tellProblem(e);
    }
  };

  useKeys((key, e) => {
    switch (key) {
      case 'j': case 'ArrowDown': moveCursor(1); return true;
      case 'k': case 'ArrowUp': moveCursor(-1); return true;
      // "g" may also be the first of two keys that lead elsewhere, so others hear it, too.
      case 'g': case 'Home': setFollowing(false); show(0, 0); setCursor(lineAt(0)); return key === 'Home';
      case 'G': case 'End': toEnd(); setCursor(pages.total); if (!pages.complete) setFollowing(true); return true;
      case ' ': case 'PageDown': case 'PageUp':
        if (e.target instanceof HTMLElement && e.target.closest('button, a')) return false;
        if (key === 'PageUp' || e.shiftKey) setFollowing(false);
        scroll.by((key === 'PageUp' || e.shiftKey ? -1 : 1) * Math.max(1, scroll.seen.last - scroll.seen.first - 1) * rowHeight);
        return true;
      case '/': field.current?.focus(); field.current?.select(); return true;
      case 'n': stepMatch(1); return true;
      case 'N': stepMatch(-1); return true;
      case 'f': if (!pages.complete) setFollowing((v) => !v); return true;
      case 't': setTimes((v) => !v); return true;
      case 'c': void copy(); return true;
      case 'Escape':
        if (text) setText('');
        else if (marked) {
          picked.current = '';
          void navigate({ hash: '' }, { replace: true, preventScrollReset: true });
        }
        return true;
    }
    return false;
  });

  const isMatch = (n: number) => {
    const i = pattern === null ? -1 : firstFrom(matches.lines, n);
    return i < 0 || matches.lines[i] !== n ? 'no' : i === current ? 'current' : 'yes';
  };

  return (
    <div className={classes.viewer} style={{ '--digits': Math.max(3, String(pages.total).length) } as React.CSSProperties}>
      <LogBar job={source} field={field} text={text} onText={setText} exact={exact} onExact={setExact} matches={pattern === null ? null : matches} current={current} onStep={stepMatch} times={times} onTimes={setTimes}
        folded={folds.steps.size > 0} onFold={foldSteps} onCopy={() => void copy()} copies={copied ? copied.to - copied.from + 1 : 0} />
      {pages.error !== null && <div className={classes.warn}><ProblemAlert error={pages.error} retry={() => pages.want(lineAt(scroll.seen.first), lineAt(scroll.seen.last))} /></div>}
      <div className={classes.frame}>
        <div ref={scroll.element} className={classes.scroll} tabIndex={0} role="region" aria-label="Lines of the log" data-total={pages.total}>
          <div className={classes.space} style={{ height: scroll.height, minWidth: width || undefined }}>
            {drawnRows.map((r) => {
              const top = r.index * rowHeight - scroll.offset;
              if (r.kind === 'step') return <StepRow key={`s${r.step}`} top={top} step={byNumber.get(r.step)} number={r.step} lines={r.last - r.first + 1} folded={r.folded} toggle={toggleStep} />;
              const line = pages.line(r.line);
              const match = isMatch(r.line);
              return (
                <LineRow key={r.line} top={top} n={r.line} line={line} dark={dark} times={times} marked={marked !== null && r.line >= marked.from && r.line <= marked.to} cursor={r.line === cursor}
                  match={match} pattern={match === 'no' ? null : marking} fold={line?.g === 'begin' ? (busy === r.line ? 'busy' : folds.groups.has(r.line) ? 'folded' : 'open') : null} toggle={toggleGroup} pick={pick} />
              );
            })}
          </div>
        </div>
        <Notice job={job} log={log} />
        {!pages.complete && log.ready && pages.total > 0 && !following && (
          <Button className={classes.live} size="xs" radius="xl" leftSection={<IconArrowBarToDown size={15} />} onClick={() => setFollowing(true)}>Follow the log</Button>
        )}
      </div>
    </div>
  );
}

/** What is said where there are no lines. */
function Notice({ job, log }: { job: Job; log: ReturnType<typeof useLog> }) {
  if (log.error) return <div className={classes.notice}><ProblemAlert error={log.error} /></div>;
  if (!log.ready || log.pages.total > 0) return null;
  const words: Partial<Record<Job['status'], string>> = {
    pending: 'This job waits for the jobs that it needs.', queued: 'This job waits for a runner that has a place and its labels.', waiting: 'This job waits for an approval.',
    running: 'The job has begun; its first line will be here.', skipped: 'This job did not run.', cancelled: 'This job was cancelled before it wrote anything.',
  };
  return <div className={classes.notice}><div>{words[job.status] ?? 'This job has no log. It wrote nothing, or the log was thrown away by the project’s retention.'}</div>{job.reason && <div>{job.reason}</div>}</div>;
}
