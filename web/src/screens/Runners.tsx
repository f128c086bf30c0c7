/** The machines that run jobs: this server's own places and runners elsewhere. */
import { TagsInput, TextInput } from '@mantine/core';
import { IconPlus } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { change, onceKey, seg } from '../api/client';
import { q } from '../api/queries';
import type { Runner } from '../api/types';
import { CanButton } from '../parts/Can';
import { Confirm } from '../parts/Confirm';
import { CopyBlock } from '../parts/Copy';
import { FormDialog } from '../parts/FormDialog';
import { Loaded } from '../parts/Loaded';
import { Empty, Page } from '../parts/Page';
import table from '../parts/table.module.css';
import { Ago } from '../parts/Time';
import { TokenOnce } from '../parts/Token';

export function Runners() {
  const list = useQuery(q.runners());
  const client = useQueryClient();
  const [adding, setAdding] = useState(false);
  const [token, setToken] = useState<string | null>(null);
  const [gone, setGone] = useState<Runner | null>(null);
  return (
    <Page title="Runners" sub="Where jobs run. A job goes to a runner that has all labels of its runs-on." actions={<CanButton action="runner:write" leftSection={<IconPlus size={15} />} onClick={() => setAdding(true)}>Add a runner</CanButton>}>
      <Loaded query={list} rows={3}>
        {(all) => all.length === 0 ? <Empty title="There is no runner">This server was started without places of its own (<code>--runner=false</code>). Add a runner on another machine, or jobs stay in the queue.</Empty> : (
          <div className={table.frame}>
            <table className={table.table}>
              <thead><tr><th>Runner</th><th className={table.hide}>Labels</th><th>Jobs</th><th className={table.hide}>Machine</th><th className={table.right}>Seen</th><th /></tr></thead>
              <tbody>
                {all.map((r) => (
                  <tr key={r.id} data-dim={!r.online || undefined}>
                    <td><span className={table.name}>{r.name}</span> <span className={table.tag}>{r.online ? 'online' : 'offline'}</span>{r.embedded && <span className={table.tag}>in the server</span>}</td>
                    <td className={table.hide}>{(r.labels ?? []).map((l) => <span key={l} className={table.tag} style={{ marginLeft: 0, marginRight: 5 }}>{l === '*' ? 'any label' : l}</span>)}</td>
                    <td><span className="num">{(r.jobs ?? []).length} of {r.places}</span>{(r.jobs ?? []).length > 0 && <> · <Jobs ids={r.jobs!} /></>}</td>
                    <td className={`${table.hide} dim`}>{[r.os && `${r.os}/${r.arch}`, r.version].filter(Boolean).join(' · ')}</td>
                    <td className={`${table.right} dim`}><Ago at={r.last_seen} none="never" /></td>
                    <td className={table.right}>{!r.embedded && <CanButton action="runner:write" variant="subtle" color="red" size="compact-xs" onClick={() => setGone(r)}>Remove</CanButton>}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Loaded>
      {adding && <Add onClose={() => setAdding(false)} done={setToken} />}
      <TokenOnce token={token} onClose={() => setToken(null)} title="The runner’s token">
        <p style={{ fontSize: 13, margin: '14px 0 6px' }}>Keep it in a file on the machine of the runner, and start it there:</p>
        <CopyBlock value={`gantry runner --server ${window.location.origin} --token-file runner.token`} label="command" />
      </TokenOnce>
      <Confirm opened={gone !== null} onClose={() => setGone(null)} title={`Remove ${gone?.name}?`} verb="Remove" act={async () => {
        await change('DELETE', `/runners/${seg(gone!.id)}`);
        await client.invalidateQueries({ queryKey: ['runners'] });
      }}>
        Its token is refused from now on. Jobs that it runs are lost to it and run again elsewhere.
      </Confirm>
    </Page>
  );
}

function Jobs({ ids }: { ids: string[] }) {
  return <>{ids.map((id) => <Link key={id} to={`/runs/${id.split('.')[0]}/jobs/${id}`} className="mono" style={{ marginRight: 6 }}>{id}</Link>)}</>;
}

function Add({ onClose, done }: { onClose: () => void; done: (token: string) => void }) {
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [labels, setLabels] = useState<string[]>([]);
  const [once] = useState(onceKey);
  return (
    <FormDialog opened onClose={onClose} title="Add a runner" verb="Make its token" known={['name', 'labels']} act={async () => {
      const made = await change<{ token: string }>('POST', '/runners', { name: name.trim(), labels }, { once });
      void client.invalidateQueries({ queryKey: ['runners'] });
      done(made.token);
    }}>
      {(at) => (
        <>
          <TextInput label="Name" required data-autofocus value={name} onChange={(e) => setName(e.currentTarget.value)} error={at('name')} spellCheck={false} />
          <TagsInput label="Labels" description="What jobs can ask for with runs-on, such as linux or gpu. Press Enter after each." value={labels} onChange={setLabels} error={at('labels')} />
        </>
      )}
    </FormDialog>
  );
}
