package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Errors that a caller may decide by.
var (
	// ErrExists: there is an instance of this ID, if only an ended one.
	ErrExists = errors.New("there is an instance of this ID")
	// ErrNotFound: there is no instance of this ID.
	ErrNotFound = errors.New("there is no instance of this ID")
	// ErrClosed: the supervisor is closed.
	ErrClosed = errors.New("the supervisor is closed")
	// ErrLocked: another agent has the folder.
	ErrLocked = errors.New("another agent has this folder")
)

// Masker hides secrets in a line of output. It is called by several goroutines at a time. What it returns may be what it was given, changed
// or not.
type Masker interface{ Mask([]byte) []byte }

// SecretSource returns the secrets of an instance by name, for one that was adopted and is to be started again: what was given with its
// spec went with the agent that had it. An error delays the start.
type SecretSource interface {
	Secrets(ctx context.Context, id string, names []string) (map[string]string, error)
}

// Options of a supervisor; all may be left out.
type Options struct {
	Ports   PortRange
	Masker  Masker
	Secrets SecretSource
	Logs    LogLimits
	Backoff Backoff
	// Seed of the chance in the waits between restarts.
	Seed uint64
	// Cgroup is the folder of a cgroup (version 2) below which instances get theirs; "off": none. Empty: the agent's own, or the root
	// of the hierarchy where that can be written and hands on more. Below systemd the agent's own needs Delegate=yes and
	// DelegateSubgroup=gantry-agent, and for workloads to outlive the agent KillMode=process (systemd.kill(5)).
	Cgroup string
	// Log hears of what is nobody's result, such as a record that cannot be written.
	Log *slog.Logger
}

// Supervisor runs the instances of a host. It is safe for concurrent use.
type Supervisor struct {
	dir, store string
	o          Options
	host       host
	prober     prober
	ports      *ports
	unlock     func()

	// ctx ends when the supervisor is closed.
	ctx    context.Context
	cancel context.CancelFunc

	mu        sync.Mutex
	instances map[string]*Instance
	closed    bool

	// watching guards watchers. It is taken within an instance's lock, never the other way round.
	watching sync.Mutex
	watchers map[*watcher]struct{}
}

const instancesDir = "instances"

// New returns the supervisor of a folder, which is made, after it has adopted what runs of the instances there. Others are started again
// in the background. One process at a time may have a folder: [ErrLocked].
func New(ctx context.Context, dir string, o Options) (*Supervisor, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("supervise %s: %w", dir, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, instancesDir), 0o700); err != nil {
		return nil, fmt.Errorf("supervise %s: %w", dir, err)
	}
	unlock, err := lockFolder(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("supervise %s: %w", dir, err)
	}
	s, err := open(ctx, dir, o, unlock)
	if err != nil {
		unlock()
		return nil, fmt.Errorf("supervise %s: %w", dir, err)
	}
	return s, nil
}

func open(ctx context.Context, dir string, o Options, unlock func()) (*Supervisor, error) {
	store, err := readID(dir, func() string { return strings.ToLower(rand.Text()[:16]) })
	if err != nil {
		return nil, err
	}
	h, err := newHost(dir, store, o.Cgroup)
	if err != nil {
		return nil, err
	}
	return newSupervisor(ctx, dir, store, o, h, &network{masker: o.Masker}, unlock)
}

// newSupervisor is New on any system.
func newSupervisor(ctx context.Context, dir, store string, o Options, h host, p prober, unlock func()) (*Supervisor, error) {
	o.Logs, o.Backoff = o.Logs.withDefaults(), o.Backoff.withDefaults()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.Ports.check(); err != nil {
		return nil, err
	}
	s := &Supervisor{
		dir: dir, store: store, o: o, host: h, prober: p, unlock: unlock,
		ports:     &ports{host: h, from: o.Ports, taken: map[int]string{}},
		instances: map[string]*Instance{},
		watchers:  map[*watcher]struct{}{},
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.load(ctx); err != nil {
		s.cancel()
		for _, i := range s.instances {
			i.abandon()
		}
		return nil, err
	}
	for _, i := range s.instances {
		i.begin()
	}
	return s, nil
}

// load reads all records, adopts what runs, and ends what is ours and of no record.
func (s *Supervisor) load(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, instancesDir))
	if err != nil {
		return err
	}
	launches := map[string]string{}
	for _, e := range entries {
		id := e.Name()
		home := s.home(id)
		r, err := readRecord(home)
		if errors.Is(err, fs.ErrNotExist) {
			// Half made or half removed: nothing was ever started without a record.
			if err := os.RemoveAll(home); err != nil {
				return err
			}
			continue
		}
		if err == nil && r.Spec.ID != id {
			err = fmt.Errorf("the record in %s is of %q", home, r.Spec.ID)
		}
		if err != nil {
			s.o.Log.Warn("an instance cannot be taken up", "instance", id, "error", err)
			r = record{Spec: Spec{ID: id, NoRestart: true}, State: Crashed, Reason: err.Error()}
		}
		i, err := s.restore(ctx, home, r)
		if err != nil {
			return err
		}
		s.instances[id] = i
		launches[id] = r.Run.Nonce
		s.ports.claim(id, r.Ports)
	}
	// What was not found for want of time is not gone.
	if err := context.Cause(ctx); err != nil {
		return err
	}
	ended, err := s.host.sweep(ctx, s.store, launches)
	if len(ended) > 0 {
		s.o.Log.Warn("processes that instances had left behind were ended", "pids", ended)
	}
	if err != nil {
		s.o.Log.Warn("processes that instances had left behind were not all ended", "error", err)
	}
	return nil
}

