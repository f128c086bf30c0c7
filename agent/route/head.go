package route

import (
	"bufio"
	"bytes"
	"strconv"
	"strings"
)

// head is what a request's head says that the router has to know.
type head struct {
	upgrade  string // the protocol that it asks for
	trailers bool   // whether the caller takes trailers
	drop     []string
}

// connection reads what the Connection header says (RFC 9110, 7.6.1).
func connection(value, upgrade, te []byte) (h head) {
	if len(value) > 0 {
		for name := range strings.SplitSeq(string(value), ",") {
			if name = strings.TrimSpace(name); strings.EqualFold(name, "upgrade") {
				h.upgrade = string(upgrade)
			} else if name != "" && !strings.EqualFold(name, "close") && !strings.EqualFold(name, "keep-alive") {
				h.drop = append(h.drop, name)
			}
		}
	}
	h.trailers = bytes.Contains(bytes.ToLower(te), []byte("trailers"))
	return h
}

// drops says whether a header, named in canonical form, is for one connection and stays there.
func (h *head) drops(name []byte) bool {
	switch string(name) {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Upgrade", "Transfer-Encoding":
		return true
	}
	for _, d := range h.drop {
		if strings.EqualFold(d, string(name)) {
			return true
		}
	}
	return false
}

// writeHead writes a request's head for the endpoint: as the caller sent it and in its order, without what is for one connection, and with
// what there is to say of the caller.
func (x *exchange) writeHead(w *bufio.Writer, mirrored bool) error {
	h := &x.ctx.Request.Header
	_, _ = w.Write(h.Method())
	_ = w.WriteByte(' ')
	_, _ = w.Write(h.RequestURI())
	_, _ = w.WriteString(" HTTP/1.1\r\n")
	trusted := x.l.router.trusted(x.ctx.RemoteAddr())
	var before, proto, host []byte
	for name, value := range h.AllInOrder() {
		switch string(name) {
		case "Content-Length", "Expect", MirrorHeader:
			continue
		case "X-Forwarded-For":
			before = append(append(before, value...), ", "...)
			continue
		case "X-Forwarded-Proto":
			proto = value
			continue
		case "X-Forwarded-Host":
			host = value
			continue
		}
		if !x.head.drops(name) {
			line(w, name, value)
		}
	}
	if len(h.Host()) == 0 {
		_, _ = w.WriteString("Host: \r\n") // HTTP/1.0 may do without
	}
	ip := addrOf(x.ctx.RemoteAddr()).AppendTo(make([]byte, 0, 48))
	if !trusted || proto == nil {
		if proto = []byte("http"); x.ctx.IsTLS() {
			proto = []byte("https")
		}
	}
	if !trusted || host == nil {
		host = h.Host()
	}
	if trusted {
		ip = append(before, ip...)
	}
	line(w, []byte("X-Forwarded-For"), ip)
	line(w, []byte("X-Forwarded-Proto"), proto)
	line(w, []byte("X-Forwarded-Host"), host)
	switch n := h.ContentLength(); {
	case n == -1:
		_, _ = w.WriteString("Transfer-Encoding: chunked\r\n")
	case n > 0 || n == 0 && len(h.Peek("Content-Length")) > 0:
		_, _ = w.WriteString("Content-Length: ")
		_, _ = w.Write(strconv.AppendInt(w.AvailableBuffer(), int64(n), 10))
		_, _ = w.WriteString("\r\n")
	}
	if x.head.trailers {
		_, _ = w.WriteString("Te: trailers\r\n")
	}
	if x.head.upgrade != "" {
		line(w, []byte("Connection"), []byte("Upgrade"))
		line(w, []byte("Upgrade"), []byte(x.head.upgrade))
	}
	if mirrored {
		line(w, []byte(MirrorHeader), []byte("1"))
	}
	_, err := w.WriteString("\r\n") // a writer keeps its first error
	return err
}

func line(w *bufio.Writer, name, value []byte) {
	_, _ = w.Write(name)
	_, _ = w.WriteString(": ")
	_, _ = w.Write(value)
	_, _ = w.WriteString("\r\n")
}
