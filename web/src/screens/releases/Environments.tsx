/** A release's environments in their order, each with its gate and its services. */
import { Button } from '@mantine/core';
import { IconCheck, IconChevronRight, IconLock, IconLockOpen, IconSnowflake, IconX } from '@tabler/icons-react';
import { useState } from 'react';
import type { Gates, Member, Release, ReleaseEnvironment, Rollout } from '../../api/releases';
import { plural } from '../../lib/format';
import { clock, ms } from '../../lib/time';
import { Ago } from '../../parts/Time';
import { commands, Tell } from '../../release/commands';
import { Sign } from '../../release/Sign';
import { inOrder, share, statusWords } from '../../release/status';
import classes from './releases.module.css';

interface Props {
  release: Release;
  shown: number | undefined;
  onShow: (rollout: number) => void;
}

export function Environments({ release, shown, onShow }: Props) {
  return (
    <ol className={classes.stages}>
      {(release.environments ?? []).map((e, i) => (
        <li key={e.name} className={classes.stage} data-status={e.status}>
          {i > 0 && <IconChevronRight className={classes.then} size={18} aria-hidden />}
          <div className={classes.stageHead}>
            <Sign state={e.status} />
            <h3>{e.name}</h3>
            <span className={classes.word}>{statusWords(e.status).toLowerCase()}</span>
          </div>
          {e.gate && <Gate release={release} environment={e} gate={e.gate} />}
          {e.reason && e.status !== 'succeeded' && <p className={classes.reason}>{e.reason}</p>}
          <ul className={classes.members}>
            {inOrder(e.services ?? []).map((m) => <Service key={m.service} member={m} rollout={(release.rollouts ?? []).find((r) => r.id === (m.back || m.rollout))} shown={shown} onShow={onShow} />)}
          </ul>
        </li>
      ))}
    </ol>
  );
}

function Service({ member: m, rollout, shown, onShow }: { member: Member; rollout: Rollout | undefined; shown: number | undefined; onShow: (rollout: number) => void }) {
  const row = (
    <>
      <Sign state={m.status} size={14} />
      <span className={classes.service}>{m.service}</span>
      <span className={classes.versions}><span className="mono">{m.old_version && m.old_version !== m.version ? `${m.old_version} → ${m.version}` : m.version}</span></span>
      <span className={classes.phase}>{statusWords(m.status).toLowerCase()}{rollout && traffic(rollout)}{(m.needs ?? []).length > 0 && m.status === 'pending' && `, after ${m.needs!.join(', ')}`}</span>
    </>
  );
  return (
    <li>
      {rollout ? <button type="button" className={classes.member} aria-current={shown === rollout.id || undefined} onClick={() => onShow(rollout.id)}>{row}</button> : <div className={classes.member}>{row}</div>}
    </li>
  );
}

/** The new version's share where it has some, and not all. */
function traffic(r: Rollout): string {
  const shares = Object.values(r.regions ?? {}).map((s) => s.weights[r.version_new] ?? 0);
  const most = Math.max(0, ...shares);
  const least = Math.min(10_000, ...shares);
  if (shares.length === 0 || most === 0 || least === 10_000) return '';
  return most === least ? `, ${share(most)}` : `, ${share(least)} to ${share(most)}`;
}

function Gate({ release, environment, gate: g }: { release: Release; environment: ReleaseEnvironment; gate: Gates }) {
  const [verb, setVerb] = useState<'approve' | 'reject' | null>(null);
  const approvals = g.approvals ?? [];
  const required = g.required ?? [];
  const open = environment.status !== 'gated' && environment.status !== 'pending';
  if (open && approvals.every((a) => (a.given ?? []).length === 0) && required.length === 0) return null;
  return (
    <div className={classes.gate}>
      <div className={classes.gateHead}>{open ? <IconLockOpen size={14} /> : <IconLock size={14} />} Gate</div>
      <ul>
        {g.frozen_until && !open && <li><IconSnowflake size={14} /><span>{g.frozen_reason || 'Frozen'} until <time dateTime={g.frozen_until}>{clock(ms(g.frozen_until))}</time> (<Ago at={g.frozen_until} />)</span></li>}
        {required.map((r) => <li key={r.name} data-ok={r.ok}>{r.ok ? <IconCheck size={14} /> : <IconX size={14} />}<span>{r.name}{!r.ok && r.reason && <span className="dim">: {r.reason}</span>}</span></li>)}
        {approvals.map((a, i) => {
          const given = (a.given ?? []).filter((d) => d.decision === 'approve').length;
          return (
            <li key={i} data-ok={given >= a.needed || undefined}>
              {given >= a.needed ? <IconCheck size={14} /> : <span className={classes.open} aria-hidden />}
              <span>
                {given} of {plural(a.needed, 'approval')}{a.role && ` by a ${a.role}`}
                {(a.given ?? []).map((d) => <span key={d.by + d.at} className={classes.decision}><b>{d.name || d.by}</b> {d.decision === 'approve' ? 'approved' : 'rejected'}{d.comment && <>: “{d.comment}”</>} <span className="dim"><Ago at={d.at} /></span></span>)}
              </span>
            </li>
          );
        })}
      </ul>
      {environment.status === 'gated' && approvals.length > 0 && (g.may_approve ? (
        <div className={classes.gateButtons}>
          <Button size="compact-sm" color="teal.9" leftSection={commands.approve.icon} onClick={() => setVerb('approve')}>Approve</Button>
          <Button size="compact-sm" variant="default" onClick={() => setVerb('reject')}>Reject</Button>
        </div>
      ) : <div className="dim">Releasers decide here; nobody decides about a release that they have begun.</div>)}
      {verb && <Tell release={release} told={{ verb, environment: environment.name }} onClose={() => setVerb(null)} />}
    </div>
  );
}
