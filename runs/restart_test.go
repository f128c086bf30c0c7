package runs_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// TestRestart cuts the server off after each transaction of the coordinator in turn, and has another one finish the run: with the same end
// as without a cut, and no job that has ended done twice.
func TestRestart(t *testing.T) {
	const workflow = `
on: push
concurrency: one
jobs:
  a: {runs-on: x, outputs: {v: "1"}, steps: [{run: "true"}]}
  b: {runs-on: x, needs: a, if: "needs.a.outputs.v == 'yes'", strategy: {matrix: {v: [1, 2]}}, steps: [{run: "true"}]}
  c: {runs-on: x, needs: a, if: "needs.a.outputs.v == 'no'", steps: [{run: "true"}]}
  bad: {runs-on: x, needs: a, concurrency: two, steps: [{run: "true"}]}
  after: {runs-on: x, needs: [b, bad], steps: [{run: "true"}]}
  last: {runs-on: x, needs: [after], if: always(), steps: [{run: "true"}]}
`
	want := []string{"a=success", "b (1)=success", "b (2)=success", "c=skipped", "bad=failure", "after=skipped", "last=success"}
	outcome := func(_ context.Context, task *jobs.Task) runner.Outcome {
		switch task.Assignment.ID {
		case "a":
			return runner.Outcome{Status: pipeline.Success, Outputs: pipeline.NewMap("v", "yes")}
		case "bad":
			return runner.Outcome{Status: pipeline.Failure}
		}
		return runner.Outcome{Status: pipeline.Success}
	}
	each(t, func(t *testing.T, db *store.DB) {
		repo := newRepository()
		const writes = 14 // of a run without a cut, and some more
		for n := 1; n <= writes; n++ {
			f := &floor{outcome: outcome}
			var left atomic.Int64
			left.Store(int64(n))
			cut := make(chan struct{})
			first := start(t, db, repo, f, func(o *runs.Options) {
				runs.CutOff(o, func() {
					if left.Add(-1) == 0 {
						close(cut)
					}
				})
			})
			if n == 1 {
				first.project()
			}
			id := first.one(first.push(n, workflow))
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				first.await(id, "ended or cut off", func(r *runs.Run) bool {
					select {
					case <-cut:
						return true
					default:
						return r.Status.Ended()
					}
				})
			}()
			<-ended
			first.stop()
			second := start(t, db, repo, f)
			r := second.ended(id)
			if diff := cmp.Diff(want, second.states(id, 0)); diff != "" || r.Status != runs.Failure || r.Reason != "bad failed" {
				t.Errorf("after %d transactions: %s: %s; jobs (-want +got):\n%s", n, r.Status, r.Reason, diff)
			}
			for k, times := range f.did {
				if times != 1 {
					t.Errorf("after %d transactions: %s was done %d times", n, k, times)
				}
			}
			second.stop()
		}
	})
}

// TestTwoServers has two servers on one database drain many runs.
func TestTwoServers(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		repo, f := newRepository(), &floor{}
		one := start(t, db, repo, f)
		two := start(t, storetest.Again(t, db), repo, f)
		one.project()
		var ids []string
		for i := range 10 {
			s := one
			if i%2 == 1 {
				s = two
			}
			ids = append(ids, s.one(s.push(i+1, diamond)))
		}
		for _, id := range ids {
			if r := one.ended(id); r.Status != runs.Success {
				t.Errorf("%s ended as %s: %s", id, r.Status, r.Reason)
			}
		}
		if n := len(f.did); n != 50 {
			t.Errorf("%d jobs were done, not 50", n)
		}
		for k, times := range f.did {
			if times != 1 {
				t.Errorf("%s was done %d times", k, times)
			}
		}
	})
}

// BenchmarkDrain measures how fast queued trivial runs are brought to their end.
func BenchmarkDrain(b *testing.B) {
	db := storetest.Open(b)
	repo := newRepository()
	s := start(b, db, repo, nil)
	s.project()
	s.stop()
	const n = 200
	for b.Loop() {
		b.StopTimer()
		idle := start(b, db, repo, nil, func(o *runs.Options) { o.Active = 1 })
		idle.stop()
		var ids []string
		for range n {
			ids = append(ids, idle.one(idle.push(1, "on: push\njobs:\n  a: {runs-on: x, steps: [{run: \"true\"}]}\n")))
		}
		b.StartTimer()
		f := &floor{}
		s := start(b, db, repo, f)
		for _, id := range ids {
			s.ended(id)
		}
		b.StopTimer()
		s.stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "runs/s")
}
