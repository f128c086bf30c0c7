package auth

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	expast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

var update = flag.Bool("update", false, "write the golden files")

// validator reads the schema.
func validator(t *testing.T) *validate.Validator {
	t.Helper()
	text, err := os.ReadFile("schema.cedarschema")
	if err != nil {
		t.Fatal(err)
	}
	var s schema.Schema
	s.SetFilename("schema.cedarschema")
	if err := s.UnmarshalCedar(text); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	for uid := range r.Actions {
		if _, ok := actions[Action(uid.ID)]; !ok {
			t.Errorf("the schema has the action %s, the code has not", uid.ID)
		}
	}
	for a := range actions {
		if _, ok := r.Actions[types.NewEntityUID(typeAction, types.String(a))]; !ok {
			t.Errorf("the code has the action %s, the schema has not", a)
		}
	}
	return validate.New(r, validate.WithStrict())
}

// TestPoliciesFitSchema finds names that are mistyped in a policy: they would decide nothing.
func TestPoliciesFitSchema(t *testing.T) {
	v := validator(t)
	list, err := cedar.NewPolicyListFromBytes("policies.cedar", policyText)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if err := v.Policy(string(p.Annotations()["id"]), (*expast.Policy)(p.AST())); err != nil {
			t.Errorf("%s: %v", p.Annotations()["id"], err)
		}
	}
}

// TestQuestionsFitSchema holds what the code asks to the schema.
func TestQuestionsFitSchema(t *testing.T) {
	v := validator(t)
	for _, id := range []*Identity{
		{Kind: KindAccount, Account: "ann", Grants: []Grant{{"web", Developer}, {AllProjects, Viewer}}},
		{Kind: KindToken, Account: "ann", Scopes: []string{"run"}, Projects: []string{"web"}},
		{Kind: KindRunner, Runner: "r1"},
	} {
		j := newJudge(id, "web")
		for a := range actions {
			if err := v.Request(j.request(a)); err != nil {
				t.Errorf("%s, %s: %v", id.Kind, a, err)
			}
		}
		if err := v.Entity(j.principal); err != nil {
			t.Errorf("%s: %v", id.Kind, err)
		}
		for _, uid := range []types.EntityUID{server, types.NewEntityUID(typeProject, "web")} {
			e, ok := j.Get(uid)
			if !ok {
				t.Fatalf("there is no %s", uid)
			}
			if err := v.Entity(e); err != nil {
				t.Errorf("%s: %v", uid, err)
			}
		}
	}
}

func TestActionsAreComplete(t *testing.T) {
	project, ofServer := Actions()
	if n := len(project) + len(ofServer); n != len(actions) {
		t.Errorf("Actions has %d, the map %d", n, len(actions))
	}
	for _, a := range project {
		if of, ok := actions[a]; !ok || of {
			t.Errorf("%s is not an action on a project", a)
		}
	}
	for _, a := range ofServer {
		if !actions[a] {
			t.Errorf("%s is not an action on the server", a)
		}
	}
}

// TestMatrix holds the golden table of what each role may, on the project it is for, on another, and on the server.
func TestMatrix(t *testing.T) {
	var b strings.Builder
	project, ofServer := Actions()
	fmt.Fprintf(&b, "What each role may do: p with a grant on the project, s with a grant on the server (*).\n\n%-18s", "")
	for _, r := range Roles() {
		fmt.Fprintf(&b, "%-11s", r)
	}
	fmt.Fprintf(&b, "%-11s%s\n", "no grant", "runner")
	for _, a := range slices.Concat(project, ofServer) {
		fmt.Fprintf(&b, "%-18s", a)
		cell := func(id func(project string) *Identity) {
			text := ""
			at := place(a, "web")
			if newJudge(id("web"), at).allows(a) {
				text += "p"
			}
			if newJudge(id("other"), "web").allows(a) && !actions[a] {
				t.Errorf("a grant on another project gives %s", a)
			}
			if newJudge(id("web"), AllProjects).allows(a) && !actions[a] {
				t.Errorf("a grant on a project gives %s on the server", a)
			}
			if newJudge(id(AllProjects), at).allows(a) {
				text += "s"
			}
			// event:read is for both; on the server it is another matter.
			if a == EventRead && newJudge(id(AllProjects), AllProjects).allows(a) {
				text += " and *"
			}
			fmt.Fprintf(&b, "%-11s", text)
		}
		for _, r := range Roles() {
			cell(func(p string) *Identity {
				return &Identity{Kind: KindAccount, Account: "ann", Grants: []Grant{{p, r}}}
			})
		}
		cell(func(string) *Identity { return &Identity{Kind: KindAccount, Account: "ann"} })
		runner := ""
		if newJudge(&Identity{Kind: KindRunner, Runner: "r1"}, place(a, "web")).allows(a) {
			runner = "yes"
		}
		b.WriteString(runner + "\n")
	}
	got := ""
	for line := range strings.Lines(b.String()) {
		got += strings.TrimRight(line, " \n") + "\n"
	}
	file := filepath.Join("testdata", "matrix.txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("who may what has changed; if it should, go test -update. Got\n%s\nwant\n%s", got, want)
	}
}

