/** What can be done with a log: search, times, folding, copying, the raw text. */
import { ActionIcon, Loader, TextInput, Tooltip } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconClock, IconCopy, IconFileText, IconFoldDown, IconFold, IconLetterCase, IconSearch } from '@tabler/icons-react';
import type { ReactNode, RefObject } from 'react';
import { address, seg } from '../api/client';
import { count } from '../lib/format';
import { messageOf } from '../parts/Problem';
import classes from './log.module.css';
import type { Matches } from './search';

interface Props {
  job: string;
  field: RefObject<HTMLInputElement | null>;
  text: string;
  onText: (v: string) => void;
  exact: boolean;
  onExact: (v: boolean) => void;
  /** Null while nothing is searched; current is an index, from 0, or -1. */
  matches: Matches | null;
  current: number;
  onStep: (by: 1 | -1) => void;
  times: boolean;
  onTimes: (v: boolean) => void;
  folded: boolean;
  onFold: (all: boolean) => void;
  onCopy: () => void;
  /** How many lines would be copied. */
  copies: number;
}

export function LogBar(p: Props) {
  const m = p.matches;
  return (
    <div className={classes.bar} role="toolbar" aria-label="Log">
      <TextInput
        ref={p.field}
        className={classes.search}
        size="xs"
        aria-label="Search by a regular expression"
        placeholder="Search: a regular expression"
        spellCheck={false}
        autoComplete="off"
        value={p.text}
        onChange={(e) => p.onText(e.currentTarget.value)}
        leftSection={m?.busy ? <Loader size={12} /> : <IconSearch size={14} />}
        rightSection={
          <Tooltip label={p.exact ? 'Case counts' : 'Case does not count'}>
            <ActionIcon size="sm" variant={p.exact ? 'light' : 'subtle'} color={p.exact ? 'petrol' : 'gray'} aria-label="Case counts" aria-pressed={p.exact} onClick={() => p.onExact(!p.exact)}><IconLetterCase size={15} /></ActionIcon>
          </Tooltip>
        }
        onKeyDown={(e) => {
          if (e.key === 'Enter') {
            e.preventDefault();
            p.onStep(e.shiftKey ? -1 : 1);
          } else if (e.key === 'Escape') {
            e.preventDefault();
            if (p.text) p.onText('');
            e.currentTarget.blur();
          }
        }}
      />
      {m && (
        <>
          <span className={classes.found} role="status" data-bad={m.error ? true : undefined}>{m.error ? messageOf(m.error) : found(m, p.current)}</span>
          <Icon label="The match before (N)" onClick={() => p.onStep(-1)} disabled={m.lines.length === 0}><IconArrowUp size={16} /></Icon>
          <Icon label="The next match (n)" onClick={() => p.onStep(1)} disabled={m.lines.length === 0}><IconArrowDown size={16} /></Icon>
        </>
      )}
      <span className={classes.spacer} />
      <Icon label={p.times ? 'Hide times (t)' : 'Show times, in UTC (t)'} pressed={p.times} onClick={() => p.onTimes(!p.times)}><IconClock size={16} /></Icon>
      <Icon label={p.folded ? 'Unfold all steps' : 'Fold all steps'} onClick={() => p.onFold(!p.folded)}>{p.folded ? <IconFoldDown size={16} /> : <IconFold size={16} />}</Icon>
      <Icon label={p.copies > 0 ? `Copy ${p.copies === 1 ? 'the marked line' : `${count(p.copies)} marked lines`} (c)` : 'Copy: mark lines by their numbers first'} onClick={p.onCopy} disabled={p.copies === 0}><IconCopy size={16} /></Icon>
      <Tooltip label="The raw log, whole">
        <ActionIcon component="a" href={address(`/jobs/${seg(p.job)}/log/raw`, { timestamps: p.times || undefined })} target="_blank" variant="subtle" color="gray" aria-label="The raw log, whole"><IconFileText size={16} /></ActionIcon>
      </Tooltip>
    </div>
  );
}

/** "3 of 1,204", with a plus while there may be more. */
function found(m: Matches, current: number): string {
  if (m.lines.length === 0) return m.busy || m.next > 0 ? 'searching' : 'no match';
  const total = `${count(m.lines.length)}${m.next > 0 ? '+' : ''}`;
  return current >= 0 ? `${count(current + 1)} of ${total}` : `${total} ${m.lines.length === 1 ? 'line' : 'lines'}`;
}

function Icon({ label, onClick, disabled, pressed, children }: { label: string; onClick: () => void; disabled?: boolean; pressed?: boolean; children: ReactNode }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant={pressed ? 'light' : 'subtle'} color={pressed ? 'petrol' : 'gray'} aria-label={label} aria-pressed={pressed} onClick={onClick} disabled={disabled}>{children}</ActionIcon>
    </Tooltip>
  );
}
