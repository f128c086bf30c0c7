/** One project: its pipelines and runs, and the settings by which they run. */
import { Tabs } from '@mantine/core';
import { IconPlayerPlay, IconRocket } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate, useParams } from 'react-router';
import { q, useMe } from '../../api/queries';
import type { Project } from '../../api/types';
import { may } from '../../lib/permissions';
import { CanButton } from '../../parts/Can';
import { Loaded } from '../../parts/Loaded';
import { Page } from '../../parts/Page';
import table from '../../parts/table.module.css';
import { Deliveries } from './Deliveries';
import { Environments } from './Environments';
import { Ship } from '../../release/Ship';
import { ProjectReleases } from './ProjectReleases';
import { ProjectRuns } from './ProjectRuns';
import { ProjectSettings } from './ProjectSettings';
import { Secrets } from './Secrets';
import { StartRun } from './StartRun';
import { Variables } from './Variables';

export function ProjectScreen() {
  const { project = '' } = useParams();
  const query = useQuery(q.project(project));
  if (!query.data) return <Page title={project}><Loaded query={query}>{() => null}</Loaded></Page>;
  return <Screen key={project} project={query.data} />;
}

function Screen({ project: p }: { project: Project }) {
  const { tab = 'runs' } = useParams();
  const me = useMe();
  const navigate = useNavigate();
  const [start, setStart] = useState<string | null>(null);
  const [shipping, setShipping] = useState(false);
  return (
    <Page
      title={p.name || p.id}
      heading={<>{p.name || p.id}{p.paused && <span className={table.tag}>paused: nothing starts by itself</span>}</>}
      sub={<span className="mono" style={{ overflowWrap: 'anywhere' }}>{p.source.url}{p.source.path && ` · ${p.source.path}`}</span>}
      actions={(
        <>
          <CanButton action="release:start" project={p.id} variant={tab === 'releases' ? 'filled' : 'default'} leftSection={<IconRocket size={15} />} onClick={() => setShipping(true)}>Ship</CanButton>
          <CanButton action="run:start" project={p.id} variant={tab === 'releases' ? 'default' : 'filled'} leftSection={<IconPlayerPlay size={15} />} onClick={() => setStart('')}>Start a run</CanButton>
        </>
      )}
    >
      <Tabs value={tab} onChange={(v) => void navigate(`/projects/${p.id}${v === 'runs' ? '' : `/${v}`}`)} keepMounted={false}>
        <Tabs.List className={table.tabs}>
          <Tabs.Tab value="runs">Runs</Tabs.Tab>
          <Tabs.Tab value="releases">Releases</Tabs.Tab>
          <Tabs.Tab value="environments">Environments</Tabs.Tab>
          <Tabs.Tab value="variables">Variables</Tabs.Tab>
          {may(me, 'secret:list', p.id) && <Tabs.Tab value="secrets">Secrets</Tabs.Tab>}
          <Tabs.Tab value="webhooks">Webhooks</Tabs.Tab>
          <Tabs.Tab value="settings">Settings</Tabs.Tab>
        </Tabs.List>
        <div className={table.panel}>
          <Tabs.Panel value="runs"><ProjectRuns project={p} onStart={setStart} /></Tabs.Panel>
          <Tabs.Panel value="releases"><ProjectReleases project={p} onShip={() => setShipping(true)} /></Tabs.Panel>
          <Tabs.Panel value="environments"><Environments project={p} /></Tabs.Panel>
          <Tabs.Panel value="variables"><Variables project={p} /></Tabs.Panel>
          <Tabs.Panel value="secrets"><Secrets project={p} /></Tabs.Panel>
          <Tabs.Panel value="webhooks"><Deliveries project={p} /></Tabs.Panel>
          <Tabs.Panel value="settings"><ProjectSettings key={p.version} project={p} /></Tabs.Panel>
        </div>
      </Tabs>
      {shipping && <Ship project={p} onClose={() => setShipping(false)} />}
      {start !== null && <StartRun project={p} file={start} onClose={() => setStart(null)} />}
    </Page>
  );
}
