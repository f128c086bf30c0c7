package release

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// TestClosed holds each growth while a gate is closed, and neither the warm time nor the way back.
func TestClosed(t *testing.T) {
	closed := Input{Closed: "frozen", Verdict: analysis.Pass, Smoke: Outcome{Done: true}, Expand: Outcome{Done: true}}
	for _, c := range []struct {
		name string
		at   func(r *Rollout)
		want Phase
	}{
		{"before it begins", func(r *Rollout) { r.Phase = Waiting }, Waiting},
		{"before instances get their share", func(r *Rollout) { r.Phase = Placing }, Placing},
		{"after they were looked at", func(r *Rollout) { r.Phase = Checking }, Checking},
		{"before a larger share", func(r *Rollout) { r.Phase = Holding }, Holding},
		{"before another wave", func(r *Rollout) { r.Phase, r.Step = Soaking, 3 }, Soaking},
		{"what is through goes on", func(r *Rollout) { r.Phase, r.Wave, r.Step = Warm, 1, 3 }, Retiring},
		{"the last step of a wave is left", func(r *Rollout) { r.Phase, r.Step = Holding, 3 }, Soaking},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := begin(t, strategies["canary"], oldVersion)
			c.at(&r)
			w := newWorld(1, r)
			in := closed
			in.Regions = map[string]Observed{}
			for name, g := range w.regions {
				g.instances[newVersion] = make([]int, r.Strategy.Instances+1)
				g.instances[oldVersion] = make([]int, r.Strategy.Instances+1)
				w.now = r.Since.Add(time.Hour)
				w.look(g)
				in.Regions[name] = g.seen
			}
			next, _ := r.Advance(w.now, in)
			if next.Phase != c.want || next.Phase == r.Phase && next.Reason != "frozen" {
				t.Errorf("it is %s: %s", next.Phase, next.Reason)
			}
			if told, err := r.Tell(w.now, Abort, "ann"); c.want != Retiring && (err != nil || !told.Phase.Reverting() && told.Phase != Cancelled) {
				t.Errorf("aborted it is %s, %v", told.Phase, err)
			}
			in.Closed = ""
			if next, _ := r.Advance(w.now, in); next.Phase == r.Phase {
				t.Errorf("with an open gate it stays in %s: %s", next.Phase, next.Reason)
			}
		})
	}
}

// TestWithin takes a step for inconclusive whose requests do not come in time.
func TestWithin(t *testing.T) {
	s := Strategy{Kind: Canary, Instances: 1, Extend: 1, Undecided: GoBack, Steps: []CanaryStep{{Weight: 100, Requests: 50, Within: time.Hour}}}
	r := begin(t, s, oldVersion)
	r.Phase = Holding
	w := newWorld(1, r)
	at := func(d time.Duration, r Rollout) Rollout {
		w.now = r.Since.Add(d)
		in := Input{Regions: map[string]Observed{}}
		for name, g := range w.regions {
			g.instances[newVersion], g.requests[newVersion] = []int{0}, 20
			w.look(g)
			in.Regions[name] = g.seen
		}
		next, _ := r.Advance(w.now, in)
		return next
	}
	if next := at(time.Minute, r); next.Phase != Holding || next.Reason != "20 of 50 requests in east" || next.Extended != 0 {
		t.Errorf("in its time it is %s: %s", next.Phase, next.Reason)
	}
	next := at(time.Hour, r)
	if next.Phase != Holding || next.Extended != 1 || !strings.Contains(next.Reason, "since the analysis is inconclusive: 20 of 50 requests in east within 1h0m0s") {
		t.Errorf("after its time it is %s: %s", next.Phase, next.Reason)
	}
	if next = at(time.Hour, next); next.Phase != Returning || next.Cause != "the analysis is inconclusive: 20 of 50 requests in east within 1h0m0s" {
		t.Errorf("after it was extended it is %s: %s", next.Phase, next.Cause)
	}
}

// TestNext ends the warm time when another rollout waits, unless a person holds it.
func TestNext(t *testing.T) {
	r := begin(t, strategies["canary"], oldVersion)
	r.Phase, r.Wave = Warm, 1
	if next, _ := r.Advance(r.Since, Input{}); next.Phase != Warm {
		t.Errorf("with nobody waiting it is %s", next.Phase)
	}
	if next, _ := r.Advance(r.Since, Input{Next: true}); next.Phase != Retiring {
		t.Errorf("with somebody waiting it is %s", next.Phase)
	}
	r.Paused = true
	if next, _ := r.Advance(r.Since, Input{Next: true}); next.Phase != Warm {
		t.Errorf("paused it is %s", next.Phase)
	}
}

