/** The pipelines of a project, what starts them, and their runs. */
import { Alert, ActionIcon, Tooltip } from '@mantine/core';
import { IconPlayerPlay } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useSearchParams } from 'react-router';
import { q, useMe } from '../../api/queries';
import type { PipelineInfo, Project } from '../../api/types';
import { readRunFilter } from '../../lib/filters';
import { may } from '../../lib/permissions';
import { Loaded } from '../../parts/Loaded';
import { Empty, Section } from '../../parts/Page';
import table from '../../parts/table.module.css';
import { Ago } from '../../parts/Time';
import { RunPages } from '../Runs';

export function ProjectRuns({ project: p, onStart }: { project: Project; onStart: (file: string) => void }) {
  const pipelines = useQuery(q.pipelines(p.id));
  const filter = { ...readRunFilter(new URLSearchParams()), project: [p.id] };
  const [params] = useSearchParams();
  const file = params.get('file') ?? '';
  return (
    <>
      <Section title="Pipelines">
        <Loaded query={pipelines} rows={2}>
          {(list) => list.length === 0 ? (
            <Empty title="No pipeline here">There is no workflow in <code>.github/workflows</code> on the default branch.</Empty>
          ) : (
            <div className={table.frame}>
              <table className={table.table}>
                <thead><tr><th>Pipeline</th><th className={table.hide}>Starts on</th><th className={table.hide}>Next by schedule</th><th /></tr></thead>
                <tbody>{list.map((i) => <Pipeline key={i.file} project={p} pipeline={i} onStart={onStart} />)}</tbody>
              </table>
            </div>
          )}
        </Loaded>
      </Section>
      <Section title={file ? <>Runs of <span className="mono">{file}</span></> : 'Runs'} actions={<Link to={`/runs?project=${encodeURIComponent(p.id)}`}>Filter</Link>}>
        <RunPages project={false} filter={{ ...filter, file }} none={<Empty title="Nothing has run yet">A run begins with a push, a pull request, a schedule, or by hand.</Empty>} />
      </Section>
    </>
  );
}

function Pipeline({ project, pipeline: i, onStart }: { project: Project; pipeline: PipelineInfo; onStart: (file: string) => void }) {
  const me = useMe();
  const errors = i.errors ?? [];
  const next = (i.schedules ?? []).map((s) => s.next).filter(Boolean).sort()[0];
  return (
    <tr>
      <td>
        <Link to={`/projects/${project.id}?file=${encodeURIComponent(i.file)}`} className={table.name}>{i.name || i.file}</Link>
        <div className="mono dim">{i.file}</div>
        {errors.length > 0 && <Alert color="red" mt={6} p="xs" title="It is not run until this is mended">{errors.map((e) => <div key={e} className="mono" style={{ overflowWrap: 'anywhere' }}>{e}</div>)}</Alert>}
      </td>
      <td className={table.hide}>{(i.events ?? []).map((e) => <span key={e} className={table.tag} style={{ marginLeft: 0, marginRight: 5 }}>{e}</span>)}</td>
      <td className={`${table.hide} dim`}>{next ? <Ago at={next} /> : ''}</td>
      <td className={table.right}>
        {i.manual && errors.length === 0 && may(me, 'run:start', project.id) && (
          <Tooltip label="Start it"><ActionIcon variant="default" aria-label={`Start ${i.name || i.file}`} onClick={() => onStart(i.file)}><IconPlayerPlay size={15} /></ActionIcon></Tooltip>
        )}
      </td>
    </tr>
  );
}
