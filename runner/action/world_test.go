package action_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/action"
	"github.com/gantry-ops/gantry/runner/host"
	"github.com/gantry-ops/gantry/runner/storage"
)

// path is an expression that is a path into the contexts: "inputs.name", "steps.id.outputs.name", "env.NAME", "always".
type expression string

func (e expression) String() string { return string(e) }

func (e expression) Eval(s *pipeline.Scope) (pipeline.Data, error) {
	p := strings.Split(string(e), ".")
	get := func(o pipeline.Object, key string) pipeline.Data {
		if o == nil {
			return nil
		}
		v, _ := o.Get(key)
		return v
	}
	switch p[0] {
	case "inputs":
		return get(s.Inputs, p[1]), nil
	case "env":
		return get(s.Env, p[1]), nil
	case "steps":
		r, _ := s.Steps.Lookup(p[1])
		if p[2] == "outputs" {
			return get(r.Outputs, p[3]), nil
		}
		return string(r.Outcome), nil
	case "success":
		return s.Current == "" || s.Current == pipeline.Success, nil
	case "failure":
		return s.Current == pipeline.Failure, nil
	case "always":
		return true, nil
	case "bad":
		return nil, errors.New("a bad expression")
	}
	return nil, fmt.Errorf("unknown %q", e)
}

// val is a literal, or with "=" in front an expression.
func val(text string) pipeline.Value {
	if e, ok := strings.CutPrefix(text, "="); ok {
		return pipeline.Expression(pipeline.Pos{File: "ci.yml", Line: 7}, expression(e))
	}
	return pipeline.Literal(pipeline.Pos{}, text)
}

// mapping is a mapping of values.
type mapping map[string]string

func (m mapping) String() string { return "mapping" }
func (m mapping) Eval(s *pipeline.Scope) (pipeline.Data, error) {
	out := pipeline.NewMap()
	for k, v := range m {
		d, err := val(v).Eval(s)
		if err != nil {
			return nil, err
		}
		out.Set(k, d)
	}
	return out, nil
}

// dialect is a small format: scripts run by sh, and the variables and files that the vendor's toolkit needs.
type dialect struct{}

func (dialect) Owns(string) bool { return false }
func (dialect) Name() string     { return "test" }
func (dialect) Environ(s *pipeline.Scope) []pipeline.EnvVar {
	out := []pipeline.EnvVar{
		{Name: "GITHUB_WORKSPACE", Value: s.Machine.Workspace}, {Name: "RUNNER_TEMP", Value: s.Machine.Temp},
		{Name: "RUNNER_TOOL_CACHE", Value: s.Machine.Tools}, {Name: "GITHUB_SERVER_URL", Value: s.Run.Repository.Server},
		{Name: "GITHUB_REF", Value: "refs/heads/main"}, {Name: "GITHUB_RUN_ID", Value: s.Run.ID},
	}
	if s.Action != nil {
		out = append(out, pipeline.EnvVar{Name: "GITHUB_ACTION_PATH", Value: s.Action.Path}, pipeline.EnvVar{Name: "GITHUB_ACTION_REF", Value: s.Action.Ref})
	}
	return out
}
func (dialect) Shell(string, func(string) bool) (pipeline.Interpreter, error) {
	return pipeline.Interpreter{Argv: []string{"sh", "-e", "{0}"}}, nil
}
func (dialect) NewProtocol(func(string) string) pipeline.Protocol { return protocol{} }

type protocol struct{}

func (protocol) Files() []pipeline.CommandFile {
	return []pipeline.CommandFile{{Env: "GITHUB_OUTPUT"}, {Env: "GITHUB_STATE"}, {Env: "GITHUB_ENV"}}
}
func (protocol) ReadFile(env string, content []byte) ([]pipeline.Effect, error) {
	var out []pipeline.Effect
	for line := range strings.Lines(string(content)) {
		k, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch {
		case !ok:
		case env == "GITHUB_OUTPUT":
			out = append(out, pipeline.SetOutput{Name: k, Value: v})
		case env == "GITHUB_STATE":
			out = append(out, pipeline.SaveState{Name: k, Value: v})
		case env == "GITHUB_ENV":
			out = append(out, pipeline.SetEnv{Name: k, Value: v})
		}
	}
	return out, nil
}
func (protocol) Line([]byte) ([]pipeline.Effect, bool) { return nil, false }

// definition is an action's definition in the tests' own format, JSON.
type definition struct {
	Using, Main, Pre, Post, PreIf, PostIf string
	Image, Entrypoint                     string
	PostEntrypoint                        string
	Args                                  []string
	Env                                   mapping
	Inputs                                []struct {
		Name, Default, Deprecated string
		Required                  bool
	}
	Steps   []stepDefinition
	Outputs map[string]string
}

type stepDefinition struct {
	ID, Uses, Run, If string
	With              mapping
}

