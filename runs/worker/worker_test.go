package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/dummy"
	"github.com/gantry-ops/gantry/runs/jobs"
)

// queue is a server in memory, which can be away, slow or hostile. It holds batches to their numbers, as the real one does.
type queue struct {
	mu      sync.Mutex
	tasks   []*jobs.Task
	away    bool // every call fails
	forget  bool // a report is taken, and its answer is lost, once
	fenced  bool
	control jobs.Control
	slow    time.Duration
	// thinks is how long the answer to the end takes once it is written; a renewal meanwhile is refused. cut: nobody waited for it.
	thinks time.Duration
	cut    bool

	seq       int64
	items     []jobs.Item
	twice     int
	ends      []jobs.TaskEnd
	renewed   int
	artifacts map[string][]byte
}

var errAway = errors.New("no route to host")

func (q *queue) state() error {
	switch {
	case q.away:
		return errAway
	case q.fenced:
		return jobs.ErrFenced
	}
	return nil
}

func (q *queue) Claim(ctx context.Context, _ jobs.Worker, wait time.Duration) (*jobs.Task, error) {
	q.mu.Lock()
	if q.away {
		q.mu.Unlock()
		return nil, errAway
	}
	if len(q.tasks) > 0 {
		t := q.tasks[0]
		q.tasks = q.tasks[1:]
		q.mu.Unlock()
		return t, nil
	}
	q.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(wait):
		return nil, nil
	}
}

func (q *queue) Renew(context.Context, jobs.TaskRef) (jobs.Control, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.renewed++
	if len(q.ends) > 0 {
		return jobs.Control{}, jobs.ErrFenced
	}
	return q.control, q.state()
}

func (q *queue) Report(_ context.Context, _ jobs.TaskRef, b jobs.Batch) error {
	q.mu.Lock()
	slow := q.slow
	q.mu.Unlock()
	time.Sleep(slow)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.state(); err != nil {
		return err
	}
	switch {
	case b.Seq <= q.seq:
		q.twice++
		return nil
	case b.Seq != q.seq+1:
		return fmt.Errorf("%w: batch %d after %d", jobs.ErrConflict, b.Seq, q.seq)
	}
	q.seq = b.Seq
	q.items = append(q.items, b.Items...)
	if q.forget {
		q.forget = false
		return errAway
	}
	return nil
}

func (q *queue) Finish(ctx context.Context, _ jobs.TaskRef, end jobs.TaskEnd) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.state(); err != nil {
		return err
	}
	if end.Batches != q.seq {
		return fmt.Errorf("%w: %d batches of %d", jobs.ErrConflict, q.seq, end.Batches)
	}
	q.ends = append(q.ends, end)
	if q.thinks > 0 {
		q.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(q.thinks):
		}
		q.mu.Lock()
		q.cut = ctx.Err() != nil
	}
	return nil
}

func (q *queue) PutArtifact(_ context.Context, _ jobs.TaskRef, name string, size int64, r io.Reader) error {
	b, err := io.ReadAll(r)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := errors.Join(err, q.state()); err != nil {
		return err
	}
	if int64(len(b)) != size {
		return errors.New("cut short")
	}
	if q.artifacts == nil {
		q.artifacts = map[string][]byte{}
	}
	q.artifacts[name] = b
	return nil
}

func (q *queue) GetArtifact(_ context.Context, _ jobs.TaskRef, name string) (io.ReadCloser, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b, ok := q.artifacts[name]
	if !ok {
		return nil, jobs.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(b)), q.state()
}

func (q *queue) ListArtifacts(context.Context, jobs.TaskRef) ([]jobs.Artifact, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []jobs.Artifact
	for name := range q.artifacts {
		out = append(out, jobs.Artifact{Name: name})
	}
	return out, q.state()
}

func (q *queue) Source(context.Context, jobs.TaskRef) (io.ReadCloser, error) {
	return nil, jobs.ErrNotFound
}

// set changes the queue's mood.
func (q *queue) set(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f()
}

// text is all that was logged.
func (q *queue) text() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	var b strings.Builder
	for _, i := range q.items {
		for _, l := range i.Lines {
			b.WriteString(l.Text + "\n")
		}
	}
	return b.String()
}

func (q *queue) ended() []jobs.TaskEnd {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]jobs.TaskEnd(nil), q.ends...)
}

const workflow = "on: push\njobs:\n  build:\n    runs-on: any\n    steps:\n      - run: work\n"

func newTask() *jobs.Task {
	return &jobs.Task{
		TaskRef: jobs.TaskRef{Job: "1.1.1", Token: 7}, Try: 1, TTL: 30, Project: "shop", SHA: strings.Repeat("a", 40), File: "ci.yml",
		Facts:      &pipeline.Run{ID: "1", Number: 1, Attempt: 1, Event: pipeline.Event{Name: "push"}},
		Secrets:    map[string]string{"KEY": "hunter2hunter2"},
		Assignment: runner.Assignment{ID: "build", Key: "build", Name: "build", Path: []runner.Stop{{Job: "build"}}},
	}
}

