package feed

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"meridian.example/marketdata/fix"
	"meridian.example/marketdata/internal/kit"
	"meridian.example/marketdata/price"
)

// start runs a server with fifty prices a second, and returns it with its address.
func start(t *testing.T, faults *kit.Faults) (*Server, string) {
	t.Helper()
	hub, err := price.NewHub(price.NewGenerator(1), []string{"ACME", "GLOB"}, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go hub.Run(ctx)
	s := New(Options{Self: "MERIDIAN", Version: "v1", Hub: hub, Log: slog.New(slog.DiscardHandler), Metrics: &kit.Registry{}, Faults: faults})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		cut, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Stop(cut)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		stop()
	})
	return s, l.Addr().String()
}

// client is the other end of a session.
type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	fix  *fix.Session
}

func newSession(peer string) *fix.Session {
	return fix.NewSession(fix.Config{Self: peer, Peer: "MERIDIAN", Heartbeat: 30 * time.Second})
}

func dial(t *testing.T, address string, s *fix.Session, reset bool) *client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c := &client{t, conn, bufio.NewReader(conn), s}
	s.Connect(time.Now(), reset)
	c.flush()
	return c
}

func (c *client) flush() {
	for _, m := range c.fix.Out() {
		_, _ = c.conn.Write(fix.Append(nil, m)) // where it fails, reading does as well
	}
}

// next reads until a message for the application, or an error.
func (c *client) next() (fix.Message, error) {
	for {
		m, err := fix.Read(c.r)
		if err != nil {
			return m, err
		}
		app, err := c.fix.Receive(time.Now(), m)
		c.flush()
		if err != nil || app {
			return m, err
		}
	}
}

func (c *client) open() {
	c.t.Helper()
	for !c.fix.Open() {
		m, err := fix.Read(c.r)
		if err == nil {
			_, err = c.fix.Receive(time.Now(), m)
		}
		if err != nil {
			c.t.Fatalf("log on: %v", err)
		}
		c.flush()
	}
}

func (c *client) ask(fields ...fix.Field) {
	c.fix.Send(time.Now(), fix.Message{Type: fix.MarketDataRequest, Fields: fields})
	c.flush()
}

func subscribe(symbols ...string) []fix.Field {
	fields := []fix.Field{{Tag: fix.MDReqID, Value: "R1"}, {Tag: fix.Subscription, Value: "1"}, fix.Int(fix.NoRelatedSym, len(symbols))}
	for _, s := range symbols {
		fields = append(fields, fix.Field{Tag: fix.Symbol, Value: s})
	}
	return fields
}

func TestPricesAndGoodbye(t *testing.T) {
	s, address := start(t, &kit.Faults{})
	c := dial(t, address, newSession("BUYER"), true)
	c.open()
	c.ask(subscribe("ACME")...)
	var last uint64
	for range 10 {
		m, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		seq, err := m.Number(fix.RptSeq)
		if err != nil || seq <= last || m.Type != fix.MarketDataSnapshot || m.Get(fix.Symbol) != "ACME" || m.Get(fix.MDReqID) != "R1" {
			t.Fatalf("after #%d: %+v, %v", last, m, err)
		}
		last = seq
		ticks, err := strconv.ParseInt(strings.Replace(m.Get(fix.MDEntryPx), ".", "", 1), 10, 64)
		if want := price.NewGenerator(1).At("ACME", seq); err != nil || ticks != want {
			t.Errorf("#%d costs %d, want %d, error %v", seq, ticks, want, err)
		}
	}
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		stopped <- s.Stop(ctx)
	}()
	for {
		if _, err := c.next(); err != nil {
			if e := new(fix.Ended); !errors.As(err, &e) || !e.Logout || !strings.Contains(e.Reason, "stops") {
				t.Errorf("ended with %v", err)
			}
			break
		}
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := fix.Read(c.r); !errors.Is(err, io.EOF) {
		t.Errorf("after the goodbye: %v", err)
	}
	if n := s.ends.Count("logout"); n != 1 || s.count.Load() != 0 {
		t.Errorf("%d sessions ended by logout, %d are open", n, s.count.Load())
	}
}

func TestDeafClientIsCutOff(t *testing.T) {
	s, address := start(t, &kit.Faults{})
	c := dial(t, address, newSession("BUYER"), true)
	c.open()
	silent, err := net.Dial("tcp", address) // never logs on; holds up nobody
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); err == nil || !strings.Contains(err.Error(), "had to be cut off") {
		t.Errorf("stop: %v", err)
	}
}

