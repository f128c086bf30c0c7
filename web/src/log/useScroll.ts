/** A scrolled element whose rows are all of one height, and which of them are in view. */
import { useCallback, useLayoutEffect, useReducer, useRef, type RefObject } from 'react';
import { flushSync } from 'react-dom';
import { ScrollSpace } from './scroll';

/** The height of a row, in px. */
export const rowHeight = 20;

/** How many rows are drawn above and below what is seen. */
const overscan = 24;

/** How long scrolling has to rest before the element is set to where the log is, in ms. */
const rest = 160;

export interface Scroll {
  element: RefObject<HTMLDivElement | null>;
  /** The height that the element's content has. */
  height: number;
  /** What to subtract from a row's place. */
  offset: number;
  /** The rows to draw, from first to before end. */
  first: number;
  end: number;
  /** The rows that are seen whole. */
  seen: { first: number; last: number };
  /** Shows a row: at a part of the view's height (0: top), or just so far that it is seen. */
  show: (row: number, at: number | 'near') => void;
  toEnd: () => void;
  /** Scrolls by px. */
  by: (px: number) => void;
}

/** onUser hears that a person has scrolled: up or down, and whether the end is in view. */
export function useScroll(rows: number, onUser: (up: boolean, atEnd: boolean) => void): Scroll {
  const element = useRef<HTMLDivElement>(null);
  const space = useRef<ScrollSpace>(null);
  space.current ??= new ScrollSpace();
  const view = useRef(600);
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const heard = useRef(onUser);
  heard.current = onUser;
  const s = space.current;
  s.resize(rows * rowHeight, view.current);

  const put = useCallback((native: number) => {
    const e = element.current;
    if (e && Math.abs(e.scrollTop - native) >= 1) e.scrollTop = native;
  }, []);

  // After the content has become higher or lower, and before it is painted.
  useLayoutEffect(() => put(s.native), [put, s, rows]);

  useLayoutEffect(() => {
    const e = element.current;
    if (!e) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const scrolled = () => {
      const native = e.scrollTop;
      // What we have set ourselves comes back rounded.
      if (Math.abs(native - s.native) < 1.5) return;
      const before = s.top;
      const set = s.scrolled(native);
      if (set !== native) put(set);
      clearTimeout(timer);
      timer = setTimeout(() => {
        put(s.settle());
        draw();
      }, rest);
      // Drawn within the frame that shows the new place: there is nothing white to be seen.
      flushSync(() => {
        draw();
        heard.current(s.top < before, s.top >= s.end - 1);
      });
    };
    const observer = new ResizeObserver(() => {
      view.current = e.clientHeight;
      draw();
    });
    observer.observe(e);
    view.current = e.clientHeight;
    e.addEventListener('scroll', scrolled, { passive: true });
    draw();
    return () => {
      clearTimeout(timer);
      observer.disconnect();
      e.removeEventListener('scroll', scrolled);
    };
  }, [put, s]);

  const go = useCallback(
    (top: number) => {
      put(s.to(top));
      draw();
    },
    [put, s],
  );
  const show = useCallback(
    (row: number, at: number | 'near') => {
      const y = row * rowHeight;
      if (at !== 'near') return go(y - at * (view.current - rowHeight));
      if (y < s.top + rowHeight) go(y - rowHeight);
      else if (y + 2 * rowHeight > s.top + view.current) go(y + 2 * rowHeight - view.current);
    },
    [go, s],
  );
  return {
    element,
    height: s.height,
    offset: s.offset,
    first: Math.max(0, Math.floor(s.top / rowHeight) - overscan),
    end: Math.min(rows, Math.ceil((s.top + view.current) / rowHeight) + overscan),
    seen: { first: Math.ceil(s.top / rowHeight), last: Math.max(0, Math.floor((s.top + view.current) / rowHeight) - 1) },
    show,
    toEnd: useCallback(() => go(Number.MAX_SAFE_INTEGER), [go]),
    by: useCallback((px: number) => go(s.top + px), [go, s]),
  };
}
