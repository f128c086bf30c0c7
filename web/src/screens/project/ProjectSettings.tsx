/** What a project is: where its files come from, its forge, and how long things are kept. */
import { Button, Checkbox, Group, NumberInput, PasswordInput, Select, SimpleGrid, Stack, Switch, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { change, seg } from '../../api/client';
import { useMe } from '../../api/queries';
import { Problem } from '../../api/problem';
import type { Project } from '../../api/types';
import { may } from '../../lib/permissions';
import { CanButton } from '../../parts/Can';
import { Confirm } from '../../parts/Confirm';
import { Section } from '../../parts/Page';
import { ProblemAlert, tell } from '../../parts/Problem';

export function ProjectSettings({ project: was }: { project: Project }) {
  const client = useQueryClient();
  const me = useMe();
  const [p, setP] = useState(was);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const writable = may(me, 'project:write', was.id);
  const at = (field: string) => (error instanceof Problem ? error.at(field) : undefined);
  const source = (c: Partial<Project['source']>) => setP((v) => ({ ...v, source: { ...v.source, ...c } }));
  const forge = (c: Partial<Project['forge']>) => setP((v) => ({ ...v, forge: { ...v.forge, ...c } }));
  const keep = (c: Partial<Project['retention']>) => setP((v) => ({ ...v, retention: { ...v.retention, ...c } }));
  const save = async () => {
    setBusy(true);
    setError(null);
    try {
      const next = await change<Project>('PUT', `/projects/${seg(was.id)}`, p);
      tell('The settings are saved');
      client.setQueryData(['project', was.id], next);
      void client.invalidateQueries({ queryKey: ['projects'] });
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Stack gap="lg" maw={760}>
      <form onSubmit={(e) => { e.preventDefault(); void save(); }}>
        <fieldset disabled={!writable} style={{ border: 0, padding: 0, margin: 0, minWidth: 0 }}>
          <Stack gap="sm">
            <TextInput label="Name" placeholder={was.id} value={p.name} onChange={(e) => setP({ ...p, name: e.currentTarget.value })} error={at('name')} />
            <TextInput label={p.source.folder ? 'Folder on the server' : 'Address of the repository'} required value={p.source.url} onChange={(e) => source({ url: e.currentTarget.value })} error={at('source.url')} spellCheck={false} />
            <SimpleGrid cols={{ base: 1, sm: 2 }}>
              <TextInput label="Folder within it" value={p.source.path ?? ''} onChange={(e) => source({ path: e.currentTarget.value })} error={at('source.path')} spellCheck={false} />
              <TextInput label="Default branch" placeholder="as the repository says" value={p.source.default_branch ?? ''} onChange={(e) => source({ default_branch: e.currentTarget.value })} error={at('source.default_branch')} spellCheck={false} />
            </SimpleGrid>
            <NumberInput label="Look for new commits every … seconds" description="0: never, webhooks tell." min={0} allowDecimal={false} value={p.poll_seconds} onChange={(v) => setP({ ...p, poll_seconds: Number(v) || 0 })} error={at('poll_seconds')} />
            <Switch label="Paused" description="Nothing starts by itself; people still may." checked={p.paused} onChange={(e) => setP({ ...p, paused: e.currentTarget.checked })} />
            <Section title="Forge">
              <Stack gap="sm">
                <SimpleGrid cols={{ base: 1, sm: 2 }}>
                  <Select label="Kind" allowDeselect={false} value={p.forge.kind ?? ''} onChange={(v) => forge({ kind: v ?? '' })} data={[{ value: '', label: 'plain Git' }, { value: 'github', label: 'GitHub' }, { value: 'gitlab', label: 'GitLab' }, { value: 'bitbucket', label: 'Bitbucket' }]} error={at('forge.kind')} />
                  <TextInput label="Repository" placeholder="owner/name" value={p.forge.repository ?? ''} onChange={(e) => forge({ repository: e.currentTarget.value })} error={at('forge.repository')} spellCheck={false} />
                </SimpleGrid>
                <TextInput label="Address of its API" placeholder="the vendor’s own" value={p.forge.base_url ?? ''} onChange={(e) => forge({ base_url: e.currentTarget.value })} error={at('forge.base_url')} spellCheck={false} />
                <Checkbox label="Comment on pull requests how their runs stand" checked={p.forge.comment ?? false} onChange={(e) => forge({ comment: e.currentTarget.checked })} />
              </Stack>
            </Section>
            <Section title="How long things are kept, in days; 0: for ever">
              <SimpleGrid cols={{ base: 1, sm: 3 }}>
                <NumberInput label="Runs" min={0} allowDecimal={false} value={p.retention.runs_days} onChange={(v) => keep({ runs_days: Number(v) || 0 })} error={at('retention.runs_days')} />
                <NumberInput label="Logs" min={0} allowDecimal={false} value={p.retention.logs_days} onChange={(v) => keep({ logs_days: Number(v) || 0 })} error={at('retention.logs_days')} />
                <NumberInput label="Artifacts" min={0} allowDecimal={false} value={p.retention.artifacts_days} onChange={(v) => keep({ artifacts_days: Number(v) || 0 })} error={at('retention.artifacts_days')} />
              </SimpleGrid>
            </Section>
            {error !== null && <ProblemAlert error={error} known={['name', 'source.url', 'source.path', 'forge.repository', 'poll_seconds']} />}
            <Group><CanButton action="project:write" project={was.id} type="submit" loading={busy}>Save</CanButton></Group>
          </Stack>
        </fieldset>
      </form>
      <ForgeSecrets project={was} />
      <Remove project={was} />
    </Stack>
  );
}

function ForgeSecrets({ project: p }: { project: Project }) {
  const client = useQueryClient();
  const [token, setToken] = useState('');
  const [hook, setHook] = useState('');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const send = async (body: { token?: string; webhook_secret?: string }) => {
    setBusy(true);
    setError(null);
    try {
      client.setQueryData(['project', p.id], await change<Project>('PUT', `/projects/${seg(p.id)}/forge`, body));
      setToken('');
      setHook('');
      tell('Kept');
    } catch (e) {
      setError(e);
    } finally {
      setBusy(false);
    }
  };
  const removal = (set: boolean, body: { token?: string; webhook_secret?: string }) => set && <Button variant="subtle" color="red" size="compact-xs" onClick={() => void send(body)}>Remove</Button>;
  return (
    <Section title="Secrets of the forge: kept encrypted, never shown">
      <form onSubmit={(e) => { e.preventDefault(); void send({ token: token || undefined, webhook_secret: hook || undefined }); }}>
        <Stack gap="sm">
          <PasswordInput label={<>Token of its API {removal(p.forge.has_token, { token: '' })}</>} description="For statuses and comments, and to clone over https." placeholder={p.forge.has_token ? 'one is set; type to replace it' : 'none is set'} value={token} onChange={(e) => setToken(e.currentTarget.value)} autoComplete="new-password" />
          <PasswordInput label={<>Secret of its webhooks {removal(p.forge.has_webhook_secret, { webhook_secret: '' })}</>} placeholder={p.forge.has_webhook_secret ? 'one is set; type to replace it' : 'none is set'} value={hook} onChange={(e) => setHook(e.currentTarget.value)} autoComplete="new-password" />
          {error !== null && <ProblemAlert error={error} />}
          <Group><CanButton action="secret:write" project={p.id} type="submit" variant="default" loading={busy} disabled={!token && !hook}>Keep</CanButton></Group>
        </Stack>
      </form>
    </Section>
  );
}

function Remove({ project: p }: { project: Project }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [ask, setAsk] = useState(false);
  return (
    <Section title="Remove the project">
      <CanButton action="project:delete" project={p.id} color="red" variant="light" onClick={() => setAsk(true)}>Remove {p.id}</CanButton>
      <Confirm opened={ask} onClose={() => setAsk(false)} title={`Remove ${p.id}?`} verb="Remove" type={p.id} act={async () => {
        await change('DELETE', `/projects/${seg(p.id)}`);
        client.removeQueries({ queryKey: ['project', p.id] });
        for (const queryKey of [['projects'], ['runs'], ['overview'], ['me']]) void client.invalidateQueries({ queryKey });
        void navigate('/projects');
      }}>
        Its runs, logs, artifacts, secrets, variables and grants go with it. The audit trail keeps what happened. The repository itself is not touched.
      </Confirm>
    </Section>
  );
}
