package link

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/process"
)

const (
	// tunnelProtocol is what a connection is upgraded to.
	tunnelProtocol = "gantry-tunnel"
	// waitingTunnels is how many connections wait for the server to use them.
	waitingTunnels = 4
	// tunnelLine bounds the server's request in bytes, tunnelAnswer the time to read and answer it.
	tunnelLine   = 4 << 10
	tunnelAnswer = 10 * time.Second
	// mostLogLines is how many lines of a log are sent at once at most.
	mostLogLines = 5000
)

// tunnels serve the server's ways to the host.
type tunnels struct {
	client  *client
	host    *agent.Host
	metrics http.Handler
	log     *slog.Logger
}

func newTunnels(c *client, h *agent.Host, g prometheus.Gatherer, log *slog.Logger) *tunnels {
	return &tunnels{client: c, host: h, log: log, metrics: promhttp.HandlerFor(split(g), promhttp.HandlerOpts{})}
}

// run keeps connections waiting until ctx ends.
func (t *tunnels) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for range waitingTunnels {
		all.Go(func() {
			var pause backoff
			for ctx.Err() == nil {
				conn, err := t.open(ctx)
				if err != nil {
					if !wait(ctx, pause.next()) {
						return
					}
					continue
				}
				req, err := t.asked(ctx, conn)
				if err != nil {
					_ = conn.Close()
					// A connection that the server has closed was not wanted, and is no failure; another is offered soon.
					if !wait(ctx, pause.next()) {
						return
					}
					continue
				}
				pause.reset()
				// Whoever serves leaves this place to the next connection.
				all.Go(func() { t.serve(ctx, conn, req) })
			}
		})
	}
}

// bufferedConn reads what was read ahead first.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

// Read implements net.Conn.
func (c *bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// CloseWrite says to the other side that nothing more comes, and leaves the other direction open.
func (c *bufferedConn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return c.Close()
}

// open connects to the server and offers the connection.
func (t *tunnels) open(ctx context.Context) (*bufferedConn, error) {
	ctx, cancel := context.WithTimeout(ctx, tunnelAnswer)
	defer cancel()
	d := &tls.Dialer{NetDialer: &net.Dialer{KeepAlive: 15 * time.Second}, Config: t.client.tls("http/1.1")}
	address := t.client.server.Host
	if t.client.server.Port() == "" {
		address = net.JoinHostPort(t.client.server.Hostname(), "443")
	}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*bufferedConn, error) { return nil, errors.Join(err, conn.Close()) }
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(end)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.client.server.String()+PathTunnel, nil)
	if err != nil {
		return fail(err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", tunnelProtocol)
	if err := r.Write(conn); err != nil {
		return fail(err)
	}
	b := bufio.NewReaderSize(conn, tunnelLine)
	res, err := http.ReadResponse(b, r)
	if err != nil {
		return fail(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		defer res.Body.Close()
		if err := answer(res, nil); err != nil {
			return fail(err)
		}
		return fail(fmt.Errorf("the server answers %d where it should change to another protocol", res.StatusCode))
	}
	_ = conn.SetDeadline(time.Time{})
	return &bufferedConn{conn, b}, nil
}

// asked waits for the server to say what it wants of a connection.
func (t *tunnels) asked(ctx context.Context, c *bufferedConn) (TunnelRequest, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	line, err := c.r.ReadSlice('\n')
	var q TunnelRequest
	if err != nil {
		return q, err
	}
	if err := json.Unmarshal(line, &q); err != nil {
		return q, fmt.Errorf("the server's request cannot be read: %w", err)
	}
	return q, nil
}

// serve answers a request and is the target from then on.
func (t *tunnels) serve(ctx context.Context, c *bufferedConn, q TunnelRequest) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	var target net.Conn
	var handler http.Handler
	var err error
	switch q.To {
	case "metrics":
		handler = t.metrics
	case "logs":
		handler = http.HandlerFunc(t.logs)
	case "instance":
		target, err = t.instance(ctx, q)
	default:
		err = fmt.Errorf("there is no way to %.40q", q.To)
	}
	a := TunnelAnswer{}
	if err != nil {
		a.Error = err.Error()
	}
	_ = c.SetWriteDeadline(time.Now().Add(tunnelAnswer))
	if werr := json.NewEncoder(c).Encode(a); werr != nil || err != nil {
		if target != nil {
			_ = target.Close()
		}
		return
	}
	_ = c.SetWriteDeadline(time.Time{})
	if target != nil {
		join(c, target)
		return
	}
	// One connection is all that this server ever has.
	l := &oneConn{conn: c, closed: make(chan struct{})}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: tunnelAnswer, IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(t.log.Handler(), slog.LevelDebug),
		ConnState: func(_ net.Conn, st http.ConnState) {
			if st == http.StateClosed || st == http.StateHijacked {
				_ = l.Close()
			}
		}}
	_ = s.Serve(l) // it ends with the connection
}

// instance connects to a port of an instance.
func (t *tunnels) instance(ctx context.Context, q TunnelRequest) (net.Conn, error) {
	for _, i := range t.host.Observe().Instances {
		if i.ID != q.Instance {
			continue
		}
		port, ok := i.Ports[q.Port]
		if q.Port == "" && len(i.Ports) == 1 {
			for _, p := range i.Ports {
				port, ok = p, true
			}
		}
		if !ok {
			return nil, fmt.Errorf("the instance %s has no port %q", q.Instance, q.Port)
		}
		ctx, cancel := context.WithTimeout(ctx, tunnelAnswer)
		defer cancel()
		return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	return nil, fmt.Errorf("there is no instance %.100q on this host", q.Instance)
}

// join copies both ways until one side has ended.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	one := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		// The other direction may have something left only where the end can be passed on.
		if h, ok := to.(interface{ CloseWrite() error }); ok {
			_ = h.CloseWrite()
			return
		}
		_ = to.Close()
	}
	both.Go(func() { one(a, b) })
	both.Go(func() { one(b, a) })
	both.Wait()
	_ = b.Close()
}

// logLine is a line as the API has it.
type logLine struct {
	Time   time.Time `json:"time"`
	Stream string    `json:"stream"`
	Text   string    `json:"text"`
}

// logs answers GET /logs?instance=ID&tail=LINES&follow=1 with a line of JSON for each line of the log.
func (t *tunnels) logs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	tail, err := strconv.Atoi(q.Get("tail"))
	if r.Method != http.MethodGet || r.URL.Path != "/logs" || err != nil || tail < 0 || tail > mostLogLines {
		http.Error(w, "expected GET /logs?instance=ID&tail=LINES", http.StatusBadRequest)
		return
	}
	lines, err := t.host.Logs(r.Context(), q.Get("instance"), process.LogOptions{Last: tail, Follow: q.Get("follow") == "1"})
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc, flush := json.NewEncoder(w), http.NewResponseController(w)
	for l, err := range lines {
		if err != nil || enc.Encode(logLine{l.Time, l.Stream, string(l.Text)}) != nil {
			return
		}
		if q.Get("follow") == "1" {
			_ = flush.Flush()
		}
	}
}

// oneConn is a listener that has one connection, and ends with it.
type oneConn struct {
	conn   net.Conn
	once   sync.Once
	end    sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *oneConn) Accept() (net.Conn, error) {
	var c net.Conn
	l.once.Do(func() { c = l.conn })
	if c != nil {
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (l *oneConn) Close() error {
	l.end.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
