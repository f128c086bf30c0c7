/** The first start: the one-time link that the server has printed makes the first account, an administrator. */
import { Alert, Button, PasswordInput, TextInput } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useNavigate } from 'react-router';
import { change } from '../api/client';
import { Problem } from '../api/problem';
import { Gate } from '../parts/Gate';
import { ProblemAlert } from '../parts/Problem';

export function Welcome() {
  useDocumentTitle('Welcome · Gantry');
  const navigate = useNavigate();
  const client = useQueryClient();
  const [token] = useState(() => new URLSearchParams(window.location.hash.slice(1)).get('token') ?? '');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  // The token shall not stay in the address, where it would be seen and kept.
  useEffect(() => {
    if (window.location.hash) window.history.replaceState(window.history.state, '', window.location.pathname);
  }, []);

  const submit = async (form: HTMLFormElement) => {
    const data = new FormData(form);
    if (data.get('password') !== data.get('again')) {
      setError(new Error('The two passwords are not the same.'));
      return;
    }
    setBusy(true);
    setError(null);
    try {
      await change('POST', '/session/link', { token, name: String(data.get('name')).trim(), password: data.get('password') });
      client.clear();
      void navigate('/', { replace: true });
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const p = error instanceof Problem ? error : null;
  return (
    <Gate title="Welcome to Gantry">
      {!token ? (
        <Alert color="yellow">This page needs the one-time link that the server prints at its first start, whole. Where it was used already, <a href="/sign-in">sign in</a>.</Alert>
      ) : (
        <form onSubmit={(e) => { e.preventDefault(); void submit(e.currentTarget); }}>
          <p style={{ marginTop: 0 }} className="dim">Make the first account. It is an administrator: it may do everything, and gives roles to others.</p>
          <TextInput name="name" label="Name" description="Small letters and digits; you sign in by it." autoComplete="username" required autoFocus autoCapitalize="none" spellCheck={false} error={p?.at('name')} />
          <PasswordInput name="password" label="Password" autoComplete="new-password" required mt="sm" error={p?.at('password')} />
          <PasswordInput name="again" label="Password again" autoComplete="new-password" required mt="sm" mb="md" />
          {error !== null && <div style={{ marginBottom: 12 }}><ProblemAlert error={error} known={['name', 'password']} /></div>}
          <Button type="submit" fullWidth size="sm" loading={busy}>Make the account and sign in</Button>
        </form>
      )}
    </Gate>
  );
}
