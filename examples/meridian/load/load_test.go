package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"meridian.example/marketdata/fix"
)

// orders sends 60 requests to a platform that tells a lie, and returns what load says of it.
func orders(t *testing.T, lie string, args ...string) summary {
	t.Helper()
	p := newPlatform(t, lie)
	var out strings.Builder
	args = append([]string{"-gateway", p.url, "-ledger", p.url + "/", "-rate", "200", "-duration", "0", "-requests", "60", "-accounts", "3", "-output", "json"}, args...)
	good, err := run(t.Context(), args, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var s summary
	if err := json.Unmarshal([]byte(out.String()), &s); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	if good != (s.Failed == 0 && s.Wrong == 0) {
		t.Errorf("good is %v: %+v", good, s)
	}
	return s
}

func TestHonest(t *testing.T) {
	s := orders(t, "", "-replay", "0.2", "-read", "0.2", "-cancel", "0.2")
	if s.Failed != 0 || s.Wrong != 0 || s.OK == 0 || s.OK != s.Sent || s.Accepted == 0 || s.Verified != s.Accepted || s.Versions["v1"] != s.OK || s.P50 <= 0 || s.P99 < s.P50 {
		t.Errorf("%+v", s)
	}
}

func TestLies(t *testing.T) {
	tests := []struct {
		lie, want string
		wrong     bool // else failed
		args      []string
	}{
		{"forget", "the ledger does not have it", true, []string{"-read", "0"}},
		{"twice", "is in the ledger 2 times", true, nil},
		{"another trade", "that were not accepted", true, nil},
		{"amount", "and in the ledger", true, nil},
		{"answer", "was answered with", true, nil},
		{"place again", "was sent again and answered with", true, []string{"-replay", "0.5"}},
		{"keep", "(cancelled: true) is open in the ledger", true, []string{"-cancel", "0.3", "-read", "0", "-replay", "0"}},
		{"cash", "ticks, and by its trades", true, nil},
		{"position", "ACME, and by its trades", true, nil},
		{"books", "cash is missing", true, nil},
		{"no version", "without a version", false, nil},
		{"error", "500 Internal Server Error by version v1", false, nil},
		{"break", "POST /orders", false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.lie, func(t *testing.T) {
			t.Parallel()
			args := tt.args
			if args == nil {
				args = []string{"-read", "0", "-cancel", "0", "-replay", "0"}
			}
			s := orders(t, tt.lie, args...)
			if got := strings.Join(s.Failures, "\n"); !strings.Contains(got, tt.want) || (s.Wrong > 0) != tt.wrong || (s.Failed > 0) == tt.wrong && tt.lie != "forget" {
				t.Errorf("%d failed, %d wrong, want %q:\n%s", s.Failed, s.Wrong, tt.want, got)
			}
		})
	}
}

// TestAccountsRetire checks that accounts with many orders are looked at while others trade.
func TestAccountsRetire(t *testing.T) {
	var retired []*account
	a := newAccounts(2, func(at *account) { retired = append(retired, at) })
	first := a.take(0)
	first.sent = perAccount
	second := a.take(0)
	if second == first || len(retired) != 0 {
		t.Fatalf("%d retired while one is under way", len(retired))
	}
	a.release(first)
	a.release(second)
	if len(retired) != 1 || retired[0] != first || a.take(0) != second {
		t.Errorf("retired %v", retired)
	}
	if !strings.HasPrefix(second.name, "L") || len(second.name) > 16 || second.name == first.name {
		t.Errorf("name %q", second.name)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range []string{"", "x", "-gateway nowhere", "-streams 1", "-sessions 1", "-gateway http://x -rate NaN", "-gateway http://x -connections 0",
		"-gateway http://x -replay 0.9 -read 0.9", "-gateway http://x -output xml", "-gateway http://x -duration -1s", "-gateway http://x -requests -1", "-nope"} {
		if _, err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

// watch holds a session until what it sees satisfies enough, and returns that.
func watch(t *testing.T, enough func(summary) bool, args ...string) summary {
	t.Helper()
	f, err := parse(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	tally := newTally(time.Now)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan struct{})
	go func() {
		defer close(done)
		hold(ctx, f, tally)
	}()
	for ctx.Err() == nil && !enough(tally.summary(0)) {
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
	if ctx.Err() != nil {
		t.Errorf("it never comes to that: %+v", tally.summary(0))
	}
	stop()
	<-done
	return tally.summary(0)
}

func TestStreams(t *testing.T) {
	tests := []struct {
		lie, want string
		enough    func(summary) bool
	}{
		{"", "", func(s summary) bool { return s.Streams.Moved > 3 && s.Streams.Prices > 20 }},
		{"back", "comes after", func(s summary) bool { return s.Wrong > 0 }},
		{"contradict", "another session was told", func(s summary) bool { return s.Wrong > 0 }},
		{"nonsense", "is no price", func(s summary) bool { return s.Wrong > 0 }},
		{"no version", "without a version", func(s summary) bool { return s.Wrong > 0 }},
		{"drop", "the session broke", func(s summary) bool { return s.Failed > 0 && s.Streams.Lost > 0 }},
		{"silence", "no price came for 50ms", func(s summary) bool { return s.Failed > 0 }},
		{"refuse", "there is no session", func(s summary) bool { return s.Failed > 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.lie, func(t *testing.T) {
			p := newPlatform(t, tt.lie)
			args := []string{"-marketdata", p.url, "-streams", "1"}
			if tt.lie == "silence" {
				args = append(args, "-silence", "50ms")
			}
			s := watch(t, tt.enough, args...)
			if got := strings.Join(s.Failures, "\n"); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("want %q: %s", tt.want, got)
			}
		})
	}
}

// exchange accepts FIX sessions, sends a few prices to each, and ends it as it is told to.
func exchange(t *testing.T, end string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveFIX(conn, end, n)
		}
	}()
	return l.Addr().String()
}

func serveFIX(conn net.Conn, end string, n int) {
	defer conn.Close()
	s := fix.NewSession(fix.Config{Self: "MERIDIAN", Peer: "LOAD1", LogonFields: []fix.Field{{Tag: fix.Version, Value: "v1"}}})
	r := bufio.NewReader(conn)
	for {
		m, err := fix.Read(r)
		if err != nil || end == "refuse" {
			return
		}
		app, err := s.Receive(time.Now(), m)
		if app {
			for i := range 3 {
				seq := 10*n + i
				if end == "back" {
					seq = 10*n - i
				}
				s.Send(time.Now(), fix.Message{Type: fix.MarketDataSnapshot, Fields: []fix.Field{{Tag: fix.Symbol, Value: "ACME"}, fix.Int(fix.RptSeq, seq), {Tag: fix.MDEntryPx, Value: "100.50"}}})
			}
			if end == "nonsense" {
				s.Send(time.Now(), fix.Message{Type: fix.MarketDataSnapshot, Fields: []fix.Field{{Tag: fix.Symbol, Value: "ACME"}}})
			}
			if end != "hold" {
				s.Logout(time.Now(), "come again")
			}
		}
		for _, m := range s.Out() {
			if end == "drop" && m.Type == fix.Logout {
				return
			}
			_, _ = conn.Write(fix.Append(nil, m))
		}
		if err != nil {
			return
		}
	}
}

func TestFeed(t *testing.T) {
	tests := []struct {
		end, want string
		enough    func(summary) bool
	}{
		{"goodbye", "", func(s summary) bool { return s.FIX.Moved > 2 && s.FIX.Prices >= 9 }},
		{"hold", "", func(s summary) bool { return s.FIX.Prices >= 3 }},
		{"back", "comes after", func(s summary) bool { return s.Wrong > 0 }},
		{"nonsense", "is no price", func(s summary) bool { return s.Wrong > 0 }},
		{"drop", "the session broke", func(s summary) bool { return s.FIX.Lost > 0 }},
		{"refuse", "there is no session", func(s summary) bool { return s.Failed > 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.end, func(t *testing.T) {
			s := watch(t, tt.enough, "-fix", exchange(t, tt.end), "-sessions", "1")
			if got := strings.Join(s.Failures, "\n"); !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("want %q: %s", tt.want, got)
			}
		})
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	if h.quantile(0.99) != 0 {
		t.Error("nothing has a quantile")
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	h.add(0)
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := h.quantile(q); got < want*99/100 || got > want*102/100 {
			t.Errorf("quantile %v = %v, want about %v", q, got, want)
		}
	}
	h.add(100 * time.Hour)
	if h.quantile(1) != 100*time.Hour {
		t.Errorf("the longest is %v", h.quantile(1))
	}
}

func TestText(t *testing.T) {
	tally := newTally(func() time.Time { return time.Time{} })
	for range told + 5 {
		tally.fail("x%d", 1)
	}
	tally.with(func(s *summary) { s.FIX.Begun = 2; s.Versions["v1"] = 3 })
	var b strings.Builder
	if err := tally.summary(time.Second).text(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"15 failed", "FIX: 2 sessions", "version v1: 3", "after 0.000s, failed: x1"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if n := strings.Count(b.String(), "failed: x1"); n != told {
		t.Errorf("%d failures are told", n)
	}
}