// bench is a worker on a queue whose commands are answered by do.
type bench struct {
	queue  *queue
	stop   context.CancelFunc
	ended  chan struct{}
	kill   chan struct{}
	closed int
}

func start(t *testing.T, q *queue, do func(ctx context.Context, c dummy.Call) runner.Exit) *bench {
	t.Helper()
	p, diags := githubactions.Parse("ci.yml", []byte(workflow), githubactions.Options{})
	if p == nil {
		t.Fatal(diags)
	}
	if q.tasks == nil {
		q.tasks = []*jobs.Task{newTask()}
	}
	ctx, stop := context.WithCancel(t.Context())
	b := &bench{queue: q, stop: stop, ended: make(chan struct{}), kill: make(chan struct{})}
	e := &dummy.Executor{Run: do}
	go func() {
		defer close(b.ended)
		err := Run(ctx, Options{
			Queue: q, Worker: jobs.Worker{ID: "r1", Places: 1}, Kill: b.kill, Spool: t.TempDir(), Grace: 3 * time.Second,
			Prepare: func(context.Context, *jobs.Task, *ArtifactStore) (*Prepared, error) {
				return &Prepared{
					Pipeline: p, Env: pipeline.NewEnvMap(),
					Options: runner.Options{Executor: func(runner.JobSpec) (runner.Executor, error) { return e, nil }},
					Close:   func() error { b.closed++; return nil },
				}, nil
			},
		})
		if err != nil {
			t.Error(err)
		}
	}()
	return b
}

// finish stops the worker and waits for it.
func (b *bench) finish(t *testing.T) {
	t.Helper()
	b.stop()
	<-b.ended
	if b.closed != 1 {
		t.Errorf("what was prepared was closed %d times", b.closed)
	}
}

// hold is a command that runs for a while, or until it is interrupted.
func hold(d time.Duration) func(context.Context, dummy.Call) runner.Exit {
	return func(ctx context.Context, c dummy.Call) runner.Exit {
		fmt.Fprintln(c.Out, "begins with hunter2hunter2")
		select {
		case <-ctx.Done():
			return runner.Exit{Code: 130, Cancelled: true}
		case <-c.Command.Kill:
			return runner.Exit{Code: 137, Cancelled: true}
		case <-time.After(d):
		}
		fmt.Fprintln(c.Out, "ends")
		return runner.Exit{}
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{forget: true}
		b := start(t, q, hold(time.Minute))
		time.Sleep(2 * time.Minute)
		b.finish(t)
		ends := q.ended()
		if len(ends) != 1 || ends[0].Status != pipeline.Success || ends[0].Interrupted {
			t.Fatalf("ends: %+v", ends)
		}
		if q.twice != 1 {
			t.Errorf("a batch whose answer was lost came %d more times, want 1", q.twice)
		}
		if text := q.text(); strings.Contains(text, "hunter2") || !strings.Contains(text, "begins with ***") || !strings.Contains(text, "ends") {
			t.Errorf("log: %s", text)
		}
		if q.renewed < 5 || q.renewed > 7 {
			t.Errorf("renewed %d times in a minute, with a TTL of 30 s", q.renewed)
		}
		var types []string
		for _, i := range q.items {
			if i.Event != nil {
				types = append(types, string(i.Event.Type))
			}
		}
		if got := strings.Join(types, " "); got != "job.started step.started step.finished job.finished" {
			t.Errorf("events: %s", got)
		}
	})
}

// A job runs on while the server is away, and all it says arrives, in order.
func TestAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		line := strings.Repeat("x", 1000)
		const lines = 20_000 // 20 MB: more than memory takes
		b := start(t, q, func(_ context.Context, c dummy.Call) runner.Exit {
			q.set(func() { q.away = true })
			for i := range lines {
				fmt.Fprintf(c.Out, "%d %s\n", i, line)
			}
			time.Sleep(time.Minute)
			return runner.Exit{}
		})
		time.Sleep(30 * time.Second)
		q.set(func() { q.away = false })
		time.Sleep(2 * time.Minute)
		b.finish(t)
		if ends := q.ended(); len(ends) != 1 || ends[0].Status != pipeline.Success {
			t.Fatalf("ends: %+v", ends)
		}
		n := 0
		for l := range strings.Lines(q.text()) {
			if strings.HasPrefix(l, fmt.Sprintf("%d x", n)) {
				n++
			}
		}
		if n != lines {
			t.Errorf("%d lines of %d arrived in order", n, lines)
		}
	})
}

