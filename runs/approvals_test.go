package runs_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/store"
)

const deploy = `
on: [push, workflow_dispatch]
jobs:
  build: {runs-on: x, steps: [{run: "true"}]}
  deploy: {runs-on: x, needs: build, environment: prod, steps: [{run: "true"}]}
`

func isConflict(err error) bool { return errors.Is(err, runs.ErrConflict) }

func isForbidden(err error) bool { return errors.As(err, new(*runs.ForbiddenError)) }

// waiting waits until a run waits for an approval, and returns it.
func (s *server) waiting(id string) runs.Approval {
	s.t.Helper()
	s.await(id, "waiting", func(r *runs.Run) bool { return r.Status == runs.Waiting })
	page, err := s.Approvals(s.t.Context(), runs.ApprovalQuery{Run: id, Status: []runs.Status{runs.Waiting}})
	if err != nil || len(page.Items) != 1 {
		s.t.Fatalf("approvals: %+v, %v", page, err)
	}
	return page.Items[0]
}

func (s *server) environment(e runs.Environment) {
	s.t.Helper()
	e.Project, e.Name = "shop", "Prod"
	if _, err := s.PutEnvironment(s.t.Context(), ann, e); err != nil {
		s.t.Fatal(err)
	}
}

func TestApproval(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		repo, f := newRepository(), &floor{}
		s := start(t, db, repo, f)
		s.project()
		s.environment(runs.Environment{Approvals: 2, NotStarter: true, Approvers: []string{"ann", "bo", "cy"}})
		id := s.one(s.push(1, deploy))
		a := s.waiting(id)
		if a.Required != 2 || a.Environment != "Prod" || a.JobName != "deploy" || a.RunTitle != "Change things" || a.StartedBy != "Ann" {
			t.Errorf("the approval is %+v", a)
		}
		token := runs.By{Actor: "token:1", Name: "Ann's token", Account: "ann"}
		for _, by := range []runs.By{ann, token, {Actor: "token:9", Name: "robot"}, {Actor: "account:di", Name: "Di", Account: "di"}} {
			if _, err := s.Decide(ctx, by, a.ID, true, ""); !isForbidden(err) {
				t.Errorf("%s decided: %v", by.Actor, err)
			}
		}
		if got, err := s.Decide(ctx, bo, a.ID, true, "looks good"); err != nil || got.Status != runs.Waiting || len(got.Decisions) != 1 {
			t.Errorf("the first approval: %+v, %v", got, err)
		}
		if _, err := s.Decide(ctx, runs.By{Actor: "token:2", Account: "bo"}, a.ID, true, ""); !isConflict(err) {
			t.Errorf("one person approved twice: %v", err)
		}
		// The server goes, and another one finds the approval as it was.
		s.stop()
		s = start(t, db, repo, f)
		if got, err := s.Decide(ctx, cy, a.ID, true, ""); err != nil || got.Status != runs.Success {
			t.Errorf("the second approval: %+v, %v", got, err)
		}
		if r := s.ended(id); r.Status != runs.Success {
			t.Errorf("the run ended as %s: %s", r.Status, r.Reason)
		}
		if _, err := s.Decide(ctx, cy, a.ID, false, ""); !isConflict(err) {
			t.Errorf("a decision after the end: %v", err)
		}
		if diff := cmp.Diff([]string{"build×1", "deploy×1"}, f.ran()); diff != "" {
			t.Errorf("what ran (-want +got):\n%s", diff)
		}
	})
}

func TestRejection(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		s := start(t, db, newRepository(), &floor{})
		s.project()
		s.environment(runs.Environment{Approvals: 1})
		id := s.one(s.push(1, deploy))
		if _, err := s.Decide(ctx, bo, s.waiting(id).ID, false, "not on a Friday"); err != nil {
			t.Fatal(err)
		}
		r := s.ended(id)
		if diff := cmp.Diff([]string{"build=success", "deploy=failure"}, s.states(id, 0)); diff != "" || r.Status != runs.Failure {
			t.Errorf("the run is %s, jobs (-want +got):\n%s", r.Status, diff)
		}
		list, err := s.Jobs(ctx, id, 0)
		if err != nil || list[1].Reason != "rejected by Bo" {
			t.Errorf("%+v, %v", list, err)
		}
		// Another attempt asks anew.
		if _, err := s.Rerun(ctx, ann, id, runs.RerunFailed, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Decide(ctx, bo, s.waiting(id).ID, true, ""); err != nil {
			t.Fatal(err)
		}
		if r := s.ended(id); r.Status != runs.Success || r.Attempt != 2 {
			t.Errorf("the second attempt is %+v", r)
		}
	})
}

func TestCancelWhileWaiting(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newRepository(), &floor{})
		s.project()
		s.environment(runs.Environment{Approvals: 1})
		id := s.one(s.push(1, deploy))
		a := s.waiting(id)
		if _, err := s.Cancel(t.Context(), ann, id, false); err != nil {
			t.Fatal(err)
		}
		if r := s.ended(id); r.Status != runs.Cancelled {
			t.Errorf("the run ended as %s: %s", r.Status, r.Reason)
		}
		got, err := s.Approval(t.Context(), a.ID)
		if err != nil || got.Status != runs.Cancelled {
			t.Errorf("the approval is %+v, %v", got, err)
		}
	})
}

func TestRefs(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newRepository(), &floor{})
		s.project()
		s.environment(runs.Environment{Refs: []string{"refs/heads/release/*"}})
		id := s.one(s.push(1, deploy))
		s.ended(id)
		list, err := s.Jobs(t.Context(), id, 0)
		if err != nil || list[1].Status != runs.Failure || !strings.Contains(list[1].Reason, "refs/heads/main may not deploy") {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// TestWaits has a clock of its own: an approval that expires, and a time to wait.
func TestWaits(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newRepository(), &floor{})
		s.project()
		s.environment(runs.Environment{Wait: 1})
		id := s.one(s.push(1, deploy))
		s.await(id, "waiting", func(r *runs.Run) bool { return r.Status == runs.Waiting })
		page, err := s.Approvals(t.Context(), runs.ApprovalQuery{Run: id})
		if err != nil || len(page.Items) != 0 {
			t.Errorf("a time to wait is an approval: %+v, %v", page, err)
		}
		list, err := s.Jobs(t.Context(), id, 0)
		if err != nil || list[1].Status != runs.Waiting || !strings.HasPrefix(list[1].Reason, "waits until ") {
			t.Errorf("%+v, %v", list, err)
		}
		until, err := time.Parse(time.RFC3339, strings.TrimPrefix(list[1].Reason, "waits until "))
		if err != nil || time.Until(until) > time.Minute {
			t.Errorf("it waits until %v, %v", until, err)
		}
	})
}
