package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gantry-ops/gantry/runner"
)

// runCase is what the corpus says of one repository; its README describes the keys.
type runCase struct {
	Entry string `json:"entry"`
	Args  struct {
		Event   string            `json:"event"`
		Inputs  map[string]string `json:"inputs"`
		Secrets map[string]string `json:"secrets"`
		Vars    map[string]string `json:"vars"`
		Env     map[string]string `json:"env"`
		Payload json.RawMessage   `json:"event_payload"`
		Git     struct {
			Branch, Remote, Tag string
		} `json:"git"`
	} `json:"args"`
	Exit      *int               `json:"exit"`
	Triggered *bool              `json:"triggered"`
	Jobs      map[string]jobCase `json:"jobs"`
	Absent    []string           `json:"absent_jobs"`
	Contains  []string           `json:"pipeline_contains"`
	Lacks     []string           `json:"pipeline_lacks"`
	InOrder   []string           `json:"pipeline_in_order"`
	Order     [][2]string        `json:"order"`
	Finished  [][2]string        `json:"finished_before"`
	Legs      map[string]int     `json:"legs"`

	Format string `json:"format"`
	Source string `json:"source"`
	Note   string `json:"note"`
}

type jobCase struct {
	Status    string   `json:"status"`
	Tolerated bool     `json:"tolerated"`
	Contains  []string `json:"stdout_contains"`
	Lacks     []string `json:"stdout_lacks"`
	InOrder   []string `json:"stdout_in_order"`
	Artifacts struct {
		Has   []string `json:"has"`
		Lacks []string `json:"lacks"`
	} `json:"artifacts"`
	Summary []string `json:"summary_contains"`
}

// TestConformanceRun runs the workflows of the corpus on this machine.
func TestConformanceRun(t *testing.T) {
	root := os.Getenv("GANTRY_CONFORMANCE")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "conformance")
	}
	dir := filepath.Join(root, "github", "run")
	index, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if errors.Is(err, os.ErrNotExist) {
		abs, _ := filepath.Abs(dir)
		t.Skipf("there is no conformance corpus at %s (GANTRY_CONFORMANCE names its folder)", abs)
	}
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name string   `json:"name"`
		Dir  string   `json:"dir"`
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(index, &cases); err != nil {
		t.Fatal(err)
	}
	var passed atomic.Int32
	t.Cleanup(func() { fmt.Printf("conformance github/run: %d/%d\n", passed.Load(), len(cases)) })
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if slices.Contains(c.Tags, "slow") && testing.Short() {
				t.Skip("takes a minute")
			}
			runConformance(t, filepath.Join(dir, c.Dir))
			if !t.Failed() {
				passed.Add(1)
			}
		})
	}
}

func runConformance(t *testing.T, dir string) {
	content, err := os.ReadFile(filepath.Join(dir, "expect.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want runCase
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.DisallowUnknownFields() // a key that nobody checks would be a hole
	if err := dec.Decode(&want); err != nil {
		t.Fatal(err)
	}
	got := playCase(t, dir, &want)
	for key, w := range want.Jobs {
		got.checkJob(t, key, w)
	}
	for _, key := range want.Absent {
		if got.job(key) != nil {
			t.Errorf("job %q is part of the pipeline", key)
		}
	}
	var all []string
	for _, j := range got.jobs {
		all = append(all, j.lines...)
	}
	checkLines(t, "the pipeline", all, want.Contains, want.Lacks, want.InOrder)
	for _, o := range want.Order {
		a, b := got.job(o[0]), got.job(o[1])
		if a == nil || b == nil || a.finished == 0 || b.started < a.finished {
			t.Errorf("%q did not finish before %q started", o[0], o[1])
		}
	}
	for _, o := range want.Finished {
		a, b := got.job(o[0]), got.job(o[1])
		if a == nil || b == nil || a.finished == 0 || b.finished < a.finished {
			t.Errorf("%q did not finish before %q", o[0], o[1])
		}
	}
	for key, n := range want.Legs {
		legs := 0
		for _, j := range got.jobs {
			if j.head.JobID == key {
				legs++
			}
		}
		if legs != n {
			t.Errorf("%q has %d legs, want %d", key, legs, n)
		}
	}
	if want.Triggered != nil && *want.Triggered == (len(got.jobs) == 0) {
		t.Errorf("triggered: %v", len(got.jobs) > 0)
	}
	if want.Exit != nil {
		// A file that is refused has failed as well: the corpus knows no third code.
		if failed := got.exit == exitFailed || got.exit == exitUsage; *want.Exit == 1 && !failed || *want.Exit == 0 && got.exit != 0 {
			t.Errorf("exit code %d, want %d", got.exit, *want.Exit)
		}
	}
	if t.Failed() {
		t.Logf("gantry said:\n%s%s", got.stdout, got.stderr)
	}
}

// played is a run as its events tell it.
type played struct {
	jobs           []*playedJob
	exit           int
	stdout, stderr string
	artifacts      string
}

type playedJob struct {
	head              runner.Event // its job.finished
	started, finished int          // places of the events
	lines             []string
}

// playCase makes the repository and runs it.
func playCase(t *testing.T, dir string, want *runCase) *played {
	home := t.TempDir()
	repo := filepath.Join(home, "demo")
	if err := os.CopyFS(repo, os.DirFS(filepath.Join(dir, "input"))); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), isolated(filepath.Join(home, "user"))...)
	branch, remote := want.Args.Git.Branch, want.Args.Git.Remote
	if branch == "" {
		branch = "main"
	}
	if remote == "" {
		remote = "https://example.com/group/demo.git"
	}
	setup := [][]string{{"init", "-q", "-b", branch}, {"add", "-A"}, {"commit", "-q", "-m", "all"}, {"remote", "add", "origin", remote}}
	args := []string{"run", "-C", repo, "--output", "json", "--file", want.Entry, "--artifacts", filepath.Join(home, "artifacts")}
	if tag := want.Args.Git.Tag; tag != "" {
		setup = append(setup, []string{"tag", tag})
		args = append(args, "--ref", "refs/tags/"+tag)
	}
	for _, a := range setup {
		cmd := exec.Command("git", a...)
		cmd.Dir, cmd.Env = repo, env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", a, err, out)
		}
	}
	if want.Args.Event != "" {
		args = append(args, "--event", want.Args.Event)
	}
	for _, m := range []struct {
		flag   string
		values map[string]string
	}{{"--input", want.Args.Inputs}, {"--var", want.Args.Vars}, {"--env", want.Args.Env}} {
		for k, v := range m.values {
			args = append(args, m.flag, k+"="+v)
		}
	}
	if len(want.Args.Secrets) > 0 {
		args = append(args, "--secret-file", writeTemp(t, home, "secrets.json", want.Args.Secrets))
	}
	if want.Args.Payload != nil {
		args = append(args, "--event-file", writeTemp(t, home, "event.json", want.Args.Payload))
	}
	cmd := exec.Command("gantry", args...)
	cmd.Env = env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	p := &played{exit: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(), artifacts: filepath.Join(home, "artifacts")}
	p.read(t)
	return p
}

