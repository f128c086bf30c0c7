package judge

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/project/openslo"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store/storetest"
)

// hold has a step of a minute pass, and returns what was said at its end. Each second f may do harm.
func (w *world) hold(canary traffic, f func(second int)) release.Opinion {
	w.to(release.Holding, 0)
	var o release.Opinion
	for i := range 60 {
		if f != nil {
			f(i)
		}
		w.second(canary, stable, small)
		if o = w.ask(); o.Early {
			return o
		}
	}
	return o
}

// A judge that starts anew before each look says what one says that was never interrupted.
func TestRestarts(t *testing.T) {
	for _, fails := range []float64{0.002, 0.2} {
		var said []release.Opinion
		for _, restarts := range []bool{false, true} {
			w := newWorld(t, storetest.Open(t), 3)
			w.learn(10)
			canary := small
			canary.fails = fails
			said = append(said, w.hold(canary, func(int) {
				if restarts {
					w.restart()
				}
			}))
		}
		if said[0] != said[1] || said[0].Verdict == release.Unjudged {
			t.Errorf("%g: %+v, with restarts %+v", fails, said[0], said[1])
		}
	}
}

// Of two judges of the same rollout, the one whose state was overtaken cannot store what it makes of it.
func TestReplaced(t *testing.T) {
	w := newWorld(t, storetest.Open(t), 4)
	w.learn(3)
	first := w.judge
	w.restart()
	w.learn(3)
	w.second(small, stable, small)
	if _, err := first.Judge(t.Context(), w.r); !errors.Is(err, errReplaced) {
		t.Errorf("the first judge: %v", err)
	}
	w.second(small, stable, small)
	if _, err := first.Judge(t.Context(), w.r); err != nil {
		t.Errorf("once it has read again: %v", err)
	}
}

func TestAgentRestarts(t *testing.T) {
	w := newWorld(t, storetest.Open(t), 5)
	w.learn(30)
	o := w.hold(small, func(i int) {
		if i == 20 {
			fresh := newAgent("a1")
			fresh.boot = "2"
			w.agents[0] = fresh
		}
	})
	if o.Verdict != analysis.Pass {
		t.Errorf("%+v", o)
	}
}

// Counters that go back without another boot are garbage: that look counts for nothing, and what comes after it does.
func TestCountersGoBack(t *testing.T) {
	w := newWorld(t, storetest.Open(t), 6)
	w.learn(30)
	o := w.hold(small, func(i int) {
		if i == 20 {
			w.agents[0].counts["new"].Requests, w.agents[0].counts["new"].Errors, w.agents[0].counts["new"].Latency = 0, 0, nil
		}
	})
	if o.Verdict != analysis.Pass {
		t.Errorf("%+v", o)
	}
}

func TestSilenceNeverPasses(t *testing.T) {
	w := newWorld(t, storetest.Open(t), 7)
	w.learn(30)
	if o := w.hold(small, func(i int) { w.agents[1].silent = i >= 30 }); o.Verdict == analysis.Pass || o.Verdict == release.Unjudged {
		t.Errorf("one of two: %+v", o)
	}
	w = newWorld(t, storetest.Open(t), 8)
	w.learn(30)
	if o := w.hold(small, func(i int) { delete(w.agents[0].counts, "new"); delete(w.agents[1].counts, "new") }); o.Verdict == analysis.Pass || o.Verdict == release.Unjudged {
		t.Errorf("a version that vanished: %+v", o)
	}
}

// A short silence loses nothing: what was counted meanwhile is in the look after it.
func TestShortSilence(t *testing.T) {
	w := newWorld(t, storetest.Open(t), 9)
	w.learn(30)
	if o := w.hold(small, func(i int) { w.agents[1].silent = i >= 30 && i < 35 }); o.Verdict != analysis.Pass {
		t.Fatalf("%+v", o)
	}
	all, err := w.judge.Judgements(t.Context(), w.r.ID)
	if err != nil || len(all) == 0 {
		t.Fatal(err)
	}
	served := w.agents[0].counts["new"].Requests + w.agents[1].counts["new"].Requests
	if got := all[len(all)-1].Results[0].Canary.Samples; got < served-2*int64(small.rate) || got > served {
		t.Errorf("%d requests were judged of %d", got, served)
	}
}

