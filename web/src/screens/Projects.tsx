/** All projects that I may see, each with how its newest run went. */
import { Checkbox, SegmentedControl, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useNavigate, useSearchParams } from 'react-router';
import { change, onceKey } from '../api/client';
import { q } from '../api/queries';
import type { Project, Run } from '../api/types';
import { CanButton } from '../parts/Can';
import { FormDialog } from '../parts/FormDialog';
import { Loaded } from '../parts/Loaded';
import { Empty, Page } from '../parts/Page';
import { tell } from '../parts/Problem';
import { StatusIcon, statusWord } from '../parts/Status';
import table from '../parts/table.module.css';
import { Ago } from '../parts/Time';

export function Projects() {
  const [params, setParams] = useSearchParams();
  const projects = useQuery(q.projects());
  const runs = useQuery(q.newestRuns()).data ?? [];
  const newest = new Map<string, Run>();
  for (const r of runs) if (!newest.has(r.project)) newest.set(r.project, r);
  const add = <CanButton action="project:create" leftSection={<IconPlus size={15} />} onClick={() => setParams({ new: '1' })}>Add a project</CanButton>;
  return (
    <Page title="Projects" actions={add}>
      <Loaded query={projects}>
        {(list) => list.length === 0 ? (
          <Empty title="There is no project yet" action={add}>A project is a Git repository, or a folder of one, with workflows. Gantry runs them on pushes, on a schedule and by hand.</Empty>
        ) : (
          <div className={table.frame}>
            <table className={table.table}>
              <thead><tr><th>Project</th><th className={table.hide}>Source</th><th>Newest run</th><th className={`${table.right} ${table.hide}`}>Started</th></tr></thead>
              <tbody>{list.map((p) => <Row key={p.id} project={p} run={newest.get(p.id)} />)}</tbody>
            </table>
          </div>
        )}
      </Loaded>
      <AddProject key={params.get('new')} opened={params.get('new') === '1'} onClose={() => setParams({}, { replace: true })} />
    </Page>
  );
}

function Row({ project: p, run }: { project: Project; run: Run | undefined }) {
  return (
    <tr>
      <td><Link to={`/projects/${p.id}`} className={table.name}>{p.name || p.id}</Link>{p.paused && <span className={table.tag}>paused</span>}</td>
      <td className={table.hide}><span className="mono dim" style={{ overflowWrap: 'anywhere' }}>{p.source.url}{p.source.path && ` · ${p.source.path}`}</span></td>
      <td>
        {run ? (
          <span className={table.inline}><StatusIcon status={run.status} label={statusWord(run.status, run.cancelling)} /><Link to={`/runs/${run.id}`} className="clip">{run.title || run.pipeline}</Link></span>
        ) : <span className="dim">none</span>}
      </td>
      <td className={`${table.right} ${table.hide} dim`}>{run && <Ago at={run.created_at} />}</td>
    </tr>
  );
}

/** An ID made of the last part of an address: "https://example.com/a/Order_Service.git" is "order-service". */
export function idFrom(url: string): string {
  const last = url.trim().replace(/[/\\]+$/, '').replace(/\.git$/, '').split(/[/\\:]/).pop() ?? '';
  return last.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^[^a-z]+|-+$/g, '').slice(0, 64);
}

function AddProject({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [kind, setKind] = useState('git');
  const [url, setURL] = useState('');
  const [id, setID] = useState<string | null>(null);
  const [path, setPath] = useState('');
  const [poll, setPoll] = useState(true);
  const [once] = useState(onceKey);
  const folder = kind === 'folder';
  return (
    <FormDialog
      opened={opened}
      onClose={onClose}
      title="Add a project"
      verb="Add"
      known={['id', 'source.url', 'source.path']}
      act={async () => {
        const p = await change<Project>('POST', '/projects', { id: id ?? idFrom(url), source: { url: url.trim(), path: path.trim(), folder }, poll_seconds: poll && !folder ? 60 : 0 }, { once });
        void client.invalidateQueries({ queryKey: ['projects'] });
        tell(`${p.id} is added`);
        return () => void navigate(`/projects/${p.id}`);
      }}
    >
      {(at) => (
        <>
          <SegmentedControl value={kind} onChange={setKind} data={[{ value: 'git', label: 'Git repository' }, { value: 'folder', label: 'Folder on the server' }]} aria-label="Kind of source" />
          <TextInput label={folder ? 'Folder' : 'Address'} description={folder ? 'Its files are taken as they are, committed or not.' : 'What git clones: https, ssh, or a path of the server.'} placeholder={folder ? '/srv/gateway' : 'https://git.example.com/desk/gateway.git'} required data-autofocus value={url} onChange={(e) => setURL(e.currentTarget.value)} error={at('source.url')} spellCheck={false} />
          <TextInput label="ID" description="Names the project in addresses and in the command line." required value={id ?? idFrom(url)} onChange={(e) => setID(e.currentTarget.value)} error={at('id')} spellCheck={false} />
          <TextInput label="Folder within it" description="Only where the project is a part of the repository." value={path} onChange={(e) => setPath(e.currentTarget.value)} error={at('source.path')} spellCheck={false} />
          {!folder && <Checkbox label="Look for new commits every minute" description="Not needed where the forge sends webhooks." checked={poll} onChange={(e) => setPoll(e.currentTarget.checked)} />}
        </>
      )}
    </FormDialog>
  );
}
