package main

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
)

// seed of all releases that tests play: they do not depend on luck.
const seed = 20

// TestBounds holds the judges to what they promise, on fewer releases than the table is made of. The bounds leave room for chance: of 100 releases,
// a rate of 1 % fails more than 4 once in 300 times.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		world string
		runs  int
		// most is how many equal versions may fail.
		most int
		// median and ninth are the longest delays in seconds; 0 for equal versions.
		median, ninth float64
	}{
		{world: "no-errors", runs: 60},
		{world: "sparse-errors", runs: 100, most: 4},
		{world: "sparse-half", runs: 100, most: 4},
		{world: "many-errors", runs: 60, most: 3},
		{world: "trickle", runs: 20, most: 2},
		{world: "shared-outages", runs: 100, most: 4},
		{world: "retries-known", runs: 100, most: 5},
		{world: "latency", runs: 20, most: 2},
		{world: "heavy-tail", runs: 20, most: 2},
		{world: "drift", runs: 10, most: 1},
		{world: "pauses", runs: 20, most: 2},
		{world: "half-fail", runs: 100, median: 4, ninth: 10},
		{world: "half-fail-unknown", runs: 100, median: 5.5, ninth: 12},
		{world: "half-fail-late", runs: 40, median: 12, ninth: 20},
		{world: "all-fail-of-half", runs: 60, median: 4, ninth: 5},
		{world: "one-in-twenty", runs: 40, median: 40, ninth: 90},
		{world: "twice-as-slow-10%", runs: 40, median: 12, ninth: 20},
		{world: "twice-as-slow-5%", runs: 40, median: 20, ninth: 30},
		{world: "twice-heavy-5%", runs: 40, median: 30, ninth: 60},
	} {
		t.Run(c.world, func(t *testing.T) {
			t.Parallel()
			s := find(t, c.world).play(c.runs, seed, runtime.GOMAXPROCS(0), false)
			if c.median == 0 {
				if s.ours > c.most {
					t.Errorf("%d of %d equal versions failed, %d by the watch", s.ours, s.runs, s.watch)
				}
				return
			}
			if s.ours < s.runs {
				t.Errorf("%d of %d bad versions did not fail", s.runs-s.ours, s.runs)
			}
			if d := s.delay(s.delays, 0.5); d > c.median {
				t.Errorf("half failed within %.1f s, want %g s", d, c.median)
			}
			if d := s.delay(s.delays, 0.9); d > c.ninth {
				t.Errorf("nine of ten failed within %.1f s, want %g s", d, c.ninth)
			}
		})
	}
}

func find(t *testing.T, name string) *world {
	t.Helper()
	for i := range worlds {
		if worlds[i].name == name {
			return &worlds[i]
		}
	}
	t.Fatalf("there is no world %q", name)
	return nil
}

// TestTable prints the same table for the same seed, however many processors there are.
func TestTable(t *testing.T) {
	var tables []string
	for range 2 {
		var out bytes.Buffer
		if err := run([]string{"-runs", "3", "-only", "half-fail,no-errors"}, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, out.String())
	}
	if tables[0] != tables[1] {
		t.Errorf("got\n%s\nand\n%s", tables[0], tables[1])
	}
	for _, want := range []string{"half-fail", "no-errors", "KAYENTA"} {
		if !strings.Contains(tables[0], want) {
			t.Errorf("the table does not have %q:\n%s", want, tables[0])
		}
	}
	if err := run([]string{"-only", "nothing"}, io.Discard, io.Discard); err == nil {
		t.Error("a world that there is not is accepted")
	}
	if err := run([]string{"-runs", "0"}, io.Discard, io.Discard); err == nil {
		t.Error("no runs are accepted")
	}
}

// TestKayenta: its rule as it is documented, on samples whose outcome is plain.
func TestKayenta(t *testing.T) {
	flat := func(v float64, n int) (out []float64) {
		for i := range n {
			out = append(out, v+float64(i%7)/100)
		}
		return out
	}
	series := func(canary, reference []float64) *points {
		p := &points{}
		p.errors.canary, p.errors.reference = canary, reference
		return p
	}
	for _, c := range []struct {
		name string
		p    *points
		want bool
	}{
		{"high", series(flat(2, 60), flat(1, 60)), true},
		{"low", series(flat(1, 60), flat(2, 60)), false},
		{"equal", series(flat(1, 60), flat(1, 60)), false},
		{"too few points are not scored", series(flat(2, 49), flat(1, 60)), false},
		{"no points pass", series(nil, nil), false},
		{"few but very bad points are outliers", series(append(flat(1, 60), flat(100, 9)...), flat(1, 60)), false},
	} {
		if got := c.p.kayenta(false); got != c.want {
			t.Errorf("%s: fails: %t", c.name, got)
		}
	}
}
