/** Errors, where they are, and what a person can do. */
import { Alert, Button, Code, List } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { fieldOf, Problem, Unreachable } from '../api/problem';

/** What went wrong, in one line. */
export function messageOf(e: unknown): string {
  if (e instanceof Problem) {
    const first = e.errors[0];
    const where = first ? `${fieldOf(first.location)} ${first.message}`.trim() : '';
    const wait = e.retryAfter > 0 ? ` Try again in ${e.retryAfter} s.` : '';
    return (e.detail && where && !e.detail.includes(where) ? `${e.detail}: ${where}` : where || e.detail || e.title) + wait;
  }
  return e instanceof Error ? e.message : String(e);
}

/** Tells of an error that belongs to no place on the screen. */
export function tellProblem(e: unknown): void {
  notifications.show({ color: 'red', title: e instanceof Problem ? e.title : undefined, message: messageOf(e), autoClose: 9000 });
}

export function tell(message: string): void {
  notifications.show({ color: 'teal', message, autoClose: 3500 });
}

/** An error with all its places; known names fields that show their own. */
export function ProblemAlert({ error, retry, known = [] }: { error: unknown; retry?: () => void; known?: string[] }) {
  if (!error) return null;
  const p = error instanceof Problem ? error : null;
  const located = (p?.errors ?? []).filter((e) => !known.includes(fieldOf(e.location)));
  return (
    <Alert color={error instanceof Unreachable ? 'yellow' : 'red'} variant="light" role="alert" title={p?.title}>
      {p ? p.detail || (located.length === 0 && p.errors.length > 0 ? 'See the marked fields.' : '') : messageOf(error)}
      {located.length > 0 && (
        <List size="sm" mt={4}>
          {located.map((e, i) => (
            <List.Item key={i}>
              {e.location && <Code>{fieldOf(e.location) || e.location}</Code>} {e.message}
            </List.Item>
          ))}
        </List>
      )}
      {p && p.retryAfter > 0 && <> Try again in {p.retryAfter} s.</>}
      {retry && (
        <div>
          <Button size="compact-sm" variant="default" mt="xs" onClick={retry}>Try again</Button>
        </div>
      )}
    </Alert>
  );
}
