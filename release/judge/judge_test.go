package judge

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

func TestStepPasses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, 1)
		w.learn(30)
		w.to(release.Holding, 0)
		var o release.Opinion
		for i := range 60 {
			w.second(small, stable, small)
			if o = w.ask(); i < 59 && o.Verdict != release.Unjudged {
				t.Fatalf("after %d s: %+v", i+1, o)
			}
		}
		if o.Verdict != analysis.Pass || o.Early {
			t.Fatalf("at its end: %+v", o)
		}
		all, err := w.judge.Judgements(t.Context(), 7)
		if err != nil || len(all) != 1 || all[0].Kind != StepKind || all[0].Weight != 500 || all[0].Record != nil || len(all[0].Results) != 2 {
			t.Fatalf("%+v %v", all, err)
		}
		e, err := w.judge.Explain(t.Context(), all[0].ID)
		if err != nil || !e.Verified || e.Verdict != analysis.Pass {
			t.Errorf("%+v %v", e, err)
		}
		points, err := w.judge.Series(t.Context(), 7)
		if err != nil || len(points) < 60 {
			t.Errorf("%d points, %v", len(points), err)
		}
		events, err := db.Events(t.Context(), store.EventQuery{Types: []string{"rollout.judged"}})
		if err != nil || len(events) != 1 {
			t.Errorf("%d events, %v", len(events), err)
		}
	})
}

func TestWatchFails(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, 2)
		w.learn(30)
		w.to(release.Holding, 0)
		bad := small
		bad.fails = 0.5
		for i := range 30 {
			w.second(bad, stable, small)
			o := w.ask()
			if o.Verdict == release.Unjudged {
				continue
			}
			if o.Verdict != analysis.Fail || !o.Early || !strings.Contains(o.Reason, "errors") {
				t.Fatalf("after %d s: %+v", i+1, o)
			}
			all, err := w.judge.Judgements(t.Context(), 7)
			if err != nil || len(all) != 1 || all[0].Kind != WatchKind {
				t.Fatalf("%+v %v", all, err)
			}
			if e, err := w.judge.Explain(t.Context(), all[0].ID); err != nil || !e.Verified || e.Verdict != analysis.Fail {
				t.Errorf("%+v %v", e, err)
			}
			if now, err := w.judge.Watching(t.Context(), 7); err != nil || now.Verdict != analysis.Fail || !now.Early {
				t.Errorf("%+v %v", now, err)
			}
			w.restart()
			if again := w.ask(); again != o {
				t.Errorf("after a restart: %+v", again)
			}
			return
		}
		t.Fatal("it was not found in 30 s")
	}, storetest.Clock(func() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }))
}

// TestPast: what the old version did before the rollout counts from the first look on, and a judgement that rests on it comes out the same again.
func TestPast(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db, 3)
		w.served(stable, 120)
		w.second(traffic{}, stable, traffic{})
		w.ask()
		w.to(release.Holding, 0)
		for range 20 {
			w.second(traffic{20, 0.5, 0.02}, stable, small)
			if w.ask().Verdict != analysis.Fail {
				continue
			}
			all, err := w.judge.Judgements(t.Context(), 7)
			if err != nil || len(all) != 1 {
				t.Fatalf("%+v %v", all, err)
			}
			if n := all[0].Results[0].Reference.Samples; n < 120*300 {
				t.Errorf("the reference has %d requests, and had 360 a second for two minutes", n)
			}
			if e, err := w.judge.Explain(t.Context(), all[0].ID); err != nil || !e.Verified {
				t.Errorf("%+v %v", e, err)
			}
			return
		}
		t.Fatal("it was not found in 20 s")
	}, storetest.Clock(func() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }))
}

func TestEarlier(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(1_800_000_000_000 + int64(ms)) }
	got := earlier([]Trail{
		{Version: "a", Counts: []Count{{at(0), 100, 1}, {at(1000), 110, 2}, {at(2100), 125, 2}, {at(5000), 155, 2}}},
		{Version: "a", Counts: []Count{{at(500), 7, 0}, {at(1500), 10, 0}, {at(2500), 4, 0}, {at(3500), 5, 9}}}, // it went back, and cannot be
		{Version: "b", Counts: []Count{{at(0), 0, 0}, {at(1000), 999, 999}}},
		{Version: "a", Counts: []Count{{at(1000), 50, 0}}},
	}, "a", at(4000), time.Second)
	want := []window{{Requests: 10, Errors: 1}, {Requests: 3}, {Requests: 15}}
	if !slices.EqualFunc(got, want, func(a, b window) bool { return a.Requests == b.Requests && a.Errors == b.Errors }) {
		t.Errorf("%+v", got)
	}
}
