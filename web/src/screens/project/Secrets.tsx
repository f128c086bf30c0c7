/** Secrets of a project: they are written, handed to jobs and masked in logs, and never shown. */
import { PasswordInput, SegmentedControl, Textarea, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { change, seg } from '../../api/client';
import { q } from '../../api/queries';
import type { Project, SecretInfo } from '../../api/types';
import { actorName } from '../../lib/format';
import { CanButton } from '../../parts/Can';
import { Confirm } from '../../parts/Confirm';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { Empty, Section } from '../../parts/Page';
import { tell } from '../../parts/Problem';
import { RowActions } from '../../parts/RowActions';
import table from '../../parts/table.module.css';
import { Ago } from '../../parts/Time';
import { EnvironmentField } from './EnvironmentField';

export function Secrets({ project: p }: { project: Project }) {
  const list = useQuery(q.secrets(p.id));
  const client = useQueryClient();
  const [edit, setEdit] = useState<Partial<SecretInfo> | null>(null);
  const [gone, setGone] = useState<SecretInfo | null>(null);
  const stale = () => client.invalidateQueries({ queryKey: ['project', p.id, 'secrets'] });
  return (
    <Section title="Encrypted where they are kept, masked in logs, and never shown again" actions={<CanButton action="secret:write" project={p.id} variant="default" leftSection={<IconPlus size={15} />} onClick={() => setEdit({})}>Set a secret</CanButton>}>
      <Loaded query={list} rows={3}>
        {(all) => all.length === 0 ? (
          <Empty title="No secret is kept">Jobs read them as <code>{'${{ secrets.NAME }}'}</code>. One of an environment is handed only to jobs that were let into it.</Empty>
        ) : (
          <div className={table.frame}>
            <table className={table.table}>
              <thead><tr><th>Name</th><th>Environment</th><th className={table.hide}>Version</th><th className={table.hide}>Set</th><th /></tr></thead>
              <tbody>
                {all.map((s) => (
                  <tr key={`${s.environment} ${s.name}`}>
                    <td className="mono">{s.name}</td>
                    <td>{s.environment || <span className="dim">all</span>}</td>
                    <td className={`${table.hide} num`}>{s.version}</td>
                    <td className={`${table.hide} dim`}><Ago at={s.updated_at} /> by {actorName(s.updated_by)}</td>
                    <RowActions action="secret:write" project={p.id} change="Replace" onChange={() => setEdit(s)} onRemove={() => setGone(s)} />
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
      {edit && <Edit project={p} was={edit} onClose={() => setEdit(null)} done={stale} />}
      <Confirm opened={gone !== null} onClose={() => setGone(null)} title={`Remove ${gone?.name}?`} verb="Remove" type={gone?.name} act={async () => {
        await change('DELETE', `/projects/${seg(p.id)}/secrets/${seg(gone!.name)}`, undefined, { query: { environment: gone!.environment } });
        await stale();
      }}>
        Its value is gone with it, and jobs that read it get an empty text.
      </Confirm>
    </Section>
  );
}

function Edit({ project: p, was, onClose, done }: { project: Project; was: Partial<SecretInfo>; onClose: () => void; done: () => Promise<void> }) {
  const [name, setName] = useState(was.name ?? '');
  const [value, setValue] = useState('');
  const [lines, setLines] = useState('one');
  const [environment, setEnvironment] = useState(was.environment ?? '');
  return (
    <FormDialog opened onClose={onClose} title={was.name ? `Replace ${was.name}` : 'Set a secret'} verb="Save" known={['name', 'value', 'environment']} act={async () => {
      const s = await change<SecretInfo>('PUT', `/projects/${seg(p.id)}/secrets/${seg(name.trim())}`, { value }, { query: { environment } });
      await done();
      tell(`${s.name} is kept as version ${s.version}`);
    }}>
      {(at) => (
        <>
          {!was.name && <TextInput label="Name" required data-autofocus value={name} onChange={(e) => setName(e.currentTarget.value)} error={at('name')} spellCheck={false} autoCapitalize="characters" autoComplete="off" />}
          {!was.name && <EnvironmentField project={p} value={environment} onChange={setEnvironment} error={at('environment')} />}
          <SegmentedControl size="xs" value={lines} onChange={setLines} data={[{ value: 'one', label: 'One line' }, { value: 'many', label: 'Several lines' }]} aria-label="Kind of value" style={{ alignSelf: 'start' }} />
          {lines === 'one' ? (
            <PasswordInput label="Value" required value={value} onChange={(e) => setValue(e.currentTarget.value)} error={at('value')} autoComplete="new-password" />
          ) : (
            <Textarea label="Value" required autosize minRows={4} maxRows={14} value={value} onChange={(e) => setValue(e.currentTarget.value)} error={at('value')} spellCheck={false} styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12 } }} />
          )}
        </>
      )}
    </FormDialog>
  );
}
