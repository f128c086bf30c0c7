/** A status as a sign and a word. The sign's shape tells as much as its colour. */
import { Tooltip } from '@mantine/core';
import type { Status } from '../api/types';
import classes from './status.module.css';

const words: Record<Status, string> = {
  pending: 'Pending', queued: 'Queued', waiting: 'Waiting', running: 'Running', success: 'Success', failure: 'Failed', cancelled: 'Cancelled', skipped: 'Skipped',
};

const shapes: Record<Status, React.ReactNode> = {
  pending: <circle cx="8" cy="8" r="5.2" fill="none" strokeDasharray="2.2 2.2" />,
  queued: <circle cx="8" cy="8" r="5.2" fill="none" />,
  waiting: <path d="M5.6 4v8M10.4 4v8" fill="none" strokeWidth="2.4" />,
  running: <g className={classes.spin}><circle cx="8" cy="8" r="5.2" fill="none" opacity=".28" /><path d="M8 2.8A5.2 5.2 0 0 1 13.2 8" fill="none" /></g>,
  success: <path d="M3.4 8.6l3 3 6.2-6.8" fill="none" strokeWidth="2.2" />,
  failure: <path d="M4.2 4.2l7.6 7.6M11.8 4.2l-7.6 7.6" fill="none" strokeWidth="2.2" />,
  cancelled: <g fill="none"><circle cx="8" cy="8" r="5.2" /><path d="M4.6 11.4l6.8-6.8" /></g>,
  skipped: <path d="M4 4.4L8 8l-4 3.6M8.6 4.4l4 3.6-4 3.6" fill="none" />,
};

export function statusWord(s: Status, cancelling = false): string {
  return cancelling && s === 'running' ? 'Cancelling' : words[s] ?? s;
}

export function StatusIcon({ status, size = 16, label }: { status: Status; size?: number; label?: string }) {
  return (
    <svg className={classes.icon} data-status={status} width={size} height={size} viewBox="0 0 16 16" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" {...(label === '' ? { 'aria-hidden': true } : { role: 'img', 'aria-label': label ?? words[status] })}>
      {shapes[status]}
    </svg>
  );
}

/** The sign with its word, and why it is so on hover. */
export function StatusText({ status, reason, cancelling }: { status: Status; reason?: string; cancelling?: boolean }) {
  const text = (
    <span className={classes.text} data-status={status}>
      <StatusIcon status={status} label="" />
      {statusWord(status, cancelling)}
    </span>
  );
  return reason ? <Tooltip label={reason} multiline maw={360}>{text}</Tooltip> : text;
}
