package githubactions

import (
	"slices"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

func testRun() *pipeline.Run {
	return &pipeline.Run{
		ID: "77", Number: 3, Attempt: 1, Pipeline: "CI", File: ".github/workflows/ci.yml", Actor: "ana", Token: "hunter2",
		Event:      pipeline.Event{Name: "push", Payload: pipeline.NewMap("ref", "refs/heads/main")},
		Repository: pipeline.Repository{Owner: "acme", Name: "shop", Server: "https://github.com", DefaultBranch: "main"},
		Change:     pipeline.Change{SHA: strings.Repeat("a", 40), Before: strings.Repeat("b", 40), Ref: "refs/heads/main", Head: "topic", Base: "main", Message: "Title\n\nBody"},
	}
}

func testScope() *pipeline.Scope {
	return &pipeline.Scope{Run: testRun(), Job: &pipeline.JobScope{Key: "build"}, StepID: "__run", Current: pipeline.Success,
		Machine: pipeline.Machine{OS: "Linux", Arch: "X64", Name: "host", Workspace: "/w/shop/shop", Temp: "/w/tmp", Tools: "/w/tools", EventFile: "/w/event.json"}}
}

func environ(s *pipeline.Scope) map[string]string {
	out := map[string]string{}
	for _, v := range Dialect.Environ(s) {
		out[v.Name] = v.Value
	}
	return out
}

func TestEnviron(t *testing.T) {
	s := testScope()
	got := environ(s)
	for name, want := range map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_JOB": "build", "GITHUB_ACTION": "__run", "GITHUB_REF": "refs/heads/main",
		"GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch", "GITHUB_REPOSITORY": "acme/shop", "GITHUB_HEAD_REF": "", "GITHUB_BASE_REF": "",
		"GITHUB_API_URL": "https://api.github.com", "GITHUB_WORKSPACE": "/w/shop/shop", "RUNNER_WORKSPACE": "/w/shop", "RUNNER_TEMP": "/w/tmp",
		"GITHUB_WORKFLOW_REF": "acme/shop/.github/workflows/ci.yml@refs/heads/main", "RUNNER_OS": "Linux",
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s = %q, want %q", name, v, want)
		}
	}
	for _, name := range []string{"GITHUB_TOKEN", "RUNNER_DEBUG", "GITHUB_ACTION_PATH"} {
		if v, ok := got[name]; ok {
			t.Errorf("%s = %q, want none", name, v)
		}
	}
	s = testScope()
	s.Run.Debug = true
	s.Action = &pipeline.ActionScope{Path: "/a", Repository: "o/r", Ref: "v1"}
	got = environ(s)
	if got["RUNNER_DEBUG"] != "1" || got["GITHUB_ACTION_PATH"] != "/a" || got["GITHUB_ACTION_REPOSITORY"] != "o/r" || got["GITHUB_ACTION_REF"] != "v1" {
		t.Errorf("in an action, debugging: %v", got)
	}
}

func TestShell(t *testing.T) {
	all := func(string) bool { return true }
	for _, c := range []struct {
		name string
		has  func(string) bool
		argv []string
		ext  string
		err  string
	}{
		{"", all, []string{"bash", "-e", "{0}"}, ".sh", ""},
		{"", func(string) bool { return false }, []string{"sh", "-e", "{0}"}, ".sh", ""},
		{"bash", all, []string{"bash", "--noprofile", "--norc", "-eo", "pipefail", "{0}"}, ".sh", ""},
		{"sh", all, []string{"sh", "-e", "{0}"}, ".sh", ""},
		{"python", all, []string{"python", "{0}"}, ".py", ""},
		{"python", func(p string) bool { return p == "python3" }, []string{"python3", "{0}"}, ".py", ""},
		{"pwsh", all, []string{"pwsh", "-command", ". '{0}'"}, ".ps1", ""},
		{"cmd", all, []string{"cmd", "/D", "/E:ON", "/V:OFF", "/S", "/C", `CALL "{0}"`}, ".cmd", ""},
		{"perl -w '{0}'", all, []string{"perl", "-w", "{0}"}, "", ""},
		{"bash -x {0}", all, []string{"bash", "-x", "{0}"}, ".sh", ""},
		{"pwsh -NoProfile -File {0}", all, []string{"pwsh", "-NoProfile", "-File", "{0}"}, ".ps1", ""},
		{"zsh", all, nil, "", "use bash, sh, python"},
		{"bash 'open {0}", all, nil, "", "shell"},
	} {
		got, err := Dialect.Shell(c.name, c.has)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%q: error %v, want %q", c.name, err, c.err)
		}
		if !slices.Equal(got.Argv, c.argv) || got.Ext != c.ext {
			t.Errorf("%q: %q %q", c.name, got.Argv, got.Ext)
		}
		if framed := got.Prefix != "" && got.Suffix != ""; framed != (got.Ext == ".ps1") {
			t.Errorf("%q: framed by %q and %q", c.name, got.Prefix, got.Suffix)
		}
	}
}

func BenchmarkEnviron(b *testing.B) {
	s := testScope()
	b.ReportAllocs()
	for b.Loop() {
		Dialect.Environ(s)
	}
}
