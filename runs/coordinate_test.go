package runs_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

const diamond = `
on: [push, workflow_dispatch]
jobs:
  a: {runs-on: x, steps: [{run: "true"}]}
  b: {runs-on: x, needs: a, steps: [{run: "true"}]}
  c: {runs-on: x, needs: a, strategy: {matrix: {v: [1, 2]}}, steps: [{run: "true"}]}
  d: {runs-on: x, needs: [b, c], steps: [{run: "true"}]}
  never: {runs-on: x, if: "false", steps: [{run: "true"}]}
`

func TestRun(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		f := &floor{}
		s := start(t, db, newRepository(), f)
		s.project()
		id := s.one(s.push(1, diamond))
		r := s.ended(id)
		if r.Status != runs.Success || r.Number != 1 || r.Attempt != 1 || r.Branch != "main" || r.Title != "Change things" || r.StartedBy != "Ann" {
			t.Errorf("the run ended as %+v", r)
		}
		if diff := cmp.Diff(map[runs.Status]int{runs.Success: 5, runs.Skipped: 1}, r.Jobs); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"a=success", "b=success", "c (1)=success", "c (2)=success", "d=success", "never=skipped"}, s.states(id, 0)); diff != "" {
			t.Errorf("jobs (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"a×1", "b×1", "c (1)×1", "c (2)×1", "d×1"}, f.ran()); diff != "" {
			t.Errorf("what ran (-want +got):\n%s", diff)
		}
		types := s.types(id)
		if types[0] != "run.queued" || types[len(types)-1] != "run.finished" || !slices.Contains(types, "run.started") {
			t.Errorf("events: %v", types)
		}
		if second := s.push(2, diamond); second.Runs[0].Number != 2 || second.Runs[0].ID <= id {
			t.Errorf("the second run is %+v", second.Runs[0])
		} else {
			s.ended(second.Runs[0].ID)
		}
	})
}

func TestOutputsAndFailure(t *testing.T) {
	const workflow = `
on: push
jobs:
  a: {runs-on: x, outputs: {v: "1"}, steps: [{run: "true"}]}
  b: {runs-on: x, needs: a, if: "needs.a.outputs.v == 'yes'", steps: [{run: "true"}]}
  c: {runs-on: x, needs: b, steps: [{run: "true"}]}
  last: {runs-on: x, needs: c, if: always(), steps: [{run: "true"}]}
  wrong: {runs-on: x, if: "fromJSON('{')", steps: [{run: "true"}]}
`
	each(t, func(t *testing.T, db *store.DB) {
		f := &floor{outcome: func(_ context.Context, task *jobs.Task) runner.Outcome {
			switch task.Assignment.ID {
			case "a":
				return runner.Outcome{Status: pipeline.Success, Outputs: pipeline.NewMap("v", "yes")}
			case "b":
				return runner.Outcome{Status: pipeline.Failure, Reason: "exit code 1"}
			}
			return runner.Outcome{Status: pipeline.Success}
		}}
		s := start(t, db, newRepository(), f)
		s.project()
		id := s.one(s.push(1, workflow))
		r := s.ended(id)
		if r.Status != runs.Failure || r.Reason != "b, wrong failed" {
			t.Errorf("the run ended as %s: %s", r.Status, r.Reason)
		}
		if diff := cmp.Diff([]string{"a=success", "b=failure", "c=skipped", "last=success", "wrong=failure"}, s.states(id, 0)); diff != "" {
			t.Errorf("jobs (-want +got):\n%s", diff)
		}
		annotations, err := s.Annotations(t.Context(), id, 1)
		if err != nil || len(annotations) != 1 || annotations[0].File != file || annotations[0].Line != 8 {
			t.Errorf("annotations: %+v, %v", annotations, err)
		}
	})
}

func TestFill(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		f := &floor{}
		s := start(t, db, newRepository(), f)
		s.project(func(p *runs.Project) { p.Source.Path = "services/shop" })
		for _, v := range []runs.Variable{{Name: "WHERE", Value: "everywhere"}, {Name: "Where", Value: "in test", Environment: "Test"}, {Name: "ELSE", Value: "x", Environment: "prod"}} {
			v.Project = "shop"
			if _, err := s.PutVariable(t.Context(), ann, v); err != nil {
				t.Fatal(err)
			}
		}
		const workflow = "on: [push, pull_request]\njobs:\n  a: {runs-on: x, environment: test, steps: [{run: \"true\"}]}\n"
		s.ended(s.one(s.push(1, workflow)))
		task := f.tasks[0]
		if diff := cmp.Diff(map[string]string{"Where": "in test"}, task.Vars); diff != "" && task.Vars["WHERE"] != "in test" {
			t.Errorf("variables (-want +got):\n%s", diff)
		}
		if task.Secrets["TOKEN"] != "shop/test" || task.SHA != sha(1) || task.Path != "services/shop" || task.File != file {
			t.Errorf("the task is %+v", task)
		}
		if task.Facts.ID == "" || task.Facts.Number != 1 || task.Facts.Attempt != 1 || task.Facts.Event.Name != "push" || task.Facts.Token != "" {
			t.Errorf("the facts are %+v", task.Facts)
		}
		s.repo.commit("refs/pull/7/head", sha(2), "From elsewhere", map[string]string{file: workflow})
		started, err := s.Trigger(t.Context(), runs.Trigger{
			Project: "shop", Event: "pull_request", Action: "opened", Ref: "refs/pull/7/merge", SHA: sha(2), PullRequest: 7, HeadRef: "better", BaseRef: "main", Fork: true,
			Actor: "forge:github", ActorName: "cy",
		})
		if err != nil {
			t.Fatal(err)
		}
		r := s.ended(s.one(started))
		if r.Branch != "better" || r.PullRequest != 7 {
			t.Errorf("the run is %+v", r)
		}
		if task := f.tasks[1]; task.Secrets != nil {
			t.Errorf("a fork's job got the secrets %v", task.Secrets)
		}
	})
}

