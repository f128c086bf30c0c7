// Package meridian_test runs the pipelines of the example services by the gantry binary, as a person would: without a network,
// and knowing nothing of its insides.
package meridian_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// event is what this test reads of the lines of `gantry run --output json`.
type event struct {
	Type       string
	Job        string
	JobID      string `json:"job_id"`
	Step       string
	Status     string
	Reason     string
	Line       string
	Artifacts  []string
	Outputs    map[string]string
	Annotation *struct {
		Level, Message, File string
		Line                 int
	}
}

func TestGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the gateway several times; not with -short")
	}
	gantry := build(t)

	t.Run("green", func(t *testing.T) {
		t.Parallel()
		artifacts := t.TempDir()
		events, code := run(t, gantry, copyGateway(t), "--artifacts", artifacts)
		if code != 0 {
			t.Fatalf("exit code %d", code)
		}
		finished := map[string]event{}
		for _, e := range events {
			if e.Type == "job.finished" {
				finished[e.Job] = e
			}
		}
		for _, job := range []string{"Lint", "Test with GOMAXPROCS=1", "Test with GOMAXPROCS=4", "Build"} {
			if got := finished[job].Status; got != "success" {
				t.Errorf("job %q: %q (%s)", job, got, finished[job].Reason)
			}
		}
		if got := finished["Build"]; !slices.Equal(got.Artifacts, []string{"gateway"}) || len(got.Outputs["digest"]) != 64 {
			t.Errorf("the build left artifacts %v and outputs %v", got.Artifacts, got.Outputs)
		}
		if info, err := os.Stat(filepath.Join(artifacts, "gateway", "gateway")); err != nil || info.Size() < 1<<20 {
			t.Errorf("the binary in the artifact: %v, %v", info, err)
		}
	})

	t.Run("red", func(t *testing.T) {
		t.Parallel()
		dir := copyGateway(t)
		const file = "order/order_test.go"
		source := read(t, filepath.Join(dir, file))
		broken := strings.Replace(source, "4_125_000}", "4_125_001}", 1)
		if broken == source {
			t.Fatal("there is nothing to break")
		}
		write(t, filepath.Join(dir, file), broken)
		events, code := run(t, gantry, dir, "--job", "build", "--matrix", "procs=1")
		if code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
		line := 1 + strings.Count(source[:strings.Index(source, `t.Errorf("notional`)], "\n")
		if !slices.ContainsFunc(events, func(e event) bool {
			a := e.Annotation
			return e.Type == "annotation" && a.Level == "error" && a.File == file && a.Line == line && strings.Contains(a.Message, "notional = 4125000, want 4125001")
		}) {
			t.Errorf("no annotation at %s:%d, there are:", file, line)
			for _, e := range events {
				if e.Annotation != nil {
					t.Errorf("  %s: %+v", e.Job, *e.Annotation)
				}
			}
		}
		for _, e := range events {
			if e.Type == "job.finished" && e.JobID == "build" && (e.Status != "skipped" || !strings.Contains(e.Reason, "test")) {
				t.Errorf("the build ended as %s (%s), want it skipped because of the test", e.Status, e.Reason)
			}
		}
	})
}

// build makes the binary.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "gantry")
	cmd := exec.Command("go", "build", "-o", binary, "../../cmd/gantry")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build gantry: %v\n%s", err, out)
	}
	return binary
}

// copyGateway makes a repository of the gateway's files.
func copyGateway(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("services/gateway")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch", "main"},
		{"add", "."},
		{"-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message", "Begin"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
	return dir
}

// run runs the pipeline of a folder and returns its events and the exit code. The log is shown when the test fails.
func run(t *testing.T, gantry, dir string, args ...string) ([]event, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gantry, append([]string{"run", "-C", dir, "--offline", "--output", "json"}, args...)...)
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOTOOLCHAIN=local", "XDG_STATE_HOME="+t.TempDir(), "GANTRY_CACHE_DIR="+t.TempDir())
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	code := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	var events []event
	var log strings.Builder
	for line := range bytes.Lines(out) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		events = append(events, e)
		if e.Type == "log" {
			log.WriteString(e.Job + " | " + e.Line + "\n")
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("standard error:\n%s\nlog:\n%s", &errs, &log)
		}
	})
	return events, code
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
