package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gantry-ops/gantry/agent/bundle"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/agent/route"
)

// Source has candidates.
type Source interface {
	// Fetch opens a candidate's artifact. The digest is checked by who reads it.
	Fetch(ctx context.Context, digest string) (io.ReadCloser, error)
}

// Options of a host.
type Options struct {
	// Dir is the agent's folder; one process at a time has it.
	Dir    string
	Source Source
	// TLS has the certificates that listeners name; see [route.Options].
	TLS func(name string) *tls.Config
	// Process is passed to the supervisor. Its Secrets are the host's own.
	Process process.Options
	// Linger is how long callers may keep their connections to an agent that another has replaced; 0 is 5 minutes. Idle is how long those may
	// that send nothing; 0 is 10 s.
	Linger, Idle time.Duration
	// Registry takes the metrics of the traffic; nil is one of the host's own.
	Registry prometheus.Registerer
	Log      *slog.Logger
}

// Errors that a caller may decide by.
var (
	// ErrStale: the host has a newer wish already.
	ErrStale = errors.New("the host has a newer generation")
	// ErrReplaced: another agent has taken over.
	ErrReplaced = errors.New("another agent has taken over")
	// ErrClosed: the host is closed.
	ErrClosed = errors.New("the agent is closed")
)

// again is when what failed is tried again.
const again = time.Second

// Host makes a host what is desired. It is safe for concurrent use.
type Host struct {
	o       Options
	log     *slog.Logger
	vault   *vault
	bundles *bundle.Store
	router  *route.Router
	wake    chan struct{}
	// working is what Run has begun beside itself, and ends with it. Drains outlive it, until life ends.
	working sync.WaitGroup
	drains  sync.WaitGroup
	life    context.Context
	kill    context.CancelCauseFunc
	// before is closed when the agent before this one has no connections any more: until then it may send requests to any workload.
	before chan struct{}

	mu         sync.Mutex
	supervisor *process.Supervisor
	desired    Desired
	// table is the one in effect, and applied the generation that it comes from.
	table    route.Table
	applied  int64
	weights  map[string]map[string]int
	problems map[string]string
	// fetching and leaving are bundles and instances that somebody is at.
	fetching, leaving map[string]bool
	// draining counts the endpoints of each instance that are being drained.
	draining map[string]int
	retry    map[string]time.Time
	// tasks are the records of those that are wanted, asking the checks that are being made.
	tasks  map[string]*taskRecord
	asking map[string]bool
	closed bool
}

// Open takes up a host: the workloads that run on it, and what was desired last. Nothing is changed before Run.
func Open(ctx context.Context, o Options) (*Host, error) { return open(ctx, o, nil) }

func open(ctx context.Context, o Options, inherited map[string]*os.File) (_ *Host, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Linger <= 0 {
		o.Linger = 5 * time.Minute
	}
	if o.Idle <= 0 {
		o.Idle = 10 * time.Second
	}
	fail := func(err error) (*Host, error) { return nil, fmt.Errorf("take up the host in %s: %w", o.Dir, err) }
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fail(err)
	}
	h := &Host{
		o: o, log: o.Log, wake: make(chan struct{}, 1), weights: map[string]map[string]int{}, problems: map[string]string{}, fetching: map[string]bool{},
		leaving: map[string]bool{}, draining: map[string]int{}, retry: map[string]time.Time{}, before: make(chan struct{}),
		tasks: map[string]*taskRecord{}, asking: map[string]bool{},
	}
	h.life, h.kill = context.WithCancelCause(context.Background())
	if inherited == nil {
		close(h.before)
	}
	if h.vault, err = openVault(o.Dir); err != nil {
		return fail(err)
	}
	if h.bundles, err = bundle.Open(filepath.Join(o.Dir, "bundles"), bundle.Options{}); err != nil {
		return fail(err)
	}
	if h.desired, err = h.vault.load(o.Dir); err != nil {
		return fail(err)
	}
	if err = h.loadTasks(); err != nil {
		return fail(err)
	}
	if h.router, err = route.New(route.Options{TLS: o.TLS, Inherited: inherited, Registry: o.Registry, Log: o.Log}); err != nil {
		return fail(err)
	}
	if h.supervisor, err = h.supervise(ctx); err != nil {
		return fail(errors.Join(err, h.router.Close()))
	}
	return h, nil
}