func TestTokensRestrict(t *testing.T) {
	grants := []Grant{{AllProjects, Admin}}
	tests := []struct {
		name     string
		scopes   []string
		projects []string
		action   Action
		project  string
		want     bool
	}{
		{"nothing said", nil, nil, RunDelete, "web", true},
		{"nothing said, on the server", nil, nil, AccountWrite, AllProjects, true},
		{"an action", []string{"run:start"}, nil, RunStart, "web", true},
		{"another action", []string{"run:start"}, nil, RunCancel, "web", false},
		{"a family", []string{"run"}, nil, RunCancel, "web", true},
		{"a family that only begins alike", []string{"run"}, nil, RunnerRead, AllProjects, false},
		{"a project", nil, []string{"web"}, RunStart, "web", true},
		{"another project", nil, []string{"web"}, RunStart, "api", false},
		{"all projects", nil, []string{"web"}, RunRead, AllProjects, false},
		{"the server", nil, []string{"web"}, AccountRead, AllProjects, false},
		{"both", []string{"run"}, []string{"web"}, RunStart, "web", true},
		{"both, another project", []string{"run"}, []string{"web"}, RunStart, "api", false},
		{"no token makes tokens", nil, nil, TokenOwn, AllProjects, false},
		{"nor with a scope for it", []string{"token:own"}, nil, TokenOwn, AllProjects, false},
		{"no account does a runner's work", []string{"runner"}, nil, RunnerWork, AllProjects, false},
		{"what nobody knows", nil, nil, Action("run:fly"), "web", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := &Identity{Kind: KindToken, Account: "ann", Grants: grants, Scopes: tt.scopes, Projects: tt.projects}
			if got := newJudge(id, tt.project).allows(tt.action); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
	// A token gives nothing that the account has not.
	id := &Identity{Kind: KindToken, Account: "ann", Grants: []Grant{{"web", Viewer}}, Scopes: []string{"run"}}
	if newJudge(id, "web").allows(RunStart) {
		t.Error("a scope gives what the account may not")
	}
}

// TestEvaluationErrorsRefuse: a policy that fails could be the forbid that matters.
func TestEvaluationErrorsRefuse(t *testing.T) {
	j := newJudge(&Identity{Kind: KindAccount, Account: "ann", Grants: []Grant{{AllProjects, Admin}}}, "web")
	j.principal.Attributes = types.NewRecord(types.RecordMap{"admin": types.NewSet(server)}) // the others are missing
	if j.allows(RunRead) {
		t.Error("allowed although policies could not be evaluated")
	}
}

func BenchmarkAuthorize(b *testing.B) {
	id := &Identity{Kind: KindToken, Account: "ann", Scopes: []string{"run"}, Projects: []string{"p7"}}
	for i := range 20 {
		id.Grants = append(id.Grants, Grant{fmt.Sprintf("p%d", i), Developer})
	}
	s := &Service{}
	b.ReportAllocs()
	for b.Loop() {
		if !s.Allowed(id, RunStart, "p7") {
			b.Fatal("refused")
		}
	}
}
