/** My roles, my API tokens, my password. */
import { Button, Group, MultiSelect, NumberInput, PasswordInput, Stack, TagsInput, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { change, onceKey, seg } from '../../api/client';
import { Problem } from '../../api/problem';
import { q, useMe } from '../../api/queries';
import type { TokenInfo } from '../../api/types';
import { Confirm } from '../../parts/Confirm';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { Empty, Section } from '../../parts/Page';
import { ProblemAlert, tell } from '../../parts/Problem';
import table from '../../parts/table.module.css';
import { Ago } from '../../parts/Time';
import { TokenOnce } from '../../parts/Token';

export function Mine() {
  return (
    <>
      <Roles />
      <Tokens />
      <Password />
    </>
  );
}

function Roles() {
  const me = useMe();
  const grants = me?.identity.grants ?? [];
  return (
    <Section title={`What ${me?.identity.name} may`}>
      {grants.length === 0 ? <Empty title="You have no role yet">An administrator gives roles, under Accounts.</Empty> : (
        <div className={table.frame}>
          <table className={table.table}>
            <thead><tr><th>Project</th><th>Role</th></tr></thead>
            <tbody>{grants.map((g) => <tr key={`${g.project} ${g.role}`}><td>{g.project === '*' ? 'all projects, and the server' : g.project}</td><td>{g.role}</td></tr>)}</tbody>
          </table>
        </div>
      )}
    </Section>
  );
}

function Tokens() {
  const list = useQuery(q.tokens());
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [token, setToken] = useState<string | null>(null);
  const [gone, setGone] = useState<TokenInfo | null>(null);
  return (
    <Section title="API tokens, for the command line and for scripts" actions={<Button variant="default" leftSection={<IconPlus size={15} />} onClick={() => setAdding(true)}>Make a token</Button>}>
      <Loaded query={list} rows={2}>
        {(all) => all.length === 0 ? <Empty title="You have no token">A token does what you may do, or less, until it expires.</Empty> : (
          <div className={table.frame}>
            <table className={table.table}>
              <thead><tr><th>Name</th><th className={table.hide}>May</th><th className={table.hide}>Projects</th><th>Expires</th><th className={table.hide}>Used</th><th /></tr></thead>
              <tbody>
                {all.map((t) => (
                  <tr key={t.id}>
                    <td className={table.name}>{t.name}</td>
                    <td className={`${table.hide} mono`}>{t.scopes?.join(', ') || <span className="dim">all that I may</span>}</td>
                    <td className={table.hide}>{t.projects?.join(', ') || <span className="dim">all of mine</span>}</td>
                    <td><Ago at={t.expires_at} /></td>
                    <td className={`${table.hide} dim`}><Ago at={t.last_used_at} none="never" /></td>
                    <td className={table.right}><Button variant="subtle" color="red" size="compact-xs" onClick={() => setGone(t)}>Revoke</Button></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
      {adding && <MakeToken onClose={() => setAdding(false)} done={setToken} />}
      <TokenOnce token={token} onClose={() => setToken(null)} title="Your token" />
      <Confirm opened={gone !== null} onClose={() => setGone(null)} title={`Revoke ${gone?.name}?`} verb="Revoke" act={async () => {
        await change('DELETE', `/tokens/${seg(gone!.id)}`);
        await client.invalidateQueries({ queryKey: ['tokens'] });
      }}>
        What uses it is refused from now on.
      </Confirm>
    </Section>
  );
}

function MakeToken({ onClose, done }: { onClose: () => void; done: (token: string) => void }) {
  const client = useQueryClient();
  const me = useMe();
  const projects = useQuery(q.projects()).data ?? [];
  const [name, setName] = useState('');
  const [scopes, setScopes] = useState<string[]>([]);
  const [only, setOnly] = useState<string[]>([]);
  const [days, setDays] = useState(90);
  const [once] = useState(onceKey);
  const mine = [...new Set(Object.values(me?.permissions ?? {}).flatMap((a) => a ?? []))].sort();
  const kinds = [...new Set(mine.map((a) => a.split(':', 1)[0]!))];
  return (
    <FormDialog opened onClose={onClose} title="Make a token" verb="Make" known={['name', 'scopes', 'projects', 'expires_in_days']} act={async () => {
      const made = await change<{ token: string }>('POST', '/tokens', { name: name.trim(), scopes, projects: only, expires_in_days: days }, { once });
      void client.invalidateQueries({ queryKey: ['tokens'] });
      done(made.token);
    }}>
      {(at) => (
        <>
          <TextInput label="Name" description="What it is for." required data-autofocus value={name} onChange={(e) => setName(e.currentTarget.value)} error={at('name')} />
          <TagsInput label="May" description="Actions such as run:start, or their first parts such as run. Empty: all that you may." data={[...kinds, ...mine]} value={scopes} onChange={setScopes} error={at('scopes')} />
          <MultiSelect label="Projects" description="Empty: all of yours." data={projects.map((p) => p.id)} value={only} onChange={setOnly} error={at('projects')} searchable />
          <NumberInput label="Expires after, in days" min={1} max={365} allowDecimal={false} value={days} onChange={(v) => setDays(Number(v) || 90)} error={at('expires_in_days')} />
        </>
      )}
    </FormDialog>
  );
}

function Password() {
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const at = (f: string) => (error instanceof Problem ? error.at(f) : undefined);
  const submit = async (form: HTMLFormElement) => {
    const data = new FormData(form);
    setBusy(true);
    setError(null);
    try {
      await change('PUT', '/me/password', { old: data.get('old'), new: data.get('new') });
      form.reset();
      tell('The password is changed; other sessions of yours are signed out');
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title="Password">
      <form onSubmit={(e) => { e.preventDefault(); void submit(e.currentTarget); }}>
        <Stack gap="sm" maw={360}>
          <PasswordInput name="old" label="Now" required autoComplete="current-password" error={at('old')} />
          <PasswordInput name="new" label="From now on" required autoComplete="new-password" error={at('new')} />
          {error !== null && <ProblemAlert error={error} known={['old', 'new']} />}
          <Group><Button type="submit" variant="default" loading={busy}>Change it</Button></Group>
        </Stack>
      </form>
    </Section>
  );
}
