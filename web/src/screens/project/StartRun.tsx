/** Starts a run by hand: which pipeline, of which commit, with which inputs. */
import { Checkbox, Select, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { change, onceKey, seg } from '../../api/client';
import { q } from '../../api/queries';
import type { InputInfo, Project, Started } from '../../api/types';
import { FormDialog } from '../../parts/FormDialog';
import { Loaded } from '../../parts/Loaded';
import { tell } from '../../parts/Problem';

export function StartRun({ project: p, file: asked, onClose }: { project: Project; file: string; onClose: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [ref, setRef] = useState('');
  const [settled, setSettled] = useState('');
  const pipelines = useQuery(q.pipelines(p.id, settled || undefined));
  const [chosen, setChosen] = useState(asked);
  const [inputs, setInputs] = useState<Record<string, string>>({});
  const [once] = useState(onceKey);
  const manual = (pipelines.data ?? []).filter((i) => i.manual);
  const pipeline = manual.find((i) => i.file === chosen) ?? manual[0];
  return (
    <FormDialog
      opened
      onClose={onClose}
      title={`Start a run of ${p.name || p.id}`}
      verb="Start"
      known={['ref', ...(pipeline?.inputs ?? []).map((i) => `inputs.${i.name}`)]}
      act={async () => {
        if (!pipeline) throw new Error('No pipeline of this project can be started by hand. Give one a manual trigger (workflow_dispatch) first.');
        const given = Object.fromEntries((pipeline.inputs ?? []).map((i) => [i.name, inputs[i.name] ?? i.default ?? (i.type === 'boolean' ? 'false' : '')]));
        const s = await change<Started>('POST', `/projects/${seg(p.id)}/runs`, { file: pipeline.file, ref: ref.trim() || undefined, inputs: given }, { once });
        const run = s.runs?.[0];
        if (!run) {
          throw new Error(s.not_started?.[0]?.reason ?? 'Nothing was started.');
        }
        for (const queryKey of [['runs'], ['overview']]) void client.invalidateQueries({ queryKey });
        tell(`Run ${run.number} of ${run.pipeline} is on its way`);
        return () => void navigate(`/runs/${run.id}`);
      }}
    >
      {(at) => (
        <>
          {!p.source.folder && <TextInput label="Branch, tag or commit" placeholder="the default branch" value={ref} onChange={(e) => setRef(e.currentTarget.value)} onBlur={() => setSettled(ref.trim())} error={at('ref')} spellCheck={false} />}
          <Loaded query={pipelines} rows={1}>
            {() => <Select label="Pipeline" data-autofocus allowDeselect={false} placeholder="none can be started by hand" data={manual.map((i) => ({ value: i.file, label: i.name || i.file }))} value={pipeline?.file ?? null} onChange={(v) => { setChosen(v ?? ''); setInputs({}); }} />}
          </Loaded>
          {(pipeline?.inputs ?? []).map((i) => <Input key={i.name} input={i} value={inputs[i.name] ?? i.default ?? ''} set={(v) => setInputs((all) => ({ ...all, [i.name]: v }))} error={at(`inputs.${i.name}`)} />)}
        </>
      )}
    </FormDialog>
  );
}

function Input({ input: i, value, set, error }: { input: InputInfo; value: string; set: (v: string) => void; error?: string }) {
  const common = { label: i.name, description: i.description, required: i.required, error };
  if (i.type === 'boolean') return <Checkbox label={i.name} description={i.description} error={error} checked={value === 'true'} onChange={(e) => set(String(e.currentTarget.checked))} />;
  if (i.type === 'choice') return <Select {...common} data={i.options ?? []} value={value || null} onChange={(v) => set(v ?? '')} allowDeselect={!i.required} />;
  return <TextInput {...common} value={value} inputMode={i.type === 'number' ? 'decimal' : undefined} onChange={(e) => set(e.currentTarget.value)} />;
}
