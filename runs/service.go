package runs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"gocloud.dev/blob"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

// Options are what a Service is made of.
type Options struct {
	DB     *store.DB
	Engine *engine.Engine
	// Blobs keep log chunks and artifacts.
	Blobs    *blob.Bucket
	Sources  Sources
	Formats  Formats
	Secrets  Secrets
	Reporter Reporter
	// Deleted, where set, is called in the transaction that removes a project, for what other rooms keep of it.
	Deleted func(ctx context.Context, tx *store.Tx, by By, project string) error
	// Active bounds how many runs this server coordinates at a time; 0: 256. A run that only waits (for a person, a time, or its turn)
	// does not count.
	Active int
	// TTL is how long a job is an embedded worker's without a sign of life (0: 4 s), RemoteTTL the same for runners elsewhere (0: 30 s).
	TTL, RemoteTTL time.Duration
	Now            func() time.Time
	Log            *slog.Logger

	// wrote, where set, is called after each transaction of a coordinator: tests cut servers off there.
	wrote func()
}

// Service is the room's whole. It is safe for concurrent use.
type Service struct {
	// Service is the queue: jobs, logs, artifacts, runners, and the protocol of workers.
	*jobs.Service
	o         Options
	pipelines *cache
	signals   signals
}

// Lists and logs are the queue's.
type (
	Page[T any] = jobs.Page[T]
	ListOptions = jobs.ListOptions
	LogQuery    = jobs.LogQuery
	LogPage     = jobs.LogPage
	LogMatches  = jobs.LogMatches
)

// The kinds of the room's durable work.
const (
	kindRun       = "run"       // by run: the coordination of one attempt
	kindApproval  = "approval"  // by approval: its expiry
	kindRefresh   = "refresh"   // by project: reading the schedules of its default branch
	kindSchedule  = "schedule"  // by project: starting what is due
	kindPoll      = "poll"      // by project: looking for new commits
	kindReport    = "report"    // by run: telling the forge
	kindRetention = "retention" // one row
	kindPurge     = "purge"     // by project: removing what is left of a deleted one
)

const (
	done = engine.Done
	// defaultActive bounds the runs that are coordinated at a time.
	defaultActive = 256
)

// New makes the tables where they are missing, and registers the reconcilers: runs, approvals, schedules, polls, reports to forges,
// and retention. It is called before the engine runs.
func New(ctx context.Context, o Options) (*Service, error) {
	for what, missing := range map[string]bool{
		"a database": o.DB == nil, "an engine": o.Engine == nil, "sources": o.Sources == nil, "formats": o.Formats == nil, "secrets": o.Secrets == nil,
	} {
		if missing {
			return nil, fmt.Errorf("open the runs: %s is required", what)
		}
	}
	if o.Active == 0 {
		o.Active = defaultActive
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{o: o, pipelines: newCache(cachedPipelines)}
	if err := o.DB.Migrate(ctx, "runs", migrations); err != nil {
		return nil, fmt.Errorf("open the runs: %w", err)
	}
	queue, err := jobs.New(ctx, jobs.Options{
		DB: o.DB, Engine: o.Engine, Blobs: o.Blobs, Filler: s, TTL: o.TTL, RemoteTTL: o.RemoteTTL, Now: o.Now, Log: o.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("open the runs: %w", err)
	}
	s.Service = queue
	o.Engine.Handle(kindRun, o.Active, s.coordinate)
	of := func(f func(context.Context, string) (time.Duration, error)) engine.Reconciler {
		return func(ctx context.Context, l *engine.Lease) (time.Duration, error) { return f(ctx, l.ID) }
	}
	o.Engine.Handle(kindApproval, 2, of(s.expire))
	o.Engine.Handle(kindRefresh, 2, s.refresh)
	o.Engine.Handle(kindSchedule, 2, of(s.startDue))
	o.Engine.Handle(kindPoll, 4, s.poll)
	o.Engine.Handle(kindReport, 4, s.report)
	o.Engine.Handle(kindRetention, 1, of(s.retain))
	o.Engine.Handle(kindPurge, 1, of(s.purge))
	err = o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return o.Engine.Put(ctx, tx, kindRetention, "all", o.Now().Add(retentionPeriod))
	})
	if err != nil {
		return nil, fmt.Errorf("open the runs: %w", err)
	}
	return s, nil
}

func (s *Service) now() time.Time { return s.o.Now() }