func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{-10 * time.Second, 20 * time.Second} {
		w := newWorld(t, storetest.Open(t), 10)
		w.learn(30)
		w.to(release.Holding, 0)
		bad := small
		bad.fails = 0.5
		found := false
		for i := range 40 {
			if i == 2 {
				w.now = w.now.Add(jump)
			}
			w.second(bad, stable, small)
			if o := w.ask(); o.Verdict == analysis.Fail && o.Early {
				found = true
				break
			} else if o.Verdict == analysis.Pass {
				t.Fatalf("%v: %+v", jump, o)
			}
		}
		if !found {
			t.Errorf("after a jump of %v it was not found", jump)
		}
	}
}

func TestTooFewRequests(t *testing.T) {
	w := newWorld(t, storetest.Open(t), 11)
	w.learn(30)
	few := traffic{0.4, 0, 0.02}
	if o := w.hold(few, nil); o.Verdict != analysis.Inconclusive || !strings.Contains(o.Reason, "50") {
		t.Errorf("%+v", o)
	}
	// Watched again, it has the requests of both times.
	for range 2 {
		w.r.State.Since = w.now
		for range 60 {
			w.second(few, stable, small)
			w.ask()
		}
	}
	if o := w.ask(); o.Verdict != analysis.Pass {
		t.Errorf("%+v", o)
	}
}

func TestNothingToJudgeBy(t *testing.T) {
	w := newWorld(t, storetest.Open(t), 12)
	w.service().Ports[0].Protocol = project.TCP
	if o := w.hold(small, nil); o.Verdict != analysis.Inconclusive || !strings.Contains(o.Reason, "gantry.yaml") {
		t.Errorf("%+v", o)
	}
}

