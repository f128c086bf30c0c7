package route

import (
	"errors"
	"io"
	"net/http/httputil"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// readHead reads the head of an answer into the response. Interim ones are dropped, as callers of HTTP/1.0 do not know them.
func (x *exchange) readHead(c *conn) error {
	h := &x.ctx.Response.Header
	for {
		if err := h.Read(c.r); err != nil {
			return err
		}
		if status := h.StatusCode(); status >= 200 || status == fasthttp.StatusSwitchingProtocols {
			return nil
		}
	}
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe)
}

// gone ends an exchange whose caller went away.
func (x *exchange) gone(c *conn) {
	c.close()
	x.ctx.Response.SetConnectionClose()
	x.e.metrics.ended(0, 0)
	x.done()
}

// answer passes an answer on whose head was read.
func (x *exchange) answer(c *conn) (int, bool, error) {
	resp := &x.ctx.Response
	h := &resp.Header
	status := h.StatusCode()
	if status == fasthttp.StatusSwitchingProtocols {
		if x.head.upgrade == "" {
			return fasthttp.StatusBadGateway, false, errors.New("the instance changed the protocol without being asked")
		}
		x.tunnel(c)
		return 0, false, nil
	}
	// An answer that ends with the connection, or whose connection is spent, leaves nothing to use again.
	keep := !h.ConnectionClose() && !c.spent && h.ContentLength() != -2 && string(h.Protocol()) != "HTTP/1.0"
	closing := c.spent || x.l.leaving.Load()
	clean(h)
	h.ResetConnectionClose()
	if closing {
		h.SetConnectionClose()
	}
	if x.issue != "" {
		cookie := fasthttp.AcquireCookie()
		cookie.SetKey(x.s.sticky.Name)
		cookie.SetValue(x.issue)
		cookie.SetPath("/")
		cookie.SetHTTPOnly(true)
		cookie.SetSecure(x.ctx.IsTLS())
		cookie.SetSameSite(fasthttp.CookieSameSiteLaxMode)
		h.SetCookie(cookie)
		fasthttp.ReleaseCookie(cookie)
	}
	x.e.metrics.ended(status, time.Since(x.began))
	length := h.ContentLength()
	switch {
	case x.ctx.IsHead() || status == fasthttp.StatusNoContent || status == fasthttp.StatusNotModified:
		resp.SkipBody = true
		x.finish(c, keep)
	case length >= 0 && length <= wholeBody:
		if err := resp.ReadBody(c.r, 0); err != nil {
			c.close()
			// The head has been counted; what the caller gets is the truth that there is no answer.
			x.e.metrics.broken.Inc()
			resp.Reset()
			h.SetNoDefaultContentType(true)
			resp.SetConnectionClose()
			resp.SetStatusCode(fasthttp.StatusBadGateway)
			resp.SetBodyString("Bad Gateway: " + errBroken.Error() + "\n")
			x.done()
			return 0, false, nil
		}
		x.finish(c, keep)
	default:
		_ = c.SetDeadline(time.Time{})
		b := &answerBody{x: x, c: c, keep: keep, left: length}
		switch {
		case length >= 0:
			b.r = io.LimitReader(c.r, int64(length))
		case length == -1:
			b.r = httputil.NewChunkedReader(c.r)
		default:
			b.r = c.r
			length = -1
		}
		resp.ImmediateHeaderFlush = true
		resp.SetBodyStream(b, length)
	}
	return 0, false, nil
}

// clean takes out of an answer's head what is for one connection. The order of what stays is kept.
func clean(h *fasthttp.ResponseHeader) {
	told := connection(h.Peek("Connection"), nil, nil)
	found := len(told.drop) > 0
	for _, name := range [...]string{"Connection", "Keep-Alive", "Proxy-Connection", "Upgrade"} {
		found = found || len(h.Peek(name)) > 0
	}
	if !found {
		return
	}
	type field struct{ name, value string }
	var fields []field
	for name, value := range h.All() {
		switch string(name) {
		case "Content-Type", "Content-Encoding", "Content-Length", "Server", "Set-Cookie", "Trailer":
		default: // these are kept apart, the others change places when one is deleted
			fields = append(fields, field{string(name), string(value)})
		}
	}
	for _, f := range fields {
		h.Del(f.name)
	}
	for _, f := range fields {
		if !told.drops([]byte(f.name)) {
			h.Add(f.name, f.value)
		}
	}
}

// finish ends an exchange with which the connection is through.
func (x *exchange) finish(c *conn, keep bool) {
	if keep {
		c.rest()
	} else {
		c.close()
	}
	x.done()
}

// answerBody is an answer's body that is passed on as it comes. The exchange ends when it is closed.
type answerBody struct {
	x      *exchange
	c      *conn
	r      io.Reader
	left   int // bytes that have to come still, or below zero
	keep   bool
	whole  bool
	closed bool
}

// Read implements [io.Reader].
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left > 0 {
		b.left -= n
	}
	if err == io.EOF {
		if b.left > 0 {
			b.x.e.metrics.broken.Inc()
			return n, io.ErrUnexpectedEOF
		}
		if b.left == -1 && !b.whole {
			if err := b.x.ctx.Response.Header.ReadTrailer(b.c.r); err != nil && err != io.EOF {
				return n, err
			}
		}
		b.whole = true // asked again, it ends again
	}
	return n, err
}

// Close implements [io.Closer].
func (b *answerBody) Close() error {
	if !b.closed {
		b.closed = true
		b.x.finish(b.c, b.keep && (b.whole || b.left == 0))
	}
	return nil
}
