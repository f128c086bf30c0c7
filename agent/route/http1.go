package route

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httputil"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// headTimeout is how long a caller may take for a request's head.
	headTimeout = 30 * time.Second
	// keepFor is how long a caller's connection is kept without a request.
	keepFor = 2 * time.Minute
	// wholeBody is up to which length an answer is read as a whole before it is passed on.
	wholeBody = 32 << 10
)

// http1 makes the server for a listener's HTTP/1.1.
func (l *listener) http1() *fasthttp.Server {
	return &fasthttp.Server{
		Handler: l.serve1, NoDefaultServerHeader: true, NoDefaultDate: true, NoDefaultContentType: true, StreamRequestBody: true,
		DisablePreParseMultipartForm: true, ReadBufferSize: headerLimit, WriteBufferSize: bufferSize, IdleTimeout: keepFor,
		TCPKeepalive: true, LazyRequestTime: true, SecureErrorLogMessage: true, Logger: quietLogger{},
		Concurrency: 1 << 20,
		// The deadline is for the head: what comes after it is the instance's to judge.
		ReadTimeout: headTimeout,
		HeaderReceived: func(*fasthttp.RequestHeader) fasthttp.RequestConfig {
			return fasthttp.RequestConfig{ReadTimeout: longest}
		},
		ConnState: l.state1,
	}
}

// longest stands for no deadline where there has to be one.
const longest = 24 * time.Hour

// quietLogger drops what a server has to say of its callers' mistakes: they are counted.
type quietLogger struct{}

func (quietLogger) Printf(string, ...any) {}

// state1 counts connections.
func (l *listener) state1(_ net.Conn, s fasthttp.ConnState) {
	switch s {
	case fasthttp.StateNew:
		l.conns.Add(1)
	case fasthttp.StateClosed, fasthttp.StateHijacked:
		l.conns.Add(-1)
	}
}

// caller1 is an HTTP/1.1 request as choices see it.
type caller1 struct{ ctx *fasthttp.RequestCtx }

func (c caller1) header(name string) string { return string(c.ctx.Request.Header.Peek(name)) }
func (c caller1) cookie(name string) string { return string(c.ctx.Request.Header.Cookie(name)) }
func (c caller1) address() netip.Addr       { return addrOf(c.ctx.RemoteAddr()) }

func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		ip, _ := netip.AddrFromSlice(t.IP)
		return ip.Unmap()
	}
	return netip.Addr{}
}

// serve1 answers one HTTP/1.1 request.
func (l *listener) serve1(ctx *fasthttp.RequestCtx) {
	req := &ctx.Request
	if l.leaving.Load() {
		ctx.Response.SetConnectionClose()
	}
	host := strings.ToLower(hostname(string(req.Header.Host())))
	began := time.Now()
	s, a, e, issue := l.claim(func(m *matcher) *service { return m.match(host, string(ctx.Path())) }, func(s *service) (*arm, string) { return s.choose(caller1{ctx}) })
	switch {
	case s == nil:
		l.refuse(ctx, fasthttp.StatusNotFound, "no-route", "no service is routed at this host and path\n")
		return
	case e == nil:
		ctx.Response.Header.Set("Retry-After", "1")
		l.refuse(ctx, fasthttp.StatusServiceUnavailable, "no-instance", "no instance of the service is ready\n")
		return
	case s.http2:
		e.release()
		l.refuse(ctx, fasthttp.StatusHTTPVersionNotSupported, "version", "the service speaks HTTP/2 alone\n")
		return
	}
	(&exchange{l: l, ctx: ctx, s: s, arm: a, e: e, began: began, issue: issue}).run()
}

func (l *listener) refuse(ctx *fasthttp.RequestCtx, status int, reason, text string) {
	l.router.metrics.refused.WithLabelValues(l.name, reason).Inc()
	ctx.Response.SetStatusCode(status)
	ctx.Response.Header.SetContentType("text/plain; charset=utf-8")
	ctx.Response.SetBodyString(text)
}

