package runs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

const (
	// look is how often a coordinator looks for what other servers have changed.
	look = time.Second
	// aside is for how long a run that only waits is put aside at most. Whatever it waits for wakes it; this is for what cannot.
	aside = 5 * time.Minute
	// maxLoadFailures is after how many failures in a row to read its pipeline a run is given up.
	maxLoadFailures = 8
)

// errAside ends a walk whose run only waits; it is put aside, and walked again when something has come.
var errAside = errors.New("the run only waits")

// coordinator walks the graph of one attempt of a run. All that it writes is guarded by its lease. Once its own context has ended it
// writes nothing more: then what the walk reports is not what happened, and whoever walks the graph next finds out anew.
type coordinator struct {
	s     *Service
	lease *engine.Lease
	row   *runRow
	run   string
	p     *Project
	// ctx ends with the lease, with the server, or by stop.
	ctx  context.Context
	stop context.CancelCauseFunc
	// kill is closed when everything has to end at once.
	kill chan struct{}
	// known are the jobs that were there when the walk began, by path; beneath are the paths of the planned jobs that a job or call stands
	// for, by its path without legs.
	known   map[string]*Job
	beneath map[string][]string

	mu sync.Mutex
	// news is closed, and made anew, when there may be news for who waits.
	news chan struct{}
	// flying counts the dispatches and turns that the walk is in, waiting those of them that wait, with the times that they wait for.
	flying, waiting int
	until           map[string]time.Time
	// holds counts the jobs that wait for people or a time.
	holds int
	// faults are the places of what failed before it began, by path, until its end is told of.
	faults map[string]*pipeline.Annotation
	// moved is set when one of these changes.
	moved  bool
	killed bool
	// turns are the concurrency groups that the run is in.
	turns map[turn]context.CancelCauseFunc
	// superseded is why the run as a whole gave way to a newer one.
	superseded error
}

// coordinate brings one attempt of a run to its end, or to where it only waits.
func (s *Service) coordinate(ctx context.Context, l *engine.Lease) (time.Duration, error) {
	r, err := s.readRun(ctx, l.ID)
	if errors.Is(err, ErrNotFound) {
		return done, nil
	}
	if err != nil {
		return 0, err
	}
	if r.Status.Ended() {
		return done, nil
	}
	p, err := s.Project(ctx, r.Project)
	if errors.Is(err, ErrNotFound) {
		return done, nil // it is being removed with its project
	}
	if err != nil {
		return 0, err
	}
	c := &coordinator{s: s, lease: l, row: r, run: l.ID, p: p, kill: make(chan struct{}), news: make(chan struct{}), until: map[string]time.Time{}, faults: map[string]*pipeline.Annotation{}, turns: map[turn]context.CancelCauseFunc{}}
	c.ctx, c.stop = context.WithCancelCause(ctx)
	defer c.stop(nil)
	pl, err := s.load(c.ctx, p, r)
	var broken *pipeline.DiagnosticError
	switch {
	case ctx.Err() != nil:
		return 0, nil
	case errors.As(err, &broken), err != nil && l.Failures >= maxLoadFailures, err != nil && r.Cancelling:
		return done, c.end(Failure, err.Error(), "the run could not begin")
	case err != nil:
		return 0, err
	}
	return c.walk(pl)
}

// walk runs the graph.
func (c *coordinator) walk(pl *pipeline.Pipeline) (time.Duration, error) {
	s, r := c.s, c.row
	facts := r.Facts.V
	facts.ID, facts.Number, facts.Attempt = c.run, r.Number, r.Attempt
	vars, err := s.variables(c.ctx, r.Project, "")
	if err != nil {
		return 0, err
	}
	req := runner.Request{Pipeline: pl, Run: facts, Inputs: r.Bound.V, Vars: vars}
	if r.Bound.V == nil {
		req.Inputs = pipeline.NewMap()
	}
	plan := pipeline.NewPlan(pl, &pipeline.Scope{Run: facts, Inputs: req.Inputs, Vars: vars}, nil, nil)
	planned, beneath := jobsOf(plan)
	c.beneath = beneath
	if err := c.begin(pl, planned); err != nil {
		return 0, err
	}
	if err := c.recall(); err != nil {
		return 0, err
	}
	runCtx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	c.heed(r, cancel)
	news, end := s.signals.of(r.ID)
	defer end()
	var watching sync.WaitGroup
	watching.Go(func() { c.watch(news, cancel) })
	result, err := runner.Run(runCtx, runner.Options{Dispatch: c, Groups: c, Sink: c, Kill: c.kill, Now: s.now, Jobs: 1}, req)
	cause := context.Cause(runCtx)
	// Nothing but the end is written from here on, and that by this goroutine.
	ended := c.ctx.Err() == nil
	stopped := context.Cause(c.ctx)
	if ended && err == nil {
		status, reason := c.conclude(result, cause)
		err = c.end(status, reason, "the run ended before its turn came")
	}
	c.stop(nil)
	watching.Wait()
	switch {
	case ended && err == nil:
		return done, nil
	case ended:
		return 0, err
	case errors.Is(stopped, errAside):
		return c.wait(), nil
	case c.lease != nil && (errors.Is(stopped, engine.ErrLost) || errors.Is(stopped, context.Canceled)):
		return 0, nil
	}
	return 0, stopped
}