func writeTemp(t *testing.T, dir, name string, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (p *played) read(t *testing.T) {
	byName := map[string]*playedJob{}
	place := 0
	for line := range strings.Lines(p.stdout) {
		place++
		var e runner.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("line %d is no event: %v\n%s", place, err, line)
		}
		if e.Job == "" {
			continue
		}
		key := e.JobID + "\x00" + e.Job
		j := byName[key]
		if j == nil {
			j = &playedJob{}
			byName[key] = j
			p.jobs = append(p.jobs, j)
		}
		switch e.Type {
		case runner.JobStarted:
			j.started = place
		case runner.JobFinished:
			j.finished, j.head = place, e
		case runner.Log:
			// What the engine itself says, and titles of groups, are no output of commands.
			if !e.Notice && e.Group == "" {
				j.lines = append(j.lines, e.Line)
			}
		}
	}
}

// job finds a job by the corpus's key: the path of keys, with the leg.
func (p *played) job(key string) *playedJob {
	for _, j := range p.jobs {
		if key == strings.TrimSpace(j.head.JobID+" "+j.head.Leg) || key == j.head.Job {
			return j
		}
	}
	return nil
}

func (p *played) checkJob(t *testing.T, key string, want jobCase) {
	j := p.job(key)
	if j == nil {
		t.Errorf("there is no job %q", key)
		return
	}
	status := string(j.head.Status)
	if status == "failure" {
		status = "failed"
	}
	if status != want.Status || j.head.Tolerated != want.Tolerated {
		t.Errorf("%q: %s, tolerated %v (%s), want %s, tolerated %v", key, status, j.head.Tolerated, j.head.Reason, want.Status, want.Tolerated)
	}
	checkLines(t, key, j.lines, want.Contains, want.Lacks, want.InOrder)
	for _, s := range want.Summary {
		if !strings.Contains(j.head.Summary, s) {
			t.Errorf("the summary of %q lacks %q", key, s)
		}
	}
	has := func(file string) bool {
		for _, name := range j.head.Artifacts {
			if exists(filepath.Join(p.artifacts, name, file)) {
				return true
			}
		}
		return false
	}
	for _, f := range want.Artifacts.Has {
		if !has(f) {
			t.Errorf("the artifacts of %q lack %s", key, f)
		}
	}
	for _, f := range want.Artifacts.Lacks {
		if has(f) {
			t.Errorf("the artifacts of %q have %s", key, f)
		}
	}
}

// checkLines looks for substrings of single lines.
func checkLines(t *testing.T, where string, lines, contains, lacks, inOrder []string) {
	t.Helper()
	find := func(text string, from int) int {
		for i := from; i < len(lines); i++ {
			if strings.Contains(lines[i], text) {
				return i
			}
		}
		return -1
	}
	for _, s := range contains {
		if find(s, 0) < 0 {
			t.Errorf("the output of %s lacks %q", where, s)
		}
	}
	for _, s := range lacks {
		if i := find(s, 0); i >= 0 {
			t.Errorf("the output of %s has %q: %s", where, s, lines[i])
		}
	}
	at := 0
	for _, s := range inOrder {
		i := find(s, at)
		if i < 0 {
			t.Errorf("the output of %s lacks %q, or has it too early", where, s)
			break
		}
		at = i + 1
	}
}
