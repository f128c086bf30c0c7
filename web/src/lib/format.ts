/** Numbers and names, as people read them. */

/** "1,300,000": always with the same separators, so that screens and texts agree. */
export function count(n: number): string {
  return String(Math.trunc(n)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** "734 B", "1.2 KB", "48 MB": powers of 1000, as disks are sold and object stores bill. */
export function bytes(n: number): string {
  if (!Number.isFinite(n) || n < 0) return '';
  const units = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];
  let i = 0;
  while (n >= 999.5 && i < units.length - 1) {
    n /= 1000;
    i++;
  }
  return `${i === 0 || n >= 99.5 ? Math.round(n) : n >= 9.95 ? n.toFixed(0) : n.toFixed(1)} ${units[i]}`;
}

/** "1 job", "2 jobs". */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

export const shortSHA = (sha: string): string => sha.slice(0, 8);

/** The name of an actor for people: "account:ann" is "ann", "forge:github" is "GitHub". */
export function actorName(actor: string): string {
  const [kind, rest] = [actor.slice(0, actor.indexOf(':')), actor.slice(actor.indexOf(':') + 1)];
  if (kind === 'account') return rest;
  if (kind === 'forge') return { github: 'GitHub', gitlab: 'GitLab', bitbucket: 'Bitbucket' }[rest] ?? rest;
  if (kind === 'token') return `token ${rest}`;
  if (kind === 'runner') return `runner ${rest}`;
  return actor === 'gantry' ? 'Gantry' : actor;
}
