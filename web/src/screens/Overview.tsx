/** What a person sees first: what is red, what waits for them, what runs now, and how the last two weeks went. */
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { q } from '../api/queries';
import { qr } from '../api/releases';
import type * as t from '../api/types';
import { plural } from '../lib/format';
import { Loaded } from '../parts/Loaded';
import { Empty, Page, Section } from '../parts/Page';
import { RunList } from '../parts/RunList';
import { Ago } from '../parts/Time';
import { ReleaseList } from '../release/ReleaseList';
import { Days } from './overview/Days';
import classes from './overview/overview.module.css';

export function Overview() {
  const overview = useQuery(q.overview());
  return (
    <Page title="Overview">
      <Loaded query={overview} rows={8} height={48}>{(o) => <Content o={o} />}</Loaded>
    </Page>
  );
}

function Content({ o }: { o: t.Overview }) {
  const red = o.red ?? [];
  const active = o.active ?? [];
  const recent = o.recent ?? [];
  const waiting = o.waiting ?? [];
  const releases = useQuery(qr.underWay()).data ?? [];
  const asking = releases.filter((r) => r.status === 'paused' || (r.environments ?? []).some((e) => e.status === 'gated' && (e.gate?.approvals ?? []).length > 0));
  if (recent.length === 0 && active.length === 0 && releases.length === 0) return <FirstSteps />;
  return (
    <>
      <div className={classes.figures}>
        <Figure label="Red on main branches" value={red.length} tone={red.length > 0 ? 'failure' : undefined} to="#red" />
        <Figure label="Wait for approval" value={waiting.length} tone={waiting.length > 0 ? 'waiting' : undefined} to="/approvals" />
        <Figure label="Releases under way" value={releases.length} tone={asking.length > 0 ? 'waiting' : releases.length > 0 ? 'running' : undefined} note={asking.length > 0 ? `${asking.length} wait for somebody` : undefined} to="/releases?status=building&status=waiting&status=running&status=paused&status=returning" />
        <Figure label="Active runs" value={active.length} tone={active.length > 0 ? 'running' : undefined} to="/runs?status=queued&status=waiting&status=running" />
        <Figure label="Jobs on runners" value={<>{o.busy}<small> of {o.places}</small></>} note={o.queue > 0 ? `${plural(o.queue, 'job')} in the queue` : 'no queue'} to="/runners" />
      </div>
      {releases.length > 0 && <Section title="Releases under way" actions={<Link to="/releases">All releases</Link>}><ReleaseList releases={releases} /></Section>}
      <Section title="Last 14 days"><Days days={o.days ?? []} /></Section>
      {red.length > 0 && <Section title="Red: the newest run on a main branch failed" id="red"><RunList runs={red} /></Section>}
      {waiting.length > 0 && (
        <Section title="Waits for an approval" actions={<Link to="/approvals">All approvals</Link>}>
          <ul className={classes.waiting}>
            {waiting.map((a) => (
              <li key={a.id}>
                <Link to={`/approvals#${a.id}`} className={classes.what}>{a.environment ?? a.job_name}</Link>
                <span className="clip">{a.run_title}</span>
                <span className="dim">{a.project}</span>
                <span className="dim num">{(a.decisions ?? []).filter((d) => d.approve).length} of {a.required} · <Ago at={a.created_at} /></span>
              </li>
            ))}
          </ul>
        </Section>
      )}
      {active.length > 0 && <Section title="Now"><RunList runs={active} /></Section>}
      {recent.length > 0 && <Section title="Recent" actions={<Link to="/runs">All runs</Link>}><RunList runs={recent} /></Section>}
    </>
  );
}

function Figure({ label, value, note, tone, to }: { label: string; value: React.ReactNode; note?: string; tone?: string; to: string }) {
  const body = (
    <>
      <span className={classes.value} data-tone={tone}>{value}</span>
      <span className={classes.label}>{label}</span>
      {note && <span className={classes.label}>{note}</span>}
    </>
  );
  return to.startsWith('#') ? <a href={to} className={classes.figure}>{body}</a> : <Link to={to} className={classes.figure}>{body}</Link>;
}

function FirstSteps() {
  return (
    <Empty title="Nothing has run yet" action={<Button component={Link} to="/projects?new=1">Add a project</Button>}>
      A project is a repository with workflows in <code>.github/workflows</code>. Add one, start a pipeline by hand or by a push, and this page shows what is red, what waits for you and what runs.
    </Empty>
  );
}
