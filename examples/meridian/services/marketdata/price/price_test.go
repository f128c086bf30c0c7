package price

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPricesArePlausible(t *testing.T) {
	g, other := NewGenerator(1), NewGenerator(2)
	same := 0
	for _, symbol := range []string{"ACME", "GLOB", "BRK.B"} {
		last := g.At(symbol, 1<<34)
		for seq := uint64(1 << 34); seq < 1<<34+4_000; seq++ {
			p := g.At(symbol, seq)
			if p < 1250 || p > 75_000 {
				t.Fatalf("%s #%d costs %d", symbol, seq, p)
			}
			if move := max(p-last, last-p); move > p/100+10 {
				t.Fatalf("%s moves by %d from %d at #%d", symbol, move, last, seq)
			}
			if last = p; p == other.At(symbol, seq) {
				same++
			}
		}
	}
	if same > 1_200 {
		t.Errorf("the seed makes no difference for %d of 12000 prices", same)
	}
}

// TestPricesStay fails where a change makes other prices of the same seed: two versions would contradict each other.
func TestPricesStay(t *testing.T) {
	var got []int64
	for _, symbol := range []string{"ACME", "GLOB"} {
		for _, seq := range []uint64{0, 1, 1000, 1 << 40} {
			got = append(got, NewGenerator(42).At(symbol, seq))
		}
	}
	if want := []int64{66558, 66554, 65838, 42622, 9398, 9392, 9271, 8241}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := NewHub(NewGenerator(1), []string{"ACME", "GLOB"}, 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go h.Run(ctx)
		reader, idle := h.Subscribe(), h.Subscribe()
		var last uint64
		for range 3 * behind {
			prices := <-reader.C
			if len(prices) != 2 || prices[0].Seq <= last || prices[1].Seq != prices[0].Seq || prices[0] != h.At("ACME", prices[0].Time) {
				t.Fatalf("after #%d: %+v", last, prices)
			}
			last = prices[0].Seq
		}
		n := 0
		for range idle.C { // ends, as it was too slow
			n++
		}
		if n != behind {
			t.Errorf("the idle one got %d rounds", n)
		}
		reader.Close()
		idle.Close()
		if len(h.subscribers) != 0 {
			t.Errorf("%d subscribers are left", len(h.subscribers))
		}
		stop()
		synctest.Wait()
	})
}

func TestClockSetBack(t *testing.T) {
	h, err := NewHub(NewGenerator(1), []string{"ACME"}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	s, now := h.Subscribe(), time.Unix(1000, 0)
	for _, add := range []int{0, 1, -5, 0, 1, 2} {
		h.round(now.Add(time.Duration(add) * time.Second))
	}
	var got []uint64
	for len(s.C) > 0 {
		got = append(got, (<-s.C)[0].Seq)
	}
	if !slices.Equal(got, []uint64{1000, 1001, 1002}) {
		t.Errorf("got %v", got)
	}
}

func TestNewHubRefuses(t *testing.T) {
	for _, tt := range []struct {
		symbols  string
		interval time.Duration
	}{{"", time.Second}, {"acme", time.Second}, {"ACME,ACME", time.Second}, {"ACME", time.Microsecond}} {
		if _, err := NewHub(NewGenerator(1), strings.Split(tt.symbols, ","), tt.interval); err == nil {
			t.Errorf("%+v is taken", tt)
		}
	}
	if _, err := NewHub(NewGenerator(1), nil, time.Second); err == nil {
		t.Error("nothing is taken")
	}
}
