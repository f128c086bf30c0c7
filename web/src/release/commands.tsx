/** What can be told a release: a button for each that the viewer may give now, and a dialog that says what follows. */
import { Button, Textarea } from '@mantine/core';
import { IconArrowBackUp, IconCheck, IconPlayerPause, IconPlayerPlay, IconPlayerTrackNext, IconX } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { useNavigate } from 'react-router';
import { change, onceKey, seg } from '../api/client';
import type { Release, Verb } from '../api/releases';
import { FormDialog } from '../parts/FormDialog';
import { tell } from '../parts/Problem';

interface Told {
  verb: Verb;
  environment?: string;
  service?: string;
}

interface Words {
  label: string;
  title: (r: Release) => string;
  /** What follows. */
  follows: (r: Release, t: Told) => ReactNode;
  /** Whether a reason has to be given; it is kept with the event. */
  reason: 'needed' | 'may' | 'none';
  done: string;
  icon: ReactNode;
  color?: string;
  variant: 'filled' | 'default' | 'light';
}

const size = 15;

const where = (t: Told): string => [t.service, t.environment].filter(Boolean).join(' in ');

export const commands: Record<Verb, Words> = {
  approve: { label: 'Approve', title: (r) => `Let release ${r.number} in?`, follows: (_, t) => <>The release goes on into <b>{t.environment}</b> once nothing else keeps its gate closed. Your comment is kept with the decision.</>, reason: 'may', done: 'Approved', icon: <IconCheck size={size} />, color: 'teal.9', variant: 'filled' },
  reject: { label: 'Reject', title: (r) => `Refuse release ${r.number}?`, follows: (_, t) => <>The release ends before <b>{t.environment}</b>. Where it has been already, it stays.</>, reason: 'needed', done: 'Rejected', icon: <IconX size={size} />, variant: 'default' },
  pause: { label: 'Pause', title: (r) => `Pause release ${r.number}?`, follows: () => <>Each rollout stays where it is, with the traffic that it has. It is still watched, and still goes back by itself when it is found to be worse.</>, reason: 'may', done: 'Paused', icon: <IconPlayerPause size={size} />, variant: 'default' },
  resume: { label: 'Resume', title: (r) => `Go on with release ${r.number}?`, follows: () => <>The step that it stands at is watched again for its whole time.</>, reason: 'none', done: 'It goes on', icon: <IconPlayerPlay size={size} />, variant: 'filled' },
  promote: { label: 'Promote', title: (r) => `Promote release ${r.number} without waiting?`, follows: (_, t) => <>What is watched now{where(t) && <> for <b>{where(t)}</b></>} is left at once, without the rest of its time and <b>without its verdict</b>. Say why: it is kept in the audit trail.</>, reason: 'needed', done: 'Promoted', icon: <IconPlayerTrackNext size={size} />, variant: 'default' },
  abort: { label: 'Abort', title: (r) => `Take release ${r.number} back?`, follows: () => <>Traffic returns to the old versions, the new ones are ended, and the release ends as rolled back. What it has left behind already, in environments before this one, stays.</>, reason: 'needed', done: 'It goes back', icon: <IconArrowBackUp size={size} />, color: 'red', variant: 'light' },
  rollback: { label: 'Roll back', title: (r) => `Bring back what was there before release ${r.number}?`, follows: (r) => <>A new release brings {(r.environments ?? []).filter((e) => e.status === 'succeeded').map((e) => e.name).join(', ')} back to the exact candidates and configuration from before. It does not cross a contract migration.</>, reason: 'needed', done: 'The rollback has begun', icon: <IconArrowBackUp size={size} />, color: 'red', variant: 'light' },
};

const order: Verb[] = ['resume', 'pause', 'promote', 'abort', 'rollback'];

/** The buttons of the whole release. Approvals are at their gates. */
export function Commands({ release }: { release: Release }) {
  const [told, setTold] = useState<Told | null>(null);
  const may = release.may ?? [];
  return (
    <>
      {order.filter((v) => may.includes(v)).map((v) => (
        <Button key={v} variant={commands[v].variant} color={commands[v].color} leftSection={commands[v].icon} onClick={() => setTold({ verb: v })}>{commands[v].label}</Button>
      ))}
      {told && <Tell release={release} told={told} onClose={() => setTold(null)} />}
    </>
  );
}

export function Tell({ release, told, onClose }: { release: Release; told: Told; onClose: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [reason, setReason] = useState('');
  const [once] = useState(onceKey);
  const c = commands[told.verb];
  const decides = told.verb === 'approve' || told.verb === 'reject';
  return (
    <FormDialog opened onClose={onClose} title={c.title(release)} verb={c.label} known={['reason', 'comment']} act={async () => {
      const body = decides ? { environment: told.environment, comment: reason.trim() } : { environment: told.environment, service: told.service, reason: reason.trim() };
      const next = await change<Release>('POST', `/releases/${seg(release.id)}/${told.verb}`, body, told.verb === 'rollback' ? { once } : {});
      tell(c.done);
      void client.invalidateQueries({ queryKey: ['releases'] });
      void client.invalidateQueries({ queryKey: ['release', release.id] });
      if (next.id !== release.id) return () => void navigate(`/releases/${next.id}`);
    }}>
      {(at) => (
        <>
          <div style={{ fontSize: 14 }}>{c.follows(release, told)}</div>
          {c.reason !== 'none' && (
            <Textarea label={decides ? 'Comment' : 'Reason'} data-autofocus required={c.reason === 'needed'} autosize minRows={2} maxRows={8} maxLength={2000} value={reason} onChange={(e) => setReason(e.currentTarget.value)} error={at(decides ? 'comment' : 'reason')} />
          )}
        </>
      )}
    </FormDialog>
  );
}
