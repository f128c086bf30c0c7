package runs_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/store"
)

func TestProjects(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		s := start(t, db, newRepository(), nil)
		made := s.project()
		if made.Name != "shop" || made.Version != 1 || made.CreatedAt.IsZero() {
			t.Errorf("made %+v", made)
		}
		if _, err := s.CreateProject(ctx, ann, *made); !isConflict(err) {
			t.Errorf("made twice: %v", err)
		}
		made.Name = "The shop"
		next, err := s.UpdateProject(ctx, bo, *made)
		if err != nil || next.Version != 2 || next.Name != "The shop" {
			t.Errorf("updated to %+v, %v", next, err)
		}
		if _, err := s.UpdateProject(ctx, bo, *made); !isConflict(err) {
			t.Errorf("an update of an old version: %v", err)
		}
		yes := true
		if next, err = s.SetForgeSecrets(ctx, ann, "shop", &yes, nil); err != nil || !next.Forge.HasToken || next.Forge.HasWebhookSecret {
			t.Errorf("with a token: %+v, %v", next, err)
		}
		next.Forge.HasToken = false
		if next, err = s.UpdateProject(ctx, ann, *next); err != nil || !next.Forge.HasToken {
			t.Errorf("an update has cleared the token: %+v, %v", next, err)
		}
		page, err := s.Projects(ctx, []string{"shop", "other"}, runs.ListOptions{})
		if err != nil || len(page.Items) != 1 {
			t.Errorf("%+v, %v", page, err)
		}
		if page, err = s.Projects(ctx, []string{}, runs.ListOptions{}); err != nil || len(page.Items) != 0 {
			t.Errorf("no projects are %+v, %v", page, err)
		}
		events, err := db.Events(ctx, store.EventQuery{Types: []string{"project"}})
		if err != nil {
			t.Fatal(err)
		}
		var types []string
		for _, e := range events {
			types = append(types, e.Type+" "+e.Actor)
		}
		if diff := cmp.Diff([]string{"project.created account:ann", "project.updated account:bo", "project.updated account:ann", "project.updated account:ann"}, types); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestDeleteProject(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		f := &floor{outcome: blocking}
		s := start(t, db, newRepository(), f)
		s.project()
		id := s.one(s.push(1, "on: push\njobs:\n  long: {runs-on: x, steps: [{run: \"true\"}]}\n"))
		s.await(id, "running a job", func(r *runs.Run) bool { return r.Jobs[runs.Running] == 1 })
		if err := s.DeleteProject(ctx, ann, "shop"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Project(ctx, "shop"); !errors.Is(err, runs.ErrNotFound) {
			t.Errorf("a deleted project: %v", err)
		}
		for { // until nothing is left of it, its ID is taken
			_, err := s.CreateProject(ctx, ann, runs.Project{ID: "shop", Source: runs.Source{URL: "https://example.com/x"}})
			if err == nil {
				break
			}
			if !isConflict(err) {
				t.Fatal(err)
			}
		}
		if _, err := s.Run(ctx, id); !errors.Is(err, runs.ErrNotFound) {
			t.Errorf("its run: %v", err)
		}
	})
}