// TestWide has no baseline where it has no room, and is no mistake.
func TestWide(t *testing.T) {
	s := Strategy{Kind: Canary, Instances: 4, Baseline: true, Steps: []CanaryStep{{Weight: 5000, For: 1}, {Weight: 7500, For: 1}}}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	if p := s.Plan(true); p[0].Baseline != 2 || p[1].Baseline != 0 {
		t.Errorf("it is %+v", p)
	}
}

// gate is closed for as long as it has a reason.
type gate struct {
	mu     sync.Mutex
	reason string
}

func (g *gate) Closed(context.Context, Record, time.Time) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason, nil
}

func (g *gate) set(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reason = reason
}

// TestOnce begins a rollout once for its release, ends the warm time of the one before it, asks the gate, and shows what was seen.
func TestOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		g := r.gate
		warm := short
		warm.Warm = time.Hour
		ask := func(n int, of, kind string) Record {
			t.Helper()
			got, err := r.Begin(t.Context(), Request{Actor: "account:ann", Place: place, Release: of, Kind: kind, Candidate: version(n), Waves: waves, Strategy: warm})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		first := ask(1, "7", "")
		r.ended(t, first.ID)
		second := ask(2, "8", "")
		if again := ask(2, "8", ""); again.ID != second.ID {
			t.Errorf("it was begun twice: %d and %d", second.ID, again.ID)
		}
		r.until(t, second.ID, "its warm time", func(r Record) bool { return r.State.Phase == Warm })
		seen, err := r.View(t.Context(), second.ID)
		if err != nil || seen.VersionNew != version(2).Version() || seen.VersionOld != version(1).Version() || len(seen.Steps) != 3 || len(seen.Regions) != 3 ||
			seen.Regions["east"].Weights[seen.VersionNew] != Whole {
			t.Errorf("it is seen as %+v, %v", seen, err)
		}
		g.set("frozen")
		third := ask(3, "8", "back")
		if third.ID == second.ID {
			t.Error("another kind is the same rollout")
		}
		if got := r.ended(t, second.ID); got.State.Phase != Succeeded {
			t.Errorf("the second ended as %s: %s", got.State.Phase, got.State.Cause)
		}
		r.until(t, third.ID, "the gate", func(r Record) bool { return r.State.Phase == Waiting && r.State.Reason == "frozen" })
		g.set("")
		r.until(t, third.ID, "its warm time", func(r Record) bool { return r.State.Phase == Warm })
		of, err := r.List(t.Context(), Query{Release: "8", Service: place.Service, Environment: place.Environment, Active: true})
		if err != nil || len(of) != 1 || of[0].ID != third.ID {
			t.Errorf("those of the release are %+v, %v", of, err)
		}
		some, err := r.Rollouts(t.Context(), third.ID, 99, first.ID)
		if err != nil || len(some) != 2 || some[0].ID != first.ID {
			t.Errorf("they are %+v, %v", some, err)
		}
		kept, err := r.Kept(t.Context())
		if err != nil || len(kept) != 3 {
			t.Errorf("kept are %+v, %v", kept, err)
		}
		if _, err := r.Tell(t.Context(), "account:bo", third.ID, Abort); err != nil {
			t.Fatal(err)
		}
		if got := r.ended(t, third.ID); got.State.Phase != RolledBack {
			t.Errorf("the third ended as %s", got.State.Phase)
		}
		// Another server shows what this one saw last.
		other := newRoom(t, storetest.Again(t, db), r)
		if seen, err := other.View(t.Context(), first.ID); err != nil || seen.Regions["east"].At.IsZero() {
			t.Errorf("elsewhere it is seen as %+v, %v", seen, err)
		}
		// A person is not above the gate.
		r.judge.mu.Lock()
		r.judge.all[version(4)] = Opinion{}
		r.judge.mu.Unlock()
		held := ask(4, "9", "")
		r.until(t, held.ID, "its first step", func(r Record) bool { return r.State.Phase == Holding })
		g.set("frozen")
		if _, err := r.Tell(t.Context(), "account:bo", held.ID, Promote); !errors.Is(err, ErrNotNow) || !strings.Contains(err.Error(), "frozen") {
			t.Errorf("promoted in a freeze: %v", err)
		}
		if _, err := r.Tell(t.Context(), "account:bo", held.ID, Abort); err != nil {
			t.Errorf("aborted in a freeze: %v", err)
		}
		r.ended(t, held.ID)
	})
}
