package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/secret"
)

// task is a job while it is here.
type task struct {
	*worker
	*jobs.Task
	masker *secret.Masker
	report *report

	// life ends when the task is lost or has ended; work is what cancels the job, and kill what ends its processes.
	life     context.Context
	over     context.CancelCauseFunc
	work     context.Context
	cancel   context.CancelCauseFunc
	kill     chan struct{}
	killOnce func()

	mu sync.Mutex
	// asked: the queue has asked for the cancellation; stopped: the worker was stopped and has interrupted it.
	asked, stopped bool
	// ending: the queue is being told of the end, so that it may refuse a renewal that comes behind it.
	ending bool
}

// run runs a job from its claim to its end.
func (w *worker) run(stop context.Context, claimed *jobs.Task) {
	t := &task{worker: w, Task: claimed, masker: secret.NewMasker(), kill: make(chan struct{})}
	for _, v := range claimed.Secrets {
		t.masker.Add(v)
	}
	t.killOnce = sync.OnceFunc(func() { close(t.kill) })
	t.life, t.over = context.WithCancelCause(context.WithoutCancel(stop))
	t.work, t.cancel = context.WithCancelCause(t.life)
	log := w.Log.With("job", claimed.Job)
	t.report = newReport(w.Queue, claimed.TaskRef, w.Spool, log, t.lose)
	log.Info("job begins", "project", claimed.Project, "name", claimed.Assignment.Name, "try", claimed.Try)

	var side sync.WaitGroup
	side.Go(func() { t.report.send(t.life) })
	side.Go(t.renew)
	done := make(chan struct{})
	side.Go(func() { t.watch(stop, done) })

	outcome := t.do()
	t.report.end()
	t.deliver(stop, outcome)
	close(done)
	t.over(nil)
	side.Wait()
	t.report.abandon()
	log.Info("job ends", "status", outcome.Status, "reason", outcome.Reason)
}

// lose ends everything: the job is another's.
func (t *task) lose(err error) {
	t.Log.Warn("the job is not this worker's any more", "job", t.Job, "error", err)
	t.killOnce()
	t.over(fmt.Errorf("the job was lost: %w", err))
	t.report.abandon()
}

