package action

import (
	"context"
	"errors"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/action/service"
	"github.com/gantry-ops/gantry/runner/storage"
)

// Source gives the files of actions from elsewhere.
type Source interface {
	// Fetch returns a folder of the host with the files of a repository ("owner/name") at a branch, tag or commit, and the
	// commit that this is. The folder must not be changed.
	Fetch(ctx context.Context, repository, ref string) (dir, commit string, err error)
}

// Checkouter makes work copies of repositories.
type Checkouter interface {
	// CheckOut makes dest, a folder of the host that may exist, a work copy of a repository ("owner/name"; empty: the
	// run's own), and returns the commit that is checked out.
	CheckOut(ctx context.Context, repository, dest string, o CheckOut) (commit string, err error)
}

// CheckOut says how a work copy is made.
type CheckOut struct {
	// Ref is a branch, tag or commit; empty: of the run's own repository the commit of the run with the changes that are not
	// committed, of another one its default branch.
	Ref string
	// Clean removes what else is in the folder.
	Clean bool
	// Depth is how many commits of history there are; 0: all.
	Depth int
	// Tags fetches them all.
	Tags bool
	// Sparse are the only paths wanted: folders with Cone, patterns as in .gitignore without.
	Sparse []string
	Cone   bool
	// Filter is a partial clone's filter, such as "blob:none".
	Filter string
	// Submodules is empty, "true" or "recursive".
	Submodules string
	LFS        bool
	// Token for the forge; empty: none.
	Token string
	// Server is the forge's base URL where it is not the run's own.
	Server string
}

// Parser reads an action's definition. file is what positions in it are called.
type Parser func(file string, content []byte) (*pipeline.ActionDefinition, pipeline.Diagnostics)

// Options are what [New] needs. Parse is required. What is nil or empty otherwise leaves out what depends on it: the steps
// that need it fail and say what is missing.
type Options struct {
	Parse    Parser
	Source   Source
	Checkout Checkouter

	Artifacts *storage.Artifacts
	Caches    *storage.Caches

	// NoBuiltins runs the real actions in place of the built-in ones.
	NoBuiltins bool
	// InPlace: jobs run in the user's own folder, which a checkout must leave alone.
	InPlace bool
	// Offline: set-up actions must not fetch anything.
	Offline bool
	// ContainerHost is an IP address of this machine that containers can reach, where the artifact and cache services
	// listen for them too. Empty: that of the bridge that Docker makes (docker0); without one, actions in containers get no
	// such services.
	ContainerHost string
	// ToolDirs are further folders in which to look for tools, each as `bin/TOOL` below it, with globs; in front of the usual ones.
	ToolDirs []string
}

// Runner runs actions. It serves all jobs of a run.
type Runner struct {
	o Options

	mu       sync.Mutex
	services *service.Server
	closed   bool

	// nodeVersions keeps what `node --version` said, by the program's path.
	nodeVersions sync.Map
}

var _ runner.Actions = (*Runner)(nil)

// New returns a Runner. It opens nothing; Close ends what it opens later.
func New(o Options) (*Runner, error) {
	if o.Parse == nil {
		return nil, errors.New("run actions: a parser for their definitions is required")
	}
	return &Runner{o: o}, nil
}

// Close ends the services that were started. It may be called more than once.
func (r *Runner) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.services == nil {
		return nil
	}
	s := r.services
	r.services = nil
	return s.Close()
}

// server returns the services, started when they are first needed.
func (r *Runner) server() (*service.Server, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("the run has ended")
	}
	if r.services == nil {
		s, err := service.Start(service.Options{Artifacts: r.o.Artifacts, Caches: r.o.Caches})
		if err != nil {
			return nil, err
		}
		r.services = s
	}
	return r.services, nil
}
