package route

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"time"
)

const (
	// firstFor is how long a session may take for the message by which it is told apart.
	firstFor = 10 * time.Second
	// firstLimit is how long that message may be.
	firstLimit = 4 << 10
)

// serveTCP accepts sessions.
func (l *listener) serveTCP(config *tls.Config) {
	for {
		c, err := l.ln.Accept()
		if err != nil {
			if temporary(err) {
				continue
			}
			l.failed(err)
			return
		}
		l.conns.Add(1)
		go func() {
			defer l.conns.Add(-1)
			defer c.Close()
			stop := context.AfterFunc(l.ctx, func() { _ = c.Close() })
			defer stop()
			if config == nil {
				l.session(c)
				return
			}
			t := tls.Server(c, config)
			ctx, cancel := context.WithTimeout(l.ctx, headTimeout)
			defer cancel()
			if err := t.HandshakeContext(ctx); err != nil {
				l.router.metrics.refused.WithLabelValues(l.name, "tls").Inc()
				return
			}
			l.session(t)
		}()
	}
}

// session passes one on, to where its counterparty belongs.
func (l *listener) session(c net.Conn) {
	m := l.current()
	if len(m.routes) == 0 {
		return
	}
	s := m.routes[0].service
	caller := c
	var sender, target string
	if s.peek {
		r := bufio.NewReaderSize(c, firstLimit)
		_ = c.SetReadDeadline(time.Now().Add(firstFor))
		sender, target = compIDs(r)
		if c.SetReadDeadline(time.Time{}) != nil {
			return
		}
		if sender == "" {
			l.router.metrics.refused.WithLabelValues(l.name, "no-logon").Inc()
			return
		}
		caller = bufferedConn{c, r}
	}
	a := s.session(addrOf(c.RemoteAddr()), sender, target)
	var avoid *endpoint
	for {
		e := a.claim(avoid) // never another version's: who belongs to one stays there
		if now := l.current(); e == nil && now != m && len(now.routes) > 0 {
			// Another table came meanwhile.
			m, s = now, now.routes[0].service
			a, avoid = s.session(addrOf(c.RemoteAddr()), sender, target), nil
			continue
		}
		if e == nil {
			l.router.metrics.refused.WithLabelValues(l.name, "no-instance").Inc()
			return
		}
		d := net.Dialer{Timeout: dialTimeout}
		instance, err := d.DialContext(e.ctx, "tcp", e.addr)
		if err != nil {
			e.metrics.dial.Inc()
			e.release()
			if avoid != nil {
				return
			}
			avoid = e
			continue
		}
		join(e, caller, instance)
		e.release()
		return
	}
}

// compIDs reads ahead until the first FIX message shows its SenderCompID (tag 49) and TargetCompID (tag 56), which a Logon has in its header
// (FIX 4.4, volume 2). They are empty where what comes is no FIX message, or too long, or too slow. Nothing is consumed.
func compIDs(r *bufio.Reader) (sender, target string) {
	for n := 1; n <= firstLimit; n = r.Buffered() + 1 {
		b, err := r.Peek(n)
		b, _ = r.Peek(max(r.Buffered(), len(b)))
		if !bytes.HasPrefix(b, []byte("8=FIX")[:min(len(b), 5)]) {
			return "", ""
		}
		end := false
		for field := range bytes.SplitAfterSeq(b, []byte{1}) {
			tag, value, ok := bytes.Cut(field, []byte{'='})
			if !ok || len(value) == 0 || value[len(value)-1] != 1 {
				break // what comes after it is not there yet
			}
			value = value[:len(value)-1]
			switch id, _ := strconv.Atoi(string(tag)); id {
			case 49:
				sender = string(value)
			case 56:
				target = string(value)
			case 10: // the checksum ends a message
				end = true
			}
			if end {
				break
			}
		}
		if sender != "" && target != "" {
			return sender, target
		}
		if err != nil || end {
			return "", ""
		}
	}
	return "", ""
}
