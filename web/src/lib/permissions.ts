/** What the person may do, as /me tells it. The server decides in the end; this only spares people buttons that would be refused. */
import type { Action, Me } from '../api/types';

/** Whether an action is allowed: on a project, or on the server where none is named. */
export function may(me: Me | undefined, action: Action, project?: string): boolean {
  const on = (key: string) => me?.permissions?.[key]?.includes(action) ?? false;
  return on('*') || (project !== undefined && on(project));
}

/** Whether it is allowed on any project at all. */
export function mayAnywhere(me: Me | undefined, action: Action): boolean {
  return Object.values(me?.permissions ?? {}).some((actions) => actions?.includes(action));
}

const roles: Partial<Record<Action, string>> = {
  'run:start': 'developers', 'run:cancel': 'developers', 'run:rerun': 'developers', 'run:delete': 'administrators',
  'approval:decide': 'releasers', 'secret:write': 'releasers', 'project:write': 'releasers',
  'project:create': 'administrators', 'project:delete': 'administrators', 'runner:write': 'administrators',
  'account:write': 'administrators', 'settings:write': 'administrators', 'event:read': 'auditors',
  'release:start': 'developers', 'release:control': 'developers', 'release:promote': 'releasers', 'agent:write': 'administrators', 'metrics:read': 'viewers of the whole server',
};

/** Why a button is disabled. */
export function whyNot(action: Action, project?: string): string {
  const who = roles[action];
  const where = project ? ` in ${project}` : '';
  return who ? `This is for ${who}${where} (${action}). An administrator can give you the role.` : `You may not do this${where} (${action}).`;
}