func (s stepDefinition) step() *pipeline.Step {
	out := &pipeline.Step{Pos: pipeline.Pos{File: "ci.yml", Line: 10}, ID: s.ID, Name: val(s.ID), If: val("=success")}
	if s.If != "" {
		out.If = val(s.If)
	}
	if s.Uses != "" {
		out.Do = &pipeline.Use{Pos: out.Pos, Ref: s.Uses, With: pipeline.Expression(pipeline.Pos{}, s.With)}
	} else {
		out.Do = &pipeline.Script{Text: val(s.Run)}
	}
	return out
}

func parse(file string, content []byte) (*pipeline.ActionDefinition, pipeline.Diagnostics) {
	var d definition
	if err := json.Unmarshal(content, &d); err != nil {
		var ds pipeline.Diagnostics
		ds.Errorf(pipeline.Pos{File: file, Line: 1, Col: 1}, "syntax", "%v", err)
		return nil, ds
	}
	a := &pipeline.ActionDefinition{Pos: pipeline.Pos{File: file}}
	for _, i := range d.Inputs {
		in := pipeline.Input{Name: i.Name, Required: i.Required, Deprecated: i.Deprecated}
		if i.Default != "" {
			in.Default = val(i.Default)
		}
		a.Inputs = append(a.Inputs, in)
	}
	condition := func(text string) pipeline.Value {
		if text == "" {
			return pipeline.Value{}
		}
		return val(text)
	}
	switch d.Using {
	case "composite":
		c := &pipeline.CompositeAction{}
		for _, s := range d.Steps {
			c.Steps = append(c.Steps, s.step())
		}
		for k, v := range d.Outputs {
			a.Outputs = append(a.Outputs, pipeline.Output{Name: k, Value: val(v)})
		}
		a.Runs = c
	case "docker":
		c := &pipeline.ContainerAction{Image: d.Image, Entrypoint: d.Entrypoint, PostEntrypoint: d.PostEntrypoint, Env: pipeline.Expression(pipeline.Pos{}, d.Env)}
		for _, arg := range d.Args {
			c.Args = append(c.Args, val(arg))
		}
		a.Runs = c
	default:
		a.Runs = &pipeline.NodeAction{Using: d.Using, Main: d.Main, Pre: d.Pre, Post: d.Post, PreIf: condition(d.PreIf), PostIf: condition(d.PostIf)}
	}
	return a, nil
}

// source serves remote actions from a folder: DIR/OWNER/NAME.
type source string

func (s source) Fetch(_ context.Context, repository, ref string) (dir, commit string, err error) {
	dir = filepath.Join(string(s), repository)
	if _, err := os.Stat(dir); err != nil {
		return "", "", fmt.Errorf("repository %s: not found", repository)
	}
	return dir, "c0ffee" + ref, nil
}

// checkouter copies a folder, and keeps what it was asked for.
type checkouter struct {
	files map[string]string
	mu    sync.Mutex
	calls []checkOut
}

type checkOut struct {
	repository string
	action.CheckOut
}

