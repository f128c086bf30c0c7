/** How traffic is split among versions, as a bar with its figures. */
import type { Side } from '../api/releases';
import classes from './release.module.css';
import { share } from './status';

interface Part {
  side: Side;
  /** In ten-thousandths. */
  weight: number;
  label: string;
}

export function Split({ parts, legend }: { parts: Part[]; legend?: boolean }) {
  const shown = parts.filter((p) => p.weight > 0);
  return (
    <>
      <div className={classes.split} role="img" aria-label={shown.map((p) => `${p.label} ${share(p.weight)}`).join(', ') || 'no traffic'}>
        {shown.map((p) => <span key={p.side + p.label} data-side={p.side} style={{ flexGrow: p.weight }} />)}
      </div>
      {legend && (
        <div className={classes.legend}>
          {parts.map((p) => <span key={p.side + p.label}><i data-side={p.side} aria-hidden /> {p.label} <b className="num">{share(p.weight)}</b></span>)}
        </div>
      )}
    </>
  );
}
