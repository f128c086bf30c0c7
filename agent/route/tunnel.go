package route

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// tunnel makes the caller's connection and the endpoint's one, after both agreed on another protocol, such as WebSocket (RFC 6455).
func (x *exchange) tunnel(c *conn) {
	h := &x.ctx.Response.Header
	_ = c.SetDeadline(time.Time{})
	head := append([]byte(nil), h.Header()...)
	x.e.metrics.ended(fasthttp.StatusSwitchingProtocols, time.Since(x.began))
	x.e.metrics.inflight.Dec()
	e, l := x.e, x.l
	l.conns.Add(1) // the server counts it as gone
	x.ctx.HijackSetNoResponse(true)
	x.ctx.Hijack(func(caller net.Conn) {
		defer l.conns.Add(-1)
		defer e.release()
		defer c.close()
		if _, err := caller.Write(head); err != nil {
			return
		}
		// The server's own wrapper cannot be closed, nor one half of it.
		whole := caller.(interface{ UnsafeConn() net.Conn }).UnsafeConn()
		join(e, hijacked{whole, caller}, bufferedConn{c.Conn, c.r})
	})
}

// hijacked is a caller's connection of which the server may have read ahead.
type hijacked struct {
	net.Conn
	r io.Reader
}

// Read implements [io.Reader].
func (h hijacked) Read(p []byte) (int, error) { return h.r.Read(p) }

// bufferedConn is a connection of which something was read ahead.
type bufferedConn struct {
	net.Conn
	r interface {
		io.Reader
		Buffered() int
	}
}

// Read implements [io.Reader].
func (b bufferedConn) Read(p []byte) (int, error) { return b.r.Read(p) }

// errWhole is of a connection that can only be closed as a whole.
var errWhole = errors.New("the connection has no halves")

// join passes bytes both ways until both sides have ended, one of them broke, or the endpoint is cut off. The claim stays the caller's.
func join(e *endpoint, caller, instance net.Conn) {
	e.metrics.sessions.Inc()
	e.metrics.active.Inc()
	defer e.metrics.active.Dec()
	stop := context.AfterFunc(e.ctx, func() {
		_ = caller.Close()
		_ = instance.Close()
	})
	defer stop()
	var in, out atomic.Int64
	done := make(chan struct{}, 2)
	pass := func(to, from net.Conn, n *atomic.Int64) {
		got, err := copyConn(to, from)
		n.Add(got)
		if err != nil || closeWrite(to) != nil {
			// Half of a broken session is of no use to anybody.
			_ = to.Close()
			_ = from.Close()
		}
		done <- struct{}{}
	}
	go pass(instance, caller, &in)
	pass(caller, instance, &out)
	<-done
	<-done
	_ = caller.Close()
	_ = instance.Close()
	e.metrics.in.Add(float64(in.Load()))
	e.metrics.out.Add(float64(out.Load()))
}

// copyConn copies until the end. Between two TCP connections the kernel moves the bytes (splice).
func copyConn(to, from net.Conn) (int64, error) {
	if b, ok := from.(bufferedConn); ok {
		var ahead int64
		if n := b.r.Buffered(); n > 0 {
			m, err := io.CopyN(to, b.r, int64(n))
			if ahead = m; err != nil {
				return m, err
			}
		}
		n, err := copyConn(to, b.Conn)
		return ahead + n, err
	}
	if b, ok := to.(bufferedConn); ok {
		to = b.Conn
	}
	return io.Copy(to, from)
}

// closeWrite tells the other side that nothing more comes.
func closeWrite(c net.Conn) error {
	switch c := c.(type) {
	case interface{ CloseWrite() error }:
		return c.CloseWrite()
	case bufferedConn:
		return closeWrite(c.Conn)
	case hijacked:
		return closeWrite(c.Conn)
	}
	return errWhole
}