func (c *checkouter) CheckOut(_ context.Context, repository, dest string, o action.CheckOut) (string, error) {
	c.mu.Lock()
	c.calls = append(c.calls, checkOut{repository, o})
	c.mu.Unlock()
	if o.Ref == "none" {
		return "", errors.New("no such ref")
	}
	for name, text := range c.files {
		p := filepath.Join(dest, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	return "5ca1ab1e", nil
}

// sink keeps all events.
type sink struct {
	mu     sync.Mutex
	events []runner.Event
}

func (s *sink) Emit(e runner.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

func (s *sink) Lines(head *runner.Event, lines []byte) {
	for line := range bytes.Lines(lines) {
		e := *head
		e.Line = string(bytes.TrimSuffix(line, []byte("\n")))
		s.Emit(e)
	}
}

// world runs jobs on the host with an action runner.
type world struct {
	t        *testing.T
	options  action.Options
	checkout *checkouter
	actions  string
	exec     *host.Executor
	engine   *engine
	env      *pipeline.Map
	repo     pipeline.Repository
	runID    string
	inPlace  string
	// hidden: the host does not see the job's files.
	hidden bool
	// container: jobs believe that they run in one.
	container bool
	artifacts *storage.Artifacts
	caches    *storage.Caches
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, actions: t.TempDir(), checkout: &checkouter{files: map[string]string{}}, engine: &engine{}, env: pipeline.NewEnvMap(), runID: "42"}
	w.artifacts = storage.OpenArtifacts(t.TempDir(), nil)
	w.caches = storage.OpenCaches(t.TempDir(), 0, nil)
	w.repo = pipeline.Repository{Owner: "acme", Name: "app", Server: "https://github.com"}
	w.options = action.Options{Parse: parse, Source: source(w.actions), Checkout: w.checkout, Artifacts: w.artifacts, Caches: w.caches}
	root := t.TempDir()
	var err error
	if w.exec, err = host.New(host.Options{Root: filepath.Join(root, "work"), Tools: filepath.Join(root, "tools")}); err != nil {
		t.Fatal(err)
	}
	return w
}

// remote makes a remote action: files by name, action.yml from a definition.
func (w *world) remote(repository string, files map[string]string) {
	w.t.Helper()
	for name, text := range files {
		p := filepath.Join(w.actions, repository, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

// outcome is what a run has shown.
type outcome struct {
	t      *testing.T
	result runner.Result
	events []runner.Event
	// outputs of the job.
	outputs map[string]string
}

// run runs a job of steps; outputs are the job's.
func (w *world) run(outputs map[string]string, steps ...stepDefinition) outcome {
	w.t.Helper()
	r, err := action.New(w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	job := &pipeline.Job{Key: "job", If: val("=always"), RunsOn: val("linux")}
	for _, s := range steps {
		job.Steps = append(job.Steps, s.step())
	}
	for k, v := range outputs {
		job.Outputs = append(job.Outputs, pipeline.Output{Name: k, Value: val(v)})
	}
	var s sink
	res, err := runner.Run(w.t.Context(), runner.Options{
		Executor: func(runner.JobSpec) (runner.Executor, error) {
			if w.hidden {
				return hidden{w.exec, w.container}, nil
			}
			return w.exec, nil
		},
		Engine:  func() (runner.ContainerEngine, error) { return w.engine, nil },
		Actions: r, Sink: &s, Jobs: 2, InPlace: w.inPlace,
	}, runner.Request{
		Pipeline: &pipeline.Pipeline{File: "ci.yml", Name: "ci", Dialect: dialect{}, Jobs: []*pipeline.Job{job}},
		Run: &pipeline.Run{ID: w.runID, Repository: w.repo, Token: "s3cr3t-token",
			Change: pipeline.Change{SHA: "5ca1ab1e", Ref: "refs/heads/main", Head: ""}},
		Env: w.env,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	o := outcome{t: w.t, result: res, events: s.events}
	for _, e := range s.events {
		if e.Type == runner.JobFinished {
			o.outputs = e.Outputs
		}
	}
	return o
}

// text is all that was shown.
func (o outcome) text() string {
	var b strings.Builder
	for _, e := range o.events {
		if e.Line != "" {
			fmt.Fprintln(&b, e.Line)
		}
		if e.Annotation != nil {
			fmt.Fprintf(&b, "%s: %s [%s:%d]\n", e.Annotation.Level, e.Annotation.Message, e.Annotation.File, e.Annotation.Line)
		}
		if e.Type == runner.JobFinished {
			fmt.Fprintln(&b, "reason:", e.Reason)
		}
	}
	return b.String()
}

func (o outcome) wants(status pipeline.Status, texts ...string) {
	o.t.Helper()
	shown := o.text()
	if o.result.Status != status {
		o.t.Errorf("the run is %s, want %s:\n%s", o.result.Status, status, shown)
	}
	for _, t := range texts {
		if !strings.Contains(shown, t) {
			o.t.Errorf("nothing shown has %q:\n%s", t, shown)
		}
	}
}

func (o outcome) lacks(texts ...string) {
	o.t.Helper()
	for _, t := range texts {
		if strings.Contains(o.text(), t) {
			o.t.Errorf("shown: %q\n%s", t, o.text())
		}
	}
}

func (o outcome) wantOutput(name, value string) {
	o.t.Helper()
	if o.outputs[name] != value {
		o.t.Errorf("output %s is %q, want %q\n%s", name, o.outputs[name], value, o.text())
	}
}

// hidden is an executor whose workspaces' files the host does not see, as in a container elsewhere.
type hidden struct {
	runner.Executor
	container bool
}

func (h hidden) Open(ctx context.Context, spec runner.JobSpec) (runner.Workspace, error) {
	ws, err := h.Executor.Open(ctx, spec)
	return hiddenWorkspace{ws, h.container}, err
}

type hiddenWorkspace struct {
	runner.Workspace
	container bool
}

func (w hiddenWorkspace) Container() *pipeline.RunningContainer {
	if !w.container {
		return nil
	}
	return &pipeline.RunningContainer{ID: "c"}
}

func (hiddenWorkspace) HostPath(string) (string, bool) { return "", false }

// engine records the containers that it is asked to run.
type engine struct {
	runs []runner.ContainerRun
	exit runner.Exit
}

func (e *engine) RunContainer(_ context.Context, _ runner.Workspace, c runner.ContainerRun, _ runner.Command, _ runner.Stdio) (runner.Exit, error) {
	e.runs = append(e.runs, c)
	return e.exit, nil
}

func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed: what runs it is not tested", program)
	}
}

// sh is a step that runs a script.
func sh(id, text string) stepDefinition { return stepDefinition{ID: id, Run: text} }

// use is a step that uses an action.
func use(id, ref string, with mapping) stepDefinition {
	return stepDefinition{ID: id, Uses: ref, With: with}
}
