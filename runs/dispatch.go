package runs

import (
	"context"
	"errors"

	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

// begun reports whether a job was given to the queue, or has ended.
func begun(j *Job) bool { return j != nil && j.Status != Pending && j.Status != Waiting }

// Begun implements [runner.Dispatcher] by the jobs that were there when the walk began.
func (c *coordinator) Begun(id string) bool {
	for path, j := range c.known {
		// What ended without a worker was never dispatched: its condition is asked again, with the same answer.
		if begun(j) && j.Status != Skipped && (j.Try > 0 || !j.Status.Ended() || j.Reused) && within(path, id) {
			return true
		}
	}
	return false
}

// within reports whether a path is that of the job, leg or call named, or lies below it.
func within(path, id string) bool {
	rest, ok := strings.CutPrefix(path, id)
	return ok && (id == "" || rest == "" || rest[0] == ' ')
}

// errDropped answers the walk where nothing is to be recorded any more.
var errDropped = errors.New("the walk has ended")

// Dispatch implements [runner.Dispatcher]: it sees to the rules of the job's environment, gives the job to the queue, and waits for its
// end.
func (c *coordinator) Dispatch(ctx context.Context, a runner.Assignment) (runner.Outcome, error) {
	if c.ctx.Err() != nil {
		return runner.Outcome{}, errDropped
	}
	defer c.fly()()
	j := c.known[a.ID]
	id := ""
	if begun(j) {
		id = j.ID
	} else {
		if err := c.admit(ctx, a); err != nil {
			return c.turnedAway(ctx, a, err)
		}
		var err error
		if id, err = c.enqueue(a); err != nil {
			return c.turnedAway(ctx, a, err)
		}
	}
	return c.await(ctx, id, a)
}

// turnedAway ends a job that was not let through.
func (c *coordinator) turnedAway(ctx context.Context, a runner.Assignment, err error) (runner.Outcome, error) {
	if c.ctx.Err() != nil {
		return runner.Outcome{}, errDropped
	}
	var refused *refusedError
	var cancelled *CancelledError
	switch {
	case errors.As(err, &refused):
		return runner.Outcome{}, err // the walk records it, with its place in the file
	case errors.As(err, &cancelled), ctx.Err() != nil:
		o := runner.Outcome{Status: pipeline.Cancelled, Reason: err.Error()}
		err = c.record(func(ctx context.Context, tx *store.Tx, r *runRow) error {
			if err := c.s.cancelApproval(ctx, tx, r, a.ID, o.Reason); err != nil {
				return err
			}
			return c.s.Service.End(ctx, tx, r.Project, c.run, r.Attempt, jobs.Unstarted{
				Path: a.ID, Key: a.Key, Leg: a.Leg, Name: a.Name, Status: Cancelled, Reason: o.Reason,
			})
		})
		return o, err
	}
	c.fail(err)
	return runner.Outcome{}, errDropped
}

// record writes, and ends the walk where that cannot be done.
func (c *coordinator) record(fn func(ctx context.Context, tx *store.Tx, r *runRow) error) error {
	if err := c.write(fn); err != nil {
		c.fail(err)
		return errDropped
	}
	return nil
}

// enqueue gives a job to the queue. Once the run was asked to stop only what cleans up is given to it, and remembered as that, so that
// nobody cancels it for the run's sake.
func (c *coordinator) enqueue(a runner.Assignment) (id string, err error) {
	err = c.write(func(ctx context.Context, tx *store.Tx, r *runRow) error {
		if r.Cancelling {
			if r.Killing || !a.Cancelled {
				return &CancelledError{By: r.CancelledBy}
			}
			if _, err := tx.NewRaw("INSERT INTO run_cleanups (run, attempt, path) VALUES (?, ?, ?) ON CONFLICT (run, attempt, path) DO NOTHING", r.ID, r.Attempt, a.ID).Exec(ctx); err != nil {
				return err
			}
		}
		if err := c.resumed(ctx, tx, r); err != nil {
			return err
		}
		var err error
		id, err = c.s.Service.Enqueue(ctx, tx, r.Project, c.run, r.Attempt, a)
		return err
	})
	return id, err
}

// resumed marks a run as running that had to wait.
func (c *coordinator) resumed(ctx context.Context, tx *store.Tx, r *runRow) error {
	switch r.Status {
	case Queued:
		return c.start(ctx, tx, r)
	case Waiting:
		r.Status = Running
		return updateRun(ctx, tx, r, "status")
	}
	return nil
}

// await waits for a job's end. When the walk's context ends the job is cancelled, and still waited for.
func (c *coordinator) await(ctx context.Context, id string, a runner.Assignment) (runner.Outcome, error) {
	type answer struct {
		runner.Outcome
		err error
	}
	ended := make(chan answer, 1)
	go func() {
		o, err := c.s.Service.Wait(c.ctx, id)
		ended <- answer{o, err}
	}()
	cancel, kill := ctx.Done(), (<-chan struct{})(c.kill)
	for {
		select {
		case e := <-ended:
			if e.err != nil {
				if c.ctx.Err() == nil {
					c.fail(e.err)
				}
				return runner.Outcome{}, errDropped
			}
			return e.Outcome, c.onlyWaits()
		case <-cancel:
			cancel = nil
			if err := c.cancelJob(id, a.ID, context.Cause(ctx).Error(), false); err != nil {
				return runner.Outcome{}, err
			}
		case <-kill:
			kill = nil
			if err := c.cancelJob(id, a.ID, "the run was killed", true); err != nil {
				return runner.Outcome{}, err
			}
		}
	}
}

// cancelJob asks for the end of a job, unless it is one that cleans up after the cancel.
func (c *coordinator) cancelJob(id, path, reason string, kill bool) error {
	if c.ctx.Err() != nil {
		return errDropped
	}
	return c.record(func(ctx context.Context, tx *store.Tx, r *runRow) error {
		if !kill {
			var n int
			if err := tx.NewRaw("SELECT COUNT(*) FROM run_cleanups WHERE run = ? AND attempt = ? AND path = ?", r.ID, r.Attempt, path).Scan(ctx, &n); err != nil || n > 0 {
				return err
			}
		}
		return c.s.Service.Cancel(ctx, tx, id, reason, kill)
	})
}

// onlyWaits marks the run as waiting when its last job that ran has ended and others wait for people or a time.
func (c *coordinator) onlyWaits() error {
	c.mu.Lock()
	only := c.holds > 0 && c.flying-1 == c.waiting
	c.mu.Unlock()
	if !only {
		return nil
	}
	return c.record(func(ctx context.Context, tx *store.Tx, r *runRow) error { return c.nowWaits(ctx, tx, r) })
}

// nowWaits marks the run as waiting.
func (c *coordinator) nowWaits(ctx context.Context, tx *store.Tx, r *runRow) error {
	if r.Status != Running && r.Status != Queued {
		return nil
	}
	r.Status = Waiting
	if r.StartedAt.IsZero() {
		r.StartedAt = store.At(tx.Now())
	}
	if err := updateRun(ctx, tx, r, "status", "started_at"); err != nil {
		return err
	}
	if err := r.tell(tx, "run.waiting", byGantry); err != nil {
		return err
	}
	return c.s.reportLater(ctx, tx, c.p, r.ID)
}

// Emit implements [runner.Sink]: the events of jobs are their workers'; what the walk itself tells of are jobs that never came to one.
func (c *coordinator) Emit(e runner.Event) {
	if c.ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	fault := c.faults[e.Path]
	if e.Type == runner.Annotated {
		c.faults[e.Path] = e.Annotation
	} else {
		delete(c.faults, e.Path)
	}
	c.mu.Unlock()
	if e.Type != runner.JobFinished {
		return
	}
	u := jobs.Unstarted{Path: e.Path, Key: e.JobID, Leg: e.Leg, Name: e.Job, Status: Status(e.Status), Reason: e.Reason, Tolerated: e.Tolerated, Annotation: fault}
	paths := []string{e.Path}
	if c.known[e.Path] == nil && len(c.beneath[e.Path]) > 0 {
		paths = c.beneath[e.Path]
	}
	_ = c.record(func(ctx context.Context, tx *store.Tx, r *runRow) error {
		for _, path := range paths {
			one := u
			if j := c.known[path]; j != nil {
				one.Path, one.Key, one.Leg, one.Name = j.Path, j.Key, j.Leg, j.Name
			}
			if err := c.s.Service.End(ctx, tx, r.Project, c.run, r.Attempt, one); err != nil {
				return err
			}
		}
		return nil
	})
}

// Lines implements [runner.Sink]; a walk has no output.
func (c *coordinator) Lines(*runner.Event, []byte) {}

// refusedError is a refusal by the rules of an environment or by people.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return e.reason }
