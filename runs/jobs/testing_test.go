package jobs

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// clock is a clock that the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// world is a queue on a database of its own, whose reconcilers run when the test says so.
type world struct {
	*Service
	t     *testing.T
	db    *store.DB
	clock *clock
	fill  func(ctx context.Context, j *Job, t *Task) error
	ended []string
}

func (w *world) Fill(ctx context.Context, j *Job, t *Task) error {
	if w.fill != nil {
		return w.fill(ctx, j, t)
	}
	t.SHA = "abc"
	return nil
}

// each runs a test on both databases.
func each(t *testing.T, f func(w *world)) {
	c := newClock()
	storetest.Each(t, func(t *testing.T, db *store.DB) { f(newWorld(t, db, c)) }, storetest.Clock(c.now))
}

func newWorld(t *testing.T, db *store.DB, c *clock) *world {
	t.Helper()
	w := &world{t: t, db: db, clock: c}
	blobs := memblob.OpenBucket(nil)
	t.Cleanup(func() { blobs.Close() })
	s, err := New(t.Context(), Options{DB: db, Blobs: blobs, Filler: w, Now: c.now, Ended: func(_, job string) { w.ended = append(w.ended, job) }})
	if err != nil {
		t.Fatal(err)
	}
	w.Service = s
	t.Cleanup(func() { s.Close() })
	return w
}

// write runs fn in a transaction.
func (w *world) write(fn func(ctx context.Context, tx *store.Tx) error) {
	w.t.Helper()
	if err := w.db.Write(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// enqueue queues a job and returns its ID.
func (w *world) enqueue(run, path string, runsOn ...string) (id string) {
	w.t.Helper()
	w.write(func(ctx context.Context, tx *store.Tx) (err error) {
		id, err = w.Enqueue(ctx, tx, "p", run, 1, runner.Assignment{ID: path, Key: path, Name: path, RunsOn: runsOn, Path: []runner.Stop{{Job: path}}})
		return err
	})
	return id
}

// embedded is a runner of a server that takes anything.
func embedded(session string) Worker {
	return Worker{ID: "server", Session: session, Labels: []string{"*"}, Places: 2, Embedded: true}
}

// claim takes a job without waiting; nil: there is none.
func (w *world) claim(by Worker) *Task {
	w.t.Helper()
	task, err := w.Claim(w.t.Context(), by, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return task
}

// must claims a job that has to be there.
func (w *world) must(by Worker) *Task {
	w.t.Helper()
	task := w.claim(by)
	if task == nil {
		w.t.Fatal("there is no job to claim")
	}
	return task
}

func (w *world) finish(t *Task, status pipeline.Status, batches int64) {
	w.t.Helper()
	if err := w.Finish(w.t.Context(), t.TaskRef, TaskEnd{Outcome: runner.Outcome{Status: status}, Batches: batches}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) job(id string) *Job {
	w.t.Helper()
	j, err := w.Job(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

// look has the reconciler look once.
func (w *world) look() {
	w.t.Helper()
	e, err := engine.New(w.t.Context(), w.db, engine.Options{Poll: 5 * time.Millisecond, Now: w.clock.now})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.t.Context())
	var result error
	e.Handle("test.look", 1, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
		defer stop()
		_, result = w.reclaim(ctx, l)
		return engine.Done, nil
	})
	w.write(func(ctx context.Context, tx *store.Tx) error {
		if err := e.Remove(ctx, tx, "test.look", "x"); err != nil { // the one before may be there still
			return err
		}
		return e.Put(ctx, tx, "test.look", "x", w.clock.now())
	})
	if err := e.Run(ctx); err != nil || result != nil {
		w.t.Fatal(err, result)
	}
}

// log returns the texts of a job's log.
func (w *world) log(id string) []string {
	w.t.Helper()
	p, err := w.Log(w.t.Context(), id, LogQuery{From: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for _, l := range p.Lines {
		text := l.Text
		if l.Notice {
			text = "! " + text
		}
		out = append(out, text)
	}
	return out
}

func lines(step int, texts ...string) Item {
	var out []LogLine
	for _, t := range texts {
		out = append(out, LogLine{Step: step, Text: t})
	}
	return Item{Lines: out}
}

func started(n int) Item {
	return Item{Event: &runner.Event{Type: runner.StepStarted, Number: n, Step: fmt.Sprintf("step %d", n)}}
}

func finished(n int, s pipeline.Status) Item {
	return Item{Event: &runner.Event{Type: runner.StepFinished, Number: n, Step: fmt.Sprintf("step %d", n), Status: s}}
}
