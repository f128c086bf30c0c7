/** The environments that jobs deploy to, and what has to be so before one may. */
import { Checkbox, NumberInput, TagsInput, Textarea, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { change, seg } from '../../api/client';
import { q } from '../../api/queries';
import type { Environment, Project } from '../../api/types';
import { plural } from '../../lib/format';
import { CanButton } from '../../parts/Can';
import { Confirm } from '../../parts/Confirm';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { Empty, Section } from '../../parts/Page';
import { tell } from '../../parts/Problem';
import { RowActions } from '../../parts/RowActions';
import table from '../../parts/table.module.css';

const fresh: Environment = { project: '', name: '', approvals: 1, approvers: [], not_starter: true, wait_minutes: 0, refs: [], expire_hours: 0, updated_at: null };

export function Environments({ project: p }: { project: Project }) {
  const list = useQuery(q.environments(p.id));
  const client = useQueryClient();
  const [edit, setEdit] = useState<Environment | null>(null);
  const [gone, setGone] = useState<Environment | null>(null);
  const add = <CanButton action="project:write" project={p.id} variant="default" leftSection={<IconPlus size={15} />} onClick={() => setEdit(fresh)}>Add an environment</CanButton>;
  return (
    <Section title="What has to be so before a job may deploy" actions={add}>
      <Loaded query={list} rows={3}>
        {(all) => all.length === 0 ? (
          <Empty title="No environment has rules">Jobs that name an environment start at once. Give one rules, and its jobs wait for approvals, for a time, or run from some branches only.</Empty>
        ) : (
          <div className={table.frame}>
            <table className={table.table}>
              <thead><tr><th>Environment</th><th>Rules</th><th /></tr></thead>
              <tbody>
                {all.map((e) => (
                  <tr key={e.name}>
                    <td className={table.name}>{e.name}</td>
                    <td>{rules(e).map((r) => <div key={r}>{r}</div>)}</td>
                    <RowActions action="project:write" project={p.id} change="Change" onChange={() => setEdit(e)} onRemove={() => setGone(e)} />
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
      {edit && <Edit project={p} environment={edit} onClose={() => setEdit(null)} />}
      <Confirm opened={gone !== null} onClose={() => setGone(null)} title={`Remove the rules of ${gone?.name}?`} verb="Remove" act={async () => {
        await change('DELETE', `/projects/${seg(p.id)}/environments/${seg(gone!.name)}`);
        await client.invalidateQueries({ queryKey: ['project', p.id, 'environments'] });
      }}>
        Jobs that deploy to it will start at once, without anybody’s approval. Its secrets and variables stay.
      </Confirm>
    </Section>
  );
}

/** The rules of an environment in words. */
export function rules(e: Environment): string[] {
  const out: string[] = [];
  const of = e.approvers?.length ? ` of ${e.approvers.join(', ')}` : '';
  if (e.approvals > 0) out.push(`${plural(e.approvals, 'approval')}${of}${e.not_starter ? ', not by who started the run' : ''}, within ${plural(e.expire_hours || 720, 'hour')}`);
  if (e.wait_minutes > 0) out.push(`${plural(e.wait_minutes, 'minute')} of waiting`);
  if (e.refs?.length) out.push(`only from ${e.refs.join(', ')}`);
  return out.length > 0 ? out : ['none: its jobs start at once'];
}

function Edit({ project: p, environment: was, onClose }: { project: Project; environment: Environment; onClose: () => void }) {
  const client = useQueryClient();
  const [e, setE] = useState(was);
  const set = (c: Partial<Environment>) => setE((v) => ({ ...v, ...c }));
  const isNew = was.name === '';
  return (
    <FormDialog
      opened
      onClose={onClose}
      title={isNew ? 'Add an environment' : `Rules of ${was.name}`}
      verb={isNew ? 'Add' : 'Save'}
      known={['name', 'approvals', 'approvers', 'wait_minutes', 'refs', 'expire_hours']}
      act={async () => {
        await change('PUT', `/projects/${seg(p.id)}/environments/${seg(e.name.trim())}`, { approvals: e.approvals, approvers: e.approvers ?? [], not_starter: e.not_starter, wait_minutes: e.wait_minutes, refs: (e.refs ?? []).map((r) => r.trim()).filter(Boolean), expire_hours: e.expire_hours });
        await client.invalidateQueries({ queryKey: ['project', p.id, 'environments'] });
        tell(`The rules of ${e.name} are saved`);
      }}
    >
      {(at) => (
        <>
          {isNew && <TextInput label="Name" description="As jobs name it in the workflow." required data-autofocus value={e.name} onChange={(v) => set({ name: v.currentTarget.value })} error={at('name')} spellCheck={false} />}
          <NumberInput label="Approvals" description="How many people have to agree before a job may start." min={0} max={20} allowDecimal={false} value={e.approvals} onChange={(v) => set({ approvals: Number(v) || 0 })} error={at('approvals')} />
          <TagsInput label="Approvers" description="Accounts that may approve. Empty: everybody whose role lets them." value={e.approvers ?? []} onChange={(approvers) => set({ approvers })} error={at('approvers')} />
          <Checkbox label="Who started the run may not approve it" checked={e.not_starter} onChange={(v) => set({ not_starter: v.currentTarget.checked })} />
          <NumberInput label="Wait, in minutes" description="After the last approval." min={0} allowDecimal={false} value={e.wait_minutes} onChange={(v) => set({ wait_minutes: Number(v) || 0 })} error={at('wait_minutes')} />
          <Textarea label="Only from" description="Refs that may deploy, one a line, such as refs/heads/release/*. Empty: all." autosize minRows={2} value={(e.refs ?? []).join('\n')} onChange={(v) => set({ refs: v.currentTarget.value.split('\n') })} error={at('refs')} spellCheck={false} />
          <NumberInput label="Refused after, in hours" description="When nobody has decided. 0: after 720 hours." min={0} allowDecimal={false} value={e.expire_hours} onChange={(v) => set({ expire_hours: Number(v) || 0 })} error={at('expire_hours')} />
        </>
      )}
    </FormDialog>
  );
}
