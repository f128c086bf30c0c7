/** Values for a project's jobs that are no secret. */
import { Textarea, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { change, seg } from '../../api/client';
import { q } from '../../api/queries';
import type { Project, Variable } from '../../api/types';
import { CanButton } from '../../parts/Can';
import { Confirm } from '../../parts/Confirm';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { Empty, Section } from '../../parts/Page';
import { RowActions } from '../../parts/RowActions';
import table from '../../parts/table.module.css';
import { Ago } from '../../parts/Time';
import { EnvironmentField } from './EnvironmentField';

export function Variables({ project: p }: { project: Project }) {
  const list = useQuery(q.variables(p.id));
  const client = useQueryClient();
  const [edit, setEdit] = useState<Partial<Variable> | null>(null);
  const [gone, setGone] = useState<Variable | null>(null);
  const stale = () => client.invalidateQueries({ queryKey: ['project', p.id, 'variables'] });
  return (
    <Section title="Values for jobs, as vars; everybody who sees the project sees them" actions={<CanButton action="project:write" project={p.id} variant="default" leftSection={<IconPlus size={15} />} onClick={() => setEdit({})}>Set a variable</CanButton>}>
      <Loaded query={list} rows={3}>
        {(all) => all.length === 0 ? (
          <Empty title="No variable is set">Jobs read them as <code>{'${{ vars.NAME }}'}</code>. One of an environment goes before one of the project.</Empty>
        ) : (
          <div className={table.frame}>
            <table className={table.table}>
              <thead><tr><th>Name</th><th>Value</th><th className={table.hide}>Environment</th><th className={table.hide}>Set</th><th /></tr></thead>
              <tbody>
                {all.map((v) => (
                  <tr key={`${v.environment} ${v.name}`}>
                    <td className="mono">{v.name}</td>
                    <td className="mono" style={{ overflowWrap: 'anywhere' }}>{v.value}</td>
                    <td className={table.hide}>{v.environment || <span className="dim">all</span>}</td>
                    <td className={`${table.hide} dim`}><Ago at={v.updated_at} /></td>
                    <RowActions action="project:write" project={p.id} change="Change" onChange={() => setEdit(v)} onRemove={() => setGone(v)} />
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
      {edit && <Edit project={p} was={edit} onClose={() => setEdit(null)} done={stale} />}
      <Confirm opened={gone !== null} onClose={() => setGone(null)} title={`Remove ${gone?.name}?`} verb="Remove" act={async () => {
        await change('DELETE', `/projects/${seg(p.id)}/variables/${seg(gone!.name)}`, undefined, { query: { environment: gone!.environment } });
        await stale();
      }}>
        Jobs that read it get an empty text from then on.
      </Confirm>
    </Section>
  );
}

function Edit({ project: p, was, onClose, done }: { project: Project; was: Partial<Variable>; onClose: () => void; done: () => Promise<void> }) {
  const [name, setName] = useState(was.name ?? '');
  const [value, setValue] = useState(was.value ?? '');
  const [environment, setEnvironment] = useState(was.environment ?? '');
  return (
    <FormDialog opened onClose={onClose} title={was.name ? `Change ${was.name}` : 'Set a variable'} verb="Save" known={['name', 'value', 'environment']} act={async () => {
      await change('PUT', `/projects/${seg(p.id)}/variables/${seg(name.trim())}`, { value }, { query: { environment } });
      await done();
    }}>
      {(at) => (
        <>
          {!was.name && <TextInput label="Name" required data-autofocus value={name} onChange={(e) => setName(e.currentTarget.value)} error={at('name')} spellCheck={false} autoCapitalize="characters" />}
          {!was.name && <EnvironmentField project={p} value={environment} onChange={setEnvironment} error={at('environment')} />}
          <Textarea label="Value" autosize minRows={1} maxRows={10} value={value} onChange={(e) => setValue(e.currentTarget.value)} error={at('value')} spellCheck={false} />
        </>
      )}
    </FormDialog>
  );
}
