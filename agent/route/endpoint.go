package route

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// idleConns is how many connections to an endpoint are kept for the next requests.
	idleConns = 512
	// idleFor is how long one is kept: less than the 5 s after which the impatient among servers close theirs.
	idleFor = 4 * time.Second
	// restFor is how long one may have rested without being looked at before it is used again.
	restFor = 20 * time.Millisecond
	// dialTimeout is how long an endpoint on this host or beside it may take to accept a connection.
	dialTimeout = 5 * time.Second
	// defaultTimeout is how long an answer may take to begin.
	defaultTimeout = time.Minute
	bufferSize     = 4 << 10
	// headerLimit is how long the head of a request or an answer may be.
	headerLimit = 64 << 10
)

// errDrained is why requests end that are still there when the time for draining is over.
var errDrained = errors.New("the instance is being retired, and the time for draining is over")

// endpoint is an instance that requests are sent to. It outlives tables: the same id and address are the same endpoint.
type endpoint struct {
	id, addr, service, version string
	metrics                    *armMetrics

	// claims counts who uses it. Who claims counts first and looks at closed then, who closes does it the other way round: one of both sees the other.
	claims atomic.Int64
	closed atomic.Bool
	// empty has a token when claims came down to nothing after closed was set.
	empty chan struct{}
	// ctx ends when what is still there has to go.
	ctx context.Context
	cut context.CancelCauseFunc

	mu   sync.Mutex
	idle []*conn
	open map[*conn]struct{} // all of them, also the idle
}

func newEndpoint(service, version string, e Endpoint, m *armMetrics) *endpoint {
	ctx, cut := context.WithCancelCause(context.Background())
	return &endpoint{
		id: e.ID, addr: e.Address, service: service, version: version, metrics: m,
		empty: make(chan struct{}, 1), ctx: ctx, cut: cut, open: map[*conn]struct{}{},
	}
}

// claim takes part in the endpoint, unless it is closed. Each claim needs a release.
func (e *endpoint) claim() bool {
	e.claims.Add(1)
	if e.closed.Load() {
		e.release()
		return false
	}
	return true
}

func (e *endpoint) release() {
	if e.claims.Add(-1) == 0 && e.closed.Load() {
		select {
		case e.empty <- struct{}{}:
		default:
		}
	}
}

// close lets nobody claim it any more.
func (e *endpoint) close() {
	e.closed.Store(true)
	e.mu.Lock()
	idle := e.idle
	e.idle = nil
	e.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}

// reopen undoes close, for a table that has it again before it was drained.
func (e *endpoint) reopen() {
	e.closed.Store(false)
}

// idleBefore waits until nobody uses a closed endpoint, or ctx ends.
func (e *endpoint) idleBefore(ctx context.Context) bool {
	for e.claims.Load() != 0 {
		select {
		case <-e.empty:
		case <-ctx.Done():
			return e.claims.Load() == 0
		}
	}
	return true
}

// cutOff ends everybody who is there, and says how many they were. It cannot be used again.
func (e *endpoint) cutOff() int {
	n := int(e.claims.Load())
	e.cut(errDrained)
	e.mu.Lock()
	open := e.open
	e.open = map[*conn]struct{}{}
	e.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
	return n // what is left of them has no connection to the instance any more
}

// conn is a connection to an endpoint.
type conn struct {
	net.Conn
	e     *endpoint
	r     *bufio.Reader
	w     *bufio.Writer
	since time.Time // when it came to rest
	used  bool      // whether it has served before
	spent bool      // whether it must not serve again
}

// take gives a connection that rests, where there is one and fresh is false, or dials.
func (e *endpoint) take(ctx context.Context, fresh bool) (*conn, error) {
	for !fresh {
		e.mu.Lock()
		n := len(e.idle)
		if n == 0 {
			e.mu.Unlock()
			break
		}
		c := e.idle[n-1]
		e.idle[n-1] = nil
		e.idle = e.idle[:n-1]
		e.mu.Unlock()
		if rest := time.Since(c.since); rest < idleFor && (rest < restFor || quiet(c.Conn)) {
			c.used = true
			return c, nil
		}
		c.close()
	}
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	raw, err := d.DialContext(ctx, "tcp", e.addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, e: e, r: bufio.NewReaderSize(raw, bufferSize), w: bufio.NewWriterSize(raw, bufferSize)}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.Err() != nil {
		_ = raw.Close()
		return nil, context.Cause(e.ctx)
	}
	e.open[c] = struct{}{}
	return c, nil
}

// rest keeps a connection for the next request.
func (c *conn) rest() {
	e := c.e
	c.since = time.Now()
	e.mu.Lock()
	keep := !e.closed.Load() && len(e.idle) < idleConns && c.r.Buffered() == 0
	if keep {
		e.idle = append(e.idle, c)
	}
	e.mu.Unlock()
	if !keep {
		c.close()
	}
}

func (c *conn) close() {
	c.e.mu.Lock()
	delete(c.e.open, c)
	c.e.mu.Unlock()
	_ = c.Conn.Close()
}

// sweep closes what has rested for too long.
func (e *endpoint) sweep(now time.Time) {
	e.mu.Lock()
	n := 0
	for n < len(e.idle) && now.Sub(e.idle[n].since) >= idleFor {
		n++
	}
	old := append([]*conn(nil), e.idle[:n]...)
	e.idle = append(e.idle[:0], e.idle[n:]...)
	e.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}
