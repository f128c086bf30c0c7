/** What a person has folded, and the rows that are left of it. */
import { useCallback, useMemo, useRef, useState } from 'react';
import type { Step } from '../api/types';
import { tellProblem } from '../parts/Problem';
import { groupEnd, type Pages } from './pages';
import { Rows, type Folds } from './rows';

export interface Folding {
  rows: Rows;
  folds: Folds;
  /** The line of the group whose end is looked for. */
  busy: number;
  toggleStep: (step: number) => void;
  toggleGroup: (line: number) => void;
  foldSteps: (all: boolean) => void;
  /** Unfolds what hides a line, and returns the rows after that. */
  reveal: (line: number) => Rows;
}

export function useFolds(pages: Pages, total: number, steps: readonly Step[]): Folding {
  const [folds, setFolds] = useState<Folds>({ steps: new Set(), groups: new Map() });
  const [busy, setBusy] = useState(0);
  const looking = useRef<AbortController>(null);
  const firsts = steps.filter((s) => s.first_line > 0).map((s) => `${s.number}:${s.first_line}`).join(' ');
  const sections = useMemo(() => (firsts ? firsts.split(' ').map((t) => ({ step: Number(t.split(':')[0]), first: Number(t.split(':')[1]) })) : []), [firsts]);
  const rows = useMemo(() => new Rows(total, sections, folds), [total, sections, folds]);
  const now = useRef({ rows, folds, sections, total });
  now.current = { rows, folds, sections, total };

  const toggleStep = useCallback((step: number) => {
    setFolds((f) => {
      const s = new Set(f.steps);
      if (!s.delete(step)) s.add(step);
      return { ...f, steps: s };
    });
  }, []);

  const toggleGroup = useCallback(
    async (line: number) => {
      if (now.current.folds.groups.has(line)) {
        setFolds((f) => ({ ...f, groups: new Map([...f.groups].filter(([begin]) => begin !== line)) }));
        return;
      }
      looking.current?.abort();
      const abort = new AbortController();
      looking.current = abort;
      setBusy(line);
      try {
        const last = now.current.rows.stepOf(line)?.last ?? now.current.total;
        const end = await groupEnd(pages, line, last, abort.signal);
        setFolds((f) => ({ ...f, groups: new Map(f.groups).set(line, end) }));
      } catch (e) {
        if (!abort.signal.aborted) tellProblem(e);
      } finally {
        if (looking.current === abort) setBusy(0);
      }
    },
    [pages],
  );

  const foldSteps = useCallback((all: boolean) => setFolds((f) => ({ ...f, steps: new Set(all ? now.current.sections.map((s) => s.step) : []) })), []);

  const reveal = useCallback((line: number) => {
    const { rows: r, folds: f, sections: s, total: t } = now.current;
    if (r.shows(line)) return r;
    const step = r.stepOf(line)?.step;
    const next: Folds = { steps: new Set([...f.steps].filter((n) => n !== step)), groups: new Map([...f.groups].filter(([begin, end]) => !(begin < line && line <= end))) };
    setFolds(next);
    return new Rows(t, s, next);
  }, []);

  return { rows, folds, busy, toggleStep, toggleGroup: (line) => void toggleGroup(line), foldSteps, reveal };
}
