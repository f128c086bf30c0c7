import { describe, expect, it } from 'vitest';
import { fieldOf, parseProblem } from './problem';

describe('parseProblem', () => {
  it('keeps what the server says, and where', () => {
    const p = parseProblem(
      422,
      'application/problem+json',
      JSON.stringify({ title: 'Unprocessable Entity', detail: 'validation failed', errors: [{ location: 'body.source.url', message: 'is required', value: '' }] }),
      null,
    );
    expect(p.message).toBe('validation failed');
    expect(p.at('source.url')).toBe('is required');
    expect(p.at('source')).toBeUndefined();
  });

  it.each([
    ['an HTML page of a proxy', 502, 'text/html', '<h1>Bad gateway</h1>', 'The server answered 502'],
    ['plain text', 503, 'text/plain', 'not ready: the database is away\n', 'not ready: the database is away'],
    ['broken JSON', 500, 'application/problem+json', '{"title":', '{"title":'],
    ['JSON that is no object', 500, 'application/json', '[1]', '[1]'],
    ['nothing', 403, '', '', 'You may not do this'],
  ])('makes a problem of %s', (_, status, type, body, message) => {
    expect(parseProblem(status, type, body, null).message).toBe(message);
  });

  it('does not trust the shapes within', () => {
    const p = parseProblem(422, 'application/problem+json', '{"title":7,"detail":{},"errors":[null,{"message":9},{"location":"body.a"}]}', null);
    expect(p.title).toBe('Something in the input is not accepted');
    expect(p.errors.map((e) => [e.location, e.message])).toEqual([[undefined, 'is not accepted'], ['body.a', 'is not accepted']]);
  });

  it('reads how long to wait', () => {
    expect(parseProblem(429, '', '', '30').retryAfter).toBe(30);
    expect(parseProblem(429, '', '', 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfter).toBe(0);
    expect(parseProblem(429, '', '', '-4').retryAfter).toBe(0);
  });
});

describe('fieldOf', () => {
  it.each([
    ['body.forge.kind', 'forge.kind'],
    ['body', ''],
    ['query.limit', 'limit'],
    ['bodyguard', 'bodyguard'],
    ['approvers[0]', 'approvers[0]'],
    [undefined, ''],
  ])('%s', (location, field) => expect(fieldOf(location)).toBe(field));
});
