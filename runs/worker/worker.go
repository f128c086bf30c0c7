package worker

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runs/jobs"
)

// Defaults of Options.
const (
	DefaultWait     = 20 * time.Second
	DefaultGrace    = 2 * time.Second
	DefaultCleanup  = 20 * time.Second
	DefaultDelivery = 5 * time.Second
)

// Times that need no choice.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// ErrStopping is the cause of a job's interruption when its worker stops.
var ErrStopping = errors.New("the worker stops")

// Options are what a worker is made of. Queue and Prepare are required.
type Options struct {
	Queue jobs.Queue
	// Worker is who asks for jobs. Its Places, at least 1, is how many run at a time; OS, Arch and Session are filled in.
	Worker jobs.Worker
	// Prepare gets what a job needs: its files, its pipeline, its executor. It is called concurrently for different jobs; store is
	// where the job's artifacts are kept. When ctx ends it returns soon.
	Prepare func(ctx context.Context, t *jobs.Task, store *ArtifactStore) (*Prepared, error)
	// Wait is how long a claim may wait at the queue for a job.
	Wait time.Duration
	// Grace is how long jobs that run when the worker is stopped have to end by themselves, Cleanup how long they then have between
	// being interrupted and being killed, Delivery how long what they have said may take to be sent after that. Negative Grace: none.
	Grace, Cleanup, Delivery time.Duration
	// Kill, when closed, ends all jobs at once. May be nil.
	Kill <-chan struct{}
	// Spool is the folder for what cannot be sent and has no room in memory; empty: the system's temporary one.
	Spool string
	Log   *slog.Logger
}

// Prepared is what a job runs with.
type Prepared struct {
	// Options are the runner's. Sink, Masker, Kill and Jobs are the worker's own.
	Options  runner.Options
	Pipeline *pipeline.Pipeline
	// Env is the environment that the pipeline starts with; may be nil.
	Env pipeline.Object
	// Close gives back what was made. May be nil.
	Close func() error
}

// Run claims and runs jobs until ctx ends and all jobs have ended or were given back. The error is for options that cannot be.
func Run(ctx context.Context, o Options) error {
	if o.Queue == nil || o.Prepare == nil {
		return errors.New("run a worker: a queue and a way to prepare jobs are required")
	}
	if o.Worker.Places < 1 {
		return errors.New("run a worker: it needs at least one place")
	}
	o.Wait = cmp.Or(o.Wait, DefaultWait)
	o.Grace = cmp.Or(o.Grace, DefaultGrace)
	o.Cleanup = cmp.Or(o.Cleanup, DefaultCleanup)
	o.Delivery = cmp.Or(o.Delivery, DefaultDelivery)
	o.Spool = cmp.Or(o.Spool, os.TempDir())
	o.Worker.OS = cmp.Or(o.Worker.OS, runtime.GOOS)
	o.Worker.Arch = cmp.Or(o.Worker.Arch, runtime.GOARCH)
	if o.Worker.Session == "" {
		o.Worker.Session = rand.Text()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &worker{o}
	var running sync.WaitGroup
	defer running.Wait()
	places := make(chan struct{}, o.Worker.Places)
	for {
		select {
		case <-ctx.Done():
			return nil
		case places <- struct{}{}:
		}
		t := w.claim(ctx)
		if t == nil {
			return nil // only when ctx has ended
		}
		running.Go(func() {
			defer func() { <-places }()
			w.run(ctx, t)
		})
	}
}

// worker is what all jobs share.
type worker struct{ Options }

// claim waits for a job, however long the queue cannot be reached; nil when ctx has ended.
func (w *worker) claim(ctx context.Context) *jobs.Task {
	var wait backoff
	for ctx.Err() == nil {
		t, err := w.Queue.Claim(ctx, w.Worker, w.Wait)
		switch {
		case t != nil:
			// Also when ctx has ended meanwhile: it is given back at once, and nobody has to wait until it is missed.
			return t
		case err == nil:
			wait = backoff{}
		case ctx.Err() == nil:
			w.Log.Warn("no job can be claimed", "error", err)
			wait.sleep(ctx)
		}
	}
	return nil
}

// backoff waits longer each time.
type backoff struct{ last time.Duration }

func (b *backoff) sleep(ctx context.Context) {
	b.last = min(max(2*b.last, firstRetry), lastRetry)
	t := time.NewTimer(b.last)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
