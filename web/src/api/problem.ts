/** Errors of the API: RFC 9457 problem details, with the places in the input that they are about. */

export interface Located {
  /** The path in the input, as the server names it: "body.source.url". */
  location?: string;
  message: string;
  value?: unknown;
}

/** A refusal or a failure, as the server tells it. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly type: string,
    readonly errors: Located[],
    /** How long to wait before another try, in seconds; 0: nothing was said. */
    readonly retryAfter: number,
  ) {
    super(detail || title);
    this.name = 'Problem';
  }

  /** What the server says about a field of a form, in the form's own names ("source.url"). */
  at(field: string): string | undefined {
    return this.errors.find((e) => fieldOf(e.location) === field)?.message;
  }
}

/** Where the request never came to an answer. */
export class Unreachable extends Error {
  constructor() {
    super('The server cannot be reached. What you see may be old; this page tries again by itself.');
    this.name = 'Unreachable';
  }
}

/** Cuts off where in a request a value was, for what remains is the field's name in the form: "body.source.url" is "source.url". */
export function fieldOf(location: string | undefined): string {
  return (location ?? '').replace(/^(body|query|path|header)(\.|$)/, '');
}

/** Reads the answer of a refused request; anything that is no problem document becomes one. */
export function parseProblem(status: number, contentType: string, body: string, retryAfter: string | null): Problem {
  const wait = Math.max(0, Number.parseInt(retryAfter ?? '', 10) || 0);
  if (/\bjson\b/.test(contentType)) {
    try {
      const d: unknown = JSON.parse(body);
      if (isObject(d)) {
        const errors = (Array.isArray(d.errors) ? d.errors : []).filter(isObject).map((e) => ({
          location: typeof e.location === 'string' ? e.location : undefined,
          message: text(e.message) || 'is not accepted',
          value: e.value,
        }));
        return new Problem(status, text(d.title) || titleOf(status), text(d.detail), text(d.type), errors, wait);
      }
    } catch {
      // Not what it says to be: its text is all there is.
    }
  }
  const detail = /\bhtml\b/.test(contentType) ? '' : body.trim().slice(0, 500);
  return new Problem(status, titleOf(status), detail, '', [], wait);
}

function isObject(v: unknown): v is Record<string, unknown> {
  return typeof v === 'object' && v !== null && !Array.isArray(v);
}

function text(v: unknown): string {
  return typeof v === 'string' ? v : '';
}

function titleOf(status: number): string {
  const titles: Record<number, string> = {
    400: 'The request is not understood',
    401: 'You are not signed in',
    403: 'You may not do this',
    404: 'There is no such thing, or you may not see it',
    409: 'It has changed meanwhile',
    410: 'It is gone',
    413: 'It is too large',
    422: 'Something in the input is not accepted',
    429: 'Too many tries',
    503: 'The server is not ready',
  };
  return titles[status] ?? `The server answered ${status}`;
}