func (h *Host) supervise(ctx context.Context) (*process.Supervisor, error) {
	o := h.o.Process
	o.Secrets = secrets{h}
	if o.Log == nil {
		o.Log = h.log
	}
	return process.New(ctx, filepath.Join(h.o.Dir, "workloads"), o)
}

// secrets gives the supervisor those of instances that it has adopted.
type secrets struct{ h *Host }

// Secrets implements [process.SecretSource].
func (s secrets) Secrets(_ context.Context, id string, names []string) (map[string]string, error) {
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	all := slices.Clone(s.h.desired.Instances)
	for _, t := range s.h.desired.Tasks {
		if t.Instance != nil {
			i := *t.Instance
			i.Spec.ID = t.ID
			all = append(all, i)
		}
	}
	for _, i := range all {
		if i.Spec.ID != id {
			continue
		}
		found := map[string]string{}
		for _, n := range names {
			v, ok := i.Secrets[n]
			if !ok {
				return nil, fmt.Errorf("the secret %s of %s is not there", n, id)
			}
			found[n] = v
		}
		return found, nil
	}
	return nil, fmt.Errorf("the instance %s is not wanted any more", id)
}

// Apply stores what is desired from now on; Run does it. With an error nothing has changed. [ErrStale] is an older generation than the host's;
// the same one again is none.
func (h *Host) Apply(d Desired) error {
	if err := d.check(); err != nil {
		return fmt.Errorf("what is desired is refused: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return ErrClosed
	case d.Generation < h.desired.Generation:
		return fmt.Errorf("generation %d is refused: %w, %d", d.Generation, ErrStale, h.desired.Generation)
	}
	if err := h.vault.save(h.o.Dir, d); err != nil {
		return fmt.Errorf("store what is desired: %w", err)
	}
	h.desired = d
	clear(h.retry)
	h.poke()
	return nil
}

// poke has Run look again.
func (h *Host) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Observe says what is on the host.
func (h *Host) Observe() Observed {
	h.mu.Lock()
	defer h.mu.Unlock()
	o := Observed{
		Generation: h.desired.Generation, Applied: h.applied, At: time.Now(), Instances: h.supervisor.List(), Problems: maps.Clone(h.problems),
		Weights: map[string]map[string]int{}, Requests: h.router.Requests(), Addresses: h.router.Addresses(),
	}
	for s, w := range h.weights {
		o.Weights[s] = maps.Clone(w)
	}
	o.Instances = slices.DeleteFunc(o.Instances, isTask)
	for _, t := range h.desired.Tasks {
		if r := h.tasks[t.ID]; r != nil {
			if o.Tasks == nil {
				o.Tasks = map[string]TaskStatus{}
			}
			o.Tasks[t.ID] = r.TaskStatus
		}
	}
	return o
}

// Run makes the host what is desired, until ctx ends. Workloads and listeners stay as they are then.
func (h *Host) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer h.working.Wait()
	defer cancel()
	h.mu.Lock()
	changes := h.supervisor.Changes(ctx)
	h.mu.Unlock()
	h.working.Go(func() {
		for range changes {
			h.poke()
		}
	})
	tick := time.NewTicker(again)
	defer tick.Stop()
	for {
		h.reconcile(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-h.wake:
		case <-tick.C:
		}
	}
}

