package route

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are what a router needs.
type Options struct {
	// TLS gives the configuration for the certificates of a name, or nil. It is asked once for each listener; certificates change behind it.
	TLS func(name string) *tls.Config
	// Trusted are the networks of proxies whose X-Forwarded headers are believed and added to; those of others are replaced.
	Trusted []netip.Prefix
	// Inherited are listeners of the router before this one, by name.
	Inherited map[string]*os.File
	// Registry takes the metrics; nil is a registry of its own.
	Registry prometheus.Registerer
	// Log tells of listeners that open and close, and of failures to accept; nil is the default.
	Log *slog.Logger
}

// Router owns listeners and routes by the last table that was applied. Its methods may be called at any time from anywhere.
type Router struct {
	o       Options
	metrics *metrics
	log     *slog.Logger

	table   atomic.Pointer[compiled]
	mirrors chan struct{}
	proxies proxies
	stop    chan struct{}

	mu        sync.Mutex // for changes
	listeners map[string]*listener
	endpoints map[string]*endpoint // of the table, and those that are not drained yet
	arms      map[[2]string]*armMetrics
	closed    bool
	sweeping  sync.WaitGroup
}

// New makes a router without listeners.
func New(o Options) (*Router, error) {
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.TLS == nil {
		o.TLS = func(string) *tls.Config { return nil }
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	m, err := newMetrics(o.Registry)
	if err != nil {
		return nil, fmt.Errorf("register the router's metrics: %w", err)
	}
	r := &Router{
		o: o, metrics: m, log: o.Log, mirrors: make(chan struct{}, mirrorsAtOnce), stop: make(chan struct{}),
		listeners: map[string]*listener{}, endpoints: map[string]*endpoint{}, arms: map[[2]string]*armMetrics{},
	}
	r.proxies = r.newProxies()
	r.table.Store(&compiled{listeners: map[string]*matcher{}, endpoints: map[string]*endpoint{}})
	r.sweeping.Go(r.sweep)
	return r, nil
}

func (r *Router) trusted(a net.Addr) bool {
	if len(r.o.Trusted) == 0 {
		return false
	}
	ip := addrOf(a)
	return slices.ContainsFunc(r.o.Trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}

var errClosed = errors.New("the router is closed")

// Apply makes a table take effect, for all requests that begin after it returns. With an error, which says all that is wrong, nothing has
// changed. Endpoints that the table no longer has are claimed by nobody from then on; Drain waits for who is still there.
func (r *Router) Apply(t Table) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	made := map[string]*endpoint{}
	c, err := compile(t, func(name string) bool { return r.o.TLS(name) != nil }, func(service, version string, e Endpoint) *endpoint {
		known := r.endpoints[e.ID]
		if known != nil && known.addr == e.Address && known.service == service && known.version == version && known.ctx.Err() == nil {
			return known
		}
		made[e.ID] = newEndpoint(service, version, e, r.arm(service, version))
		return made[e.ID]
	})
	if err != nil {
		return fmt.Errorf("the routing table is refused: %w", err)
	}
	for id := range made {
		if old := r.endpoints[id]; old != nil && old.claims.Load() != 0 {
			return fmt.Errorf("the routing table is refused: the endpoint %s has another address or version than before, and is not drained yet", id)
		}
	}
	opened := map[string]*listener{}
	for name, m := range c.listeners {
		if l := r.listeners[name]; l != nil && l.same(m) {
			continue
		}
		l, err := r.open(m)
		if err != nil {
			for _, l := range opened {
				_ = l.ln.Close()
			}
			return fmt.Errorf("the routing table is refused: %w", err)
		}
		opened[name] = l
	}
	// From here on nothing fails.
	for id, e := range c.endpoints {
		if r.endpoints[id] == e {
			e.reopen()
		}
		r.endpoints[id] = e
	}
	r.table.Store(c)
	for id, e := range r.endpoints {
		if c.endpoints[id] == nil {
			e.close()
		}
	}
	for name, l := range r.listeners {
		if c.listeners[name] == nil || opened[name] != nil {
			r.shut(l)
			delete(r.listeners, name)
		}
	}
	for name, l := range opened {
		r.listeners[name] = l
		l.start()
		r.log.Info("listening", "listener", name, "address", l.ln.Addr().String(), "protocol", string(l.protocol), "tls", l.tls)
	}
	r.forget(c)
	return nil
}

// arm gives a version's metrics.
func (r *Router) arm(service, version string) *armMetrics {
	k := [2]string{service, version}
	if r.arms[k] == nil {
		r.arms[k] = r.metrics.arm(service, version)
	}
	return r.arms[k]
}

// forget drops what is known of versions that are gone.
func (r *Router) forget(c *compiled) {
	keep := map[[2]string]bool{}
	for _, e := range r.endpoints {
		keep[[2]string{e.service, e.version}] = true
	}
	for k := range r.arms {
		if !keep[k] {
			r.metrics.forget(k[0], k[1])
			delete(r.arms, k)
		}
	}
}

// Drain waits until nobody uses an endpoint that the table does not have any more, so that its instance can be stopped. When ctx ends first,
// who is left is cut off; their number is returned. An endpoint that is not known has been drained.
func (r *Router) Drain(ctx context.Context, id string) (cut int, err error) {
	r.mu.Lock()
	e := r.endpoints[id]
	inTable := r.table.Load().endpoints[id] != nil
	r.mu.Unlock()
	if e == nil {
		return 0, nil
	}
	if inTable {
		return 0, fmt.Errorf("drain the endpoint %s: it is in the routing table", id)
	}
	idle := e.idleBefore(ctx)
	r.mu.Lock() // no table comes between the look and the cut
	defer r.mu.Unlock()
	c := r.table.Load()
	switch {
	case r.endpoints[id] != e:
		return 0, nil // somebody else has drained it
	case c.endpoints[id] != nil:
		return 0, fmt.Errorf("drain the endpoint %s: it came back into the routing table meanwhile", id)
	case !idle:
		cut = e.cutOff()
	}
	delete(r.endpoints, id)
	r.forget(c)
	return cut, nil
}

// Addresses are where the listeners are, by name: those with port 0 have got one.
func (r *Router) Addresses() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]string{}
	for name, l := range r.listeners {
		all[name] = l.ln.Addr().String()
	}
	return all
}