// renew keeps the job this worker's, and does what the queue asks for.
func (t *task) renew() {
	ttl := time.Duration(t.TTL * float64(time.Second))
	if ttl <= 0 {
		ttl = 4 * time.Second
	}
	every := ttl / 3
	wait := every
	for {
		timer := time.NewTimer(wait)
		select {
		case <-t.life.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		ctx, stop := context.WithTimeout(t.life, ttl)
		c, err := t.Queue.Renew(ctx, t.TaskRef)
		stop()
		switch {
		case t.life.Err() != nil:
			return
		case err == nil:
			wait = every
			t.obey(c)
		case gone(err):
			t.mu.Lock()
			ending := t.ending
			t.mu.Unlock()
			if !ending { // otherwise the call that tells of the end learns whether it still counts
				t.lose(err)
			}
			return
		default:
			wait = min(every, time.Second)
		}
	}
}

func (t *task) obey(c jobs.Control) {
	if !c.Cancel && !c.Kill {
		return
	}
	t.mu.Lock()
	t.asked = true
	t.mu.Unlock()
	t.cancel(errors.New(cmp.Or(c.Reason, "the job was cancelled")))
	if c.Kill {
		t.killOnce()
	}
}

// watch ends the job when the worker is stopped: after a while it is interrupted, after another killed.
func (t *task) watch(stop context.Context, done <-chan struct{}) {
	wait := func(d time.Duration) bool {
		timer := time.NewTimer(max(d, 0))
		defer timer.Stop()
		select {
		case <-done:
			return false
		case <-t.Kill:
		case <-timer.C:
		}
		return true
	}
	select {
	case <-done:
		return
	case <-t.Kill:
	case <-stop.Done():
		if !wait(t.Grace) {
			return
		}
	}
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	t.cancel(ErrStopping)
	if wait(t.Cleanup) {
		t.killOnce()
	}
}

// do prepares and runs the job. A job that cannot be prepared has failed, and says so.
func (t *task) do() runner.Outcome {
	fail := func(err error) runner.Outcome {
		if t.work.Err() != nil {
			return runner.Outcome{Status: pipeline.Cancelled, Reason: t.mask(context.Cause(t.work).Error())}
		}
		text := t.mask(err.Error())
		t.report.Emit(runner.Event{Time: time.Now(), Type: runner.Log, Job: t.Assignment.Name, JobID: t.Assignment.Key, Line: text, Notice: true})
		return runner.Outcome{Status: pipeline.Failure, Reason: text}
	}
	if t.work.Err() != nil {
		return fail(nil)
	}
	store, remove, err := openArtifacts(t.life, t.Queue, t.TaskRef, t.Spool, t.insist)
	if err != nil {
		return fail(err)
	}
	defer remove()
	inputs, err := decodeObject(t.Inputs)
	if err != nil {
		return fail(fmt.Errorf("read the job's inputs: %w", err))
	}
	p, err := t.Prepare(t.work, t.Task, store)
	if err != nil {
		if gone(err) {
			t.lose(err)
		}
		return fail(fmt.Errorf("prepare the job: %w", err))
	}
	if p.Close != nil {
		defer func() {
			if err := p.Close(); err != nil {
				t.Log.Warn("clean up after a job", "job", t.Job, "error", err)
			}
		}()
	}
	o := p.Options
	o.Sink, o.Masker, o.Kill, o.Jobs = t.report, t.masker, t.kill, 1
	req := runner.Request{Pipeline: p.Pipeline, Run: t.Facts, Inputs: inputs, Secrets: object(t.Secrets), Vars: object(t.Vars), Env: p.Env}
	outcome, err := runner.RunAssigned(t.work, o, req, t.Assignment)
	if err != nil {
		return fail(err)
	}
	return outcome
}

// insist repeats a call of the queue, until it is answered or the task is over.
func (t *task) insist(call func(context.Context) error) error {
	var last final
	err := persist(t.work, t.Log, t.TaskRef, "artifact", func(bool) {}, func(ctx context.Context) error {
		err := call(ctx)
		if errors.As(err, &last) {
			return nil
		}
		return err
	})
	if last.error != nil {
		return last
	}
	return err
}

// deliver sends what is left, and the end.
func (t *task) deliver(stop context.Context, outcome runner.Outcome) {
	t.mu.Lock()
	end := jobs.TaskEnd{Outcome: outcome, Interrupted: t.stopped && !t.asked && outcome.Status == pipeline.Cancelled}
	t.mu.Unlock()
	// While the worker lives there is all the time in the world; once it stops, little.
	ctx, cancel := context.WithCancelCause(t.life)
	defer cancel(nil)
	release := context.AfterFunc(stop, func() {
		timer := time.NewTimer(t.Delivery)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-t.Kill:
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		case <-timer.C:
		}
		cancel(errors.New("the worker has stopped"))
	})
	defer release()
	select {
	case <-t.report.sent:
	case <-ctx.Done():
	}
	if t.life.Err() != nil || ctx.Err() != nil {
		return
	}
	end.Batches = t.report.last()
	t.mu.Lock()
	t.ending = true
	t.mu.Unlock()
	err := persist(ctx, t.Log, t.TaskRef, "finish", func(bool) {}, func(ctx context.Context) error { return t.Queue.Finish(ctx, t.TaskRef, end) })
	if err != nil {
		t.Log.Warn("the end of a job was not delivered", "job", t.Job, "error", err)
	}
}

func (t *task) mask(s string) string { return string(t.masker.Mask(nil, []byte(s))) }

// object makes a context of a map.
func object(m map[string]string) *pipeline.Map {
	out := pipeline.NewMap()
	for k, v := range m {
		out.Set(k, v)
	}
	return out
}

// decodeObject reads a JSON object; nothing is an empty one.
func decodeObject(b []byte) (*pipeline.Map, error) {
	if len(b) == 0 || string(b) == "null" {
		return pipeline.NewMap(), nil
	}
	v, err := pipeline.DecodeJSON(b)
	if err != nil {
		return nil, err
	}
	m, ok := v.(*pipeline.Map)
	if !ok {
		return nil, errors.New("expected an object")
	}
	return m, nil
}