// blocking is an outcome that lasts until the job is cancelled, for jobs named so.
func blocking(ctx context.Context, task *jobs.Task) runner.Outcome {
	if strings.HasPrefix(task.Assignment.Key, "long") {
		<-ctx.Done()
		return runner.Outcome{Status: pipeline.Cancelled, Reason: "told to"}
	}
	return runner.Outcome{Status: pipeline.Success}
}

func TestCancel(t *testing.T) {
	const workflow = `
on: push
jobs:
  long: {runs-on: x, steps: [{run: "true"}]}
  after: {runs-on: x, needs: long, steps: [{run: "true"}]}
  cleanup: {runs-on: x, needs: long, if: always(), steps: [{run: "true"}]}
`
	each(t, func(t *testing.T, db *store.DB) {
		f := &floor{outcome: blocking}
		s := start(t, db, newRepository(), f)
		s.project()
		for _, kill := range []bool{false, true} {
			id := s.one(s.push(1, workflow))
			s.await(id, "running a job", func(r *runs.Run) bool { return r.Jobs[runs.Running] == 1 })
			r, err := s.Cancel(t.Context(), bo, id, kill)
			if err != nil || !r.Cancelling {
				t.Fatalf("cancel: %+v, %v", r, err)
			}
			r = s.ended(id)
			if r.Status != runs.Cancelled || r.Reason != "the run was cancelled by Bo" || r.Cancelling {
				t.Errorf("kill %v: the run ended as %s: %s", kill, r.Status, r.Reason)
			}
			want := []string{"long=cancelled", "after=cancelled", "cleanup=success"}
			if kill {
				want[2] = "cleanup=cancelled"
			}
			if diff := cmp.Diff(want, s.states(id, 0)); diff != "" {
				t.Errorf("kill %v: jobs (-want +got):\n%s", kill, diff)
			}
			if _, err := s.Cancel(t.Context(), bo, id, false); !isConflict(err) {
				t.Errorf("a second cancel: %v", err)
			}
		}
	})
}

// TestCancelBefore cancels runs that nobody coordinates yet, and one whose server has gone meanwhile.
func TestCancelBefore(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		repo, f := newRepository(), &floor{outcome: blocking}
		s := start(t, db, repo, f)
		s.project()
		const workflow = "on: push\njobs:\n  long: {runs-on: x, steps: [{run: \"true\"}]}\n  clean: {runs-on: x, needs: long, if: always(), steps: [{run: \"true\"}]}\n"
		started := s.one(s.push(1, workflow))
		s.await(started, "running a job", func(r *runs.Run) bool { return r.Jobs[runs.Running] == 1 })
		s.stop()
		idle := s.one(s.push(2, workflow))
		for _, id := range []string{started, idle} {
			if _, err := s.Cancel(t.Context(), ann, id, false); err != nil {
				t.Fatal(err)
			}
		}
		next := start(t, db, repo, f)
		for _, id := range []string{started, idle} {
			if r := next.ended(id); r.Status != runs.Cancelled {
				t.Errorf("the run ended as %s: %s", r.Status, r.Reason)
			}
			if diff := cmp.Diff([]string{"long=cancelled", "clean=success"}, next.states(id, 0)); diff != "" {
				t.Errorf("jobs (-want +got):\n%s", diff)
			}
		}
	})
}

func TestBrokenFile(t *testing.T) {
	const broken = "on: push\njobs:\n  a: {runs-on: x, needs: nobody, steps: [{run: \"true\"}]}\n"
	each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newRepository(), nil)
		s.project()
		r := s.push(1, broken).Runs[0]
		if r.Status != runs.Failure || !strings.Contains(r.Reason, file+":3:") {
			t.Errorf("the run of a broken file is %s: %s", r.Status, r.Reason)
		}
		if diff := cmp.Diff([]string{"run.queued", "run.finished"}, s.types(r.ID)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}
