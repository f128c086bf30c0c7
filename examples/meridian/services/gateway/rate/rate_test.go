package rate

import (
	"fmt"
	"testing"
	"time"
)

func TestAllow(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	l := New(2, 3, func() time.Time { return now })
	take := func(account string, want bool, after time.Duration) {
		t.Helper()
		if ok, got := l.Allow(account); ok != want || got != after {
			t.Errorf("%s at %s: %v, %v; want %v, %v", account, now.Format("05.000"), ok, got, want, after)
		}
	}
	for range 3 {
		take("A", true, 0)
	}
	take("A", false, 500*time.Millisecond)
	take("B", true, 0) // has its own
	now = now.Add(250 * time.Millisecond)
	take("A", false, 250*time.Millisecond)
	now = now.Add(250 * time.Millisecond)
	take("A", true, 0)
	take("A", false, 500*time.Millisecond)
	now = now.Add(-time.Hour) // the clock is set back
	take("A", false, 500*time.Millisecond)
	now = now.Add(time.Hour)
	for range 3 {
		take("A", true, 0) // no more than the burst
	}
	take("A", false, 500*time.Millisecond)
}

func TestMemoryIsBounded(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	l := New(100, 200, func() time.Time { return now })
	for i := range 10_000 {
		l.Allow(fmt.Sprint(i))
		now = now.Add(10 * time.Millisecond)
	}
	if n := len(l.buckets); n > 500 {
		t.Errorf("%d buckets are kept of 100 accounts a second", n)
	}
}
