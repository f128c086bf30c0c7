package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"gocloud.dev/blob"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/runs/logs"
	"github.com/gantry-ops/gantry/store"
)

// Defaults of Options.
const (
	DefaultTTL       = 4 * time.Second
	DefaultRemoteTTL = 30 * time.Second
)

// The kinds of the room's durable work, each of one row.
const (
	kindLost    = "job.lost"    // jobs whose workers are not heard of
	kindGarbage = "job.garbage" // blobs that nothing refers to
	onlyRow     = "all"
)

// poll is how often a server looks for what other servers have done.
const poll = time.Second

// Filler adds to a task what the queue does not know: the run's facts, inputs, variables, secrets and source. It is called when a job is
// claimed, outside of any transaction.
type Filler interface {
	Fill(ctx context.Context, j *Job, t *Task) error
}

// Archiver is what a [Filler] may be as well: it writes the repository as a git bundle that holds the commit of the job's run.
type Archiver interface {
	Archive(ctx context.Context, j *Job, w io.Writer) error
}

// Keeper is what a [Filler] may be as well: it says for how long a project's artifacts are kept; 0: for ever.
type Keeper interface {
	KeepArtifacts(ctx context.Context, project string) (time.Duration, error)
}

// Options are what a Service is made of.
type Options struct {
	DB     *store.DB
	Engine *engine.Engine
	// Blobs keep log chunks and artifacts.
	Blobs *blob.Bucket
	Filler
	// Ended, where set, is called after this server has committed a job's end. It must not block.
	Ended func(run string, job string)
	// TTL is how long a job is an embedded worker's without a sign of life (0: 4 s), RemoteTTL the same for runners elsewhere (0: 30 s).
	TTL, RemoteTTL time.Duration
	Now            func() time.Time
	Log            *slog.Logger
}

// Service is the queue. It is safe for concurrent use, and any number of servers may have one on the same database. Their clocks may be
// apart by less than half of TTL.
type Service struct {
	o       Options
	logs    *logs.Store
	writes  combiner
	idle    idle
	waits   waits
	seen    seen
	absence absence
}

var _ Queue = (*Service)(nil)

// New makes the tables where they are missing, and registers the reconcilers that take jobs from workers that are not heard of and throw
// blobs away. It is called before the engine runs. Close ends what is done beside transactions.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.DB == nil || o.Blobs == nil {
		return nil, errors.New("open the queue: a database and blobs are required")
	}
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.RemoteTTL == 0 {
		o.RemoteTTL = DefaultRemoteTTL
	}
	if o.TTL < 0 || o.RemoteTTL < o.TTL {
		return nil, fmt.Errorf("open the queue: a TTL of %v, and of %v for runners elsewhere: the second must be at least the first", o.TTL, o.RemoteTTL)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.DB.Migrate(ctx, "jobs", migrations); err != nil {
		return nil, fmt.Errorf("open the queue: %w", err)
	}
	l, err := logs.New(ctx, logs.Options{DB: o.DB, Blobs: o.Blobs, Log: o.Log})
	if err != nil {
		return nil, fmt.Errorf("open the queue: %w", err)
	}
	s := &Service{o: o, logs: l}
	s.writes.write = o.DB.Write
	s.waits.s = s
	if o.Engine == nil {
		return s, nil
	}
	o.Engine.Handle(kindLost, 1, s.reclaim)
	o.Engine.Handle(kindGarbage, 1, s.collect)
	err = o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := o.Engine.Put(ctx, tx, kindLost, onlyRow, o.Now()); err != nil {
			return err
		}
		return o.Engine.Put(ctx, tx, kindGarbage, onlyRow, o.Now())
	})
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("open the queue: %w", err)
	}
	return s, nil
}

// Close ends the compaction of logs and waits for it. Calls that run then fail or end by themselves.
func (s *Service) Close() error { return s.logs.Close() }

func (s *Service) now() store.Time { return store.At(s.o.Now()) }

// ttl is how long a job is a worker's without a sign of life.
func (s *Service) ttl(embedded bool) time.Duration {
	if embedded {
		return s.o.TTL
	}
	return s.o.RemoteTTL
}
