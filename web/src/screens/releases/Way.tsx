/** The steps of a wave as a chain: what is done, what is watched now and for how much longer, what comes. */
import { Tooltip } from '@mantine/core';
import type { Stop } from '../../release/status';
import classes from './releases.module.css';

const words = { done: 'done', now: 'now', next: 'not yet', undone: 'taken back' } as const;

export function Way({ stops }: { stops: Stop[] }) {
  return (
    <ol className={classes.way}>
      {stops.map((s, i) => (
        <li key={i} data-state={s.state} aria-current={s.state === 'now' ? 'step' : undefined}>
          <Tooltip label={`${s.label}: ${words[s.state]}; it is left after ${s.wants}`}>
            <span className={classes.stop} tabIndex={0}>
              <Ring stop={s} />
              <span className={classes.stopLabel}>{s.label}<span className="visually-hidden">, {words[s.state]}, left after {s.wants}</span></span>
              <span className={classes.stopWants} aria-hidden>{s.wants}</span>
            </span>
          </Tooltip>
        </li>
      ))}
    </ol>
  );
}

const radius = 7;
const around = 2 * Math.PI * radius;

function Ring({ stop: s }: { stop: Stop }) {
  return (
    <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden className={classes.ring}>
      <circle cx="10" cy="10" r={radius} className={classes.ringBack} />
      {s.state === 'now' && <circle cx="10" cy="10" r={radius} className={classes.ringNow} strokeDasharray={`${around * (s.passed ?? 0.25)} ${around}`} transform="rotate(-90 10 10)" />}
      {s.state === 'now' && <circle cx="10" cy="10" r="3" className={classes.ringDot} />}
      {s.state === 'done' && <path d="M6.4 10.3l2.5 2.5 4.8-5.4" className={classes.ringMark} />}
      {s.state === 'undone' && <path d="M7 7l6 6M13 7l-6 6" className={classes.ringMark} />}
    </svg>
  );
}