// hostname is a host without its port.
func hostname(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

// exchange is one request on its way to an endpoint and back.
type exchange struct {
	l     *listener
	ctx   *fasthttp.RequestCtx
	s     *service
	arm   *arm
	e     *endpoint
	began time.Time
	issue string
	head  head
	// sent is set when a long body has been read to its end; what is left is to write it.
	sent atomic.Bool
}

// counter is what a failure is counted by.
type counter interface{ Inc() }

// fail answers in place of the endpoint and ends the exchange.
func (x *exchange) fail(status int, c counter, err error) {
	c.Inc()
	resp := &x.ctx.Response
	closing := resp.ConnectionClose()
	resp.Reset()
	resp.Header.SetNoDefaultContentType(true)
	if closing {
		resp.SetConnectionClose()
	}
	resp.SetStatusCode(status)
	resp.Header.SetContentType("text/plain; charset=utf-8")
	resp.SetBodyString(fasthttp.StatusMessage(status) + ": " + err.Error() + "\n")
	x.e.metrics.ended(status, time.Since(x.began))
	x.done()
}

// done gives the claim back.
func (x *exchange) done() {
	x.e.metrics.inflight.Dec()
	x.e.release()
}

func (x *exchange) run() {
	req := &x.ctx.Request
	x.head = connection(req.Header.Peek("Connection"), req.Header.Peek("Upgrade"), req.Header.Peek("Te"))
	if x.s.mirror != nil {
		x.mirror()
	}
	x.e.metrics.inflight.Inc()
	// A short body is there already, and can be sent again.
	if n := req.Header.ContentLength(); n >= 0 && n <= bufferSize {
		req.Body()
	}
	retry := idempotent(req.Header.Method()) && !req.IsBodyStream()
	for try := 0; ; try++ {
		c, err := x.e.take(x.e.ctx, try > 0)
		if err != nil {
			// Nothing was sent: another instance may have it, if there is one.
			x.e.metrics.dial.Inc()
			if other := x.s.claim(x.arm, x.e); try == 0 && other != nil {
				x.e.metrics.ended(fasthttp.StatusBadGateway, time.Since(x.began))
				x.done()
				x.e = other
				x.e.metrics.inflight.Inc()
				continue
			}
			x.fail(fasthttp.StatusBadGateway, noCount{}, errUnreachable)
			return
		}
		status, again, err := x.send(c)
		switch {
		case err == nil:
			return
		case again && retry && c.used && try == 0:
			c.close()
			continue
		}
		c.close()
		count := x.e.metrics.broken
		if cause := context.Cause(x.e.ctx); cause != nil {
			err, count = cause, x.e.metrics.drained
		} else if status == fasthttp.StatusGatewayTimeout {
			count = x.e.metrics.slow
		}
		x.fail(status, count, err)
		return
	}
}

type noCount struct{}

func (noCount) Inc() {}

var (
	errUnreachable = errors.New("the instance does not accept connections")
	errSlow        = errors.New("the instance did not answer in time")
	errBroken      = errors.New("the instance ended the connection before its answer")
	errNotHTTP     = errors.New("what the instance answered is not HTTP")
)

func idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE":
		return true
	}
	return false
}

// send writes the request and reads the answer's head, and its body if that is short. With an error nothing was answered to the caller; again
// says that the endpoint cannot have answered because it had closed the connection before.
func (x *exchange) send(c *conn) (status int, again bool, err error) {
	req, resp := &x.ctx.Request, &x.ctx.Response
	if err := c.SetDeadline(time.Now().Add(x.s.timeout)); err != nil {
		return fasthttp.StatusBadGateway, true, errBroken
	}
	if err := x.writeHead(c.w, false); err != nil {
		return fasthttp.StatusBadGateway, true, errBroken
	}
	var body chan error
	if stream := req.BodyStream(); stream != nil {
		// It may be long, and its answer may come before its end.
		if err = c.SetWriteDeadline(time.Time{}); err == nil {
			body = make(chan error, 1)
			go func() { body <- x.writeBody(c, stream) }()
		}
	} else if _, err = c.w.Write(req.Body()); err == nil {
		err = c.w.Flush()
	}
	if body != nil {
		err = x.awaitHead(c, body)
	} else if err == nil {
		err = x.readHead(c)
	} else if x.readHead(c) == nil {
		err = nil // it had answered before it had the whole request
		resp.SetConnectionClose()
	}
	if err != nil {
		var timeout interface{ Timeout() bool }
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return fasthttp.StatusGatewayTimeout, false, errSlow
		case errors.Is(err, io.EOF), isReset(err):
			return fasthttp.StatusBadGateway, true, errBroken
		case errors.Is(err, errClientGone):
			x.gone(c)
			return 0, false, nil
		}
		return fasthttp.StatusBadGateway, false, errNotHTTP
	}
	return x.answer(c)
}

var errClientGone = errors.New("the caller went away")

// writeBody passes a long body on as it comes.
func (x *exchange) writeBody(c *conn, stream io.Reader) error {
	req := &x.ctx.Request
	// The instance may have an answer before the body comes.
	if err := c.w.Flush(); err != nil {
		return err
	}
	buf := make([]byte, 32<<10)
	var w io.Writer = c.w
	chunked := req.Header.ContentLength() < 0
	var cw io.WriteCloser
	if chunked {
		cw = httputil.NewChunkedWriter(c.w)
		w = cw
	}
	for {
		n, err := stream.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			if err := c.w.Flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			x.sent.Store(true)
			break
		}
		if err != nil {
			_ = c.Conn.Close() // the endpoint must not take what it has for the whole
			return errClientGone
		}
	}
	if chunked {
		if err := cw.Close(); err != nil {
			return err
		}
		for _, k := range req.Header.PeekTrailerKeys() {
			_, _ = c.w.Write(k)
			_, _ = c.w.WriteString(": ")
			_, _ = c.w.Write(req.Header.PeekBytes(k))
			_, _ = c.w.WriteString("\r\n")
		}
		if _, err := c.w.WriteString("\r\n"); err != nil {
			return err
		}
	}
	return c.w.Flush()
}

// awaitHead reads an answer's head while the body may still be on its way.
func (x *exchange) awaitHead(c *conn, body chan error) error {
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	head := make(chan error, 1)
	go func() { head <- x.readHead(c) }()
	select {
	case err := <-body:
		if errors.Is(err, errClientGone) {
			<-head
			return err
		}
		// The time for the answer begins when it has everything.
		_ = c.SetReadDeadline(time.Now().Add(x.s.timeout))
		return <-head
	case err := <-head:
		if err == nil && x.sent.Load() && <-body == nil {
			return nil
		}
		// It has answered, or ended, before it had the whole: the rest is not read, and neither connection is used again.
		x.ctx.Response.SetConnectionClose()
		c.spent = true
		if !x.sent.Load() {
			_ = c.SetWriteDeadline(past)
			_ = x.ctx.Conn().SetReadDeadline(past)
			<-body
		}
		return err
	}
}

// past is a deadline that ends what waits.
var past = time.Unix(1, 0)
