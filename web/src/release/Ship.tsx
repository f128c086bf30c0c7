/** The dialog that begins a release. */
import { MultiSelect, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { change, onceKey, seg } from '../api/client';
import { qr, type Release } from '../api/releases';
import type { Project } from '../api/types';
import { FormDialog } from '../parts/FormDialog';
import { tell } from '../parts/Problem';

export function Ship({ project, onClose }: { project: Project; onClose: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const last = useQuery(qr.newest(project.id)).data?.[0];
  const known = last?.environments ?? [];
  const services = [...new Set(known.flatMap((e) => (e.services ?? []).map((m) => m.service)))];
  const [ref, setRef] = useState('');
  const [environments, setEnvironments] = useState<string[]>([]);
  const [only, setOnly] = useState<string[]>([]);
  const [once] = useState(onceKey);
  return (
    <FormDialog opened onClose={onClose} title={`Ship ${project.name || project.id}`} verb="Ship" known={['ref']} act={async () => {
      const made = await change<Release>('POST', `/projects/${seg(project.id)}/releases`, { ref: ref.trim() || undefined, environments, services: only }, { once });
      void client.invalidateQueries({ queryKey: ['releases'] });
      tell(`Release ${made.number} is on its way`);
      return () => void navigate(`/releases/${made.id}`);
    }}>
      {(at) => (
        <>
          <TextInput label="Branch, tag or commit" placeholder={project.source.default_branch || 'the default branch'} description="gantry.yaml is read at this commit, and its pipeline makes the candidates." data-autofocus value={ref} onChange={(e) => setRef(e.currentTarget.value)} error={at('ref')} spellCheck={false} />
          {known.length > 0 && <MultiSelect label="Environments" placeholder={environments.length ? undefined : `All, in order: ${known.map((e) => e.name).join(', ')}`} data={known.map((e) => e.name)} value={environments} onChange={setEnvironments} clearable />}
          {services.length > 0 && <MultiSelect label="Services" placeholder={only.length ? undefined : 'All'} data={services} value={only} onChange={setOnly} clearable />}
        </>
      )}
    </FormDialog>
  );
}
