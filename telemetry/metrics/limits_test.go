package metrics

import (
	"testing"
	"time"
)

// TestSizeLimit writes more blocks than may be kept, and finds the newest.
func TestSizeLimit(t *testing.T) {
	s := opened(t, func(o *Options) {
		o.MaxBytes = 1
		o.blockDuration = time.Minute
	})
	begin := start().Add(-10 * time.Minute)
	for i := range 20 {
		kept(t, s, sample(begin.Add(time.Duration(i)*30*time.Second), float64(i), "__name__", "m"))
	}
	if err := s.db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the blocks are gone", func() bool { return s.Stats().Blocks == 0 })
	if _, ok := value(t, s, "m", begin); ok {
		t.Error("the oldest sample is still there")
	}
	if got, ok := value(t, s, "m", begin.Add(19*30*time.Second)); !ok || got != 19 {
		t.Errorf("the newest sample is %v, %v", got, ok)
	}
}

// TestRetention writes what is older than is kept.
func TestRetention(t *testing.T) {
	s := opened(t, func(o *Options) { o.Retention = 2 * time.Hour; o.blockDuration = 15 * time.Minute })
	begin := time.Now().Add(-5 * time.Hour)
	for i := range 20 {
		kept(t, s, sample(begin.Add(time.Duration(i)*15*time.Minute), float64(i), "__name__", "m"))
	}
	if err := s.db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old blocks are gone", func() bool {
		oldest := s.Stats().Oldest
		return oldest.After(begin.Add(2 * time.Hour))
	})
	if got, ok := value(t, s, "m", begin.Add(19*15*time.Minute)); !ok || got != 19 {
		t.Errorf("the newest sample is %v, %v", got, ok)
	}
}
