package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// graph runs the jobs of one pipeline: the one that was asked for, or one that a job calls.
type graph struct {
	*run
	req *Request
	p   *pipeline.Pipeline
	// caller is empty at the top; below, what stands in front of the names of the jobs.
	callerKey, callerID, callerName string
	inputs, secrets, env            pipeline.Object
	// path leads to the job that calls, for what runs elsewhere.
	path []Stop
	// held are the concurrency groups that callers are in, which nothing below can enter.
	held []string

	nodes map[string]*node
}

// node is a job on its way through the graph.
type node struct {
	job     *pipeline.Job
	waiting int
	after   []*node
	// rank is the length of the longest chain of needs above the job.
	rank int
	// result and names are set when the job has ended, before those after it are looked at.
	result pipeline.Result
	// names are the display names of what ran for the job, for the critical path.
	names []string
}

// wanted returns the jobs to run: all, or those asked for with all that they need.
func (g *graph) wanted() []*pipeline.Job {
	if len(g.req.Jobs) == 0 || g.callerKey != "" {
		return g.p.Jobs
	}
	return pipeline.Wanted(g.p, g.req.Jobs)
}

// execute runs the graph inside its concurrency group and returns what a caller sees of it.
func (g *graph) execute(ctx context.Context) (pipeline.Status, *pipeline.Map, string) {
	resumed := ctx.Err() != nil && g.begun(g.callerID)
	if c := g.p.Concurrency; c != nil && !resumed {
		inner, leave, err := g.enterGroup(ctx, g.callerID, c, &pipeline.Scope{Run: g.req.Run, Inputs: g.inputs, Vars: g.req.Vars, Secrets: g.secrets})
		if err != nil {
			status := pipeline.Failure
			if errors.As(err, new(*SupersededError)) || ctx.Err() != nil {
				status = pipeline.Cancelled
			}
			for _, j := range g.wanted() {
				g.finishUnstarted(g.newLeg(j, pipeline.Leg{}, nil), status, err.Error())
			}
			return status, nil, err.Error()
		}
		defer leave()
		ctx = inner
		group, _ := c.Group.Text(&pipeline.Scope{Run: g.req.Run, Inputs: g.inputs, Vars: g.req.Vars})
		g.held = append(slices.Clone(g.held), strings.ToLower(group))
	}
	g.schedule(ctx)
	return g.outcome()
}

// schedule is the ready queue: a job starts when the last of its needs has ended, not when a stage has.
func (g *graph) schedule(ctx context.Context) {
	jobs := g.wanted()
	g.nodes = make(map[string]*node, len(jobs))
	for _, j := range jobs {
		g.nodes[strings.ToLower(j.Key)] = &node{job: j, result: pipeline.Result{Key: j.Key}}
	}
	var ready []*node
	for _, j := range jobs {
		n := g.nodes[strings.ToLower(j.Key)]
		for _, need := range j.Needs {
			if b := g.nodes[strings.ToLower(need.Key)]; b != nil {
				b.after = append(b.after, n)
				n.waiting++
			}
		}
		if n.waiting == 0 {
			ready = append(ready, n)
		}
	}
	ended := make(chan *node)
	running := 0
	start := func(ns []*node) {
		for _, n := range ns {
			running++
			go func() {
				g.runNode(ctx, n)
				ended <- n
			}()
		}
	}
	start(ready)
	for running > 0 {
		n := <-ended
		running--
		var next []*node
		for _, a := range n.after {
			a.rank = max(a.rank, n.rank+1)
			if a.waiting--; a.waiting == 0 {
				next = append(next, a)
			}
		}
		start(next)
	}
}

// outcome sums the jobs up for a caller.
func (g *graph) outcome() (pipeline.Status, *pipeline.Map, string) {
	status, ran := pipeline.Success, false
	var results []pipeline.Result
	for _, j := range g.wanted() {
		n := g.nodes[strings.ToLower(j.Key)]
		results = append(results, n.result)
		switch n.result.Status {
		case pipeline.Failure:
			status, ran = pipeline.Failure, true
		case pipeline.Cancelled:
			if status != pipeline.Failure {
				status = pipeline.Cancelled
			}
			ran = true
		case pipeline.Success:
			ran = true
		}
	}
	if !ran && len(results) > 0 {
		status = pipeline.Skipped
	}
	outputs := pipeline.NewMap()
	s := &pipeline.Scope{Run: g.req.Run, Inputs: g.inputs, Vars: g.req.Vars, Jobs: results}
	for _, o := range g.p.Outputs {
		v, err := o.Value.Text(s)
		if err != nil {
			return pipeline.Failure, outputs, err.Error()
		}
		outputs.Set(o.Name, v)
	}
	return status, outputs, ""
}

// upstream returns the results of all jobs before n, those it names first.
func (g *graph) upstream(n *node) []pipeline.Result {
	return pipeline.Upstream(n.job, func(key string) *pipeline.Job {
		if b := g.nodes[key]; b != nil {
			return b.job
		}
		return nil
	}, func(key string) (pipeline.Result, bool) { return g.nodes[key].result, true })
}

