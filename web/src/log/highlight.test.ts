import { describe, expect, it } from 'vitest';
import { parse } from './ansi';
import { compile, mark } from './highlight';

const show = (text: string, pattern: string) => mark(parse(text), compile(pattern, true)!).map((p) => (p.match ? `[${p.text}]` : p.text)).join('|');

describe('mark', () => {
  it.each([
    ['error: an Error', 'error', '[error]|: an |[Error]'],
    ['nothing here', 'error', 'nothing here'],
    ['\x1b[31mer\x1b[32mror\x1b[0m x', 'error', '[er]|[ror]| x'],
    ['aaa', 'a', '[a]|[a]|[a]'],
    ['abc', 'x*', 'abc'],
    ['ends with it', 'it$', 'ends with |[it]'],
    ['2026-11-23', String.raw`\d{4}-(?P<month>\d\d)`, '[2026-11]|-23'],
  ])('%j by %s', (text, pattern, want) => expect(show(text, pattern)).toBe(want));

  it('bounds the marks of a line', () => expect(mark(parse('a'.repeat(1000)), compile('a', false)!).filter((p) => p.match)).toHaveLength(200));
});

describe('compile', () => {
  it('takes the flags of RE2', () => {
    expect(compile('(?i)warn', false)?.flags).toBe('giu');
    expect(compile('(?s)a.b', false)?.flags).toBe('gsu');
  });
  it.each([['(a+)+$'], ['(a|aa)*b'], ['((a*)b)*c'], ['(?U)a+'], ['[[:alpha:'], [String.raw`\pN{`], ['(?i)']])('leaves %s to the server', (p) => expect(compile(p, true)).toBeNull());
  it.each([['a+b+'], ['(ab)+'], [String.raw`(\+|x)`], ['[(+]+'], ['(foo|bar) baz'], [String.raw`\p{L}+`], [String.raw`a\-b`]])('marks %s', (p) => expect(compile(p, true)).not.toBeNull());
});