// TestOneConnectionASession connects a second time while the first connection is open, and again after it broke.
func TestOneConnectionASession(t *testing.T) {
	_, address := start(t, &kit.Faults{})
	session := newSession("BUYER")
	first := dial(t, address, session, true)
	first.open()
	second := dial(t, address, newSession("BUYER"), true)
	if m, err := second.next(); err == nil || errors.As(err, new(*fix.Ended)) {
		t.Errorf("the second connection got %+v, %v", m, err)
	}
	other := dial(t, address, newSession("SELLER"), true)
	other.open()
	first.ask(subscribe("GLOB")...)
	if _, err := first.next(); err != nil {
		t.Fatal(err)
	}
	first.conn.Close()
	deadline := time.Now().Add(time.Minute)
	for {
		session.Disconnect()
		again := dial(t, address, session, false)
		m, err := fix.Read(again.r)
		if err == nil {
			seq, _ := m.Number(fix.MsgSeqNum)
			if m.Type != fix.Logon || seq < 3 || m.Get(fix.Version) != "v1" {
				t.Errorf("the numbers do not go on: %+v", m)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the session never comes free: %v", err)
		}
	}
}

func TestRequestsRefused(t *testing.T) {
	_, address := start(t, &kit.Faults{})
	c := dial(t, address, newSession("BUYER"), true)
	c.open()
	with := func(tag int, value string) []fix.Field {
		fields := subscribe("ACME")
		for i := range fields {
			if fields[i].Tag == tag {
				fields[i].Value = value
			}
		}
		return fields
	}
	for _, tt := range []struct {
		fields []fix.Field
		want   string
	}{
		{with(fix.Symbol, "NONE"), "no prices of NONE"},
		{with(fix.Subscription, "0"), "SubscriptionRequestType"},
		{with(fix.MDReqID, strings.Repeat("x", 33)), "MDReqID"},
		{subscribe("ACME")[1:], "MDReqID"},
		{subscribe(), "no symbols"},
	} {
		c.ask(tt.fields...)
		if m, err := c.next(); err != nil || m.Type != fix.MarketDataReject || !strings.Contains(m.Get(fix.Text), tt.want) {
			t.Errorf("%+v: %+v, %v", tt.fields, m, err)
		}
	}
	c.fix.Send(time.Now(), fix.Message{Type: "D", Fields: []fix.Field{{Tag: fix.Symbol, Value: "ACME"}}})
	c.flush()
	if m, err := c.next(); err != nil || !strings.Contains(m.Get(fix.Text), "only market data") {
		t.Errorf("an order: %+v, %v", m, err)
	}
}

func TestBadBeginnings(t *testing.T) {
	_, address := start(t, &kit.Faults{})
	for name, text := range map[string]string{
		"HTTP":        "GET / HTTP/1.1\r\n\r\n",
		"to another":  string(fix.Append(nil, fix.Message{Type: fix.Logon, Fields: []fix.Field{{Tag: fix.SenderCompID, Value: "BUYER"}, {Tag: fix.TargetCompID, Value: "OTHER"}}})),
		"of nobody":   string(fix.Append(nil, fix.Message{Type: fix.Logon, Fields: []fix.Field{{Tag: fix.TargetCompID, Value: "MERIDIAN"}}})),
		"no greeting": string(fix.Append(nil, fix.Message{Type: fix.Heartbeat, Fields: []fix.Field{{Tag: fix.SenderCompID, Value: "B"}, {Tag: fix.TargetCompID, Value: "MERIDIAN"}, {Tag: fix.MsgSeqNum, Value: "1"}}})),
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		// A close with bytes unread is a reset; either way it is over.
		if b, err := io.ReadAll(conn); err != nil && errors.Is(err, context.DeadlineExceeded) || strings.Contains(string(b), "35=A") {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

func TestFaults(t *testing.T) {
	_, address := start(t, &kit.Faults{Errors: 1})
	if m, err := dial(t, address, newSession("BUYER"), true).next(); err == nil {
		t.Errorf("errors: %+v", m)
	}
	_, address = start(t, &kit.Faults{Wrong: 1})
	c := dial(t, address, newSession("BUYER"), true)
	c.open()
	c.ask(subscribe("ACME")...)
	wrong := false
	for i := 0; i < 50 && !wrong; i++ { // neighbours may cost the same
		m, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		seq, _ := m.Number(fix.RptSeq)
		ticks, _ := strconv.ParseInt(strings.Replace(m.Get(fix.MDEntryPx), ".", "", 1), 10, 64)
		wrong = wrong || ticks != price.NewGenerator(1).At("ACME", seq)
	}
	if !wrong {
		t.Error("nothing is wrong")
	}
}