// runNode takes one job from ready to ended.
func (g *graph) runNode(ctx context.Context, n *node) {
	job := n.job
	scope := &pipeline.Scope{
		Run: g.req.Run, Inputs: g.inputs, Vars: g.req.Vars, Secrets: g.secrets,
		Job:       &pipeline.JobScope{Key: job.Key, ID: g.id(job, ""), File: g.p.File},
		Upstream:  g.upstream(n),
		Cancelled: ctx.Err() != nil,
	}
	whole := g.newLeg(job, pipeline.Leg{}, scope)
	whole.needs = g.needNames(job)
	end := func(status pipeline.Status, reason string) {
		n.result.Status = status
		n.names = []string{whole.name}
		g.finishUnstarted(whole, status, reason)
	}
	if g.killed() {
		end(pipeline.Cancelled, ErrInterrupted.Error())
		return
	}
	runs, err := true, error(nil)
	resumed := g.begun(g.id(job, ""))
	if !resumed {
		runs, err = job.If.Bool(scope)
	}
	switch {
	case err != nil:
		end(pipeline.Failure, err.Error())
		return
	case !runs && scope.Cancelled:
		end(pipeline.Cancelled, context.Cause(ctx).Error())
		return
	case !runs:
		end(pipeline.Skipped, explain(job.If, scope))
		return
	}
	if scope.Cancelled && !resumed {
		// It asked to run all the same; from here on only Kill ends it.
		ctx = context.WithoutCancel(ctx)
	}
	legs, strategy, err := g.legs(job, scope)
	if err != nil {
		end(pipeline.Failure, err.Error())
		return
	}
	if len(legs) == 0 {
		end(pipeline.Skipped, g.noLegs())
		return
	}
	g.runLegs(ctx, n, scope, legs, strategy)
}

func (g *graph) noLegs() string {
	if len(g.req.Matrix) > 0 {
		return "no leg of the matrix has the values asked for"
	}
	return "the matrix has no legs"
}

// enterGroup joins the concurrency group that c names in the scope.
func (g *graph) enterGroup(ctx context.Context, id string, c *pipeline.Concurrency, scope *pipeline.Scope) (context.Context, func(), error) {
	name, err := c.Group.Text(scope)
	if err != nil {
		return nil, nil, err
	}
	if name == "" {
		return ctx, func() {}, nil
	}
	if slices.Contains(g.held, strings.ToLower(name)) {
		return nil, nil, &pipeline.EvalError{Pos: c.Pos, Err: fmt.Errorf("deadlock: the caller is in concurrency group %q already", name)}
	}
	cancel, err := c.CancelInProgress.Bool(scope)
	if err != nil {
		return nil, nil, err
	}
	queue, err := c.Queue.Text(scope)
	if err != nil {
		return nil, nil, err
	}
	return g.Groups.Enter(ctx, GroupMember{Run: g.req.Run.ID, ID: id, Group: name, CancelRunning: cancel, QueueAll: queue == "max"})
}

// callee is the graph of the pipeline that a leg calls.
func (g *graph) callee(l *leg) (*graph, error) {
	c := l.job.Call
	given, err := c.Inputs.Object(l.scope)
	if err != nil {
		return nil, err
	}
	inputs, err := pipeline.BindInputs(c.Pipeline.Inputs, given, &pipeline.Scope{Run: g.req.Run, Vars: g.req.Vars})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Pos, err)
	}
	secrets := g.secrets
	if !c.InheritSecrets {
		if secrets, err = c.Secrets.Object(l.scope); err != nil {
			return nil, err
		}
	}
	return &graph{
		run: g.run, req: g.req, p: c.Pipeline, inputs: inputs, secrets: secrets, env: g.req.Env, held: g.held,
		callerKey: g.keyPath(l.job.Key), callerID: l.id, callerName: l.name,
		path: append(slices.Clone(g.path), l.stop()),
	}, nil
}

// call runs another pipeline in the leg's place.
func (g *graph) call(ctx context.Context, l *leg) legEnd {
	inner, err := g.callee(l)
	if err != nil {
		return g.endUnstarted(l, pipeline.Failure, err.Error())
	}
	if l.job.Concurrency != nil {
		if group, err := l.job.Concurrency.Group.Text(l.scope); err == nil && group != "" {
			inner.held = append(slices.Clone(g.held), strings.ToLower(group))
		}
	}
	status, outputs, reason := inner.execute(ctx)
	e := legEnd{status: status, outputs: outputs, tolerated: l.tolerated && status == pipeline.Failure}
	for _, n := range inner.nodes {
		e.names = append(e.names, n.names...)
	}
	slices.Sort(e.names)
	if reason != "" {
		return g.endUnstarted(l, status, reason)
	}
	return e
}

func objectOrNil(m *pipeline.Map) pipeline.Object {
	if m == nil {
		return nil
	}
	return m
}

// needNames returns the display names of what ran for the job's needs.
func (g *graph) needNames(job *pipeline.Job) []string {
	var names []string
	for _, need := range job.Needs {
		if n := g.nodes[strings.ToLower(need.Key)]; n != nil {
			names = append(names, n.names...)
		}
	}
	return names
}

// explain says why a condition came out false.
func explain(v pipeline.Value, scope *pipeline.Scope) string {
	if e, ok := v.Expr().(pipeline.Explainer); ok {
		if s := e.Explain(scope); s != "" {
			return s
		}
	}
	return fmt.Sprintf("its condition is false: %s", v.Source())
}
