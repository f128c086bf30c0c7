/** What was judged of a rollout, and why, each with its computation a click away. */
import { Button, Modal, Skeleton } from '@mantine/core';
import { useQuery, type UseQueryResult } from '@tanstack/react-query';
import { useState } from 'react';
import { qr, type Judgement, type Result, type Rollout, type Watching } from '../../api/releases';
import { count } from '../../lib/format';
import { CopyIcon } from '../../parts/Copy';
import { Loaded } from '../../parts/Loaded';
import { ProblemAlert } from '../../parts/Problem';
import { StatusIcon } from '../../parts/Status';
import table from '../../parts/table.module.css';
import { Ago } from '../../parts/Time';
import { share, verdictSign, verdictWords } from '../../release/status';
import classes from './releases.module.css';

/** The watch as it stands. */
export function Now({ watching: w }: { watching: Watching }) {
  if ((w.results ?? []).length === 0) return null;
  return (
    <div className={classes.watching}>
      <div className={classes.watchHead}><StatusIcon status={w.early ? 'failure' : 'running'} label="" size={14} /> <b>Watched now</b> <span className="dim">{w.reason}</span></div>
      <Results results={w.results!} />
    </div>
  );
}

export function Judgements({ rollout: r, query, wave }: { rollout: Rollout; query: UseQueryResult<Judgement[]>; wave?: number }) {
  const [explained, setExplained] = useState<Judgement | null>(null);
  return (
    <Loaded query={query} rows={2}>
      {(all) => {
        const list = all.filter((j) => wave === undefined || j.wave === wave).reverse();
        if (list.length === 0) return <p className="dim" style={{ margin: '4px 0 0', fontSize: 13 }}>{r.state.strategy.analyse ? 'Nothing has been judged yet.' : 'This strategy has no analysis: it goes by health and smoke checks.'}</p>;
        return (
          <>
            <ul className={table.list}>
              {list.map((j) => (
                <li key={j.id} className={classes.judgement} data-verdict={j.verdict}>
                  <div className={classes.judgementHead}>
                    <StatusIcon status={verdictSign(j.verdict)} label="" />
                    <b>{verdictWords(j.verdict)}</b>
                    <span>{share(j.weight)} {r.state.waves.length > 1 && <>in {r.state.waves[j.wave]?.join(', ')}</>}</span>
                    <span className="dim">{j.kind === 'watch' ? 'before the step’s end' : 'at the step’s end'}, <Ago at={j.at} /></span>
                    <Button size="compact-xs" variant="default" onClick={() => setExplained(j)} ml="auto">Explain</Button>
                  </div>
                  <Results results={j.results ?? []} />
                </li>
              ))}
            </ul>
            {explained && <Explain judgement={explained} onClose={() => setExplained(null)} />}
          </>
        );
      }}
    </Loaded>
  );
}

function Results({ results }: { results: Result[] }) {
  return (
    <ul className={classes.results}>
      {results.map((x) => (
        <li key={x.metric} data-verdict={x.verdict}>
          <StatusIcon status={verdictSign(x.verdict)} label={verdictWords(x.verdict)} size={13} />
          <span><b>{x.metric}</b>{x.informative && <span className="dim"> (does not count)</span>}: {x.reason}<span className="dim"> · {count(x.canary.samples)} samples of the new version{x.reference && `, ${count(x.reference.samples)} to compare with`}{x.test && ` · ${x.test}`}</span></span>
        </li>
      ))}
    </ul>
  );
}

function Explain({ judgement: j, onClose }: { judgement: Judgement; onClose: () => void }) {
  const query = useQuery(qr.explain(j.id));
  return (
    <Modal opened onClose={onClose} title={`Judgement ${j.id}: ${verdictWords(j.verdict).toLowerCase()}`} size="xl">
      {query.error ? <ProblemAlert error={query.error} retry={() => void query.refetch()} /> : !query.data ? <Skeleton height={220} /> : (
        <>
          <p style={{ margin: '0 0 10px', fontSize: 13 }}>{query.data.verified ? 'Computed again just now from the samples that are kept: it comes out the same.' : <b>Computed again just now, and it did not come out the same.</b>} <CopyIcon value={query.data.text} label="Copy the explanation" /></p>
          <pre className={classes.explanation} tabIndex={0}>{query.data.text}</pre>
        </>
      )}
    </Modal>
  );
}