func TestInvalid(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		s := start(t, db, newRepository(), nil)
		s.project()
		project := func(change func(*runs.Project)) error {
			p := runs.Project{ID: "new", Source: runs.Source{URL: "https://example.com/x"}}
			change(&p)
			_, err := s.CreateProject(ctx, ann, p)
			return err
		}
		environment := func(e runs.Environment) error {
			e.Project = "shop"
			_, err := s.PutEnvironment(ctx, ann, e)
			return err
		}
		variable := func(v runs.Variable) error {
			v.Project = "shop"
			_, err := s.PutVariable(ctx, ann, v)
			return err
		}
		for _, tt := range []struct {
			field string
			err   error
		}{
			{"id", project(func(p *runs.Project) { p.ID = "A" })},
			{"id", project(func(p *runs.Project) { p.ID = strings.Repeat("a", 65) })},
			{"name", project(func(p *runs.Project) { p.Name = "a\nb" })},
			{"source.url", project(func(p *runs.Project) { p.Source.URL = "" })},
			{"source.url", project(func(p *runs.Project) { p.Source.URL = "ext::sh -c x" })},
			{"source.url", project(func(p *runs.Project) { p.Source.URL = "--upload-pack=x" })},
			{"source.url", project(func(p *runs.Project) { p.Source.URL = "https://a:b@example.com/x" })},
			{"source.url", project(func(p *runs.Project) { p.Source.URL = "gopher://example.com/x" })},
			{"source.path", project(func(p *runs.Project) { p.Source.Path = "a/../../b" })},
			{"source.default_branch", project(func(p *runs.Project) { p.Source.DefaultBranch = "a b" })},
			{"forge.kind", project(func(p *runs.Project) { p.Forge.Kind = "cvs" })},
			{"forge.repository", project(func(p *runs.Project) { p.Forge.Kind = "github" })},
			{"forge.base_url", project(func(p *runs.Project) { p.Forge.BaseURL = "file:///x" })},
			{"poll_seconds", project(func(p *runs.Project) { p.Poll = 1 })},
			{"retention.logs_days", project(func(p *runs.Project) { p.Retention.Logs = -1 })},
			{"name", environment(runs.Environment{Name: ""})},
			{"approvals", environment(runs.Environment{Name: "a", Approvals: 21})},
			{"approvals", environment(runs.Environment{Name: "a", Approvals: 2, Approvers: []string{"bo"}})},
			{"approvers[1]", environment(runs.Environment{Name: "a", Approvers: []string{"bo", "BO"}})},
			{"refs[0]", environment(runs.Environment{Name: "a", Refs: []string{"main"}})},
			{"wait_minutes", environment(runs.Environment{Name: "a", Wait: 50000})},
			{"name", variable(runs.Variable{Name: "1A"})},
			{"name", variable(runs.Variable{Name: "github_x"})},
			{"value", variable(runs.Variable{Name: "A", Value: strings.Repeat("x", 50000)})},
			{"value", variable(runs.Variable{Name: "A", Value: "\x00"})},
		} {
			var wrong *runs.InvalidError
			if !errors.As(tt.err, &wrong) || wrong.Field != tt.field {
				t.Errorf("%s: %v", tt.field, tt.err)
			}
		}
	})
}

func TestSettings(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		s := start(t, db, newRepository(), nil)
		s.project()
		for _, e := range []runs.Environment{{Name: "Prod", Approvals: 1}, {Name: "test"}, {Name: "PROD", Approvals: 2, Approvers: []string{"ann", "bo"}}} {
			e.Project = "shop"
			if _, err := s.PutEnvironment(ctx, ann, e); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.Environments(ctx, "shop")
		if err != nil || len(list) != 2 || list[0].Name != "PROD" || list[0].Approvals != 2 {
			t.Errorf("%+v, %v", list, err)
		}
		for _, v := range []runs.Variable{{Name: "A", Value: "1"}, {Name: "a", Value: "2"}, {Name: "A", Value: "3", Environment: "Prod"}} {
			v.Project = "shop"
			if _, err := s.PutVariable(ctx, ann, v); err != nil {
				t.Fatal(err)
			}
		}
		vars, err := s.Variables(ctx, "shop")
		want := []runs.Variable{{Project: "shop", Name: "a", Value: "2"}, {Project: "shop", Environment: "prod", Name: "A", Value: "3"}}
		if diff := cmp.Diff(want, vars, cmpopts.IgnoreFields(runs.Variable{}, "UpdatedAt")); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if err := s.DeleteEnvironment(ctx, ann, "shop", "prod"); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteEnvironment(ctx, ann, "shop", "prod"); !errors.Is(err, runs.ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if err := s.DeleteVariable(ctx, ann, "shop", "", "A"); err != nil {
			t.Fatal(err)
		}
		if vars, err := s.Variables(ctx, "shop"); err != nil || len(vars) != 0 {
			t.Errorf("%+v, %v", vars, err)
		}
	})
}

func TestDeliveries(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		s := start(t, db, newRepository(), nil)
		s.project()
		for _, d := range []runs.Delivery{
			{ID: "1", Event: "push", Outcome: "refused", Reason: "signature"},
			{ID: "1", Event: "push", Outcome: "started", Runs: []string{"5"}},
			{ID: "1", Event: "push", Outcome: "refused", Reason: "seen"},
			{ID: "2\x00\xff", Event: strings.Repeat("é", 400), Outcome: "ignored"},
		} {
			d.Project = "shop"
			if err := s.RecordDelivery(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
		list, err := s.Deliveries(ctx, "shop")
		if err != nil || len(list) != 2 || list[0].Runs == nil || list[1].Outcome != "started" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
