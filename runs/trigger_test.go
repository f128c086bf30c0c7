package runs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/store"
)

const byPath = "on: {push: {paths: [src/**]}, pull_request: {paths: [src/**]}}\njobs:\n  a: {runs-on: x, steps: [{run: \"true\"}]}\n"

func TestTriggerPaths(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		repo := newRepository()
		s := start(t, db, repo, nil)
		s.project()
		repo.commit("refs/heads/main", sha(1), "one", map[string]string{file: byPath})
		repo.commit("refs/heads/new", sha(2), "two", map[string]string{file: byPath})
		repo.changed = map[string][]string{
			sha(9) + ".." + sha(1): {"README.md"}, sha(8) + ".." + sha(1): {"src/a.go"},
			sha(1) + "..." + sha(2): {"README.md"},
		}
		for _, tt := range []struct {
			name    string
			t       runs.Trigger
			started int
		}{
			{"a push of other files", runs.Trigger{Event: "push", Ref: "refs/heads/main", SHA: sha(1), Before: sha(9)}, 0},
			{"a push of these files", runs.Trigger{Event: "push", Ref: "refs/heads/main", SHA: sha(1), Before: sha(8)}, 1},
			{"a push after a commit that is not known", runs.Trigger{Event: "push", Ref: "refs/heads/main", SHA: sha(1), Before: sha(7)}, 1},
			{"a new default branch", runs.Trigger{Event: "push", Ref: "refs/heads/main", SHA: sha(1), Before: sha(0)}, 1},
			{"a new branch", runs.Trigger{Event: "push", Ref: "refs/heads/new", SHA: sha(2)}, 0},
			{"a pull request", runs.Trigger{Event: "pull_request", Action: "opened", Ref: "refs/pull/1/merge", SHA: sha(2), HeadRef: "new", BaseRef: "main", PullRequest: 1}, 0},
			{"a deleted branch", runs.Trigger{Event: "push", Ref: "refs/heads/new", SHA: sha(0), Before: sha(2)}, 0},
		} {
			tt.t.Project, tt.t.Actor, tt.t.ActorName = "shop", "forge:github", "bo"
			got, err := s.Trigger(t.Context(), tt.t)
			if err != nil || len(got.Runs) != tt.started || len(got.Runs)+len(got.NotStarted) != 1 {
				t.Errorf("%s: %+v, %v", tt.name, got, err)
			}
		}
	})
}

func TestTriggerOnce(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		repo := newRepository()
		s := start(t, db, repo, nil)
		s.project()
		repo.commit("refs/heads/main", sha(1), "one", map[string]string{file: diamond})
		tr := runs.Trigger{Project: "shop", Event: "push", Ref: "refs/heads/main", SHA: sha(1), Actor: "forge:github", ActorName: "bo", Delivery: "1"}
		type answer struct {
			ids string
			err error
		}
		answers := make(chan answer)
		for range 8 {
			go func() {
				got, err := s.Trigger(t.Context(), tr)
				if err != nil {
					answers <- answer{err: err}
					return
				}
				var ids []string
				for _, r := range got.Runs {
					ids = append(ids, r.ID)
				}
				answers <- answer{ids: strings.Join(ids, " ")}
			}()
		}
		seen := map[answer]bool{}
		for range 8 {
			seen[<-answers] = true
		}
		if len(seen) != 1 || seen[answer{}] {
			t.Errorf("one delivery was answered by %v", seen)
		}
		if ok, err := s.Seen(t.Context(), "shop", "1"); !ok || err != nil {
			t.Errorf("the delivery was not seen: %v", err)
		}
		tr.Delivery = "2" // as the poll tells of the same push
		if got, err := s.Trigger(t.Context(), tr); err != nil || len(got.Runs) != 0 || got.NotStarted[0].Reason != "this push was taken before" {
			t.Errorf("another report of the same push: %+v, %v", got, err)
		}
	})
}