// Files are copies of the listeners' descriptors, for the router that comes after this one. They are the caller's to close.
func (r *Router) Files() (map[string]*os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	files := map[string]*os.File{}
	for name, l := range r.listeners {
		f, err := l.ln.File()
		if err != nil {
			for f := range maps.Values(files) {
				_ = f.Close()
			}
			return nil, fmt.Errorf("copy the descriptor of the listener %s: %w", name, err)
		}
		files[name] = f
	}
	return files, nil
}

// Linger stops accepting, because another router has the listeners now, and waits for the connections that are left: HTTP/1.1 callers are told
// to close with their next answer, HTTP/2 ones by GOAWAY, sessions end as they will. A connection without a request is closed after the time idle: the
// longer that is, the less likely it is that a request is on its way just then. When ctx ends, what is left is closed.
func (r *Router) Linger(ctx context.Context, idle time.Duration) error {
	r.mu.Lock()
	r.closed = true
	all := slices.Collect(maps.Values(r.listeners))
	r.mu.Unlock()
	for _, l := range all {
		_ = l.ln.Close()
		l.leaving.Store(true)
	}
	left := func() (n int64) {
		for _, l := range all {
			n += l.conns.Load()
		}
		return n
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	patient := time.NewTimer(idle)
	defer patient.Stop()
	var shutting sync.WaitGroup
	defer shutting.Wait()
	for left() > 0 {
		select {
		case <-tick.C:
		case <-patient.C:
			for _, l := range all {
				shutting.Go(func() { l.shutdown(ctx) })
			}
		case <-ctx.Done():
			r.log.Warn("connections were left when the time for them was over", "connections", left())
			return r.Close()
		}
	}
	return r.Close()
}

// Close ends everything at once.
func (r *Router) Close() error {
	r.mu.Lock()
	if r.closed && len(r.listeners) == 0 {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	all := slices.Collect(maps.Values(r.listeners))
	clear(r.listeners)
	for _, e := range r.endpoints {
		e.close()
		e.cut(errClosed)
	}
	r.mu.Unlock()
	close(r.stop)
	for _, l := range all {
		l.end()
	}
	for _, l := range all {
		l.serving.Wait()
	}
	r.sweeping.Wait()
	for _, t := range r.proxies.transports {
		t.CloseIdleConnections()
	}
	return nil
}

// sweep closes idle connections to endpoints.
func (r *Router) sweep() {
	t := time.NewTicker(idleFor / 2)
	defer t.Stop()
	for {
		select {
		case <-r.stop:
			return
		case now := <-t.C:
			for _, e := range r.table.Load().endpoints {
				e.sweep(now)
			}
		}
	}
}
