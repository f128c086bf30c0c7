package metrics

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

// opened opens a store for a test, and closes it with it.
func opened(t testing.TB, change ...func(*Options)) *Store {
	t.Helper()
	o := Options{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))}
	for _, c := range change {
		c(&o)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// eventually waits until something holds. The deadline is for a machine that has much else to do.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("it never came to: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func sample(at time.Time, value float64, labels ...string) Sample {
	m := map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		m[labels[i]] = labels[i+1]
	}
	return Sample{Labels: m, Point: Point{at, value}}
}

func TestSmoke(t *testing.T) {
	s := opened(t)
	now := time.Now()
	if err := s.Append(t.Context(), sample(now, 7, "__name__", "x")); err != nil {
		t.Fatal(err)
	}
	r, err := s.Query(context.Background(), "x", now)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r, s.Stats())
}
