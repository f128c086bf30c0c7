/** Sign in: by password, or by the company's accounts where the server has them. */
import { Alert, Button, Divider, PasswordInput, TextInput } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import { change, isStatus } from '../api/client';
import { q } from '../api/queries';
import { Gate } from '../parts/Gate';
import { ProblemAlert } from '../parts/Problem';

/** Only paths of this site: an address that names another would lead people away. */
export function safeReturn(to: string | null): string {
  return to && /^\/(?![/\\])/.test(to) && !/^\/(sign-in|welcome)\b/.test(to) ? to : '/';
}

export function SignIn() {
  useDocumentTitle('Sign in · Gantry');
  const [params] = useSearchParams();
  const navigate = useNavigate();
  const client = useQueryClient();
  const options = useQuery(q.sessionOptions());
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const to = safeReturn(params.get('return'));
  const problem = params.get('problem');

  const submit = async (form: HTMLFormElement) => {
    const data = new FormData(form);
    setBusy(true);
    setError(null);
    try {
      await change('POST', '/session', { name: String(data.get('name')).trim(), password: data.get('password') });
      client.clear();
      void navigate(to, { replace: true });
    } catch (e) {
      setError(e);
      if (isStatus(e, 401)) form.querySelector<HTMLInputElement>('[name=password]')?.select();
    } finally {
      setBusy(false);
    }
  };

  return (
    <Gate title="Sign in to Gantry">
      {options.data?.first_start && (
        <Alert color="petrol" mb="md" title="This server is new">
          There is no account yet. The server has printed a one-time link, in the terminal or the log where it was started: open it to make the first account.
        </Alert>
      )}
      {problem && <Alert color="red" mb="md" role="alert">The sign-in by {options.data?.oidc_name || 'the company account'} did not succeed ({problem}). Try again, or ask an administrator: the audit trail says why.</Alert>}
      {options.data?.oidc && (
        <>
          <Button component="a" href={`/auth/oidc/start?return=${encodeURIComponent(to)}`} variant="default" size="sm" fullWidth>
            Continue with {options.data.oidc_name || 'the company account'}
          </Button>
          <Divider my="md" label="or by password" />
        </>
      )}
      <form onSubmit={(e) => { e.preventDefault(); void submit(e.currentTarget); }}>
        <TextInput name="name" label="Name" autoComplete="username" required autoFocus autoCapitalize="none" spellCheck={false} />
        <PasswordInput name="password" label="Password" autoComplete="current-password" required mt="sm" mb="md" />
        {error !== null && <div style={{ marginBottom: 12 }}><ProblemAlert error={error} /></div>}
        <Button type="submit" fullWidth size="sm" loading={busy}>Sign in</Button>
      </form>
    </Gate>
  );
}