func TestTriggerRefusals(t *testing.T) {
	const manual = `
on:
  workflow_dispatch: {inputs: {level: {type: choice, options: [low, high]}, n: {type: number}}}
jobs:
  a: {runs-on: x, steps: [{run: "true"}]}
`
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		repo := newRepository()
		s := start(t, db, repo, nil)
		s.project()
		repo.commit("refs/heads/main", sha(1), "one", map[string]string{file: manual})
		tr := runs.Trigger{Project: "shop", Event: "manual", Actor: ann.Actor, ActorName: ann.Name, File: file}
		var wrong *runs.InvalidError
		for _, tt := range []struct {
			field  string
			change func(*runs.Trigger)
		}{
			{"event", func(t *runs.Trigger) { t.Event = "workflow_dispatch" }},
			{"actor", func(t *runs.Trigger) { t.Actor = "" }},
			{"ref", func(t *runs.Trigger) { t.Ref = "--upload-pack=x" }},
			{"sha", func(t *runs.Trigger) { t.SHA = "a..b" }},
			{"file", func(t *runs.Trigger) { t.File = "none.yml" }},
			{"inputs.level", func(t *runs.Trigger) { t.Inputs = map[string]string{"level": "\x00"} }},
			{"inputs", func(t *runs.Trigger) { t.Inputs = map[string]string{"level": "middle"} }},
		} {
			bad := tr
			tt.change(&bad)
			if _, err := s.Trigger(ctx, bad); !errors.As(err, &wrong) || wrong.Field != tt.field {
				t.Errorf("%s: %v", tt.field, err)
			}
		}
		tr.Project = "other"
		if _, err := s.Trigger(ctx, tr); !errors.Is(err, runs.ErrNotFound) {
			t.Errorf("a project that is not there: %v", err)
		}
		tr.Project, tr.Inputs = "shop", map[string]string{"level": "high", "n": "3"}
		got, err := s.Trigger(ctx, tr)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tr.Inputs, got.Runs[0].Inputs); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSkipMarks(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		repo := newRepository()
		s := start(t, db, repo, nil)
		s.project()
		for i, tt := range []struct {
			message string
			skipped bool
		}{
			{"Mend it", false},
			{"Mend it [skip ci]", true},
			{"Mend it\n\nas asked [No CI]", true},
			{"[actions skip] x", true},
			{"skip ci", false},
			{"Mend it\n\n\nskip-checks: true", true},
			{"Mend it\n\n\nSigned-off-by: bo\nskip-checks:true\n", true},
			{"Mend it\n\nskip-checks: false", false},
			{"skip-checks: true", false},
		} {
			repo.commit("refs/heads/main", sha(i+1), tt.message, map[string]string{file: diamond})
			for event, want := range map[string]bool{"push": !tt.skipped, "manual": true} {
				got, err := s.Trigger(t.Context(), runs.Trigger{Project: "shop", Event: event, Ref: "refs/heads/main", SHA: sha(i + 1), Actor: "x"})
				if err != nil || (len(got.Runs) == 1) != want {
					t.Errorf("%q, %s: %+v, %v", tt.message, event, got, err)
				}
			}
		}
	})
}

func TestPaused(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		s := start(t, db, newRepository(), nil)
		s.project(func(p *runs.Project) { p.Paused = true })
		if got := s.push(1, diamond); len(got.Runs) != 0 || got.NotStarted[0].Reason != "the project is paused" {
			t.Errorf("a push started %+v", got)
		}
		got, err := s.Trigger(t.Context(), runs.Trigger{Project: "shop", Event: "manual", Actor: ann.Actor})
		if err != nil || len(got.Runs) != 1 {
			t.Errorf("a person started %+v, %v", got, err)
		}
	})
}

func TestLists(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		s := start(t, db, newRepository(), nil)
		s.project()
		for i := range 5 {
			s.push(i+1, diamond)
		}
		numbers := func(q runs.RunQuery) string {
			page, err := s.Runs(ctx, q)
			if err != nil {
				return err.Error()
			}
			var out []string
			for _, r := range page.Items {
				out = append(out, fmt.Sprint(r.Number))
			}
			if page.Next != "" {
				q.After = page.Next
				rest, err := s.Runs(ctx, q)
				if err != nil {
					return err.Error()
				}
				out = append(out, "|")
				for _, r := range rest.Items {
					out = append(out, fmt.Sprint(r.Number))
				}
			}
			return strings.Join(out, " ")
		}
		for _, tt := range []struct {
			q    runs.RunQuery
			want string
		}{
			{runs.RunQuery{}, "5 4 3 2 1"},
			{runs.RunQuery{ListOptions: runs.ListOptions{Limit: 3}}, "5 4 3 | 2 1"},
			{runs.RunQuery{Projects: []string{}}, ""},
			{runs.RunQuery{Projects: []string{"shop", "other"}, SHA: strings.ToUpper(sha(3))}, "3"},
			{runs.RunQuery{Branch: "main", Event: "push", File: file, Actor: "Ann", Status: []runs.Status{runs.Queued, runs.Running}, Text: "change THINGS"}, "5 4 3 2 1"},
			{runs.RunQuery{Text: "100%"}, ""},
			{runs.RunQuery{Text: "_"}, ""},
			{runs.RunQuery{Branch: "x"}, ""},
			{runs.RunQuery{Actor: bo.Actor}, ""},
			{runs.RunQuery{PullRequest: 3}, ""},
			{runs.RunQuery{Status: []runs.Status{"red"}}, "status must be one of pending, queued, waiting, running, success, failure, cancelled, skipped"},
			{runs.RunQuery{ListOptions: runs.ListOptions{Limit: 201}}, "limit must be from 1 to 200"},
			{runs.RunQuery{ListOptions: runs.ListOptions{After: "x"}}, "after is no place in this list"},
		} {
			if got := numbers(tt.q); got != tt.want {
				t.Errorf("%+v: %s, want %s", tt.q, got, tt.want)
			}
		}
		for _, id := range []string{"", "x", "-1", "007", "1", "99999999999999999999"} {
			if _, err := s.Run(ctx, id); !errors.Is(err, runs.ErrNotFound) {
				t.Errorf("run %q: %v", id, err)
			}
		}
	})
}
