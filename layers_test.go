// Package gantry_test holds what is tested of the house as a whole: who imports whom.
package gantry_test

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "github.com/gantry-ops/gantry"

// room is a folder of packages and what they may import. The innermost room that holds a package counts for it; the packages
// of one room may import each other, and everybody the standard library.
type room struct {
	dir string
	// rooms of ours that it may import, without those within them; "*" is all.
	rooms []string
	// libraries are prefixes of import paths from elsewhere.
	libraries []string
	// never are import paths of the standard library that would break a promise of the room.
	never []string
	// why is shown with a violation.
	why string
}

// house is docs/architecture.md's "who may import whom" in a form that a test can hold us to.
var house = []room{
	{
		dir:       "cmd",
		rooms:     []string{"*"},
		libraries: []string{"github.com/spf13", "github.com/owenrumney/go-sarif", "github.com/google/uuid", "github.com/mattn/go-runewidth", "golang.org/x/sys", "golang.org/x/term", "golang.org/x/sync"},
		why:       "cmd wires the rooms together; what it needs a larger library for belongs in one of them",
	},
	{
		dir:       "bench",
		rooms:     []string{"pipeline", "pipeline/githubactions", "telemetry/metrics", "agent/route"},
		libraries: []string{"golang.org/x/sync"},
		why:       "bench measures the binary from outside, and in-process what no command reaches alone",
	},
	{
		dir:       "soak",
		libraries: []string{"github.com/jackc/pgx/v5"},
		why:       "soak sees the binary and its API from outside",
	},
	{
		dir: "examples",
		why: "examples are users: they see the binary and nothing else",
	},
	{
		dir:   "pipeline",
		never: []string{"os", "os/exec", "net", "net/http", "syscall"},
		why:   "the model is what all rooms share: it knows none of them, and touches neither files nor processes",
	},
	{
		dir:       "pipeline/githubactions",
		rooms:     []string{"pipeline"},
		libraries: []string{"go.yaml.in/yaml/v3", "github.com/robfig/cron/v3", "github.com/google/shlex"},
		never:     []string{"os/exec", "net", "net/http", "syscall"},
		why:       "a format turns files into the model; it never learns how a pipeline is run",
	},
	{
		dir:       "project",
		rooms:     []string{"pipeline"},
		libraries: []string{"go.yaml.in/yaml/v3", "github.com/robfig/cron/v3", "github.com/teambition/rrule-go"},
		never:     []string{"os", "os/exec", "net", "net/http", "syscall"},
		why:       "gantry.yaml turns into plain data; who ships, and to where, reads it and is unknown here",
	},
	{
		dir:       "runner",
		rooms:     []string{"pipeline"},
		libraries: []string{"golang.org/x/sync", "github.com/bmatcuk/doublestar/v4"},
		never:     []string{"os/exec", "net", "net/http", "syscall"},
		why:       "the scheduler knows the model alone: formats, executors and actions are behind its interfaces",
	},
	{
		dir:   "runner/dummy",
		rooms: []string{"runner", "pipeline"},
		why:   "an executor serves the runner's port and nobody else",
	},
	{
		dir:       "runner/host",
		rooms:     []string{"runner", "pipeline"},
		libraries: []string{"golang.org/x/sys"},
		never:     []string{"net/http"},
		why:       "an executor serves the runner's port and nobody else",
	},
	{
		dir:       "runner/docker",
		rooms:     []string{"runner", "pipeline"},
		libraries: []string{"github.com/moby", "github.com/bmatcuk/doublestar/v4", "github.com/google/uuid", "golang.org/x/term", "github.com/containerd/errdefs", "github.com/docker", "github.com/distribution/reference", "github.com/opencontainers", "github.com/google/shlex", "github.com/spf13/pflag", "golang.org/x/sync", "golang.org/x/sys"},
		why:       "an executor serves the runner's port and nobody else; the Docker API stays in here",
	},
	{
		dir:       "runner/action",
		rooms:     []string{"runner", "runner/storage", "pipeline"},
		libraries: []string{"github.com/google/shlex", "github.com/bmatcuk/doublestar/v4", "github.com/google/uuid", "github.com/klauspost/compress", "github.com/Masterminds/semver/v3", "golang.org/x/sync"},
		why:       "actions know the runner's port, and no format: how an action's file is read is handed in",
	},
	{
		dir:       "runner/storage",
		rooms:     []string{"runner", "pipeline"},
		libraries: []string{"github.com/klauspost/compress", "github.com/bmatcuk/doublestar/v4", "golang.org/x/sys"},
		never:     []string{"os/exec"},
		why:       "artifacts and caches are files; who serves them to actions is runner/action's business",
	},
	{
		dir:       "forge",
		libraries: []string{"golang.org/x/sync", "golang.org/x/sys"},
		why:       "forge speaks of repositories in its own words; cmd translates them for the other rooms",
	},
	{
		dir:       "forge/github",
		rooms:     []string{"forge"},
		libraries: []string{"github.com/google/go-github/v88"},
		never:     []string{"os", "os/exec"},
		why:       "a forge's client translates the vendor's words into forge's, and knows nothing else",
	},
	{
		dir:       "forge/gitlab",
		rooms:     []string{"forge"},
		libraries: []string{"gitlab.com/gitlab-org/api/client-go"},
		never:     []string{"os", "os/exec"},
		why:       "a forge's client translates the vendor's words into forge's, and knows nothing else",
	},
	{
		dir:   "forge/bitbucket",
		rooms: []string{"forge"},
		never: []string{"os", "os/exec"},
		why:   "a forge's client translates the vendor's words into forge's, and knows nothing else",
	},
	{
		dir:   "forge/forgetest",
		rooms: []string{"forge"},
		why:   "a fake forge is for tests",
	},
	{
		dir:       "secret",
		rooms:     []string{"store"},
		libraries: []string{"filippo.io/age", "github.com/uptrace/bun", "golang.org/x/crypto"},
		never:     []string{"os/exec", "net", "net/http"},
		why:       "what knows secrets knows as little else as it can",
	},
	{
		dir:       "store",
		libraries: []string{"github.com/uptrace/bun", "modernc.org/sqlite", "github.com/jackc/pgx/v5", "gocloud.dev", "golang.org/x/sys"},
		never:     []string{"os/exec", "net/http"},
		why:       "store keeps what it is given, and does not know what that is",
	},
	{
		dir:       "engine",
		rooms:     []string{"store"},
		libraries: []string{"github.com/uptrace/bun", "github.com/robfig/cron/v3"},
		never:     []string{"os", "os/exec", "net", "net/http"},
		why:       "durable work does not know what the work is",
	},
	{
		dir:       "auth",
		rooms:     []string{"store"},
		libraries: []string{"github.com/uptrace/bun", "github.com/cedar-policy/cedar-go", "github.com/coreos/go-oidc/v3", "golang.org/x/oauth2", "golang.org/x/crypto", "golang.org/x/text/unicode/norm"},
		never:     []string{"os/exec"},
		why:       "who may what is decided in one place, which knows none of the things that it is about",
	},
	{
		dir:       "runs",
		rooms:     []string{"runs/jobs", "engine", "store", "runner", "pipeline"},
		libraries: []string{"github.com/uptrace/bun", "github.com/google/uuid", "gocloud.dev/blob", "golang.org/x/sync"},
		never:     []string{"os/exec", "net", "net/http"},
		why:       "runs are coordinated without knowing formats, forges or transports: those are behind its ports",
	},
	{
		dir:       "runs/jobs",
		rooms:     []string{"runs/logs", "runs/junit", "engine", "store", "runner", "pipeline"},
		libraries: []string{"github.com/uptrace/bun", "github.com/google/uuid", "gocloud.dev", "golang.org/x/sync"},
		never:     []string{"os/exec", "net", "net/http"},
		why:       "the queue does not know how runs are coordinated, nor who carries its messages",
	},
	{
		dir:       "runs/logs",
		rooms:     []string{"store"},
		libraries: []string{"github.com/uptrace/bun", "github.com/klauspost/compress", "gocloud.dev", "github.com/google/uuid"},
		never:     []string{"os/exec", "net", "net/http"},
		why:       "logs are lines of a job, and a job is a name",
	},
	{
		dir:       "runs/junit",
		libraries: []string{"github.com/joshdk/go-junit"},
		never:     []string{"os", "os/exec", "net", "net/http"},
		why:       "a reader of reports reads reports",
	},
	{
		dir:       "runs/worker",
		rooms:     []string{"runs/jobs", "runner", "runner/storage", "pipeline", "secret"},
		libraries: []string{"golang.org/x/sync"},
		never:     []string{"os/exec", "net", "net/http"},
		why:       "a worker runs what a queue hands it, wherever the queue is",
	},
	{
		dir:       "api",
		rooms:     []string{"runs", "runs/jobs", "auth", "secret", "store", "ship", "release", "release/judge", "release/analysis", "fleet", "agent/link", "agent/process", "pipeline"},
		libraries: []string{"github.com/danielgtaylor/huma/v2", "github.com/uptrace/bun", "github.com/prometheus/client_golang", "github.com/google/uuid", "golang.org/x/sync", "golang.org/x/time"},
		never:     []string{"os/exec"},
		why:       "the API says over HTTP what the rooms do, and does nothing itself",
	},
	{
		dir:   "api/client",
		rooms: []string{"runs", "runs/jobs", "auth", "store", "ship", "release", "release/judge", "fleet"},
		never: []string{"os/exec"},
		why:   "the client knows the API's words and nothing that is behind it",
	},
	{
		dir:       "agent/bundle",
		libraries: []string{"golang.org/x/sys"},
		never:     []string{"os/exec", "net", "net/http"},
		why:       "what unpacks what strangers made knows nothing of what is done with it",
	},
	{
		dir:       "release",
		rooms:     []string{"release/analysis", "engine", "store"},
		libraries: []string{"github.com/uptrace/bun"},
		never:     []string{"os", "os/exec", "net", "net/http"},
		why:       "what a rollout does next follows from what is stored and seen; whoever drives it brings both",
	},
	{
		dir:       "agent",
		rooms:     []string{"agent/bundle", "agent/disk", "agent/process", "agent/route"},
		libraries: []string{"filippo.io/age", "github.com/prometheus/client_golang"},
		never:     []string{"os/exec"},
		why:       "the agent wires its parts, and serves on without the server",
	},
	{
		dir:   "agent/disk",
		never: []string{"os/exec", "net", "net/http"},
		why:   "it keeps files, and does not look into them",
	},
	{
		dir:       "agent/certs",
		rooms:     []string{"agent/disk"},
		libraries: []string{"golang.org/x/crypto/acme", "github.com/letsencrypt"},
		never:     []string{"os/exec"},
		why:       "certificates are made for listeners, of which it knows nothing; its tests ask a real ACME server",
	},
	{
		dir:       "agent/route",
		libraries: []string{"github.com/coder/websocket", "github.com/valyala/fasthttp", "github.com/prometheus/client_golang", "github.com/prometheus/client_model", "github.com/cespare/xxhash/v2", "golang.org/x/sys"},
		never:     []string{"os/exec"},
		why:       "the router knows addresses and versions: nothing of processes, candidates or the server",
	},
	{
		dir: "telemetry/metrics",
		libraries: []string{"github.com/prometheus/prometheus", "github.com/prometheus/common", "github.com/prometheus/client_golang",
			"github.com/grafana/regexp", "go.yaml.in/yaml/v3"},
		never: []string{"os/exec"},
		why:   "metrics are Prometheus, embedded: nothing else of the house, and nothing of what the samples mean",
	},
	{
		dir:       "agent/process",
		rooms:     []string{"agent/disk"},
		libraries: []string{"golang.org/x/sys"},
		why:       "what runs workloads knows a folder and a command: neither where they came from nor who sends requests to them",
	},
	{
		dir:       "agent/link",
		rooms:     []string{"agent", "agent/bundle", "agent/disk", "agent/process", "agent/route", "agent/certs", "release/analysis"},
		libraries: []string{"github.com/prometheus/client_golang", "github.com/prometheus/client_model", "golang.org/x/net"},
		why:       "what an agent and its server say to each other, and the agent's end of it",
	},
	{
		dir:       "fleet",
		rooms:     []string{"agent", "agent/link", "agent/certs", "agent/process", "agent/route", "project", "release", "release/analysis", "engine", "store"},
		libraries: []string{"github.com/uptrace/bun"},
		never:     []string{"os/exec"},
		why:       "the fleet turns rollouts into what each host shall be; who may ask for one, and how it is judged, is not its business",
	},
	{
		dir:       "release/judge",
		rooms:     []string{"release", "release/analysis", "project", "store"},
		libraries: []string{"github.com/uptrace/bun"},
		never:     []string{"os", "os/exec", "net", "net/http"},
		why:       "a judge brings samples to the analysis and keeps what it said; where samples come from is behind its ports",
	},
	{
		dir:       "ship",
		rooms:     []string{"project", "release", "pipeline", "engine", "store"},
		libraries: []string{"github.com/uptrace/bun", "gocloud.dev"},
		never:     []string{"os/exec", "net", "net/http"},
		why:       "a release brings candidates through environments; runs, hosts and samples are behind its ports",
	},
	{
		dir:   "release/analysis",
		never: []string{"os", "os/exec", "net", "net/http", "syscall"},
		why:   "a judgement is computed from samples alone, so that anybody can compute it again",
	},
	{
		dir:   "release/analysis/simulate",
		rooms: []string{"release/analysis"},
		never: []string{"os/exec", "net", "net/http"},
		why:   "a simulation plays dice for the judges, and sees what callers see",
	},
	{
		dir: "web",
		why: "the UI speaks to the public API alone",
	},
}

