import { describe, expect, it } from 'vitest';
import { ScrollSpace } from './scroll';

const row = 20;
const view = 800;

function space(lines: number, max?: number): ScrollSpace {
  const s = new ScrollSpace(max);
  s.resize(lines * row, view);
  return s;
}

describe('a short log', () => {
  it('is scrolled as it is', () => {
    const s = space(1000);
    expect(s.height).toBe(20_000);
    expect(s.scrolled(12_345)).toBe(12_345);
    expect(s.top).toBe(12_345);
    expect(s.offset).toBe(0);
  });
  it('that fits cannot be scrolled', () => {
    const s = space(10);
    expect(s.to(5000)).toBe(0);
    expect(s.end).toBe(0);
  });
});

describe('a log of 1.3 million lines', () => {
  const lines = 1_300_000;

  it('stays below what browsers lay out', () => expect(space(lines).height).toBeLessThan(17_000_000));

  it('moves pixel by pixel with the wheel, anywhere', () => {
    const s = space(lines);
    s.to(13_000_000);
    for (let i = 0; i < 5000; i++) {
      const before = s.top;
      const got = s.scrolled(s.native + 100);
      expect(s.top - before).toBe(100);
      expect(got).toBe(s.native);
    }
    // Drawn rows stand still against the element while it only moves by pixels.
    const offset = s.offset;
    s.scrolled(s.native + 40);
    expect(s.offset).toBe(offset);
  });

  it('jumps by proportion with the bar', () => {
    const s = space(lines);
    s.scrolled((s.height - view) / 2);
    expect(s.top).toBeCloseTo(s.end / 2, -1);
  });

  it.each([[-53, 0], [97, 1]])('reaches its end with steps of %d px', (step, end) => {
    const s = space(lines);
    s.to(end === 0 ? 40_000 : s.end - 40_000);
    const want = end === 0 ? 0 : s.end;
    for (let i = 0; i < 10_000 && s.top !== want; i++) {
      const limit = s.height - view;
      s.scrolled(Math.min(Math.max(0, s.native + step), limit));
    }
    expect(s.top).toBe(want);
  });

  it('never leaves its bounds, however it is scrolled', () => {
    const s = space(lines);
    let seed = 7;
    const random = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
    const limit = s.height - view;
    const outside: number[][] = [];
    for (let i = 0; i < 20_000; i++) {
      const step = random() < 0.1 ? (random() - 0.5) * 2 * limit : (random() - 0.5) * 600;
      s.scrolled(Math.min(Math.max(0, s.native + step), limit));
      if (random() < 0.05) s.settle();
      if (s.top < 0 || s.top > s.end || s.native < 0 || s.native > limit) outside.push([i, s.top, s.native]);
    }
    expect(outside).toEqual([]);
  });

  it('keeps its place while it grows', () => {
    const s = space(lines);
    s.to(1_000_000);
    s.resize((lines + 50_000) * row, view);
    expect(s.top).toBe(1_000_000);
  });

  it('shows every line that is asked for', () => {
    const s = space(lines);
    for (const n of [1, 2, 650_000, 1_299_990]) {
      s.to((n - 1) * row);
      expect(Math.floor(s.top / row)).toBe(Math.min(n - 1, Math.floor(s.end / row)));
    }
  });
});

it('grows from what fits into what is scaled without a jump', () => {
  const s = space(100, 10_000);
  s.to(400);
  s.resize(600 * row, view);
  expect(s.top).toBe(400);
  expect(s.height).toBe(10_000);
});