func TestQueries(t *testing.T) {
	limit := 10.0
	for name, c := range map[string]struct {
		answer func(canary bool) ([]float64, error)
		worse  project.Direction
		want   analysis.Verdict
		reason string
	}{
		"within":     {func(bool) ([]float64, error) { return []float64{3}, nil }, "", analysis.Pass, ""},
		"beyond":     {func(bool) ([]float64, error) { return []float64{30}, nil }, "", analysis.Fail, "queue"},
		"refused":    {func(bool) ([]float64, error) { return nil, errors.New("parse error") }, "", analysis.Error, "parse error"},
		"empty":      {func(bool) ([]float64, error) { return nil, nil }, "", analysis.Inconclusive, "gives nothing (too many samples)"},
		"several":    {func(bool) ([]float64, error) { return []float64{1, 2}, nil }, "", analysis.Error, "2 series"},
		"not number": {func(bool) ([]float64, error) { return []float64{math.NaN()}, nil }, "", analysis.Inconclusive, "NaN"},
		"worse": {func(canary bool) ([]float64, error) {
			if canary {
				return []float64{20}, nil
			}
			return []float64{10}, nil
		}, project.Higher, analysis.Fail, "queue"},
	} {
		w := newWorld(t, storetest.Open(t), 13)
		w.trouble = "too many samples"
		q := &project.Query{Name: "queue", Query: `max(queue{version="$version"})`, Test: project.Test{Level: 0.01, Floor: 10, Samples: 10}}
		if c.worse != "" {
			q.Worse = c.worse
		} else {
			q.Above = &limit
		}
		w.service().Analysis.Queries = []*project.Query{q}
		w.queries = func(query string, _ time.Time) ([]float64, error) {
			// Two values that are never the same twice, as real ones: a series without any variance tells little.
			values, err := c.answer(strings.Contains(query, newer.Version()))
			for i := range values {
				values[i] += w.rng.Float64() / 10
			}
			return values, err
		}
		w.learn(10)
		o := w.hold(small, nil)
		if o.Verdict != c.want || !strings.Contains(o.Reason, c.reason) {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

func TestObjectives(t *testing.T) {
	for _, fails := range []float64{0.001, 0.05} {
		w := newWorld(t, storetest.Open(t), 14)
		w.service().Analysis.SLOs = []project.SLORef{{SLOs: []*openslo.SLO{{Name: "orders", Objectives: []openslo.Objective{{Target: 0.99}},
			Indicator: openslo.Indicator{Kind: openslo.Ratio, Counter: true, Bad: "bad", Total: "all"}}}}}
		n := 0.0
		w.queries = func(query string, _ time.Time) ([]float64, error) {
			if query == "bad" {
				return []float64{math.Floor(n * fails)}, nil
			}
			n += 100
			return []float64{n}, nil
		}
		want := analysis.Pass
		if fails > 0.01 {
			want = analysis.Fail
		}
		w.learn(10)
		if o := w.hold(small, nil); o.Verdict != want {
			t.Errorf("%g: %+v", fails, o)
		}
	}
}

// Once the new version has all of the traffic, its failures are held against what the old one had.
func TestAfterTheSteps(t *testing.T) {
	for _, fails := range []float64{0.002, 0.05} {
		w := newWorld(t, storetest.Open(t), 15)
		w.learn(10)
		if o := w.hold(small, nil); o.Verdict != analysis.Pass {
			t.Fatalf("%+v", o)
		}
		w.to(release.Warm, 2)
		all := stable
		all.fails = fails
		found := false
		for range 90 {
			w.second(all, traffic{}, traffic{})
			o := w.ask()
			found = found || o.Verdict == analysis.Fail && o.Early && strings.Contains(o.Reason, "errors")
		}
		if found != (fails > 0.01) {
			t.Errorf("%g of the requests fail: found %v", fails, found)
		}
	}
}

// A second wave has a watch of its own.
func TestWaves(t *testing.T) {
	w := newWorld(t, storetest.Open(t), 16)
	us := *w.doc.Placements[0]
	us.Region = "us"
	w.doc.Placements = append(w.doc.Placements, &us)
	w.r.State.Waves = [][]string{{"us"}, {"eu"}}
	w.learn(5) // of a region that no agent reports: the reference is missing
	if now, err := w.judge.Watching(t.Context(), w.r.ID); err != nil || now.Verdict == analysis.Pass {
		t.Errorf("%+v %v", now, err)
	}
	w.r.State.Wave = 1
	w.to(release.Placing, 0)
	w.learn(31)
	if o := w.hold(small, nil); o.Verdict != analysis.Pass {
		t.Errorf("%+v", o)
	}
}

// TestReadApart: an agent reads its requests and their latencies one after the other, so that now one and now the other has some more. That is no trouble.
func TestReadApart(t *testing.T) {
	w := newWorld(t, storetest.Open(t), 21)
	w.learn(10)
	old := w.agents[0].counts["old"]
	lost := w.lost(func(i int) {
		switch i {
		case 5: // thirty requests end after the latencies were read
			old.Requests += 30
		case 6:
			old.Latency.Add(analysis.DefaultBuckets.Index(0.02), 30)
		}
	})
	if lost != 0 {
		t.Errorf("%d looks are lost", lost)
	}
}

// TestSenseless: counters that cannot be, like those of a histogram whose buckets have moved, cost one look and not all that follow.
func TestSenseless(t *testing.T) {
	w := newWorld(t, storetest.Open(t), 22)
	w.learn(10)
	old := w.agents[0].counts["old"]
	lost := w.lost(func(i int) {
		if i == 10 {
			old.Latency = analysis.Histogram{old.Requests}
		}
	})
	if lost != 1 {
		t.Errorf("%d looks are lost", lost)
	}
}

// lost has a step pass, and says how many looks were at nothing.
func (w *world) lost(f func(second int)) (n int) {
	w.hold(small, func(i int) {
		f(i)
		open := w.judge.held[w.r.ID].l.Open.Scrapes
		if len(open) > 0 && open[len(open)-1].Old.Missing {
			n++
		}
	})
	return n
}