// TestLayers fails on an import that the house does not allow.
func TestLayers(t *testing.T) {
	violations, seen, err := check(os.DirFS("."), house)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
	for _, r := range house {
		if !seen[r.dir] {
			t.Errorf("%s: in the table of rooms but not in the tree", r.dir)
		}
	}
}

// TestLayersCatch shows that the check does find what it is for.
func TestLayersCatch(t *testing.T) {
	file := func(imports ...string) *fstest.MapFile {
		src := "package p\n"
		for _, i := range imports {
			src += fmt.Sprintf("import _ %q\n", i)
		}
		return &fstest.MapFile{Data: []byte(src)}
	}
	rooms := []room{
		{dir: "cmd", rooms: []string{"*"}, why: "wires"},
		{dir: "pipeline", never: []string{"os"}, why: "shared"},
		{dir: "pipeline/format", rooms: []string{"pipeline"}, libraries: []string{"example.com/yaml"}, why: "reads"},
		{dir: "runner", rooms: []string{"pipeline"}, why: "runs"},
	}
	tests := []struct {
		name string
		tree fstest.MapFS
		want []string
	}{
		{"as the house has it", fstest.MapFS{
			"pipeline/a.go":             file("fmt"),
			"pipeline/format/a.go":      file("example.com/yaml/v3", module+"/pipeline", module+"/pipeline/format/expr"),
			"pipeline/format/expr/a.go": file(module + "/pipeline"),
			"runner/a.go":               file(module + "/pipeline"),
			"cmd/tool/a.go":             file(module+"/runner", module+"/pipeline/format"),
		}, nil},
		{"the model knows a format", fstest.MapFS{"pipeline/a.go": file(module + "/pipeline/format")},
			[]string{"pipeline/a.go:2: pipeline must not import pipeline/format: shared"}},
		{"the runner knows a format", fstest.MapFS{"runner/a.go": file(module + "/pipeline/format/expr")},
			[]string{"runner/a.go:2: runner must not import pipeline/format/expr: runs"}},
		{"a room knows the binary", fstest.MapFS{"runner/a.go": file(module + "/cmd/tool")},
			[]string{"runner/a.go:2: runner must not import cmd/tool: runs"}},
		{"a room knows the house itself", fstest.MapFS{"runner/a.go": file(module)},
			[]string{"runner/a.go:2: runner must not import the root package: runs"}},
		{"a promise broken", fstest.MapFS{"pipeline/a.go": file("fmt", "os")},
			[]string{"pipeline/a.go:3: pipeline must not import os: shared"}},
		{"a library out of its room", fstest.MapFS{"runner/a.go": file("example.com/yaml/v3")},
			[]string{"runner/a.go:2: runner must not import example.com/yaml/v3: runs"}},
		{"another library with the same beginning", fstest.MapFS{"pipeline/format/a.go": file("example.com/yaml-too")},
			[]string{"pipeline/format/a.go:2: pipeline/format must not import example.com/yaml-too: reads"}},
		{"a file for another system", fstest.MapFS{"runner/a_windows.go": file(module + "/cmd/tool")},
			[]string{"runner/a_windows.go:2: runner must not import cmd/tool: runs"}},
		{"a room that nobody knows", fstest.MapFS{"utils/a.go": file("fmt")},
			[]string{"utils/a.go: utils is in no room; give it one in layers_test.go, with the reason"}},
		{"tests may use their neighbours but not the binary", fstest.MapFS{"runner/a_test.go": file(module+"/pipeline/format", "os", "example.com/cmp", module+"/cmd/tool")},
			[]string{"runner/a_test.go:5: a test of runner must not import cmd/tool: runs"}},
		{"other modules and test data are not ours", fstest.MapFS{
			"runner/x/go.mod": {}, "runner/x/a.go": file(module + "/cmd/tool"),
			"runner/testdata/a.go": file(module + "/cmd/tool"),
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := check(tt.tree, rooms)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// check reads the imports of all Go files of a tree, also of those that are built for other systems only, and returns
// those that are not allowed, with the rooms in which there were files.
func check(tree fs.FS, rooms []room) (violations []string, seen map[string]bool, err error) {
	seen = map[string]bool{}
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(tree, name)
		}
		dir := path.Dir(name)
		if path.Ext(name) != ".go" || dir == "." {
			return nil
		}
		r := roomOf(dir, rooms)
		if r == nil {
			violations = append(violations, fmt.Sprintf("%s: %s is in no room; give it one in layers_test.go, with the reason", name, dir))
			return nil
		}
		seen[r.dir] = true
		src, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, name, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			target, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			test := strings.HasSuffix(name, "_test.go")
			if r.allows(target, test, rooms) {
				continue
			}
			who := r.dir
			if test {
				who = "a test of " + who
			}
			shown := strings.TrimPrefix(target, module+"/")
			if target == module {
				shown = "the root package"
			}
			violations = append(violations, fmt.Sprintf("%s:%d: %s must not import %s: %s", name, files.Position(i.Pos()).Line, who, shown, r.why))
		}
		return nil
	})
	return violations, seen, err
}

