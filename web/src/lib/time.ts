/** Times and durations, as people read them. All functions take "now", so that they can be tested and tick together. */

export const ms = (t: string | null | undefined): number => (t ? Date.parse(t) : Number.NaN);

/** "4 s", "2 min 05 s", "1 h 20 min", "3 d 4 h". Less than a second keeps a digit. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '';
  if (seconds < 0.95) return `${seconds.toFixed(1)} s`;
  const s = Math.round(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${String(s % 60).padStart(2, '0')} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${String(Math.floor((s % 3600) / 60)).padStart(2, '0')} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** How long from one time to another, or to now while the second has not come; NaN where it has not begun. */
export function between(from: string | null | undefined, to: string | null | undefined, now: number): number {
  const a = ms(from);
  const b = to ? ms(to) : now;
  return Math.max(0, (b - a) / 1000);
}

/** "just now", "5 min ago", "in 2 h", "3 d ago"; a date once it is more than 30 days away. */
export function relative(t: string | null | undefined, now: number): string {
  const at = ms(t);
  if (Number.isNaN(at)) return '';
  const s = Math.abs(now - at) / 1000;
  if (s < 10) return 'just now';
  const [n, unit] = s < 60 ? [s, 's'] : s < 3600 ? [s / 60, 'min'] : s < 86400 ? [s / 3600, 'h'] : [s / 86400, 'd'];
  if (unit === 'd' && n > 30) return day(at);
  const text = `${Math.floor(n)} ${unit}`;
  return at > now ? `in ${text}` : `${text} ago`;
}

/** "2026-11-23", in the reader's time zone. */
export function day(at: number): string {
  const d = new Date(at);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

/** "2026-11-23 03:05:07", in the reader's time zone. */
export function clock(at: number): string {
  const d = new Date(at);
  return `${day(at)} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** "03:05:07.123", in UTC, for the lines of logs. */
export function lineTime(t: string | null): string {
  const at = ms(t);
  return Number.isNaN(at) ? ''.padEnd(12) : new Date(at).toISOString().slice(11, 23);
}

/** "2026-11-23 03:05:07.123 UTC", for hovers and audits. */
export function utc(t: string | null | undefined): string {
  const at = ms(t);
  return Number.isNaN(at) ? '' : `${new Date(at).toISOString().replace('T', ' ').replace('Z', '')} UTC`;
}

const two = (n: number): string => String(n).padStart(2, '0');
