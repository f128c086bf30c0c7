package runs_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

func TestRerun(t *testing.T) {
	const workflow = `
on: push
jobs:
  a: {runs-on: x, outputs: {v: "1"}, steps: [{run: "true"}]}
  b: {runs-on: x, needs: a, if: "needs.a.outputs.v == 'yes'", steps: [{run: "true"}]}
  c: {runs-on: x, needs: b, steps: [{run: "true"}]}
  other: {runs-on: x, steps: [{run: "true"}]}
`
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		var fail atomic.Bool
		fail.Store(true)
		f := &floor{outcome: func(_ context.Context, task *jobs.Task) runner.Outcome {
			if task.Assignment.ID == "b" && fail.Load() {
				return runner.Outcome{Status: pipeline.Failure}
			}
			return runner.Outcome{Status: pipeline.Success, Outputs: pipeline.NewMap("v", "yes")}
		}}
		s := start(t, db, newRepository(), f)
		s.project()
		id := s.one(s.push(1, workflow))
		s.ended(id)
		fail.Store(false)
		attempt := 1
		for _, tt := range []struct {
			mode runs.RerunMode
			job  string
			ran  []string // in this attempt
		}{
			{runs.RerunFailed, "", []string{"b", "c"}},
			{runs.RerunJob, "B", []string{"b", "c"}},
			{runs.RerunJob, "other", []string{"other"}},
			{runs.RerunAll, "", []string{"a", "b", "c", "other"}},
		} {
			f.mu.Lock()
			f.did = nil
			f.mu.Unlock()
			r, err := s.Rerun(ctx, bo, id, tt.mode, tt.job)
			if err != nil {
				t.Fatal(err)
			}
			if attempt++; r.Attempt != attempt || r.Status != runs.Queued {
				t.Errorf("%s %s: %+v", tt.mode, tt.job, r)
			}
			if r := s.ended(id); r.Status != runs.Success || r.Jobs[runs.Success] != 4 {
				t.Errorf("%s %s ended as %+v", tt.mode, tt.job, r)
			}
			want := make([]string, len(tt.ran))
			for i, path := range tt.ran {
				want[i] = path + "×1"
			}
			if diff := cmp.Diff(want, f.ran()); diff != "" {
				t.Errorf("%s %s: what ran (-want +got):\n%s", tt.mode, tt.job, diff)
			}
		}
		if last := f.tasks[len(f.tasks)-1]; last.Facts.Attempt != attempt {
			t.Errorf("the facts have attempt %d, not %d", last.Facts.Attempt, attempt)
		}
		if diff := cmp.Diff([]string{"a=success", "b=failure", "c=skipped", "other=success"}, s.states(id, 1)); diff != "" {
			t.Errorf("the first attempt (-want +got):\n%s", diff)
		}
		var wrong *runs.InvalidError
		if _, err := s.Rerun(ctx, bo, id, runs.RerunFailed, ""); !isConflict(err) {
			t.Errorf("nothing failed: %v", err)
		}
		if _, err := s.Rerun(ctx, bo, id, runs.RerunJob, "nobody"); !errors.As(err, &wrong) || wrong.Field != "job" {
			t.Errorf("no such job: %v", err)
		}
		if _, err := s.Rerun(ctx, bo, id, "some", ""); !errors.As(err, &wrong) || wrong.Field != "mode" {
			t.Errorf("no such mode: %v", err)
		}
		if err := s.DeleteRun(ctx, bo, id); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Run(ctx, id); !errors.Is(err, runs.ErrNotFound) {
			t.Errorf("a deleted run: %v", err)
		}
	})
}
