package runner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/dummy"
)

// fn is an expression made of a Go function.
type fn func(*pipeline.Scope) (pipeline.Data, error)

func (f fn) Eval(s *pipeline.Scope) (pipeline.Data, error) { return f(s) }
func (f fn) String() string                                { return "test expression" }

func expr(f func(*pipeline.Scope) pipeline.Data) pipeline.Value {
	return pipeline.Expression(pipeline.Pos{File: "ci.yml", Line: 1}, fn(func(s *pipeline.Scope) (pipeline.Data, error) { return f(s), nil }))
}

func lit(v any) pipeline.Value { return pipeline.Literal(pipeline.Pos{File: "ci.yml", Line: 1}, v) }

// The conditions that formats have.
var (
	success = expr(func(s *pipeline.Scope) pipeline.Data {
		if s.Current != "" {
			return s.Current == pipeline.Success
		}
		for _, r := range s.Upstream {
			if r.Status != pipeline.Success {
				return false
			}
		}
		return !s.Cancelled
	})
	always  = lit(true)
	failed  = expr(func(s *pipeline.Scope) pipeline.Data { return s.Current == pipeline.Failure })
	stopped = expr(func(s *pipeline.Scope) pipeline.Data { return s.Cancelled })
)

// dialect is a small format: scripts run by sh, commands are "!name value" lines, and variables are set by the file OUT.
type dialect struct{}

func (dialect) Name() string { return "test" }
func (dialect) Environ(*pipeline.Scope) []pipeline.EnvVar {
	return []pipeline.EnvVar{{Name: "CI", Value: "true"}, {Name: "JOB_ID", Value: "7"}}
}
func (dialect) Owns(name string) bool { return name == "JOB_ID" }
func (dialect) Shell(name string, _ func(string) bool) (pipeline.Interpreter, error) {
	if name == "none" {
		return pipeline.Interpreter{}, errors.New(`unknown shell "none"`)
	}
	return pipeline.Interpreter{Argv: []string{"sh", "{0}"}}, nil
}
func (dialect) NewProtocol(func(string) string) pipeline.Protocol { return protocol{} }

type protocol struct{}

func (protocol) Files() []pipeline.CommandFile { return []pipeline.CommandFile{{Env: "OUT"}} }
func (protocol) ReadFile(_ string, content []byte) ([]pipeline.Effect, error) {
	var out []pipeline.Effect
	for line := range strings.Lines(string(content)) {
		k, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok {
			return out, fmt.Errorf("no = in %q", line)
		}
		if name, isEnv := strings.CutPrefix(k, "env."); isEnv {
			out = append(out, pipeline.SetEnv{Name: name, Value: v})
		} else {
			out = append(out, pipeline.SetOutput{Name: k, Value: v})
		}
	}
	return out, nil
}
func (protocol) Line(line []byte) ([]pipeline.Effect, bool) {
	if len(line) == 0 || line[0] != '!' {
		return nil, false
	}
	name, value, _ := strings.Cut(string(line[1:]), " ")
	switch name {
	case "mask":
		return []pipeline.Effect{pipeline.AddMask{Text: value}}, true
	case "error":
		return []pipeline.Effect{pipeline.Annotate{Annotation: pipeline.Annotation{Level: "error", Message: value}}}, true
	case "matcher":
		return []pipeline.Effect{pipeline.AddMatcher{File: value}}, true
	}
	return nil, false
}

// sink keeps all events; lines become log events.
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

func (s *sink) all() []runner.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]runner.Event(nil), s.events...)
}

// trace lists what happened, a line an event, in short.
func (s *sink) trace(types ...runner.EventType) string {
	var b strings.Builder
	for _, e := range s.all() {
		keep := len(types) == 0
		for _, t := range types {
			keep = keep || t == e.Type
		}
		if !keep {
			continue
		}
		fmt.Fprintf(&b, "%s", e.Type)
		for _, f := range []string{e.Job, e.Step, string(e.Status), e.Line, e.Reason} {
			if f != "" {
				fmt.Fprintf(&b, " | %s", f)
			}
		}
		if e.Annotation != nil {
			fmt.Fprintf(&b, " | %s: %s %s:%d", e.Annotation.Level, e.Annotation.Message, e.Annotation.File, e.Annotation.Line)
		}
		if e.Tolerated {
			b.WriteString(" | tolerated")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// script is a step that runs text.
func script(id, text string, change ...func(*pipeline.Step)) *pipeline.Step {
	s := &pipeline.Step{ID: id, Name: lit(id), If: success, Do: &pipeline.Script{Text: lit(text)}}
	for _, c := range change {
		c(s)
	}
	return s
}

func when(v pipeline.Value) func(*pipeline.Step) { return func(s *pipeline.Step) { s.If = v } }

// jobOf is a job of steps.
func jobOf(key string, needs []string, steps ...*pipeline.Step) *pipeline.Job {
	j := &pipeline.Job{Key: key, If: success, Steps: steps}
	for _, n := range needs {
		j.Needs = append(j.Needs, pipeline.Need{Key: n})
	}
	return j
}

func pipelineOf(jobs ...*pipeline.Job) *pipeline.Pipeline {
	return &pipeline.Pipeline{File: "ci.yml", Name: "ci", Dialect: dialect{}, Jobs: jobs}
}

// world is a run against a dummy executor.
type world struct {
	t    *testing.T
	exec dummy.Executor
	sink sink
	opts runner.Options
	req  runner.Request
}

func newWorld(t *testing.T, p *pipeline.Pipeline, run func(context.Context, dummy.Call) runner.Exit) *world {
	w := &world{t: t, exec: dummy.Executor{Run: run}}
	w.opts = runner.Options{
		Executor: func(runner.JobSpec) (runner.Executor, error) { return &w.exec, nil },
		Sink:     &w.sink,
		Jobs:     100,
	}
	w.req = runner.Request{Pipeline: p, Run: &pipeline.Run{ID: "run-1", Event: pipeline.Event{Name: "push"}}}
	return w
}

func (w *world) run(ctx context.Context) runner.Result {
	w.t.Helper()
	res, err := runner.Run(ctx, w.opts, w.req)
	if err != nil {
		w.t.Fatal(err)
	}
	if opened, closed := len(w.exec.Opened()), w.exec.Closed(); opened != closed {
		w.t.Errorf("%d workspaces opened, %d closed", opened, closed)
	}
	return res
}

// status returns how each job ended, as "a=success b=skipped", in the order in which they ended.
func statuses(res runner.Result) string {
	var out []string
	for _, j := range res.Jobs {
		s := string(j.Status)
		if j.Tolerated {
			s += "(tolerated)"
		}
		out = append(out, j.ID+"="+s)
	}
	return strings.Join(out, " ")
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