// enter says whether a folder holds packages of this module.
func enter(tree fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return fs.SkipDir
	}
	switch _, err := fs.Stat(tree, path.Join(dir, "go.mod")); {
	case err == nil:
		return fs.SkipDir // another module
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// roomOf returns the innermost room of a folder.
func roomOf(dir string, rooms []room) *room {
	var best *room
	for i := range rooms {
		if within(dir, rooms[i].dir) && (best == nil || len(rooms[i].dir) > len(best.dir)) {
			best = &rooms[i]
		}
	}
	return best
}

// within reports whether a path is dir or lies below it.
func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// allows decides about one import. A test may use any library and any room except the binary: it often stands for a caller.
func (r *room) allows(target string, test bool, rooms []room) bool {
	if target == module {
		return false
	}
	if rel, ours := strings.CutPrefix(target, module+"/"); ours {
		to := roomOf(rel, rooms)
		switch {
		case to == nil:
			return false
		case to.dir == r.dir, slices.Contains(r.rooms, "*"), slices.Contains(r.rooms, to.dir):
			return true
		}
		return test && !within(to.dir, "cmd")
	}
	if test {
		return true
	}
	if first, _, _ := strings.Cut(target, "/"); !strings.Contains(first, ".") {
		return !slices.Contains(r.never, target)
	}
	return slices.ContainsFunc(r.libraries, func(l string) bool { return within(target, l) })
}
