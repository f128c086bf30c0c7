/** One row of a log: the head of a step, or a line. */
import { IconChevronDown, IconChevronRight } from '@tabler/icons-react';
import { memo, useMemo } from 'react';
import type { LogLine, Step } from '../api/types';
import { count } from '../lib/format';
import { lineTime } from '../lib/time';
import { StatusIcon } from '../parts/Status';
import { Took } from '../parts/Time';
import { parse, readable } from './ansi';
import { mark } from './highlight';
import classes from './log.module.css';

/** What of a line is drawn, in characters; the rest is in the copy and in the raw log. */
export const drawn = 4000;

interface StepProps {
  top: number;
  step: Step | undefined;
  number: number;
  lines: number;
  folded: boolean;
  toggle: (step: number) => void;
}

export const StepRow = memo(function StepRow({ top, step, number, lines, folded, toggle }: StepProps) {
  return (
    <div className={classes.step} style={{ transform: `translateY(${top}px)` }}>
      <button type="button" className={classes.stepButton} onClick={() => toggle(number)} aria-expanded={!folded} tabIndex={-1}>
        {folded ? <IconChevronRight size={15} /> : <IconChevronDown size={15} />}
        {step && <StatusIcon status={step.status} size={15} />}
        <span className={classes.stepName}>{step?.name ?? `Step ${number}`}</span>
        <span className={classes.stepNote}>{count(lines)} {lines === 1 ? 'line' : 'lines'}</span>
        <span className={classes.stepNote}><Took from={step?.started_at} to={step?.finished_at} /></span>
      </button>
    </div>
  );
});

interface LineProps {
  top: number;
  n: number;
  line: LogLine | undefined;
  dark: boolean;
  times: boolean;
  marked: boolean;
  cursor: boolean;
  /** This line is a match: of "pattern", or as a whole where that is null; current: the one that the person is at. */
  match: 'no' | 'yes' | 'current';
  pattern: RegExp | null;
  /** For the line that begins a group: whether it is folded, or its end is looked for. */
  fold: 'open' | 'folded' | 'busy' | null;
  toggle: (line: number) => void;
  pick: (line: number, extend: boolean) => void;
}

export const LineRow = memo(function LineRow(p: LineProps) {
  const { line, n } = p;
  return (
    <div className={classes.line} style={{ transform: `translateY(${p.top}px)` }} data-marked={p.marked || undefined} data-cursor={p.cursor || undefined} data-match={p.match === 'no' ? undefined : p.match} data-notice={line?.i || undefined} data-group={line?.g}>
      <a className={classes.number} href={`#L${n}`} tabIndex={-1} aria-label={`Line ${n}`} onClick={(e) => { e.preventDefault(); p.pick(n, e.shiftKey); }}>{n}</a>
      {p.times && <span className={classes.time}>{lineTime(line?.t ?? null)}</span>}
      {p.fold !== null && (
        <button type="button" className={classes.fold} onClick={() => p.toggle(n)} aria-expanded={p.fold !== 'folded'} aria-label={p.fold === 'folded' ? 'Unfold the group' : 'Fold the group'} disabled={p.fold === 'busy'} tabIndex={-1}>
          {p.fold === 'open' ? <IconChevronDown size={13} /> : <IconChevronRight size={13} />}
        </button>
      )}
      {line ? <Text line={line} dark={p.dark} pattern={p.match === 'no' ? null : p.pattern} /> : <span className={classes.absent} />}
    </div>
  );
});

function Text({ line, dark, pattern }: { line: LogLine; dark: boolean; pattern: RegExp | null }) {
  const { spans, cut } = useMemo(() => {
    const text = line.x.length > drawn * 2 ? line.x.slice(0, drawn * 2) : line.x;
    let left = drawn;
    const all = [];
    for (const s of parse(text)) {
      if (left <= 0) break;
      all.push(s.text.length > left ? { ...s, text: s.text.slice(0, left) } : s);
      left -= s.text.length;
    }
    return { spans: all, cut: left < 0 || text.length < line.x.length };
  }, [line]);
  const shown = pattern ? mark(spans, pattern) : spans;
  return (
    <span className={classes.text}>
      {shown.map((s, i) => {
        const style = s.fg || s.bg ? { color: s.fg && (s.bg ? `rgb(${s.fg.join(' ')})` : readable(s.fg, dark)), backgroundColor: s.bg && `rgb(${s.bg.join(' ')})` } : undefined;
        const className = s.className || undefined;
        return 'match' in s && s.match ? <mark key={i} className={className} style={s.fg || s.bg ? undefined : style}>{s.text}</mark> : className || style ? <span key={i} className={className} style={style}>{s.text}</span> : s.text;
      })}
      {cut && <span className={classes.cut}> … {count(Math.max(0, line.x.length - drawn))} more characters: copy the line or open the raw log</span>}
      {line.g === 'end' && line.x === '' && ' '}
    </span>
  );
}
