package meridian_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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

// binaries is where the binaries are that several tests use.
var binaries string

func TestMain(m *testing.M) {
	code := 1
	dir, err := os.MkdirTemp("", "meridian-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		binaries = dir
		code = m.Run()
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

var buildGantry = sync.OnceValue(func() error { return compile("../..", "./cmd/gantry", "gantry", "dev") })

// build makes the gantry binary, once.
func build(t *testing.T) string {
	t.Helper()
	if err := buildGantry(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(binaries, "gantry")
}

// compile makes the binary of a package, without a network.
func compile(dir, pkg, name, version string) error {
	cmd := exec.Command("go", "build", "-ldflags", "-X main.version="+version, "-o", filepath.Join(binaries, name), pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOPROXY=off", "GOTOOLCHAIN=local")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return nil
}

// copyService makes a repository of a service's files.
func copyService(t *testing.T, service string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("services/"+service)); err != nil {
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