// problem remembers what is wrong with something, or with an empty text that nothing is.
func (h *Host) problem(what, text string) {
	if h.problems[what] == text {
		return
	}
	if text == "" {
		delete(h.problems, what)
		return
	}
	h.problems[what] = text
	h.log.Warn("the host is not as it is desired", "what", what, "problem", text)
}

// reconcile goes one step: what is not there is begun, traffic goes where it can, what is not wanted is let go.
func (h *Host) reconcile(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	running := h.supervisor.List()
	there, wanted := map[string]bool{}, map[string]bool{}
	now := map[string]process.Status{}
	for _, st := range running {
		there[st.ID] = true
		now[st.ID] = st
	}
	for id := range h.workTasks(ctx, now) {
		wanted[id] = true
	}
	for _, i := range h.desired.Instances {
		id := i.Spec.ID
		wanted[id] = true
		switch {
		case h.leaving[id]:
		case !there[id]:
			h.begin(ctx, i)
		case now[id].State == process.Ended:
			// Somebody has ended it for good, with the agent before or by a wish of the server that it has taken back: it begins anew.
			h.letGo(ctx, id)
		}
	}
	for what := range h.problems {
		if _, task := h.tasks[what]; what != "routes" && !wanted[what] && !there[what] && !task {
			delete(h.problems, what)
		}
	}
	h.route(running)
	select {
	case <-h.before:
	default:
		return
	}
	in := endpoints(h.table)
	for _, st := range running {
		if !wanted[st.ID] && !h.leaving[st.ID] && h.draining[st.ID] == 0 && !has(in, st) {
			h.letGo(ctx, st.ID)
		}
	}
}

// isTask says whether a process is a task's.
func isTask(st process.Status) bool { return st.Labels[labelTask] != "" }

// has says whether a table still leads to an instance.
func has(in map[string]bool, st process.Status) bool {
	for name, port := range st.Ports {
		if in[endpointID(st.ID, name, port)] {
			return true
		}
	}
	return false
}

// begin starts an instance, once its candidate is there.
func (h *Host) begin(ctx context.Context, i Instance) {
	id := i.Spec.ID
	if at, ok := h.retry[id]; ok && time.Now().Before(at) {
		return
	}
	b, err := h.bundles.Get(i.Bundle)
	if errors.Is(err, os.ErrNotExist) {
		h.fetch(ctx, i)
		return
	}
	if err == nil {
		spec := i.spec(b.Dir)
		if spec.Env, err = h.dataFolder(i.Service, spec.Env); err == nil {
			_, err = h.supervisor.Start(ctx, spec)
		}
	}
	if err != nil {
		h.retry[id] = time.Now().Add(again)
		h.problem(id, err.Error())
		return
	}
	h.problem(id, "")
}

// fetch gets a candidate, for all instances that want it.
func (h *Host) fetch(ctx context.Context, i Instance) {
	if h.fetching[i.Bundle] {
		return
	}
	h.fetching[i.Bundle] = true
	h.working.Go(func() {
		err := func() error {
			r, err := h.o.Source.Fetch(ctx, i.Bundle)
			if err != nil {
				return err
			}
			defer r.Close()
			_, err = h.bundles.Put(ctx, i.Bundle, r)
			return err
		}()
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.fetching, i.Bundle)
		if err != nil && ctx.Err() == nil {
			h.retry[i.Spec.ID] = time.Now().Add(again)
			h.problem(i.Spec.ID, fmt.Sprintf("get the candidate %s: %v", i.Bundle, err))
			return
		}
		h.poke()
	})
}

// route brings the routing table up to date, and drains what it leads to no more.
func (h *Host) route(running []process.Status) {
	next, weights := table(h.desired, running)
	if h.applied == h.desired.Generation && reflect.DeepEqual(next, h.table) {
		return
	}
	before := endpoints(h.table)
	if err := h.router.Apply(next); err != nil {
		h.problem("routes", err.Error())
		return
	}
	h.problem("routes", "")
	h.table, h.applied, h.weights = next, h.desired.Generation, weights
	of := map[string]process.Status{}
	for _, st := range running {
		for name, port := range st.Ports {
			of[endpointID(st.ID, name, port)] = st
		}
	}
	for _, id := range missing(before, endpoints(next)) {
		h.drain(id, of[id])
	}
}

