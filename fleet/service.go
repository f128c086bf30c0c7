package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/agent/certs"
	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// Configs has the configurations that candidates name. A digest's document never changes.
type Configs interface {
	Config(ctx context.Context, digest string) (project.Config, error)
}

// Secrets has what instances are given in their environment. A name that is not there is left out of the answer; an error is that nobody knows.
type Secrets interface {
	Secrets(ctx context.Context, project, environment string, names []string) (map[string]string, error)
}

// Artifacts has candidates by their digest, with their size in bytes.
type Artifacts interface {
	OpenArtifact(ctx context.Context, digest string) (io.ReadSeekCloser, int64, error)
}

// Options of the service. Secrets may be missing where no service has any; Now is time.Now and Log nothing where they are.
type Options struct {
	DB        *store.DB
	Engine    *engine.Engine
	Authority *certs.Authority
	Configs   Configs
	Secrets   Secrets
	Artifacts Artifacts
	Now       func() time.Time
	Log       *slog.Logger
}

// Service knows the agents. It is safe for concurrent use.
type Service struct {
	o Options
	// started is from when on silence counts: before, nobody listened.
	started time.Time
	certs   *serverCerts
	joins   *limiter
	// configs are documents by digest: they never change.
	configs sync.Map

	mu sync.Mutex
	// live are agents that this server has heard of, or looked up.
	live map[string]*live
	// changed has a value when connections or reports have changed what there is to scrape.
	changed chan struct{}
}

var (
	_ release.Target = (*Service)(nil)
	_ release.Task   = (*Service)(nil)
)

// New makes the room's tables where they are missing, and registers its work with the engine: agents that are silent are found out by it.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.DB == nil || o.Engine == nil || o.Authority == nil || o.Configs == nil || o.Artifacts == nil {
		return nil, errors.New("open the fleet: it needs a database, an engine, an authority, configurations and artifacts")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.DB.Migrate(ctx, "fleet", migrations); err != nil {
		return nil, fmt.Errorf("open the fleet: %w", err)
	}
	s := &Service{o: o, started: o.Now(), certs: newServerCerts(o.Authority, o.Now), joins: newLimiter(o.Now), live: map[string]*live{}, changed: make(chan struct{}, 1)}
	o.Engine.Handle(kindAgents, 1, s.lookAfter)
	err := o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return o.Engine.Put(ctx, tx, kindAgents, kindAgents, o.Now())
	})
	if err != nil {
		return nil, fmt.Errorf("open the fleet: %w", err)
	}
	return s, nil
}

// config reads a configuration.
func (s *Service) config(ctx context.Context, digest string) (*project.Config, error) {
	if c, ok := s.configs.Load(digest); ok {
		return c.(*project.Config), nil
	}
	c, err := s.o.Configs.Config(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("read the configuration %s: %w", digest, err)
	}
	s.configs.Store(digest, &c)
	return &c, nil
}

// Changed has a value when what [Service.ScrapeTargets] returns may have changed since the last one was taken.
func (s *Service) Changed() <-chan struct{} { return s.changed }

// change tells of it.
func (s *Service) change() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
