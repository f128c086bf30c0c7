// Package feed is the FIX-like feed of prices by TCP: it accepts connections, holds a session for each pair of CompIDs,
// and sends the prices that a session has asked for. It promises that a session has one connection at a time, that its
// numbers go on from one connection to the next while the process lives, and that a process that stops says goodbye
// before it closes. What a message is and what a session does is package fix's.
package feed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"meridian.example/marketdata/fix"
	"meridian.example/marketdata/internal/kit"
	"meridian.example/marketdata/price"
)

const (
	// firstMessage bounds the time until the logon, writing that of a write.
	firstMessage, writing = 10 * time.Second, 10 * time.Second
	// maxPairs bounds the sessions that a process remembers, maxID a CompID in bytes.
	maxPairs, maxID = 1000, 32
)

// Options of a Server.
type Options struct {
	// Self is our CompID.
	Self    string
	Version string
	Hub     *price.Hub
	Log     *slog.Logger
	Metrics *kit.Registry
	Faults  *kit.Faults
}

// Server accepts sessions. Make one with New.
type Server struct {
	o Options

	stopping context.Context
	stop     context.CancelFunc
	handlers sync.WaitGroup
	count    atomic.Int64

	mu       sync.Mutex
	sessions map[string]*session // by the other end's CompID
	conns    map[net.Conn]bool

	sent *kit.Counter
	ends *kit.Counter
}

// session is what the process knows of a pair of CompIDs.
type session struct {
	fix  *fix.Session
	busy bool // it has a connection
}

// New returns a server.
func New(o Options) *Server {
	s := &Server{o: o, sessions: map[string]*session{}, conns: map[net.Conn]bool{},
		sent: o.Metrics.Counter("meridian_fix_prices_total", "Prices sent by FIX."),
		ends: o.Metrics.Counter("meridian_fix_sessions_ended_total", "FIX connections by how they ended.", "reason")}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.sent.Add(0)
	for _, reason := range []string{"logout", "refused", "lost", "slow", "fault"} {
		s.ends.Add(0, reason)
	}
	o.Metrics.Gauge("meridian_fix_sessions", "FIX sessions that are logged on.", func() (float64, bool) { return float64(s.count.Load()), true })
	return s
}

// Serve accepts connections until Stop. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer context.AfterFunc(s.stopping, func() { _ = l.Close() })()
	for {
		c, err := l.Accept()
		if s.stopping.Err() != nil {
			if err == nil {
				_ = c.Close()
			}
			return nil
		}
		if err != nil {
			// Such as too many open files: it passes, and ending the process would end the others.
			if ne := net.Error(nil); errors.As(err, &ne) && !errors.Is(err, net.ErrClosed) {
				s.o.Log.Warn("accept a connection", "error", err)
				select {
				case <-time.After(100 * time.Millisecond):
				case <-s.stopping.Done():
				}
				continue
			}
			return fmt.Errorf("accept connections: %w", err)
		}
		if !s.begin(c) {
			_ = c.Close()
			return nil
		}
		go func() {
			defer s.end(c)
			s.handle(c)
		}()
	}
}

func (s *Server) begin(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Err() != nil {
		return false
	}
	s.handlers.Add(1)
	s.conns[c] = true
	return true
}

func (s *Server) end(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.handlers.Done()
}

// Stop says goodbye to all sessions, and returns when they have ended. Where ctx ends before, they are cut off.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.handlers.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	left := len(s.conns)
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	<-done
	return fmt.Errorf("%d FIX sessions had to be cut off: %w", left, ctx.Err())
}

// handle serves a connection from its logon to its end.
func (s *Server) handle(conn net.Conn) {
	if s.o.Faults.Fail() {
		s.ends.Inc("fault")
		return
	}
	log := s.o.Log.With("remote", conn.RemoteAddr().String())
	_ = conn.SetReadDeadline(time.Now().Add(firstMessage))
	r := bufio.NewReader(conn)
	unblock := context.AfterFunc(s.stopping, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	first, err := fix.Read(r)
	unblock()
	if err != nil {
		s.ends.Inc("refused")
		log.Info("no logon", "error", err)
		return
	}
	peer := first.Get(fix.SenderCompID)
	session, err := s.take(first)
	if err != nil {
		s.ends.Inc("refused")
		log.Info("refused", "peer", peer, "error", err)
		return
	}
	defer s.release(session)
	_ = conn.SetReadDeadline(time.Time{})
	c := &connection{server: s, conn: conn, r: r, fix: session.fix, log: log.With("peer", peer), wanted: map[string]string{}}
	reason, err := c.run(first)
	s.ends.Inc(reason)
	log.Info("session over", "peer", peer, "reason", reason, "error", err)
}

// take finds or makes the session of a first message.
func (s *Server) take(first fix.Message) (*session, error) {
	peer := first.Get(fix.SenderCompID)
	if peer == "" || len(peer) > maxID || first.Get(fix.TargetCompID) != s.o.Self {
		return nil, fmt.Errorf("the first message is of %.40q to %.40q, and we are %s", peer, first.Get(fix.TargetCompID), s.o.Self)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.sessions[peer]
	switch {
	case known == nil && len(s.sessions) >= maxPairs:
		return nil, fmt.Errorf("there are %d sessions already", maxPairs)
	case known == nil:
		known = &session{fix: fix.NewSession(fix.Config{Self: s.o.Self, Peer: peer, LogonFields: []fix.Field{{Tag: fix.Version, Value: s.o.Version}}})}
		s.sessions[peer] = known
	case known.busy:
		return nil, errors.New("the session has a connection already")
	}
	known.busy = true
	return known, nil
}

func (s *Server) release(known *session) {
	known.fix.Disconnect()
	s.mu.Lock()
	defer s.mu.Unlock()
	known.busy = false
}

// reasonOf names how a connection ended, for the counter.
func reasonOf(err error) string {
	var ended *fix.Ended
	switch {
	case errors.As(err, &ended) && ended.Logout:
		return "logout"
	case errors.As(err, &ended), errors.As(err, new(*fix.Garbled)):
		return "refused"
	case errors.Is(err, errSlow):
		return "slow"
	}
	return "lost"
}