// begin makes the planned jobs and marks the run as running, unless it has to wait for its turn first. In a later life of the run there
// is nothing left to do.
func (c *coordinator) begin(pl *pipeline.Pipeline, planned []Job) error {
	if c.row.Status != Queued {
		return nil
	}
	return c.write(func(ctx context.Context, tx *store.Tx, r *runRow) error {
		if r.Status != Queued {
			return nil
		}
		if err := c.s.Service.Plan(ctx, tx, r.Project, c.run, r.Attempt, planned); err != nil {
			return err
		}
		if pl.Concurrency != nil {
			return nil
		}
		return c.start(ctx, tx, r)
	})
}

// start marks the run as running.
func (c *coordinator) start(ctx context.Context, tx *store.Tx, r *runRow) error {
	if r.Status != Queued {
		return nil
	}
	r.Status, r.Reason = Running, ""
	if r.StartedAt.IsZero() {
		r.StartedAt = store.At(tx.Now())
	}
	if err := updateRun(ctx, tx, r, "status", "reason", "started_at"); err != nil {
		return err
	}
	if err := r.tell(tx, "run.started", byGantry); err != nil {
		return err
	}
	return c.s.reportLater(ctx, tx, c.p, r.ID)
}

// recall reads the jobs that are there.
func (c *coordinator) recall() error {
	list, err := c.s.Service.List(c.ctx, c.run, c.row.Attempt)
	if err != nil {
		return err
	}
	c.known = make(map[string]*Job, len(list))
	for i := range list {
		c.known[list[i].Path] = &list[i]
	}
	return nil
}

// write runs fn in a transaction that happens only while the lease stands, with the run as it is then. It gives up when the walk has
// ended meanwhile.
func (c *coordinator) write(fn func(ctx context.Context, tx *store.Tx, r *runRow) error) error {
	err := c.s.o.DB.Write(c.ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := c.lease.Guard(ctx, tx); err != nil {
			return err
		}
		r, err := lockRun(ctx, tx, c.row.ID)
		if err != nil {
			return err
		}
		if r.Attempt != c.row.Attempt || r.Status.Ended() {
			return engine.ErrLost
		}
		return fn(ctx, tx, r)
	})
	if err == nil && c.s.o.wrote != nil {
		c.s.o.wrote()
	}
	return err
}

// fail ends the walk by what keeps the server from going on; the run is walked again later.
func (c *coordinator) fail(err error) { c.stop(err) }

// watch looks for what others have changed until the walk ends, and puts a run aside that only waits.
func (c *coordinator) watch(news <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		ticked := false
		select {
		case <-c.ctx.Done():
			return
		case <-news:
		case <-tick.C:
			ticked = true
		}
		r := &runRow{}
		// Every run that goes on asks this each second; the rest of the row is not needed here.
		if err := c.s.o.DB.NewSelect().Model(r).Column("cancelling", "killing", "cancelled_by").Where("id = ?", c.row.ID).Scan(c.ctx); err == nil {
			c.heed(r, cancel)
		}
		c.yield()
		c.tell(ticked)
	}
}

