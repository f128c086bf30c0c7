package ship

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// Sources gives what a commit has.
type Sources interface {
	// Resolve returns the commit of a ref (a branch, a tag, a commit; empty is the default branch), the ref in full and the title of the commit.
	Resolve(ctx context.Context, project, ref string) (commit, full, title string, err error)
	// Files returns the files of a commit. They are read before ctx ends.
	Files(ctx context.Context, project, commit string) (fs.FS, error)
}

// Artifact is an artifact of a run.
type Artifact struct {
	Run, Name string
	// Size is in bytes, Digest as the run has it.
	Size   int64
	Digest string
}

// Builds finds and starts the runs that make candidates.
type Builds interface {
	// Find returns the artifact of a run of the commit that has succeeded; an empty pipeline is any.
	Find(ctx context.Context, project, commit, pipeline, artifact string) (Artifact, bool, error)
	// Start starts the pipeline for the commit and returns its runs. It is done once for a key, however often it is asked for.
	Start(ctx context.Context, project, commit, ref, pipeline, actor, key string) (runs []string, err error)
	// State says whether a run has ended, whether well, and if not, why.
	State(ctx context.Context, run string) (ended, ok bool, reason string, err error)
	Open(ctx context.Context, a Artifact) (io.ReadCloser, error)
}

// Rollouts is room release as a release needs it; [release.Service] is one.
type Rollouts interface {
	Begin(ctx context.Context, q release.Request) (release.Record, error)
	Tell(ctx context.Context, actor string, id int64, c release.Command) (release.Record, error)
	Rollouts(ctx context.Context, ids ...int64) ([]release.Record, error)
	List(ctx context.Context, q release.Query) ([]release.Record, error)
	Views(ctx context.Context, all []release.Record) ([]release.View, error)
	Released(ctx context.Context, p release.Place) (release.Candidate, error)
	Kept(ctx context.Context) ([]release.Candidate, error)
}

// Roles says whether somebody has a role of those that gates name.
type Roles interface {
	HasRole(ctx context.Context, project string, by By, role string) (bool, error)
}

// Checks says what is known of jobs and checks of a commit, one for each name and in their order.
type Checks interface {
	Checks(ctx context.Context, project, commit string, names []string) ([]Required, error)
}

// Options of the service. Without Roles nobody has a role, and without Checks nothing is known of any check: what is asked for stays closed.
type Options struct {
	DB       *store.DB
	Engine   *engine.Engine
	Blobs    *store.Bucket
	Rollouts Rollouts
	Builds   Builds
	Sources  Sources
	Roles    Roles
	Checks   Checks
	// CheckQuery says what is wrong with a PromQL query of a gantry.yaml; nil checks none.
	CheckQuery func(query string) error
	// Poll is how often a release looks at its rollouts and gates by itself; 0 is a second.
	Poll time.Duration
	Now  func() time.Time
	Log  *slog.Logger
}

// Service keeps releases and drives them.
type Service struct {
	o Options

	mu    sync.Mutex
	plans map[int64]*plan // they never change
}

const (
	kindRelease = "release"
	kindSweep   = "candidates"
	// places is how many releases a server works on at a time.
	places = 256
)

// New makes the room's tables where they are missing, and registers its work with the engine.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.DB.Migrate(ctx, "ship", migrations); err != nil {
		return nil, fmt.Errorf("open the releases: %w", err)
	}
	s := &Service{o: o, plans: map[int64]*plan{}}
	o.Engine.Handle(kindRelease, places, s.reconcile)
	o.Engine.Handle(kindSweep, 1, s.sweep)
	err := o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return o.Engine.Put(ctx, tx, kindSweep, kindSweep, o.Now().Add(sweepEvery))
	})
	if err != nil {
		return nil, fmt.Errorf("open the releases: %w", err)
	}
	return s, nil
}

// Config returns a configuration document by its digest; [ErrNotFound] where there is none.
func (s *Service) Config(ctx context.Context, digest string) (project.Config, error) {
	var all []string
	if err := s.o.DB.NewSelect().Table("ship_configs").Column("document").Where("digest = ?", digest).Scan(ctx, &all); err != nil {
		return project.Config{}, fmt.Errorf("read the configuration %s: %w", digest, err)
	}
	if len(all) == 0 {
		return project.Config{}, fmt.Errorf("the configuration %s: %w", digest, ErrNotFound)
	}
	var c project.Config
	if err := json.Unmarshal([]byte(all[0]), &c); err != nil {
		return project.Config{}, fmt.Errorf("read the configuration %s: %w", digest, err)
	}
	return c, nil
}

// Errors that callers decide by. Each comes with what it is about, and with what to do where there is something.
var (
	ErrNotFound = errors.New("it is not there")
	// ErrNotNow: the release is not where that can be done.
	ErrNotNow = errors.New("the release is not where that can be done")
	// ErrNotYours: a person may not decide about what they have begun, or lack a role.
	ErrNotYours = errors.New("somebody else has to decide")
	// ErrRefused: what is asked for cannot be done, and will not be by asking again.
	ErrRefused = errors.New("it is refused")
)
