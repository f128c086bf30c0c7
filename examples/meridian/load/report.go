package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// told is how many failures are told in words.
const told = 10

// sessionCounts are what became of the sessions of one kind.
type sessionCounts struct {
	// Begun sessions, those that the other end sent elsewhere by a goodbye, and those that broke.
	Begun  uint64 `json:"begun"`
	Moved  uint64 `json:"moved"`
	Lost   uint64 `json:"lost"`
	Prices uint64 `json:"prices"`
}

// summary is the result of a run.
type summary struct {
	Seconds float64 `json:"seconds"`
	// Sent requests: those that were answered as they should be, those that were not, and those whose answer, or what the
	// ledger has of them, is not true. Failed and wrong also count sessions and the checks of the books.
	Sent   uint64 `json:"sent"`
	OK     uint64 `json:"ok"`
	Failed uint64 `json:"failed"`
	Wrong  uint64 `json:"wrong"`
	// PerSecond are requests answered as they should be.
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Max       float64 `json:"max_ms"`
	// Versions are answers and session beginnings by the version that gave them.
	Versions  map[string]uint64 `json:"versions"`
	Accepted  uint64            `json:"accepted"`
	Replayed  uint64            `json:"replayed"`
	Cancelled uint64            `json:"cancelled"`
	// Verified are trades that the ledger has as they should be.
	Verified uint64        `json:"verified"`
	Streams  sessionCounts `json:"streams"`
	FIX      sessionCounts `json:"fix"`
	// Failures are the first ones in words, with their time.
	Failures []string `json:"failures"`
}

// tally gathers what happens. It is safe for concurrent use.
type tally struct {
	now   func() time.Time
	begun time.Time

	mu   sync.Mutex
	s    summary
	took histogram
}

func newTally(now func() time.Time) *tally {
	return &tally{now: now, begun: now(), s: summary{Versions: map[string]uint64{}, Failures: []string{}}}
}

// with changes the summary.
func (t *tally) with(f func(*summary)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.s)
}

func (t *tally) version(v string) { t.with(func(s *summary) { s.Versions[v]++ }) }

// answered counts a request that was answered as it should be.
func (t *tally) answered(took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s.OK++
	t.took.add(took)
}

// fail counts something that was not done.
func (t *tally) fail(format string, args ...any) {
	t.tell(func(s *summary) { s.Failed++ }, "failed: "+format, args...)
}

// wrong counts something that is not true.
func (t *tally) wrong(format string, args ...any) {
	t.tell(func(s *summary) { s.Wrong++ }, "wrong: "+format, args...)
}

func (t *tally) tell(count func(*summary), format string, args ...any) {
	after := t.now().Sub(t.begun)
	t.mu.Lock()
	defer t.mu.Unlock()
	count(&t.s)
	if len(t.s.Failures) < told {
		t.s.Failures = append(t.s.Failures, fmt.Sprintf("after %.3fs, ", after.Seconds())+fmt.Sprintf(format, args...))
	}
}

// summary returns what happened so far; sending took this long.
func (t *tally) summary(sending time.Duration) summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.s
	s.Versions, s.Failures = maps.Clone(s.Versions), slices.Clone(s.Failures)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	s.P50, s.P99, s.Max = ms(t.took.quantile(0.5)), ms(t.took.quantile(0.99)), ms(t.took.max)
	if s.Seconds = sending.Seconds(); s.Seconds > 0 {
		s.PerSecond = float64(s.OK) / s.Seconds
	}
	return s
}

// text writes a summary for people.
func (s summary) text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests in %.1f s: %d ok (%.1f/s), %d failed, %d wrong; p50 %.1f ms, p99 %.1f ms, longest %.1f ms\n",
		s.Sent, s.Seconds, s.OK, s.PerSecond, s.Failed, s.Wrong, s.P50, s.P99, s.Max)
	fmt.Fprintf(&b, "orders: %d accepted, %d sent again, %d cancelled, %d found in the ledger as they should be\n", s.Accepted, s.Replayed, s.Cancelled, s.Verified)
	for _, k := range []struct {
		name string
		c    sessionCounts
	}{{"WebSocket", s.Streams}, {"FIX", s.FIX}} {
		if k.c.Begun > 0 || k.c.Lost > 0 {
			fmt.Fprintf(&b, "%s: %d sessions begun, %d moved, %d lost, %d prices\n", k.name, k.c.Begun, k.c.Moved, k.c.Lost, k.c.Prices)
		}
	}
	for _, v := range slices.Sorted(maps.Keys(s.Versions)) {
		fmt.Fprintf(&b, "version %s: %d answers\n", v, s.Versions[v])
	}
	for _, f := range s.Failures {
		fmt.Fprintln(&b, f)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
