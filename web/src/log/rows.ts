/**
 * Which rows a log is shown as: its lines, a header before the first line of each step, and less where something is folded.
 * The rows are never listed: a log is a few spans of lines, so that a million lines cost as much as ten.
 */

/** A step with lines, in the order of the log. */
export interface Section {
  step: number;
  /** The number of its first line. */
  first: number;
}

export type Row = { kind: 'step'; step: number; first: number; last: number; folded: boolean } | { kind: 'line'; line: number };

interface Span {
  /** The first row. */
  row: number;
  /** A header of a step, or the lines from first to last. */
  section?: { step: number; folded: boolean };
  first: number;
  last: number;
}

/** What is folded: steps by their numbers, and groups from the line of their begin, which stays, to that of their end. */
export interface Folds {
  steps: ReadonlySet<number>;
  groups: ReadonlyMap<number, number>;
}

export const nothingFolded: Folds = { steps: new Set(), groups: new Map() };

export class Rows {
  readonly count: number;
  private readonly spans: Span[] = [];
  private readonly bounds: { step: number; first: number; last: number }[];

  /** Sections may come in any order; what lies beyond the log's total, or before line 1, is left out. */
  constructor(
    readonly total: number,
    sections: readonly Section[],
    folds: Folds = nothingFolded,
  ) {
    const sorted = sections.filter((s) => s.first >= 1 && s.first <= total).sort((a, b) => a.first - b.first || a.step - b.step);
    this.bounds = sorted.map((s, i) => ({ step: s.step, first: s.first, last: (sorted[i + 1]?.first ?? total + 1) - 1 }));
    const groups = [...folds.groups].filter(([begin, end]) => end > begin).sort((a, b) => a[0] - b[0]);
    let row = 0;
    let next = 0;
    const lines = (first: number, last: number) => {
      while (first <= last) {
        while (next < groups.length && groups[next]![0] < first) next++;
        const [begin, end] = groups[next] ?? [Number.POSITIVE_INFINITY, 0];
        const to = Math.min(last, begin);
        this.spans.push({ row, first, last: to });
        row += to - first + 1;
        first = begin <= last ? Math.max(to, end) + 1 : to + 1;
      }
    };
    lines(1, (this.bounds[0]?.first ?? total + 1) - 1);
    for (const b of this.bounds) {
      const folded = folds.steps.has(b.step);
      this.spans.push({ row, section: { step: b.step, folded }, first: b.first, last: b.last });
      row++;
      if (!folded) lines(b.first, b.last);
    }
    this.count = row;
  }

  /** The row with an index from 0; undefined beyond the last. */
  at(index: number): Row | undefined {
    if (index < 0 || index >= this.count) return undefined;
    const s = this.spans[lastWhere(this.spans, (s) => s.row <= index)]!;
    return s.section ? { kind: 'step', ...s.section, first: s.first, last: s.last } : { kind: 'line', line: s.first + index - s.row };
  }

  /** The index of the row that shows a line: its own, or of what it is folded into. */
  indexOf(line: number): number {
    if (this.count === 0) return 0;
    const n = Math.min(Math.max(1, line), this.total);
    const i = lastWhere(this.spans, (s) => s.first <= n);
    const s = this.spans[i]!;
    return s.section ? s.row : s.row + Math.min(n, s.last) - s.first;
  }

  /** Whether a line has a row of its own. */
  shows(line: number): boolean {
    const row = this.at(this.indexOf(line));
    return row?.kind === 'line' && row.line === line;
  }

  /** The step that a line belongs to, with its bounds; undefined before the first. */
  stepOf(line: number): { step: number; first: number; last: number } | undefined {
    return this.bounds[lastWhere(this.bounds, (b) => b.first <= line)];
  }

  /** The lines of a step. */
  boundsOf(step: number): { first: number; last: number } | undefined {
    return this.bounds.find((b) => b.step === step);
  }
}

/** The index of the last element for which the test holds, given that it holds for a first part of the list; -1 for none. */
function lastWhere<T>(list: readonly T[], test: (v: T) => boolean): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (test(list[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
