import { describe, expect, it } from 'vitest';
import { paletteColour, parse, plain, readable } from './ansi';

const show = (s: string) => parse(s).map((p) => `${p.className}${p.fg ? ` fg(${p.fg})` : ''}${p.bg ? ` bg(${p.bg})` : ''}|${p.text}`.trim());

describe('parse', () => {
  it.each([
    ['no colour', 'plain <b>&amp;</b>', ['|plain <b>&amp;</b>']],
    ['nothing', '', []],
    ['one of 16', '\x1b[31merror\x1b[0m: no', ['a-fg-1|error', '|: no']],
    ['a bright one on another', '\x1b[1;92;44mok\x1b[m', ['a-fg-10 a-bg-4 a-bold|ok']],
    ['bold, underline, italic', '\x1b[1ma\x1b[0m\x1b[4mb\x1b[0m\x1b[3mc', ['a-bold|a', 'a-underline|b', 'a-italic|c']],
    ['256 colours', '\x1b[38;5;208mx\x1b[48;5;232my', ['fg(255,135,0)|x', 'fg(255,135,0) bg(8,8,8)|y']],
    ['the first 16 of 256', '\x1b[38;5;9mx', ['a-fg-9|x']],
    ['truecolor', '\x1b[38;2;10;20;30mx\x1b[39my', ['fg(10,20,30)|x', '|y']],
    ['truecolor with colons', '\x1b[38;2;10;20;30mx', ['fg(10,20,30)|x']],
    ['moves of the cursor', '\x1b[2K\x1b[1Gdone\x1b[?25h', ['|done']],
    ['links and titles', '\x1b]8;;https://example.com\x07text\x1b]8;;\x07 \x1b]0;title\x1b\\end', ['|text end']],
    ['a progress bar', '10%\r50%\r100%', ['|100%']],
    ['a sequence that is cut off', 'a\x1b[31', ['|a']],
    ['a lone escape', 'a\x1b', ['|a']],
    ['other control characters', 'a\x00b\x08c\td', ['|abc\td']],
  ])('%s', (_, text, want) => expect(show(text)).toEqual(want));

  it('survives anything', () => {
    let seed = 3;
    for (let i = 0; i < 3000; i++) {
      let s = '';
      for (let j = 0; j < 24; j++) {
        seed = (seed * 1103515245 + 12345) % 2 ** 31;
        s += ['\x1b', '[', ']', '3', '8', ';', ':', '5', 'm', 'x', '\x07', '\r', '\\', '999', 'K', '\x9b'][seed % 16];
      }
      expect(parse(s).map((p) => p.text).join('')).not.toContain('\x1b');
      expect(plain(s)).not.toContain('\x1b');
    }
  });
});

it('has the same text with and without colours', () => {
  for (const s of ['\x1b[31mred\x1b[0m and \x1b[38;5;100mmore', 'a\x1b]0;t\x07b', 'x\r\x1b[32my']) expect(parse(s).map((p) => p.text).join('')).toBe(plain(s));
});

it.each([[16, [0, 0, 0]], [231, [255, 255, 255]], [196, [255, 0, 0]], [255, [238, 238, 238]], [15, 15], [256, null], [-1, null]])('colour %d of 256', (n, want) =>
  expect(paletteColour(n)).toEqual(want),
);

it('keeps colours readable on both backgrounds', () => {
  expect(readable([255, 255, 0], true)).toBe('rgb(255 255 0)');
  expect(readable([255, 255, 0], false)).not.toBe('rgb(255 255 0)');
  expect(readable([0, 0, 90], true)).not.toBe('rgb(0 0 90)');
  expect(readable([0, 0, 90], false)).toBe('rgb(0 0 90)');
});