func (s *Supervisor) home(id string) string { return filepath.Join(s.dir, instancesDir, id) }

// Start starts an instance and returns it before it is healthy: whether the program could be started at all is in its status. The ID must
// be new; ErrExists otherwise. ErrSpec where the spec is not valid.
func (s *Supervisor) Start(ctx context.Context, spec Spec) (*Instance, error) {
	spec, err := spec.normal()
	if err != nil {
		return nil, fmt.Errorf("start an instance: %w", err)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("start %s: %w", spec.ID, ErrClosed)
	}
	if s.instances[spec.ID] != nil {
		return nil, fmt.Errorf("start %s: %w", spec.ID, ErrExists)
	}
	i, err := s.create(spec)
	if err != nil {
		os.RemoveAll(s.home(spec.ID))
		return nil, fmt.Errorf("start %s: %w", spec.ID, err)
	}
	s.instances[spec.ID] = i
	i.begin()
	return i, nil
}

// Get returns an instance; ErrNotFound where there is none.
func (s *Supervisor) Get(id string) (*Instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.instances[id]; i != nil {
		return i, nil
	}
	return nil, fmt.Errorf("instance %q: %w", id, ErrNotFound)
}

// List returns the status of all instances, by ID.
func (s *Supervisor) List() []Status {
	var all []Status
	for _, i := range s.all() {
		all = append(all, i.Status())
	}
	return all
}

func (s *Supervisor) all() []*Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Instance, 0, len(s.instances))
	for _, i := range s.instances {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b *Instance) int { return strings.Compare(a.spec.ID, b.spec.ID) })
	return all
}

// Stop ends an instance for good, and returns when nothing of it lives. It is asked by its signal, and killed after its grace. That it is
// to end is recorded first, and stands when the context or the agent ends meanwhile. Its record and its log stay until Remove.
func (s *Supervisor) Stop(ctx context.Context, id string) error {
	i, err := s.Get(id)
	if err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	if err := i.stop(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", id, err)
	}
	return nil
}

// Remove ends an instance like Stop and removes its folder, with its log and what it has written to its working folder.
func (s *Supervisor) Remove(ctx context.Context, id string) error {
	i, err := s.Get(id)
	if err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	if err := i.stop(ctx); err != nil {
		return fmt.Errorf("remove %s: %w", id, err)
	}
	s.mu.Lock()
	if s.instances[id] != i {
		s.mu.Unlock()
		return nil // removed meanwhile
	}
	var rest string
	if err = ErrClosed; !s.closed {
		if rest, err = i.erase(); err == nil {
			delete(s.instances, id)
			s.ports.release(id)
		}
	}
	s.mu.Unlock()
	if err == nil {
		err = removeAll(rest)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", id, err)
	}
	return nil
}

// Shutdown ends all instances for good and closes the supervisor. Where the context ends first, those that still live are left alone, to be
// ended by the next agent.
func (s *Supervisor) Shutdown(ctx context.Context) error {
	all := s.all()
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for n, i := range all {
		wg.Go(func() {
			if err := i.stop(ctx); err != nil {
				errs[n] = fmt.Errorf("stop %s: %w", i.spec.ID, err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errors.Join(errs...), s.Close())
}

// Close lets go of all instances and leaves their processes running. Another supervisor may have the folder afterwards.
func (s *Supervisor) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	for _, i := range s.all() {
		<-i.ended
	}
	s.unlock()
	return nil
}

// lockWait is how long New waits for the lock of an agent that has just died: a child of it that has not executed its program yet has the
// lock, too.
const lockWait = 5 * time.Second
