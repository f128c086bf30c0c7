/** The keyboard: keys that work everywhere, and those of the screen that is shown. */
import { useEffect, useRef } from 'react';
import { useNavigate } from 'react-router';

/** Keys as the help shows them, and what they do. */
export const globalKeys: [string, string][] = [
  ['g o', 'Overview'], ['g p', 'Projects'], ['g r', 'Runs'], ['g l', 'Releases'], ['g a', 'Approvals'], ['g h', 'Agents'], ['g m', 'Metrics'], ['g u', 'Runners'], ['g t', 'Audit trail'], ['g s', 'Settings'],
  ['/', 'Search on this screen'], ['?', 'This help'],
];

const goto: Record<string, string> = { o: '/', p: '/projects', r: '/runs', l: '/releases', a: '/approvals', h: '/agents', m: '/explore', u: '/runners', t: '/audit', s: '/settings' };

/** Whether a key is meant for what has the focus: a field, a menu, a dialog. */
export function isTyping(e: KeyboardEvent): boolean {
  const t = e.target;
  if (!(t instanceof HTMLElement)) return false;
  return t.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(t.tagName) || t.closest('[role="dialog"], [role="menu"], [role="listbox"]') !== null;
}

/** Calls f for keys without modifiers that nothing else wants. f says whether it has used the key. */
export function useKeys(f: (key: string, e: KeyboardEvent) => boolean | void, on = true): void {
  const latest = useRef(f);
  latest.current = f;
  useEffect(() => {
    if (!on) return;
    const down = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || isTyping(e)) return;
      if (latest.current(e.key, e) === true) e.preventDefault();
    };
    document.addEventListener('keydown', down);
    return () => document.removeEventListener('keydown', down);
  }, [on]);
}

const helpEvent = 'gantry:help';
export function openHelp(): void {
  document.dispatchEvent(new Event(helpEvent));
}
export function onHelp(f: () => void): () => void {
  document.addEventListener(helpEvent, f);
  return () => document.removeEventListener(helpEvent, f);
}

/** How long the second key may take after "g", in ms. */
const patience = 1500;

export function useGlobalKeys(): void {
  const navigate = useNavigate();
  const g = useRef(0);
  useKeys((key) => {
    const waiting = performance.now() - g.current < patience && g.current > 0;
    g.current = 0;
    if (waiting && goto[key]) {
      void navigate(goto[key]);
      return true;
    }
    switch (key) {
      case 'g':
        g.current = performance.now();
        return false;
      case '?':
        openHelp();
        return true;
      case '/': {
        const field = document.querySelector<HTMLElement>('[data-search]');
        field?.focus();
        if (field instanceof HTMLInputElement) field.select();
        return field !== null;
      }
    }
    return false;
  });
}
