/** Outcomes of the last days as bars, with the median duration of what succeeded as a line of figures. */
import { Tooltip } from '@mantine/core';
import type { DayCount } from '../../api/types';
import { plural } from '../../lib/format';
import { duration } from '../../lib/time';
import classes from './days.module.css';

const parts = [
  { key: 'other', word: 'other' },
  { key: 'failure', word: 'failed' },
  { key: 'success', word: 'succeeded' },
] as const;

export function Days({ days }: { days: DayCount[] }) {
  const most = Math.max(1, ...days.map((d) => d.success + d.failure + d.other));
  return (
    <div className={classes.chart} role="list" aria-label="Ended runs by day">
      {days.map((d, i) => {
        const total = d.success + d.failure + d.other;
        const date = new Date(`${d.day}T12:00:00Z`);
        const text = `${d.day}: ${d.success} succeeded, ${d.failure} failed, ${d.other} other${d.seconds > 0 ? `; median ${duration(d.seconds)}` : ''}`;
        return (
          <Tooltip key={d.day} multiline label={<>{d.day} UTC<br />{plural(total, 'run')}: {parts.filter((p) => d[p.key] > 0).map((p) => `${d[p.key]} ${p.word}`).reverse().join(', ') || 'none ended'}{d.seconds > 0 && <><br />median of the successful: {duration(d.seconds)}</>}</>}>
            <div className={classes.day} role="listitem" aria-label={text} tabIndex={0}>
              <div className={classes.bar}>
                {total === 0 && <span className={classes.none} />}
                {parts.map((p) => d[p.key] > 0 && <span key={p.key} data-part={p.key} style={{ height: `${(d[p.key] / most) * 100}%` }} />)}
              </div>
              <span className={classes.median}>{d.seconds > 0 ? duration(d.seconds).replace(/ min.*/, ' min') : ''}</span>
              <span className={classes.name} data-first={i === 0 || date.getUTCDate() === 1 || undefined}>{date.getUTCDate()}</span>
            </div>
          </Tooltip>
        );
      })}
    </div>
  );
}
