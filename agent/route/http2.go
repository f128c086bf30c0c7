package route

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// http2 makes the server for a listener's HTTP/2, which also speaks HTTP/1.1 where no TLS tells them apart before.
func (l *listener) http2() *http.Server {
	p := new(http.Protocols)
	p.SetHTTP2(true)
	if l.tls == "" {
		p.SetHTTP1(true)
		p.SetUnencryptedHTTP2(true)
	}
	return &http.Server{
		Handler: http.HandlerFunc(l.serve2), Protocols: p, ReadHeaderTimeout: headTimeout, IdleTimeout: keepFor, MaxHeaderBytes: headerLimit,
		ErrorLog: log.New(io.Discard, "", 0),
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				l.conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				l.conns.Add(-1)
			}
		},
	}
}

// caller2 is a request of net/http as choices see it.
type caller2 struct{ *http.Request }

func (c caller2) header(name string) string { return c.Header.Get(name) }
func (c caller2) cookie(name string) string {
	if v, err := c.Cookie(name); err == nil {
		return v.Value
	}
	return ""
}
func (c caller2) address() netip.Addr {
	a, _ := netip.ParseAddrPort(c.RemoteAddr)
	return a.Addr().Unmap()
}

// claimed is what a proxied request of net/http carries.
type claimed struct {
	e      *endpoint
	began  time.Time
	status int
	issue  *http.Cookie
}

type claimedKey struct{}

// serve2 answers one request of net/http.
func (l *listener) serve2(w http.ResponseWriter, req *http.Request) {
	if l.leaving.Load() {
		w.Header().Set("Connection", "close")
	}
	clean := req.URL.Path
	if strings.Contains(clean, "/.") || strings.Contains(clean, "//") {
		clean = path.Clean(clean)
	}
	host := strings.ToLower(hostname(req.Host))
	s, _, e, issue := l.claim(func(m *matcher) *service { return m.match(host, clean) }, func(s *service) (*arm, string) { return s.choose(caller2{req}) })
	switch {
	case s == nil:
		l.refuse2(w, http.StatusNotFound, "no-route", "no service is routed at this host and path\n")
		return
	case e == nil:
		w.Header().Set("Retry-After", "1")
		l.refuse2(w, http.StatusServiceUnavailable, "no-instance", "no instance of the service is ready\n")
		return
	}
	x := &claimed{e: e, began: time.Now()}
	if issue != "" {
		x.issue = &http.Cookie{Name: s.sticky.Name, Value: issue, Path: "/", HttpOnly: true, Secure: req.TLS != nil, SameSite: http.SameSiteLaxMode}
	}
	e.metrics.inflight.Inc()
	ctx, cancel := context.WithCancelCause(context.WithValue(req.Context(), claimedKey{}, x))
	told := make(chan struct{})
	stop := context.AfterFunc(e.ctx, func() {
		defer close(told)
		cancel(context.Cause(e.ctx))
		// net/http's transport looks at a context again only when it has the whole body of an HTTP/2 request. A call that streams has none
		// while the caller is silent, and would stand open for ever.
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-told // w is not to be used after this
		}
		cancel(nil)
		// A proxy that gives up in the middle of a body panics, so that the caller's connection ends.
		e.metrics.ended(x.status, time.Since(x.began))
		e.metrics.inflight.Dec()
		e.release()
	}()
	proxy := l.router.proxies.one
	if s.http2 {
		proxy = l.router.proxies.two
	}
	proxy.ServeHTTP(w, req.WithContext(ctx))
}

func (l *listener) refuse2(w http.ResponseWriter, status int, reason, text string) {
	l.router.metrics.refused.WithLabelValues(l.name, reason).Inc()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// proxies are the ways to endpoints for requests of net/http: by HTTP/1.1 and by HTTP/2 without TLS.
type proxies struct {
	one, two   *httputil.ReverseProxy
	transports []*http.Transport
}

func (r *Router) newProxies() proxies {
	var all proxies
	make := func(two bool) *httputil.ReverseProxy {
		p := new(http.Protocols)
		p.SetHTTP1(!two)
		p.SetUnencryptedHTTP2(two)
		dial := net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
		t := &http.Transport{
			Protocols: p, DialContext: dial.DialContext, DisableCompression: true, MaxIdleConnsPerHost: idleConns, IdleConnTimeout: idleFor,
			ResponseHeaderTimeout: defaultTimeout, MaxResponseHeaderBytes: headerLimit, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize,
		}
		all.transports = append(all.transports, t)
		return &httputil.ReverseProxy{
			Transport: t, FlushInterval: -1, BufferPool: buffers{}, ErrorLog: log.New(io.Discard, "", 0),
			Rewrite: r.rewrite, ModifyResponse: received, ErrorHandler: notReceived,
		}
	}
	all.one, all.two = make(false), make(true)
	return all
}

// rewrite aims a request at the endpoint that it has claimed.
func (r *Router) rewrite(p *httputil.ProxyRequest) {
	x := p.In.Context().Value(claimedKey{}).(*claimed)
	p.Out.URL.Scheme, p.Out.URL.Host = "http", x.e.addr
	p.Out.Host = p.In.Host
	addr, _ := net.ResolveTCPAddr("tcp", p.In.RemoteAddr)
	if addr != nil && r.trusted(addr) {
		p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
	}
	p.SetXForwarded()
	if addr != nil && r.trusted(addr) {
		for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Host"} {
			if v := p.In.Header.Get(name); v != "" {
				p.Out.Header.Set(name, v)
			}
		}
	}
}

func received(resp *http.Response) error {
	x := resp.Request.Context().Value(claimedKey{}).(*claimed)
	x.status = resp.StatusCode
	if x.issue != nil {
		resp.Header.Add("Set-Cookie", x.issue.String())
	}
	return nil
}

func notReceived(w http.ResponseWriter, req *http.Request, err error) {
	x := req.Context().Value(claimedKey{}).(*claimed)
	m := x.e.metrics
	var timeout net.Error
	var dial *net.OpError
	status, reason := http.StatusBadGateway, errBroken
	switch cause := context.Cause(req.Context()); {
	case errors.Is(cause, errDrained):
		m.drained.Inc()
		reason = errDrained
	case cause != nil:
		x.status = 0 // the caller went away
		return
	case errors.As(err, &dial) && dial.Op == "dial":
		m.dial.Inc()
		reason = errUnreachable
	case errors.As(err, &timeout) && timeout.Timeout():
		m.slow.Inc()
		status, reason = http.StatusGatewayTimeout, errSlow
	default:
		m.broken.Inc()
	}
	x.status = status
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, fasthttp.StatusMessage(status)+": "+reason.Error()+"\n")
}

// buffers is a pool for bodies.
type buffers struct{}

var bufferPool = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// Get implements [httputil.BufferPool].
func (buffers) Get() []byte { return *bufferPool.Get().(*[]byte) }

// Put implements [httputil.BufferPool].
func (buffers) Put(b []byte) { bufferPool.Put(&b) }
