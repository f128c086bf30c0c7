/** Errors, warnings and notices of a run, with the places that they are about. */
import { IconAlertTriangle, IconCircleX, IconInfoCircle } from '@tabler/icons-react';
import { Link } from 'react-router';
import type { Annotation, Run } from '../../api/types';
import { CopyIcon } from '../../parts/Copy';
import { Empty } from '../../parts/Page';
import shared from '../../parts/table.module.css';
import classes from './run.module.css';

const rank: Record<string, number> = { error: 0, warning: 1, notice: 2 };
const icons: Record<string, typeof IconCircleX> = { error: IconCircleX, warning: IconAlertTriangle };

/** "file.go:12:3", as editors and terminals know it. */
export function placeOf(a: Annotation): string {
  if (!a.file) return '';
  return a.line ? `${a.file}:${a.line}${a.column ? `:${a.column}` : ''}` : a.file;
}

export function Annotations({ run, list }: { run: Run; list: Annotation[] }) {
  if (list.length === 0) {
    return <Empty title="No annotations">A step makes one by writing <code>::error file=main.go,line=12::what is wrong</code> (or <code>warning</code>, <code>notice</code>), or by a problem matcher.</Empty>;
  }
  const sorted = [...list].sort((a, b) => (rank[a.level] ?? 3) - (rank[b.level] ?? 3));
  return (
    <ul className={shared.list}>
      {sorted.map((a, i) => {
        const Icon = icons[a.level] ?? IconInfoCircle;
        const place = placeOf(a);
        return (
          <li key={i} className={classes.note} data-level={a.level}>
            <Icon size={16} role="img" aria-label={a.level} />
            <div style={{ minWidth: 0, flex: 1 }}>
              {a.title && <div style={{ fontWeight: 600 }}>{a.title}</div>}
              <p className={classes.message}>{a.message}</p>
              <div className={classes.place}>
                {place && <><span className="mono">{place}</span><CopyIcon value={place} label="Copy the place" /> · </>}
                <Link to={`/runs/${run.id}/jobs/${a.job}`}>{a.job_name || a.job}</Link>{a.step && ` · ${a.step}`}
              </div>
            </div>
          </li>
        );
      })}
    </ul>
  );
}
