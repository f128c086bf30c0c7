/**
 * Streams of server-sent events, read by fetch: EventSource hears only those types of events that it was told of before, and does not say
 * why it was refused.
 */
import { parseProblem, type Problem } from './problem';

export interface Message {
  event: string;
  data: string;
  /** The last ID that the stream has given. */
  id: string;
}

/** Cuts the text of a stream into messages, however it is cut into pieces (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export class Cutter {
  private rest = '';
  private event = '';
  private data: string[] = [];
  private id = '';

  push(text: string): Message[] {
    this.rest += text;
    const out: Message[] = [];
    // A CR at the end may be the first half of a CRLF.
    const lines = this.rest.split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop()!;
    for (const line of lines) {
      if (line === '') {
        if (this.data.length > 0) out.push({ event: this.event || 'message', data: this.data.join('\n'), id: this.id });
        this.event = '';
        this.data = [];
        continue;
      }
      const colon = line.indexOf(':');
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'event') this.event = value;
      else if (field === 'data') this.data.push(value);
      else if (field === 'id' && !value.includes('\0')) this.id = value;
    }
    return out;
  }
}

export interface Handlers {
  /** The stream stands; again: it had been lost. */
  open?: (again: boolean) => void;
  message: (m: Message) => void;
  lost?: () => void;
  /** The server does not want to; there will be no other try. */
  refused?: (p: Problem) => void;
}

/** The waits between tries, in ms: a second, then longer, with some chance, so that a restarted server is not met by all at once. */
export function backoff(tries: number, random = Math.random()): number {
  return Math.min(15_000, 1000 * 2 ** tries) * (0.75 + random / 2);
}

/** A stream that is silent for so long, in ms, is dead: the server sends a heartbeat every 15 s. */
const silence = 40_000;

/** Keeps a stream open until the result is called, and goes on behind the last ID when it was lost. */
export function stream(url: string, h: Handlers): () => void {
  const all = new AbortController();
  let last = '';
  let tries = 0;
  let wasOpen = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const once = async () => {
    const abort = new AbortController();
    const stop = () => abort.abort();
    all.signal.addEventListener('abort', stop);
    let watchdog = setTimeout(stop, silence);
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (last) headers['Last-Event-ID'] = last;
      const response = await fetch(url, { headers, signal: abort.signal, credentials: 'same-origin', cache: 'no-store' });
      if (!response.ok || !response.body) {
        const body = await response.text();
        if (response.status >= 400 && response.status < 500 && response.status !== 429) {
          all.abort();
          h.refused?.(parseProblem(response.status, response.headers.get('Content-Type') ?? '', body, null));
        }
        return;
      }
      h.open?.(wasOpen);
      wasOpen = true;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      const cutter = new Cutter();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(watchdog);
        watchdog = setTimeout(stop, silence);
        tries = 0;
        for (const m of cutter.push(value)) {
          if (all.signal.aborted) return;
          if (m.id) last = m.id;
          h.message(m);
        }
      }
    } catch {
      // Lost, or ended by us.
    } finally {
      clearTimeout(watchdog);
      all.signal.removeEventListener('abort', stop);
    }
  };

  const run = async () => {
    await once();
    if (all.signal.aborted) return;
    h.lost?.();
    timer = setTimeout(() => void run(), backoff(tries++));
  };
  void run();
  return () => {
    clearTimeout(timer);
    all.abort();
  };
}