// heed acts on what was asked of the run.
func (c *coordinator) heed(r *runRow, cancel context.CancelCauseFunc) {
	if r.Cancelling {
		cancel(&CancelledError{By: r.CancelledBy})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Killing && !c.killed {
		c.killed = true
		close(c.kill)
	}
}

// tell wakes all that wait, so that they look again; at a tick it first ends the walk where nothing but waiting has gone on since the
// last one.
func (c *coordinator) tell(ticked bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ticked {
		if c.waiting > 0 && c.waiting == c.flying && !c.moved {
			c.stop(errAside)
			return
		}
		c.moved = false
	}
	close(c.news)
	c.news = make(chan struct{})
}

// wait is for how long a run that only waits can be put aside.
func (c *coordinator) wait() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := aside
	for _, t := range c.until {
		d = min(d, t.Sub(c.s.now()))
	}
	return max(d, time.Millisecond)
}

// fly counts a part of the walk that goes on until land.
func (c *coordinator) fly() (land func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying++
	c.moved = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.flying--
		c.moved = true
	}
}

// idle waits for news or the end of one of the contexts; what is waited for, until when (zero: no time) is known meanwhile.
func (c *coordinator) idle(ctx context.Context, what string, until time.Time, ready func() (bool, error)) error {
	c.mu.Lock()
	c.waiting++
	if !until.IsZero() {
		c.until[what] = until
	}
	c.moved = true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.waiting--
		c.moved = true
		delete(c.until, what)
	}()
	for {
		c.mu.Lock()
		news := c.news
		c.mu.Unlock()
		ok, err := ready()
		if ok || err != nil {
			return err
		}
		var timer <-chan time.Time
		if !until.IsZero() {
			t := time.NewTimer(max(until.Sub(c.s.now()), 0))
			defer t.Stop()
			timer = t.C
		}
		select {
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.kill:
			return &CancelledError{By: c.row.CancelledBy}
		case <-news:
		case <-timer:
		}
	}
}

// conclude sums the walk up.
func (c *coordinator) conclude(result runner.Result, cause error) (Status, string) {
	if err := (*CancelledError)(nil); errors.As(cause, &err) {
		return Cancelled, err.Error()
	}
	if c.superseded != nil {
		return Cancelled, c.superseded.Error()
	}
	var failed, cancelled []string
	why := ""
	for _, j := range result.Jobs {
		switch {
		case j.Tolerated:
		case j.Status == pipeline.Failure:
			failed = append(failed, j.Name)
		case j.Status == pipeline.Cancelled:
			cancelled, why = append(cancelled, j.Name), j.Reason
		}
	}
	switch {
	case len(failed) > 0:
		return Failure, some(failed) + " failed"
	case len(cancelled) > 0:
		return Cancelled, some(cancelled) + " cancelled: " + why
	case result.Reason != "":
		return Skipped, result.Reason
	}
	return Success, ""
}

// some names the first few of many.
func some(names []string) string {
	slices.Sort(names)
	const most = 3
	if n := len(names); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}

// end records the end of the attempt, with whatever of it has not ended.
func (c *coordinator) end(status Status, reason, unreached string) error {
	counts, err := c.s.Service.Counts(c.ctx, c.run, c.row.Attempt)
	if err != nil {
		return err
	}
	// What has not ended is skipped by the sweep, which happens with the end.
	counts = maps.Clone(counts)
	for st, n := range counts {
		if !st.Ended() {
			delete(counts, st)
			if counts == nil {
				counts = map[Status]int{}
			}
			counts[Skipped] += n
		}
	}
	return c.write(func(ctx context.Context, tx *store.Tx, r *runRow) error {
		if err := c.s.Service.Sweep(ctx, tx, c.run, r.Attempt, unreached); err != nil {
			return err
		}
		if err := c.s.leaveAll(ctx, tx, r.ID); err != nil {
			return err
		}
		if err := c.s.closeApprovals(ctx, tx, r); err != nil {
			return err
		}
		now := store.At(tx.Now())
		if r.StartedAt.IsZero() {
			r.StartedAt = now
		}
		r.Status, r.Reason, r.FinishedAt, r.Counts = status, cut(reason, maxReason), now, doc(counts)
		if err := updateRun(ctx, tx, r, "status", "reason", "started_at", "finished_at", "counts"); err != nil {
			return err
		}
		if err := r.tell(tx, "run.finished", byGantry); err != nil {
			return err
		}
		return c.s.reportLater(ctx, tx, c.p, r.ID)
	})
}

// maxReason bounds the reason of a run, in bytes.
const maxReason = 16 << 10

// Guards at compile time.
var (
	_ runner.Dispatcher = (*coordinator)(nil)
	_ runner.Groups     = (*coordinator)(nil)
	_ runner.Sink       = (*coordinator)(nil)
)
