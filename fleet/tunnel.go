package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/agent/link"
)

// tunnelProtocol is what a connection is upgraded to.
const tunnelProtocol = "gantry-tunnel"

const (
	// mostTunnels is how many of an agent's may wait to be used.
	mostTunnels = 16
	longestLine = 8 << 10
	// answerWithin is how long an agent has to reach what a tunnel is to lead to.
	answerWithin = 10 * time.Second
	// arriveWithin is how long a tunnel is waited for where none is there.
	arriveWithin = 5 * time.Second
)

// ErrNotConnected: the agent has no connection to this server.
var ErrNotConnected = errors.New("the agent is not connected to this server")

// tunnels are connections of an agent that wait to be used.
type tunnels struct {
	mu      sync.Mutex
	waiting []net.Conn
	// arrived is closed when one has come.
	arrived chan struct{}
	closed  bool
}

// put keeps a connection. Beyond some the oldest is let go: its agent may have forgotten it.
func (t *tunnels) put(c net.Conn) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = c.Close()
		return false
	}
	first = len(t.waiting) == 0
	if t.waiting = append(t.waiting, c); len(t.waiting) > mostTunnels {
		_ = t.waiting[0].Close()
		t.waiting = t.waiting[1:]
	}
	close(t.arrived)
	t.arrived = make(chan struct{})
	return first
}

// take returns the newest connection, or what to wait for.
func (t *tunnels) take() (net.Conn, <-chan struct{}, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := len(t.waiting) - 1
	if last < 0 {
		return nil, t.arrived, !t.closed
	}
	c := t.waiting[last]
	t.waiting = t.waiting[:last]
	return c, nil, true
}

func (t *tunnels) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, c := range t.waiting {
		_ = c.Close()
	}
	t.waiting = nil
	close(t.arrived)
	t.arrived = make(chan struct{})
}

// tunnel takes a connection that an agent offers.
func (s *Service) tunnel(w http.ResponseWriter, r *http.Request) error {
	row, err := s.caller(r, false)
	if err != nil {
		return err
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), tunnelProtocol) || !strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") {
		w.Header().Set("Upgrade", tunnelProtocol)
		return problem(http.StatusUpgradeRequired, "a tunnel is an HTTP/1.1 connection that is upgraded to %s", tunnelProtocol)
	}
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return problem(http.StatusHTTPVersionNotSupported, "a tunnel needs HTTP/1.1: %v", err)
	}
	if rw.Reader.Buffered() > 0 {
		_ = c.Close() // it speaks out of turn
		return nil
	}
	_ = c.SetDeadline(time.Now().Add(answerWithin)) // a deadline is by the machine's clock
	if _, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+tunnelProtocol+"\r\n\r\n"); err != nil {
		_ = c.Close()
		return nil
	}
	_ = c.SetDeadline(time.Time{})
	if s.get(row.Name).tunnels.put(c) {
		s.change()
	}
	return nil
}

// Dial opens a way to something on an agent's host: its own metrics, logs, or an instance's port. The error is [ErrNotConnected], ctx's, or what the
// agent says is wrong. The connection is the caller's to close.
func (s *Service) Dial(ctx context.Context, agent string, to link.TunnelRequest) (net.Conn, error) {
	line, err := json.Marshal(to)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	l := s.live[agent]
	s.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("reach %s: %w", agent, ErrNotConnected)
	}
	arrive := time.NewTimer(arriveWithin)
	defer arrive.Stop()
	for {
		c, arrived, open := l.tunnels.take()
		if !open {
			return nil, fmt.Errorf("reach %s: %w", agent, ErrNotConnected)
		}
		if c == nil {
			select {
			case <-ctx.Done():
				return nil, fmt.Errorf("reach %s: %w", agent, context.Cause(ctx))
			case <-arrive.C:
				return nil, fmt.Errorf("reach %s: %w", agent, ErrNotConnected)
			case <-arrived:
				continue
			}
		}
		answer, conn, err := ask(ctx, c, append(line, '\n'))
		if err != nil {
			_ = c.Close()
			if ctx.Err() != nil {
				return nil, fmt.Errorf("reach %s: %w", agent, context.Cause(ctx))
			}
			continue // it was broken already: the next one may not be
		}
		if answer.Error != "" {
			_ = c.Close()
			return nil, fmt.Errorf("reach %s on %s: %.400s", to.To, agent, answer.Error)
		}
		return conn, nil
	}
}

// ask has a tunnel lead somewhere.
func ask(ctx context.Context, c net.Conn, line []byte) (answer link.TunnelAnswer, conn net.Conn, err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_ = c.SetDeadline(time.Now().Add(answerWithin)) // by the machine's clock
	if ctx.Err() != nil {
		return answer, nil, ctx.Err()
	}
	if _, err := c.Write(line); err != nil {
		return answer, nil, err
	}
	r := bufio.NewReaderSize(c, longestLine)
	said, err := r.ReadSlice('\n')
	if err != nil {
		return answer, nil, fmt.Errorf("read the agent's answer: %w", err)
	}
	if err := json.Unmarshal(said, &answer); err != nil {
		return answer, nil, fmt.Errorf("read the agent's answer: %w", err)
	}
	if !stop() {
		return answer, nil, ctx.Err()
	}
	return answer, &tunnelConn{Conn: c, r: r}, c.SetDeadline(time.Time{})
}

// tunnelConn reads first what came with the answer.
type tunnelConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *tunnelConn) Read(b []byte) (int, error) {
	if c.r.Buffered() > 0 {
		return c.r.Read(b)
	}
	return c.Conn.Read(b)
}

// CloseWrite says that nothing more is sent, where the connection knows that.
func (c *tunnelConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
