package runner

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/gantry-ops/gantry/pipeline"
)

// legs expands the matrix of a job.
func (g *graph) legs(job *pipeline.Job, scope *pipeline.Scope) ([]pipeline.Leg, pipeline.StrategyScope, error) {
	st := pipeline.StrategyScope{Total: 1, FailFast: true, MaxParallel: 1}
	if job.Strategy == nil {
		return []pipeline.Leg{{}}, st, nil
	}
	legs := []pipeline.Leg{{}}
	if job.Strategy.Matrix != nil {
		var err error
		if legs, err = job.Strategy.Matrix.Expand(scope); err != nil {
			return nil, st, err
		}
	}
	ff, err := job.Strategy.FailFast.Bool(scope)
	if err != nil {
		return nil, st, err
	}
	mp, ok, err := job.Strategy.MaxParallel.Number(scope)
	if err != nil {
		return nil, st, err
	}
	st.FailFast, st.Total, st.MaxParallel = ff, len(legs), len(legs)
	if ok {
		if mp < 1 {
			return nil, st, &pipeline.EvalError{Pos: job.Strategy.MaxParallel.Pos, Err: fmt.Errorf("max-parallel must be at least 1, got %v", mp)}
		}
		st.MaxParallel = int(mp)
	}
	if g.callerKey == "" {
		legs = pipeline.KeepLegs(legs, g.req.Matrix)
	}
	return legs, st, nil
}

func (g *graph) runLegs(ctx context.Context, n *node, scope *pipeline.Scope, legs []pipeline.Leg, st pipeline.StrategyScope) {
	legCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit := semaphore.NewWeighted(int64(max(1, st.MaxParallel)))
	var (
		mu      sync.Mutex
		wg      sync.WaitGroup
		ended   = make([]legEnd, len(legs))
		needing = g.needNames(n.job)
	)
	for i, leg := range legs {
		l := g.newLeg(n.job, leg, g.legScope(scope, n.job, leg, st, i))
		l.needs, l.rank = needing, n.rank
		wg.Go(func() {
			var e legEnd
			if g.begun(l.id) && legCtx.Err() != nil {
				e = g.runLeg(legCtx, l)
			} else if err := limit.Acquire(legCtx, 1); err != nil {
				e = g.endUnstarted(l, pipeline.Cancelled, context.Cause(legCtx).Error())
			} else {
				e = g.runLeg(legCtx, l)
				limit.Release(1)
			}
			mu.Lock()
			defer mu.Unlock()
			ended[i] = e
			if e.status == pipeline.Failure && !e.tolerated && st.FailFast && len(legs) > 1 {
				cancel(fmt.Errorf("%s failed, and fail-fast cancels the other legs", l.name))
			}
		})
	}
	wg.Wait()
	n.result.Status, n.result.Outputs = sumLegs(ended)
	for _, e := range ended {
		n.names = append(n.names, e.names...)
	}
}

// legScope returns the scope of one leg of a job.
func (g *graph) legScope(scope *pipeline.Scope, job *pipeline.Job, leg pipeline.Leg, st pipeline.StrategyScope, index int) *pipeline.Scope {
	s := *scope
	s.Matrix = objectOrNil(leg.Values)
	s.Strategy = st
	s.Strategy.Index = index
	s.Job = &pipeline.JobScope{Key: job.Key, ID: g.id(job, leg.Suffix), File: g.p.File}
	return &s
}

// legEnd is how a leg ended.
type legEnd struct {
	status    pipeline.Status
	tolerated bool
	outputs   *pipeline.Map
	names     []string
}

// sumLegs makes one result of all legs: a failed one fails the job; outputs of later legs win where they are not empty.
func sumLegs(legs []legEnd) (pipeline.Status, *pipeline.Map) {
	status, skipped := pipeline.Success, 0
	outputs := pipeline.NewMap()
	for _, l := range legs {
		switch {
		case l.tolerated:
		case l.status == pipeline.Failure:
			status = pipeline.Failure
		case l.status == pipeline.Cancelled && status != pipeline.Failure:
			status = pipeline.Cancelled
		case l.status == pipeline.Skipped:
			skipped++
		}
		for _, k := range l.outputs.Keys() {
			v, _ := l.outputs.Get(k)
			if _, ok := outputs.Get(k); !ok || v != "" {
				outputs.Set(k, v)
			}
		}
	}
	if len(legs) > 0 && skipped == len(legs) {
		status = pipeline.Skipped
	}
	return status, outputs
}

// runLeg runs one leg: inside its concurrency group, as a call or as steps.
func (g *graph) runLeg(ctx context.Context, l *leg) legEnd {
	tolerated, err := l.job.ContinueOnError.Bool(l.scope)
	if err != nil {
		return g.endUnstarted(l, pipeline.Failure, err.Error())
	}
	l.tolerated = tolerated
	// What had its turn before this process has it still, also when it is to stop.
	resumed := ctx.Err() != nil && g.begun(l.id)
	if c := l.job.Concurrency; c != nil && !resumed {
		inner, leave, err := g.enterGroup(ctx, l.id, c, l.scope)
		if err != nil {
			status := pipeline.Failure
			if ctx.Err() != nil || errors.As(err, new(*SupersededError)) {
				status = pipeline.Cancelled
			}
			return g.endUnstarted(l, status, err.Error())
		}
		defer leave()
		ctx = inner
	}
	if l.job.Call != nil {
		return g.call(ctx, l)
	}
	if g.Dispatch != nil {
		if ctx.Err() != nil && !resumed {
			return g.endUnstarted(l, pipeline.Cancelled, context.Cause(ctx).Error())
		}
		return g.dispatch(ctx, l)
	}
	if err := g.slots.Acquire(ctx, 1); err != nil {
		return g.endUnstarted(l, pipeline.Cancelled, context.Cause(ctx).Error())
	}
	defer g.slots.Release(1)
	return g.runJob(ctx, l)
}
