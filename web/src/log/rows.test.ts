import { describe, expect, it } from 'vitest';
import { Rows, type Folds } from './rows';

const folds = (steps: number[], groups: [number, number][]): Folds => ({ steps: new Set(steps), groups: new Map(groups) });

/** All rows: "#3" for the header of step 3 ("#3-" folded), and the numbers of lines. */
function all(r: Rows): string {
  const out: string[] = [];
  for (let i = 0; i < r.count; i++) {
    const row = r.at(i)!;
    out.push(row.kind === 'step' ? `#${row.step}${row.folded ? '-' : ''}` : String(row.line));
  }
  return out.join(' ');
}

const sections = [{ step: 1, first: 3 }, { step: 2, first: 6 }, { step: 5, first: 9 }];

describe('rows', () => {
  it.each<[string, Rows, string]>([
    ['of an empty log', new Rows(0, []), ''],
    ['without steps', new Rows(3, []), '1 2 3'],
    ['with steps', new Rows(10, sections), '1 2 #1 3 4 5 #2 6 7 8 #5 9 10'],
    ['with steps in another order', new Rows(10, [...sections].reverse()), '1 2 #1 3 4 5 #2 6 7 8 #5 9 10'],
    ['with a step that has no lines yet', new Rows(8, [...sections, { step: 6, first: 0 }]), '1 2 #1 3 4 5 #2 6 7 8'],
    ['with a folded step', new Rows(10, sections, folds([2], [])), '1 2 #1 3 4 5 #2- #5 9 10'],
    ['with the last step folded', new Rows(10, sections, folds([5], [])), '1 2 #1 3 4 5 #2 6 7 8 #5-'],
    ['with a folded group', new Rows(10, sections, folds([], [[3, 5]])), '1 2 #1 3 #2 6 7 8 #5 9 10'],
    ['with groups after another', new Rows(10, sections, folds([], [[6, 7], [8, 8], [1, 2]])), '1 #1 3 4 5 #2 6 8 #5 9 10'],
    ['with a group in a group', new Rows(12, [], folds([], [[2, 9], [4, 6]])), '1 2 10 11 12'],
    ['with a group in a folded step', new Rows(10, sections, folds([2], [[6, 7], [9, 10]])), '1 2 #1 3 4 5 #2- #5 9'],
    ['with a group without an end yet', new Rows(10, [], folds([], [[8, 99]])), '1 2 3 4 5 6 7 8'],
  ])('%s', (_, rows, want) => expect(all(rows)).toBe(want));

  it('finds the row of each line, or of what hides it', () => {
    const r = new Rows(10, sections, folds([2], [[3, 4]]));
    expect(all(r)).toBe('1 2 #1 3 5 #2- #5 9 10');
    expect([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -4].map((n) => r.indexOf(n))).toEqual([0, 1, 3, 3, 4, 5, 5, 5, 7, 8, 8, 0]);
    expect([2, 3, 4, 5, 7, 9].map((n) => r.shows(n))).toEqual([true, true, false, true, false, true]);
  });

  it('knows the step of a line', () => {
    const r = new Rows(10, sections);
    expect(r.stepOf(2)).toBeUndefined();
    expect(r.stepOf(8)).toEqual({ step: 2, first: 6, last: 8 });
    expect(r.stepOf(10)).toEqual({ step: 5, first: 9, last: 10 });
  });

  it('says nothing of rows that are not there', () => {
    expect(new Rows(3, []).at(3)).toBeUndefined();
    expect(new Rows(3, []).at(-1)).toBeUndefined();
  });

  it('is as fast for a million lines', () => {
    const r = new Rows(1_300_000, [{ step: 1, first: 1 }, { step: 2, first: 700_000 }], folds([], [[10, 600_000]]));
    expect(r.count).toBe(1_300_002 - 599_990);
    expect(r.at(r.indexOf(1_234_567))).toEqual({ kind: 'line', line: 1_234_567 });
  });
});
