package judge

import (
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
