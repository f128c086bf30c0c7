/** The frame of pages for those who are not signed in. */
import type { ReactNode } from 'react';
import classes from './gate.module.css';
import { Mark } from './Mark';

export function Gate({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className={classes.gate}>
      <div className={classes.card}>
        <div className={classes.head}>
          <Mark size={34} />
          <h1>{title}</h1>
        </div>
        {children}
      </div>
    </main>
  );
}