// drain waits for who uses an endpoint, for as long as its instance allows.
func (h *Host) drain(id string, of process.Status) {
	most, err := time.ParseDuration(of.Labels[labelDrain])
	if err != nil {
		most = defaultDrain
	}
	h.draining[of.ID]++
	h.drains.Go(func() {
		ctx, cancel := context.WithTimeout(h.life, most)
		defer cancel()
		cut, err := h.router.Drain(ctx, id)
		if err != nil {
			h.log.Debug("an endpoint came back while it was drained", "endpoint", id)
		}
		if cut > 0 {
			h.log.Warn("requests or sessions were cut off, since their time for draining was over", "endpoint", id, "number", cut)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.draining[of.ID]--; h.draining[of.ID] <= 0 {
			delete(h.draining, of.ID)
		}
		h.poke()
	})
}

// letGo ends an instance that nobody uses.
func (h *Host) letGo(ctx context.Context, id string) {
	h.leaving[id] = true
	s := h.supervisor
	h.working.Go(func() {
		err := s.Remove(ctx, id)
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.leaving, id)
		if err != nil && ctx.Err() == nil && !errors.Is(err, process.ErrNotFound) {
			h.problem(id, "end the instance: "+err.Error())
			return
		}
		h.problem(id, "")
		h.poke()
	})
}

// Logs are the lines that an instance has written, the oldest first. The error is that there is no such instance.
func (h *Host) Logs(ctx context.Context, instance string, o process.LogOptions) (iter.Seq2[process.Line, error], error) {
	i, err := h.supervisor.Get(instance)
	if err != nil {
		return nil, err
	}
	return i.Logs(ctx, o), nil
}

// Hosts are the names that the listeners with a certificate of this name have routes for, without those for all hosts.
func (h *Host) Hosts(tls string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	hosts := map[string]bool{}
	for _, l := range h.desired.Listeners {
		if l.TLS != tls {
			continue
		}
		for _, r := range l.Routes {
			if r.Host != "" {
				hosts[r.Host] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(hosts))
}

// Sweep removes candidates that no instance has and that are not among those to keep.
func (h *Host) Sweep(keep ...string) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, i := range h.desired.Instances {
		keep = append(keep, i.Bundle)
	}
	for _, t := range h.desired.Tasks {
		if t.Instance != nil {
			keep = append(keep, t.Instance.Bundle)
		}
	}
	for _, st := range h.supervisor.List() {
		keep = append(keep, st.Labels[labelBundle])
	}
	for digest := range h.fetching {
		keep = append(keep, digest)
	}
	return h.bundles.Sweep(slices.Compact(slices.Sorted(slices.Values(keep))))
}

// end marks the host as closed; what it had is closed without its lock, since the supervisor may be asking for secrets.
func (h *Host) end() (s *process.Supervisor, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ok = !h.closed
	h.closed = true
	return h.supervisor, ok
}

// Close lets go of the workloads, which run on, and closes the listeners. Run has to have returned.
func (h *Host) Close() error {
	s, ok := h.end()
	if !ok {
		return nil
	}
	h.kill(ErrClosed)
	h.drains.Wait()
	return errors.Join(s.Close(), h.router.Close())
}

// Shutdown waits for who uses the host, ends all workloads, and closes. Run has to have returned.
func (h *Host) Shutdown(ctx context.Context) error {
	s, ok := h.end()
	if !ok {
		return nil
	}
	err := h.router.Linger(ctx, h.o.Idle)
	h.kill(ErrClosed)
	h.drains.Wait()
	return errors.Join(err, s.Shutdown(ctx), h.router.Close())
}
