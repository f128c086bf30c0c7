/** The graph of a run: boxes for jobs, legs within, and lines for what needs what; the critical path is drawn stronger. */
import '@xyflow/react/dist/style.css';
import { Background, BackgroundVariant, Controls, Handle, MarkerType, Position, ReactFlow, type Edge, type Node, type NodeProps, type ReactFlowInstance } from '@xyflow/react';
import { Tooltip } from '@mantine/core';
import { IconMapPin, IconRepeat } from '@tabler/icons-react';
import { useEffect, useMemo, useRef } from 'react';
import { Link } from 'react-router';
import type { Job } from '../api/types';
import { StatusIcon } from '../parts/Status';
import { Took, useNow } from '../parts/Time';
import { criticalPath } from './critical';
import { grouped, layout, type Box } from './layout';
import classes from './graph.module.css';

type BoxNode = Node<{ box: Box; critical: Set<string>; run: string }, 'box'>;

const nodeTypes = { box: JobBox };
const fit = { padding: 0.08, maxZoom: 1 };

export default function RunGraph({ jobs, run }: { jobs: Job[]; run: string }) {
  const ended = jobs.every((j) => j.finished_at || j.status === 'skipped');
  return ended ? <Graph jobs={jobs} run={run} now={0} /> : <Live jobs={jobs} run={run} />;
}

function Live({ jobs, run }: { jobs: Job[]; run: string }) {
  return <Graph jobs={jobs} run={run} now={useNow()} />;
}

function Graph({ jobs, run, now }: { jobs: Job[]; run: string; now: number }) {
  const critical = criticalPath(jobs, now);
  const path = [...critical].sort().join(' ');
  const { nodes, edges, height } = useMemo(() => {
    const l = layout(jobs);
    const marked = new Set(jobs.filter((j) => critical.has(j.id)).map((j) => j.id));
    const boxIsOn = new Map(l.boxes.map((b) => [b.id, b.jobs.some((j) => marked.has(j.id))]));
    return {
      height: l.height,
      nodes: l.boxes.map((box): BoxNode => ({ id: box.id, type: 'box', position: { x: box.x, y: box.y }, width: box.width, height: box.height, data: { box, critical: marked, run }, draggable: false, selectable: false, focusable: false })),
      edges: l.lines.map((e): Edge => {
        const strong = boxIsOn.get(e.from) === true && boxIsOn.get(e.to) === true;
        return { id: `${e.from}>${e.to}`, source: e.from, target: e.to, type: 'default', focusable: false, selectable: false, className: strong ? classes.strong : classes.line, markerEnd: { type: MarkerType.ArrowClosed, width: 14, height: 14, color: strong ? 'var(--g-running)' : 'var(--g-line-strong)' } };
      }),
    };
    // The path is compared by its text: while jobs run, it is a new set every second.
  }, [jobs, run, path]);
  // A phone that is turned, or a window that grows: the whole graph is shown again.
  const frame = useRef<HTMLDivElement>(null);
  const flow = useRef<ReactFlowInstance<BoxNode, Edge>>(null);
  useEffect(() => {
    const seen = new ResizeObserver(() => requestAnimationFrame(() => void flow.current?.fitView(fit)));
    seen.observe(frame.current!);
    return () => seen.disconnect();
  }, []);
  return (
    <div ref={frame} className={classes.graph} style={{ height: Math.min(620, Math.max(180, height + 64)) }} role="group" aria-label="The run as a graph. The list of jobs below has the same.">
      <ReactFlow nodes={nodes} edges={edges} nodeTypes={nodeTypes} fitView fitViewOptions={fit} onInit={(f) => { flow.current = f; }} minZoom={0.2} maxZoom={1.5} nodesConnectable={false} nodesDraggable={false} elementsSelectable={false} zoomOnScroll={false} preventScrolling={false} panOnScroll={false} proOptions={{ hideAttribution: true }}>
        <Background variant={BackgroundVariant.Dots} gap={20} size={1} color="var(--g-line)" />
        <Controls showInteractive={false} position="bottom-right" />
      </ReactFlow>
      {path && <div className={classes.legend}><span className={classes.swatch} /> critical path</div>}
    </div>
  );
}

function JobBox({ data: { box, critical, run } }: NodeProps<BoxNode>) {
  const group = grouped(box.jobs);
  return (
    <div className={classes.box} data-critical={box.jobs.some((j) => critical.has(j.id)) || undefined}>
      <Handle type="target" position={Position.Left} isConnectable={false} className={classes.handle} />
      {group && <div className={classes.head}><span className="clip">{box.title}</span><span className="dim num">{box.jobs.length}</span></div>}
      {box.jobs.map((j) => <Leg key={j.id} job={j} run={run} label={group ? j.leg ?? j.name : j.name} critical={critical.has(j.id)} />)}
      <Handle type="source" position={Position.Right} isConnectable={false} className={classes.handle} />
    </div>
  );
}

function Leg({ job, run, label, critical }: { job: Job; run: string; label: string; critical: boolean }) {
  const bare = label.replace(/^\((.*)\)$/, '$1');
  const row = (
    <Link to={`/runs/${run}/jobs/${job.id}`} className={`${classes.leg} nopan`} data-status={job.status} data-critical={critical || undefined}>
      <StatusIcon status={job.status} size={15} />
      <span className={classes.name}>
        <span className="clip">{bare}</span>
        {job.status === 'skipped' && job.reason && <span className={classes.reason}>{job.reason}</span>}
      </span>
      {job.environment && <IconMapPin size={13} aria-label={`to ${job.environment}`} />}
      {job.reused && <IconRepeat size={13} aria-label="from an earlier attempt" />}
      {job.status !== 'skipped' && <span className={classes.took}><Took from={job.started_at} to={job.finished_at} /></span>}
    </Link>
  );
  const notes = [job.reason, job.environment && `deploys to ${job.environment}`, job.reused && 'its result is that of an earlier attempt', job.tolerated && 'its failure does not fail the run', critical && 'on the critical path'].filter(Boolean);
  return <Tooltip label={<>{job.name}{notes.map((n, i) => <div key={i}>{n}</div>)}</>} multiline maw={340} openDelay={400}>{row}</Tooltip>;
}
