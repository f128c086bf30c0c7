/** Colours of terminals in lines of logs. What is no colour or style (moves of the cursor, titles, links) is left out. */
import Anser from 'anser';

export interface Span {
  text: string;
  /** Classes of the style sheet, which know the theme: "a-bold a-fg-1". */
  className: string;
  /** Colours beyond the 16, as red, green, blue. */
  fg?: RGB;
  bg?: RGB;
}

export type RGB = readonly [number, number, number];

/** ECMA-48: CSI sequences, OSC and the other strings, two-character escapes. */
// eslint-disable-next-line no-control-regex
const sequence = /\x1b(?:\[[\x20-\x3f]*(?:[\x40-\x7e]|(?=[^\x20-\x7e])|$)|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)?|[\x20-\x2f]*[\x30-\x7e]?)/g;
// eslint-disable-next-line no-control-regex
const colour = /^\x1b\[[0-9;:]*m$/;
// eslint-disable-next-line no-control-regex
const control = /[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g;

/** A line without any sequence: what is searched and copied. */
export function plain(text: string): string {
  return overwritten(text).replace(sequence, '').replace(control, '');
}

/** A line in spans of one style each. */
export function parse(text: string): Span[] {
  const clean = overwritten(text)
    .replace(sequence, (s) => (colour.test(s) ? s.replaceAll(':', ';') : ''))
    .replace(control, '');
  if (!clean.includes('\x1b')) return clean ? [{ text: clean, className: '' }] : [];
  return Anser.ansiToJson(clean, { json: true, remove_empty: true, use_classes: true })
    .filter((e) => e.content)
    .map((e) => {
      const span: Span = { text: e.content, className: '' };
      const classes: string[] = [];
      // Anser has swapped the colours of inverted text already, where it has any.
      for (const [kind, name, truecolor] of [['fg', e.fg, e.fg_truecolor], ['bg', e.bg, e.bg_truecolor]] as const) {
        const c = colourOf(name, truecolor);
        if (typeof c === 'number') classes.push(`a-${kind}-${c}`);
        else if (c) span[kind] = c;
      }
      const decorations = e.decorations ?? [];
      for (const d of ['bold', 'dim', 'italic', 'underline', 'strikethrough', 'hidden'] as const) if (decorations.includes(d)) classes.push(`a-${d}`);
      if ((e as { isInverted?: boolean }).isInverted && !e.fg && !e.bg) classes.push('a-reverse');
      span.className = classes.join(' ');
      return span;
    });
}

/** A progress bar writes over its line again and again; what was last written is what a terminal shows. */
function overwritten(text: string): string {
  if (!text.includes('\r')) return text;
  const parts = text.split('\r');
  return parts.findLast((p) => p !== '') ?? '';
}

const named = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

/** A colour of the 16 by its number, any other as it is. */
function colourOf(name: string | null | undefined, truecolor: string | null | undefined): number | RGB | null {
  if (!name) return null;
  if (name === 'ansi-truecolor') return rgb(truecolor);
  const palette = /^ansi-palette-(\d+)$/.exec(name);
  if (palette) return paletteColour(Number(palette[1]));
  const bright = name.startsWith('ansi-bright-');
  const i = named.indexOf(name.slice(bright ? 12 : 5));
  return i < 0 ? null : i + (bright ? 8 : 0);
}

/** One of the 256: the 16, a cube of 6 x 6 x 6, and 24 greys. */
export function paletteColour(n: number): number | RGB | null {
  if (!(n >= 0 && n <= 255)) return null;
  if (n < 16) return n;
  if (n >= 232) {
    const v = 8 + (n - 232) * 10;
    return [v, v, v];
  }
  const step = (v: number) => (v === 0 ? 0 : 55 + v * 40);
  const c = n - 16;
  return [step(Math.floor(c / 36)), step(Math.floor(c / 6) % 6), step(c % 6)];
}

function rgb(s: string | null | undefined): RGB | null {
  const parts = (s ?? '').split(',').map((p) => Number(p.trim()));
  return parts.length === 3 && parts.every((p) => p >= 0 && p <= 255) ? (parts as unknown as RGB) : null;
}

/** Luminance by WCAG 2, from 0 to 1. */
function luminance(c: RGB): number {
  const [r, g, b] = c.map((v) => {
    const s = v / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** A colour of text, made darker or lighter until it can be read (4.5 to 1) on the log's background; hues stay. */
export function readable(c: RGB, dark: boolean): string {
  let out = c;
  const enough = (v: RGB) => (dark ? (luminance(v) + 0.05) / 0.06 >= 4.5 : 1.03 / (luminance(v) + 0.05) >= 4.5);
  for (let i = 0; i < 12 && !enough(out); i++) {
    out = out.map((v) => Math.round(dark ? v + (255 - v) * 0.15 : v * 0.85)) as unknown as RGB;
  }
  return `rgb(${out.join(' ')})`;
}
