/** Who may sign in, and what each may. */
import { ActionIcon, Button, Group, PasswordInput, Select, Switch, Text, TextInput } from '@mantine/core';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { change, onceKey, seg } from '../../api/client';
import { q } from '../../api/queries';
import type { Account, Grant, Role } from '../../api/types';
import { CanButton } from '../../parts/Can';
import { Confirm } from '../../parts/Confirm';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { Section } from '../../parts/Page';
import { tell } from '../../parts/Problem';
import table from '../../parts/table.module.css';
import { Ago } from '../../parts/Time';

const roles: { value: Role; label: string }[] = [
  { value: 'viewer', label: 'viewer: reads' },
  { value: 'developer', label: 'developer: also starts, cancels and re-runs' },
  { value: 'releaser', label: 'releaser: also approves, keeps secrets and environments' },
  { value: 'auditor', label: 'auditor: reads everything, changes nothing' },
  { value: 'admin', label: 'admin: may all' },
];

export function Accounts() {
  const list = useQuery(q.accounts());
  const client = useQueryClient();
  const [edit, setEdit] = useState<Account | 'new' | null>(null);
  const [password, setPassword] = useState<Account | null>(null);
  const [gone, setGone] = useState<Account | null>(null);
  const stale = () => client.invalidateQueries({ queryKey: ['accounts'] });
  return (
    <Section title="Who may sign in" actions={<CanButton action="account:write" variant="default" leftSection={<IconPlus size={15} />} onClick={() => setEdit('new')}>Make an account</CanButton>}>
      <Loaded query={list} rows={3}>
        {(all) => (
          <div className={table.frame}>
            <table className={table.table}>
              <thead><tr><th>Account</th><th>Roles</th><th className={table.hide}>Signed in</th><th /></tr></thead>
              <tbody>
                {all.map((a) => (
                  <tr key={a.name} data-dim={a.disabled || undefined}>
                    <td><span className={table.name}>{a.name}</span>{a.display && a.display !== a.name && <span className="dim"> {a.display}</span>}{a.disabled && <span className={table.tag}>disabled</span>}{a.oidc && <span className={table.tag}>company account</span>}</td>
                    <td>{(a.grants ?? []).length === 0 ? <span className="dim">none</span> : a.grants!.map((g) => <div key={`${g.project} ${g.role}`}>{g.role} <span className="dim">on {g.project === '*' ? 'everything' : g.project}</span></div>)}</td>
                    <td className={`${table.hide} dim`}><Ago at={a.last_login_at} none="never" /></td>
                    <td className={table.right} style={{ whiteSpace: 'nowrap' }}>
                      <CanButton action="account:write" variant="subtle" size="compact-xs" onClick={() => setEdit(a)}>Change</CanButton>
                      <CanButton action="account:write" variant="subtle" size="compact-xs" onClick={() => setPassword(a)}>Password</CanButton>
                      <CanButton action="account:write" variant="subtle" color="red" size="compact-xs" onClick={() => setGone(a)}>Remove</CanButton>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
      {edit !== null && <Edit account={edit === 'new' ? null : edit} onClose={() => setEdit(null)} done={stale} />}
      {password && <SetPassword account={password} onClose={() => setPassword(null)} />}
      <Confirm opened={gone !== null} onClose={() => setGone(null)} title={`Remove ${gone?.name}?`} verb="Remove" act={async () => {
        await change('DELETE', `/accounts/${seg(gone!.name)}`);
        await stale();
      }}>
        Its sessions and tokens end at once. What it did stays in the audit trail. To keep the name from being given again, disable it instead.
      </Confirm>
    </Section>
  );
}

function Edit({ account, onClose, done }: { account: Account | null; onClose: () => void; done: () => Promise<void> }) {
  const [name, setName] = useState(account?.name ?? '');
  const [display, setDisplay] = useState(account?.display ?? '');
  const [password, setPassword] = useState('');
  const [disabled, setDisabled] = useState(account?.disabled ?? false);
  const [grants, setGrants] = useState<Grant[]>(account?.grants ?? []);
  const [once] = useState(onceKey);
  return (
    <FormDialog opened onClose={onClose} title={account ? `Change ${account.name}` : 'Make an account'} verb={account ? 'Save' : 'Make'} known={['name', 'display', 'password']} act={async () => {
      if (account) await change('PUT', `/accounts/${seg(account.name)}`, { display, disabled, grants });
      else await change('POST', '/accounts', { name: name.trim(), display, password: password || undefined, grants }, { once });
      await done();
      tell(account ? `${account.name} is changed` : `${name} can sign in`);
    }}>
      {(at) => (
        <>
          {!account && <TextInput label="Name" description="Small letters and digits; people sign in by it." required data-autofocus value={name} onChange={(e) => setName(e.currentTarget.value)} error={at('name')} spellCheck={false} autoComplete="off" />}
          <TextInput label="Name for people" value={display} onChange={(e) => setDisplay(e.currentTarget.value)} error={at('display')} autoComplete="off" />
          {!account && <PasswordInput label="Password" description="Leave it empty for who signs in by the company account." value={password} onChange={(e) => setPassword(e.currentTarget.value)} error={at('password')} autoComplete="new-password" />}
          <Grants grants={grants} set={setGrants} />
          {account && <Switch label="Disabled" description="It cannot sign in, and its tokens are refused." checked={disabled} onChange={(e) => setDisabled(e.currentTarget.checked)} />}
        </>
      )}
    </FormDialog>
  );
}

function Grants({ grants, set }: { grants: Grant[]; set: (g: Grant[]) => void }) {
  const projects = useQuery(q.projects()).data ?? [];
  const where = [{ value: '*', label: 'everything' }, ...projects.map((p) => ({ value: p.id, label: p.id }))];
  const change = (i: number, c: Partial<Grant>) => set(grants.map((g, n) => (n === i ? { ...g, ...c } : g)));
  return (
    <div>
      <Text size="sm" fw={500} mb={4}>Roles</Text>
      {grants.map((g, i) => (
        <Group key={i} gap={6} mb={6} wrap="nowrap">
          <Select aria-label={`Role ${i + 1}`} data={roles} value={g.role} onChange={(v) => change(i, { role: (v ?? 'viewer') as Role })} allowDeselect={false} style={{ flex: 2 }} />
          <Select aria-label={`Where role ${i + 1} is given`} data={where} value={g.project} onChange={(v) => change(i, { project: v ?? '*' })} allowDeselect={false} searchable style={{ flex: 1 }} />
          <ActionIcon variant="subtle" color="red" aria-label={`Take role ${i + 1} away`} onClick={() => set(grants.filter((_, n) => n !== i))}><IconTrash size={15} /></ActionIcon>
        </Group>
      ))}
      <Button variant="default" size="compact-sm" leftSection={<IconPlus size={13} />} onClick={() => set([...grants, { project: projects[0]?.id ?? '*', role: 'viewer' }])}>Give a role</Button>
    </div>
  );
}

function SetPassword({ account, onClose }: { account: Account; onClose: () => void }) {
  const [password, setPassword] = useState('');
  return (
    <FormDialog opened onClose={onClose} title={`Set the password of ${account.name}`} verb="Set" known={['password']} act={async () => {
      await change('POST', `/accounts/${seg(account.name)}/password`, { password });
      tell(`The password of ${account.name} is set; its sessions are signed out`);
    }}>
      {(at) => <PasswordInput label="Password" required data-autofocus value={password} onChange={(e) => setPassword(e.currentTarget.value)} error={at('password')} autoComplete="new-password" />}
    </FormDialog>
  );
}
