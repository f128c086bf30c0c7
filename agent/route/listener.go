package route

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// listener is an address that is open.
type listener struct {
	router   *Router
	name     string
	protocol Protocol
	tls      string
	ln       *net.TCPListener
	// leaving has callers told to connect again: by "Connection: close", which net/http turns into GOAWAY for HTTP/2. Connections without a
	// request are left alone, since one may be on its way.
	leaving atomic.Bool
	// conns counts the callers' connections.
	conns   atomic.Int64
	serving sync.WaitGroup

	one *fasthttp.Server
	two *http.Server
	// handed are where connections go for which TLS has negotiated a protocol.
	handed []*handed
	// sessions end with it.
	ctx  context.Context
	stop context.CancelFunc
}

// same says whether a listener of the next table is this one.
func (l *listener) same(m *matcher) bool {
	return sameAddress(l.ln.Addr().String(), m.Address) && l.protocol == m.Protocol && l.tls == m.TLS
}

// current is the listener's part of the table that counts now.
func (l *listener) current() *matcher { return l.of(l.router.table.Load()) }

// of is the listener's part of a table.
func (l *listener) of(c *compiled) *matcher {
	if m := c.listeners[l.name]; m != nil {
		return m
	}
	return &matcher{}
}

// claim chooses by the table that counts now, and claims. Between both another table may have come, whose predecessor's endpoints are closed: then
// it chooses anew. Without a service there is no route; without an endpoint no instance is ready.
func (l *listener) claim(find func(*matcher) *service, choose func(*service) (*arm, string)) (s *service, a *arm, e *endpoint, issue string) {
	for {
		c := l.router.table.Load()
		if s = find(l.of(c)); s == nil {
			return nil, nil, nil, ""
		}
		a, issue = choose(s)
		if e = s.claim(a, nil); e != nil || l.router.table.Load() == c {
			return s, a, e, issue
		}
	}
}

// open takes the address, from the router before this one where it had it.
func (r *Router) open(m *matcher) (*listener, error) {
	l := &listener{router: r, name: m.Name, protocol: m.Protocol, tls: m.TLS}
	l.ctx, l.stop = context.WithCancel(context.Background())
	if f := r.o.Inherited[m.Name]; f != nil {
		ln, err := net.FileListener(f)
		if tcp, ok := ln.(*net.TCPListener); err == nil && ok && sameAddress(tcp.Addr().String(), m.Address) {
			l.ln = tcp
			return l, nil
		} else if err == nil {
			_ = ln.Close()
		}
	}
	ln, err := net.Listen("tcp", m.Address)
	if err != nil {
		return nil, fmt.Errorf("open the listener %s: %w", m.Name, err)
	}
	l.ln = ln.(*net.TCPListener)
	return l, nil
}

// sameAddress compares where a listener is with where it should be; port 0 is any.
func sameAddress(is, should string) bool {
	a, err := net.ResolveTCPAddr("tcp", is)
	if err != nil {
		return false
	}
	b, err := net.ResolveTCPAddr("tcp", should)
	if err != nil {
		return false
	}
	any := func(ip net.IP) bool { return len(ip) == 0 || ip.IsUnspecified() }
	return (a.Port == b.Port || b.Port == 0) && (a.IP.Equal(b.IP) || any(a.IP) && any(b.IP))
}

// start serves.
func (l *listener) start() {
	var config *tls.Config
	if l.tls != "" {
		config = l.router.o.TLS(l.tls).Clone()
	}
	var ln net.Listener = l.ln
	if l.protocol == TCP {
		l.serving.Go(func() { l.serveTCP(config) })
		return
	}
	l.two = l.http2()
	if l.protocol == HTTP2 && config == nil {
		l.serving.Go(func() { l.failed(l.two.Serve(ln)) })
		return
	}
	l.one = l.http1()
	if config != nil {
		config.NextProtos = []string{"h2", "http/1.1"}
		first, second := newHanded(ln.Addr()), newHanded(ln.Addr())
		l.handed = []*handed{first, second}
		l.serving.Go(func() { _ = l.one.Serve(first) })
		l.serving.Go(func() { _ = l.two.Serve(second) })
		l.serving.Go(func() { l.failed(l.serveTLS(config, first, second)) })
		return
	}
	l.serving.Go(func() { l.failed(l.one.Serve(ln)) })
}

// serveTLS ends TLS and gives connections to the server of the protocol that was negotiated.
func (l *listener) serveTLS(config *tls.Config, first, second *handed) error {
	for {
		raw, err := l.ln.Accept()
		if err != nil {
			if temporary(err) {
				continue
			}
			return err
		}
		go func() {
			c := tls.Server(raw, config)
			ctx, cancel := context.WithTimeout(l.ctx, headTimeout)
			defer cancel()
			if err := c.HandshakeContext(ctx); err != nil {
				_ = raw.Close()
				l.router.metrics.refused.WithLabelValues(l.name, "tls").Inc()
				return
			}
			to := first
			if c.ConnectionState().NegotiatedProtocol == "h2" {
				to = second
			}
			to.hand(c)
		}()
	}
}

// temporary waits a little when the process has run out of something, and says whether to go on.
func temporary(err error) bool {
	var t interface{ Temporary() bool }
	if errors.As(err, &t) && t.Temporary() && !errors.Is(err, net.ErrClosed) {
		time.Sleep(10 * time.Millisecond)
		return true
	}
	return false
}

func (l *listener) failed(err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		l.router.log.Error("a listener ended", "listener", l.name, "error", err)
	}
}

// shut lets a listener go that no table has any more, without holding up who asks for it.
func (r *Router) shut(l *listener) {
	_ = l.ln.Close()
	r.log.Info("not listening any more", "listener", l.name, "address", l.ln.Addr().String())
	l.leaving.Store(true)
	go func() {
		t := time.NewTimer(keepFor)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.stop:
		}
		l.end()
	}()
}

// shutdown closes connections without a request, and waits for the others.
func (l *listener) shutdown(ctx context.Context) {
	if l.one != nil {
		_ = l.one.ShutdownWithContext(ctx)
	}
	if l.two != nil {
		_ = l.two.Shutdown(ctx)
	}
}

// end closes all.
func (l *listener) end() {
	_ = l.ln.Close()
	l.stop()
	for _, h := range l.handed {
		_ = h.Close()
	}
	if l.two != nil {
		_ = l.two.Close()
	}
	if l.one != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = l.one.ShutdownWithContext(ctx)
	}
}

// handed is a listener of connections that another one accepted.
type handed struct {
	addr net.Addr
	ch   chan net.Conn
	done chan struct{}
	once sync.Once
}

func newHanded(addr net.Addr) *handed {
	return &handed{addr: addr, ch: make(chan net.Conn), done: make(chan struct{})}
}

// hand gives a connection on.
func (h *handed) hand(c net.Conn) {
	select {
	case h.ch <- c:
	case <-h.done:
		_ = c.Close()
	}
}

// Accept implements [net.Listener].
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.ch:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (h *handed) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements [net.Listener].
func (h *handed) Addr() net.Addr { return h.addr }
