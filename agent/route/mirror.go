package route

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// mirrorBody is how long the body of a request may be that is copied.
	mirrorBody = 1 << 20
	// mirrorsAtOnce is how many copies are on their way at most; what is more is skipped, so that a slow shadow holds up nobody.
	mirrorsAtOnce = 64
)

// MirrorHeader is set to "1" in copies, so that a shadow can tell.
const MirrorHeader = "Gantry-Mirror"

// mirror sends a copy of the request to the service's shadow, at its share.
func (x *exchange) mirror() {
	r, s, h := x.l.router, x.s, &x.ctx.Request.Header
	if rand.Uint64N(Whole) >= s.share {
		return
	}
	if len(s.copied) > 0 && !slices.Contains(s.copied, string(h.Method())) {
		return
	}
	count := func(outcome string) { r.metrics.mirrored.WithLabelValues(s.name, s.mirror.version, outcome).Inc() }
	if n := h.ContentLength(); n > mirrorBody || n == -1 || x.head.upgrade != "" {
		count("skipped")
		return
	}
	select {
	case r.mirrors <- struct{}{}:
	default:
		count("skipped")
		return
	}
	e := s.mirror.claim(nil)
	if e == nil {
		<-r.mirrors
		count("skipped")
		return
	}
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	if err := x.writeHead(w, true); err == nil {
		_, _ = w.Write(x.ctx.Request.Body())
		_ = w.Flush()
	}
	head := x.ctx.IsHead()
	go func() {
		defer func() {
			e.release()
			<-r.mirrors
		}()
		count(outcome(shadow(e, b.Bytes(), head, s.timeout)))
	}()
}

// shadow sends a request of which nobody waits for the answer, and gives its status, or 0.
func shadow(e *endpoint, request []byte, head bool, timeout time.Duration) int {
	c, err := e.take(e.ctx, false)
	if err != nil {
		return 0
	}
	resp := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(resp)
	resp.SkipBody = head
	_ = c.SetDeadline(time.Now().Add(timeout))
	if _, err = c.Conn.Write(request); err == nil {
		err = resp.ReadLimitBody(c.r, 4*mirrorBody)
	}
	if err != nil {
		c.close()
		return 0
	}
	if resp.ConnectionClose() {
		c.close()
	} else {
		c.rest()
	}
	return resp.StatusCode()
}
