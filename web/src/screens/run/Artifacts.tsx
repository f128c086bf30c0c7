/** What a run has left to be downloaded. */
import { IconDownload } from '@tabler/icons-react';
import type { Artifact, Run } from '../../api/types';
import { address, seg } from '../../api/client';
import { bytes } from '../../lib/format';
import { CopyIcon } from '../../parts/Copy';
import { Empty } from '../../parts/Page';
import { Ago } from '../../parts/Time';
import shared from '../../parts/table.module.css';
import classes from './run.module.css';

export function Artifacts({ run, list }: { run: Run; list: Artifact[] }) {
  if (list.length === 0) return <Empty title="No artifacts">A job leaves one with <code>actions/upload-artifact</code>. They are kept as long as the project’s settings say.</Empty>;
  return (
    <div className={shared.frame}>
      <table className={shared.table}>
        <thead><tr><th>Name</th><th className={shared.right}>Size</th><th className={shared.hide}>Digest</th><th className={shared.hide}>Made</th><th className={shared.hide}>Kept until</th></tr></thead>
        <tbody>
          {list.map((a) => (
            <tr key={`${a.attempt} ${a.name}`}>
              <td><a className={classes.job} href={address(`/runs/${seg(run.id)}/artifacts/${seg(a.name)}`)} download><IconDownload size={15} />{a.name}</a>{run.attempt > 1 && <span className={shared.tag}>attempt {a.attempt}</span>}</td>
              <td className={`${shared.right} num`}>{bytes(a.size)}</td>
              <td className={shared.hide}><span className="mono">{a.digest.slice(0, 19)}…</span><CopyIcon value={a.digest} label="Copy the digest" /></td>
              <td className={shared.hide}><Ago at={a.created_at} /></td>
              <td className={shared.hide}><Ago at={a.expires_at} none="for ever" /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
