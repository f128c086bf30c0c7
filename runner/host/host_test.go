//go:build unix

package host

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

func newExecutor(t testing.TB, o Options) *Executor {
	t.Helper()
	if o.Root == "" {
		o.Root = filepath.Join(t.TempDir(), "work")
	}
	if o.Tools == "" {
		o.Tools = filepath.Join(t.TempDir(), "tools")
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// open opens a workspace that the test's end closes, unless the test has.
func open(t testing.TB, e *Executor, spec runner.JobSpec) *Workspace {
	t.Helper()
	if spec.RunID == "" {
		spec.RunID = "run"
	}
	if spec.JobID == "" {
		spec.JobID = "job"
	}
	w, err := e.Open(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := os.Stat(w.(*Workspace).dir); err == nil {
			shut(t, w.(*Workspace))
		}
	})
	return w.(*Workspace)
}

func shut(t testing.TB, w *Workspace) {
	t.Helper()
	if err := w.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestFolders(t *testing.T) {
	e := newExecutor(t, Options{})
	w := open(t, e, runner.JobSpec{RunID: "r1", JobID: "build (a/b, 1)", Repository: "shop", EventFile: []byte(`{"a":1}`), RunsOn: []string{"ubuntu-latest"}})
	m := w.Machine()
	if want := filepath.Join(e.o.Root, "r1", "build--a-b--1-", "shop", "shop"); m.Workspace != want {
		t.Errorf("work folder %s, want %s", m.Workspace, want)
	}
	if entries, err := os.ReadDir(m.Workspace); err != nil || len(entries) > 0 {
		t.Errorf("the work folder has %v, %v", entries, err)
	}
	if data, err := os.ReadFile(m.EventFile); err != nil || string(data) != `{"a":1}` {
		t.Errorf("event: %q, %v", data, err)
	}
	if !slices.Equal(m.Labels, []string{"ubuntu-latest"}) || m.Home != os.Getenv("HOME") || m.Tools != e.o.Tools || m.OS == "" || m.Arch == "" || m.Name == "" {
		t.Errorf("machine: %+v", m)
	}
	for _, d := range []string{m.Temp, m.Tools} {
		if !isDir(d) {
			t.Errorf("%s is no folder", d)
		}
	}
	// Jobs whose names make the same folder name are apart.
	other := open(t, e, runner.JobSpec{RunID: "r1", JobID: "build (a b, 1)", Repository: "shop"})
	if other.Machine().Workspace == m.Workspace {
		t.Error("two jobs share a work folder")
	}
	shut(t, w)
	if _, err := os.Stat(filepath.Join(e.o.Root, "r1")); err != nil {
		t.Errorf("the run's folder went with the first job: %v", err)
	}
	shut(t, other)
	if left, _ := filepath.Glob(filepath.Join(e.o.Root, "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestFolderNames(t *testing.T) {
	for text, want := range map[string]string{
		"build": "build", "": "other", "..": "-.", ".": "-", ".git": "-git", "a/../b": "a-..-b", "a b": "a-b", "ü": "-",
		strings.Repeat("x", 300): strings.Repeat("x", maxName),
	} {
		if got := folderName(text, "other"); got != want {
			t.Errorf("folderName(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestInPlace(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "kept")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w := open(t, newExecutor(t, Options{}), runner.JobSpec{InPlace: dir})
	if got := w.Machine().Workspace; got != dir {
		t.Errorf("work folder %s, want %s", got, dir)
	}
	shut(t, w)
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancelCause(context.Background())
	stop(runner.ErrInterrupted)
	for _, c := range []struct {
		name string
		ctx  context.Context
		spec runner.JobSpec
		want string
	}{
		{"container", context.Background(), runner.JobSpec{Container: &pipeline.ContainerSpec{Image: "alpine"}}, `"alpine"`},
		{"service", context.Background(), runner.JobSpec{Services: []runner.ServiceSpec{{Name: "db"}}}, `"db"`},
		{"in a file", context.Background(), runner.JobSpec{InPlace: file}, "not a folder"},
		{"in nothing", context.Background(), runner.JobSpec{InPlace: file + ".missing"}, "no such file"},
		{"cancelled", stopped, runner.JobSpec{}, runner.ErrInterrupted.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExecutor(t, Options{})
			if _, err := e.Open(c.ctx, c.spec); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if left, _ := filepath.Glob(filepath.Join(e.o.Root, "*")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
	e := newExecutor(t, Options{IgnoreContainers: true})
	open(t, e, runner.JobSpec{Container: &pipeline.ContainerSpec{Image: "alpine"}, Services: []runner.ServiceSpec{{Name: "db"}}})
}

func TestCleanEnv(t *testing.T) {
	own := []string{"PATH=/bin", "HOME=/home/u", "LC_ALL=C", "LC_TIME=de", "SECRET=1", "TMPDIR=/x", "MINE_A=1", "MINE_B=2", "HOME=/twice", "broken", Tracking + "=x"}
	got := cleanEnv(own, []string{"MINE_*", Tracking})
	want := []pipeline.EnvVar{{Name: "HOME", Value: "/home/u"}, {Name: "LC_ALL", Value: "C"}, {Name: "LC_TIME", Value: "de"}, {Name: "MINE_A", Value: "1"}, {Name: "MINE_B", Value: "2"}, {Name: "PATH", Value: "/bin"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := cleanEnv([]string{"HOME=/"}, nil); !slices.Contains(got, pipeline.EnvVar{Name: "PATH", Value: defaultPath}) {
		t.Errorf("without a PATH: %v", got)
	}
}
