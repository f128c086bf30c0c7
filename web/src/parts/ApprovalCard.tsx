/** One approval: what is asked, who has decided, and why I may or may not. */
import { Button, Group, Textarea } from '@mantine/core';
import { IconCheck, IconX } from '@tabler/icons-react';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { change, seg } from '../api/client';
import { useMe } from '../api/queries';
import type { Approval, Me } from '../api/types';
import { actorName } from '../lib/format';
import { may, whyNot } from '../lib/permissions';
import classes from './approval.module.css';
import { ProblemAlert, tell } from './Problem';
import { StatusText } from './Status';
import { Ago } from './Time';

/** Why a person may not decide; null where they may. The server decides in the end. */
export function whyICannot(a: Approval, me: Me | undefined): string | null {
  const account = me?.identity.account ?? '';
  if (a.status !== 'waiting') return 'It is decided.';
  if (!may(me, 'approval:decide', a.project)) return whyNot('approval:decide', a.project);
  if (a.approvers && a.approvers.length > 0 && !a.approvers.some((n) => n.toLowerCase() === account.toLowerCase())) return `Only ${a.approvers.join(', ')} may decide this.`;
  if (a.not_starter && account && a.started_by === account) return 'You started this run. Another person has to decide, as the environment’s rules say.';
  if ((a.decisions ?? []).some((d) => d.actor === me?.identity.actor)) return 'You have decided already.';
  return null;
}

export function ApprovalCard({ approval: a, withRun = true }: { approval: Approval; withRun?: boolean }) {
  const me = useMe();
  const client = useQueryClient();
  const [comment, setComment] = useState('');
  const [busy, setBusy] = useState<'yes' | 'no' | null>(null);
  const [error, setError] = useState<unknown>(null);
  const why = whyICannot(a, me);
  const given = (a.decisions ?? []).filter((d) => d.approve).length;

  const decide = async (approve: boolean) => {
    setBusy(approve ? 'yes' : 'no');
    setError(null);
    try {
      await change('POST', `/approvals/${seg(a.id)}/decision`, { approve, comment });
      tell(approve ? 'Approved' : 'Rejected');
      setComment('');
      await Promise.all([['approvals'], ['overview'], ['run', a.run]].map((queryKey) => client.invalidateQueries({ queryKey })));
    } catch (e) {
      setError(e);
      void client.invalidateQueries({ queryKey: ['approvals'] });
    } finally {
      setBusy(null);
    }
  };

  const words = { waiting: 'Waiting', success: 'Approved', failure: 'Rejected', cancelled: 'Cancelled' } as Record<string, string>;
  return (
    <article className={classes.card} id={a.id} aria-label={`Approval of ${a.environment ?? a.job_name}`}>
      <div className={classes.head}>
        <div className={classes.what}>
          <strong>{a.environment ? `Deploy to ${a.environment}` : `Start ${a.job_name}`}</strong>
          <span className="dim"> · job {a.job_name}{a.manual && ', started by hand'}</span>
          {withRun && <div className={classes.run}><Link to={`/runs/${a.run}`}>{a.run_title || `Run ${a.run}`}</Link> <span className="dim">in {a.project}, started by {a.started_by}</span></div>}
        </div>
        <div className={classes.state}>
          {a.status === 'waiting' ? <span>{given} of {a.required} approved</span> : <span><StatusText status={a.status} /> <span className="visually-hidden">{words[a.status]}</span></span>}
          <span className="dim">{a.status === 'waiting' ? <>asked <Ago at={a.created_at} />{a.expires_at && <>, refused <Ago at={a.expires_at} /></>}</> : <Ago at={a.decided_at ?? a.created_at} />}</span>
        </div>
      </div>
      {(a.decisions ?? []).length > 0 && (
        <ul className={classes.decisions}>
          {a.decisions!.map((d, i) => (
            <li key={i} data-yes={d.approve || undefined}>
              {d.approve ? <IconCheck size={15} /> : <IconX size={15} />}
              <span><b>{actorName(d.actor)}</b> {d.approve ? 'approved' : 'rejected'}{d.comment && <>: “{d.comment}”</>} <span className="dim"><Ago at={d.at} /></span></span>
            </li>
          ))}
        </ul>
      )}
      {a.reason && <div className="dim">{a.reason}</div>}
      {a.status === 'waiting' && (why ? (
        <div className={classes.why}>{why}</div>
      ) : (
        <div className={classes.form}>
          <Textarea aria-label="Comment" placeholder="Comment, kept with the decision" autosize minRows={1} maxRows={5} value={comment} onChange={(e) => setComment(e.currentTarget.value)} style={{ flex: 1, minWidth: 180 }} maxLength={2000} />
          <Group gap={6}>
            <Button size="sm" color="teal.9" loading={busy === 'yes'} disabled={busy !== null} onClick={() => void decide(true)}>Approve</Button>
            <Button size="sm" variant="default" loading={busy === 'no'} disabled={busy !== null} onClick={() => void decide(false)}>Reject</Button>
          </Group>
        </div>
      ))}
      {error !== null && <div style={{ marginTop: 10 }}><ProblemAlert error={error} /></div>}
    </article>
  );
}
