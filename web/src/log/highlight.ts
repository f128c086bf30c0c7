/** Marking what a search has found within a line. The server searches, by RE2; here its pattern is only shown, where JavaScript can. */
import type { Span } from './ansi';

export interface Marked extends Span {
  match?: boolean;
}

/** At most so many marks a line: more helps nobody. */
const mostMarks = 200;

/**
 * Compiles a pattern of RE2 for marking. null where JavaScript has no such pattern, or might need very long for it, which RE2 never
 * does: the line is then marked as a whole.
 */
export function compile(pattern: string, ignoreCase: boolean): RegExp | null {
  let flags = ignoreCase ? 'gi' : 'g';
  let body = pattern;
  const lead = /^\(\?([imsU]+)\)/.exec(pattern);
  if (lead) {
    if (lead[1]!.includes('U')) return null;
    body = pattern.slice(lead[0].length);
    for (const f of 'ims') if (lead[1]!.includes(f) && !flags.includes(f)) flags += f;
  }
  if (body === '' || slow(body)) return null;
  body = body.replace(/\(\?P</g, '(?<');
  // Classes such as \p{L} are known in the stricter mode alone, which in turn refuses escapes that RE2 takes.
  for (const mode of /\\[pP]/.test(body) ? ['u'] : ['u', '']) {
    try {
      return new RegExp(body, flags + mode);
    } catch {
      // The next mode, or none.
    }
  }
  return null;
}

/** Whether a repetition holds a repetition or a choice, for which backtracking can take for ever. */
function slow(pattern: string): boolean {
  const stack: boolean[] = [];
  let inner = false;
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === '\\') i++;
    else if (c === '[') {
      for (i++; i < pattern.length && (pattern[i] !== ']' || pattern[i - 1] === '['); i++) if (pattern[i] === '\\') i++;
    } else if (c === '(') {
      stack.push(inner);
      inner = false;
    } else if (c === ')') {
      const repeated = /^[*+{]/.test(pattern.slice(i + 1));
      if (repeated && inner) return true;
      inner = inner || repeated || (stack.pop() ?? false);
    } else if (c === '*' || c === '+' || c === '{' || c === '|') inner = true;
  }
  return false;
}

/** Cuts spans where matches begin and end. */
export function mark(spans: readonly Span[], pattern: RegExp): Marked[] {
  const text = spans.map((s) => s.text).join('');
  const found: [number, number][] = [];
  pattern.lastIndex = 0;
  for (const m of text.matchAll(pattern)) {
    if (m[0] !== '') found.push([m.index, m.index + m[0].length]);
    if (found.length >= mostMarks) break;
  }
  if (found.length === 0) return [...spans];
  const out: Marked[] = [];
  let at = 0;
  let next = 0;
  for (const span of spans) {
    const end = at + span.text.length;
    let from = at;
    while (from < end) {
      while (next < found.length && found[next]![1] <= from) next++;
      const [begin, stop] = found[next] ?? [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
      const inside = begin <= from;
      const to = Math.min(end, inside ? stop : begin);
      const piece: Marked = { ...span, text: span.text.slice(from - at, to - at) };
      if (inside) piece.match = true;
      out.push(piece);
      from = to;
    }
    at = end;
  }
  return out;
}