// A slow server slows the job down; memory stays bounded.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{slow: time.Second}
		var took time.Duration
		b := start(t, q, func(_ context.Context, c dummy.Call) runner.Exit {
			began := time.Now()
			line := strings.Repeat("y", 100_000)
			for range 200 {
				fmt.Fprintln(c.Out, line)
			}
			took = time.Since(began)
			return runner.Exit{}
		})
		time.Sleep(5 * time.Minute)
		b.finish(t)
		if took < 20*time.Second {
			t.Errorf("20 MB were written within %v to a server that takes 256 KB a second", took)
		}
		if got := strings.Count(q.text(), strings.Repeat("y", 100_000)); got != 200 {
			t.Errorf("%d lines of 200 arrived", got)
		}
	})
}

func TestFenced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		var killed time.Duration
		b := start(t, q, func(ctx context.Context, c dummy.Call) runner.Exit {
			began := time.Now()
			exit := hold(time.Hour)(ctx, c)
			killed = time.Since(began)
			return exit
		})
		time.Sleep(5 * time.Second)
		q.set(func() { q.fenced = true })
		time.Sleep(time.Minute)
		before := q.seq
		b.finish(t)
		if killed == 0 || killed > 15*time.Second {
			t.Errorf("the job ended after %v", killed)
		}
		if len(q.ended()) != 0 || q.seq != before {
			t.Error("a fenced worker went on reporting")
		}
	})
}

// What is refused because the job has just ended here is no loss.
func TestRenewedBehindTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{thinks: time.Minute}
		b := start(t, q, hold(time.Second))
		time.Sleep(2 * time.Minute)
		b.finish(t)
		if len(q.ended()) != 1 || q.renewed == 0 || q.cut {
			t.Errorf("%d ends, %d renewals; the end was cut off: %v", len(q.ended()), q.renewed, q.cut)
		}
	})
}

func TestControl(t *testing.T) {
	tests := []struct {
		name    string
		control jobs.Control
		within  time.Duration
	}{
		{"cancel", jobs.Control{Cancel: true, Reason: "ann cancelled it"}, 11 * time.Second},
		{"kill", jobs.Control{Cancel: true, Kill: true, Reason: "ann killed it"}, 11 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &queue{control: tt.control}
				var took time.Duration
				b := start(t, q, func(ctx context.Context, c dummy.Call) runner.Exit {
					began := time.Now()
					exit := hold(time.Hour)(ctx, c)
					took = time.Since(began)
					return exit
				})
				time.Sleep(time.Minute)
				b.finish(t)
				ends := q.ended()
				if len(ends) != 1 || ends[0].Status != pipeline.Cancelled || ends[0].Interrupted || ends[0].Reason != tt.control.Reason {
					t.Fatalf("ends: %+v", ends)
				}
				if took > tt.within {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A worker that stops gives its jobs a while, and those back that did not end.
func TestStop(t *testing.T) {
	tests := []struct {
		name        string
		job         time.Duration
		status      pipeline.Status
		interrupted bool
	}{
		{"it ends in time", 2 * time.Second, pipeline.Success, false},
		{"it does not", time.Hour, pipeline.Cancelled, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &queue{}
				b := start(t, q, hold(tt.job))
				time.Sleep(time.Second)
				began := time.Now()
				b.finish(t)
				if took := time.Since(began); took > 4*time.Second {
					t.Errorf("the stop took %v", took)
				}
				ends := q.ended()
				if len(ends) != 1 || ends[0].Status != tt.status || ends[0].Interrupted != tt.interrupted {
					t.Errorf("ends: %+v", ends)
				}
			})
		})
	}
}

// Without a server the stop takes no longer than it may.
func TestStopAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		b := start(t, q, hold(time.Hour))
		time.Sleep(time.Second)
		q.set(func() { q.away = true })
		began := time.Now()
		b.finish(t)
		if took := time.Since(began); took > 3*time.Second+DefaultDelivery+time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}

func TestKillAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		b := start(t, q, hold(time.Hour))
		time.Sleep(time.Second)
		began := time.Now()
		b.stop()
		close(b.kill)
		<-b.ended
		if took := time.Since(began); took > 2*time.Second+DefaultCleanup {
			t.Errorf("killing took %v", took)
		}
	})
}

func TestPrepareFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{tasks: []*jobs.Task{newTask()}}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = Run(ctx, Options{
				Queue: q, Worker: jobs.Worker{ID: "r1", Places: 1}, Spool: t.TempDir(),
				Prepare: func(context.Context, *jobs.Task, *ArtifactStore) (*Prepared, error) {
					return nil, errors.New("the clone failed for hunter2hunter2")
				},
			})
		}()
		time.Sleep(time.Minute)
		stop()
		<-ended
		ends := q.ended()
		if len(ends) != 1 || ends[0].Status != pipeline.Failure || ends[0].Reason != "prepare the job: the clone failed for ***" {
			t.Errorf("ends: %+v", ends)
		}
		if !strings.Contains(q.text(), "the clone failed for ***") {
			t.Errorf("log: %s", q.text())
		}
	})
}
