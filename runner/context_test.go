package runner_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/dummy"
)

func TestConcurrencyOfWholePipelines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		grouped := func(name string, cancel bool) *pipeline.Pipeline {
			p := pipelineOf(jobOf(name, nil, script("s", "sleep 10s")))
			p.Concurrency = &pipeline.Concurrency{Group: lit("deploy"), CancelInProgress: lit(cancel)}
			return p
		}
		w := newWorld(t, grouped("one", false), sleeper)
		groups := runner.NewGroups()
		w.opts.Groups = groups
		other := newWorld(t, grouped("two", true), sleeper)
		other.opts.Groups = groups
		ended := make(chan string)
		go func() { ended <- statuses(w.run(t.Context())) }()
		go func() {
			time.Sleep(time.Second)
			ended <- statuses(other.run(t.Context()))
		}()
		want(t, <-ended, "one=cancelled")
		want(t, <-ended, "two=success")
		if tr := w.sink.trace(runner.JobFinished); !strings.Contains(tr, `a newer one took its place in concurrency group "deploy"`) {
			t.Error(tr)
		}
	})
}

func TestGroupOfTheCallerIsADeadlock(t *testing.T) {
	group := &pipeline.Concurrency{Group: lit("g")}
	inner := pipelineOf(jobOf("x", nil))
	inner.Concurrency = group
	call := &pipeline.Job{Key: "call", If: success, Concurrency: group, Call: &pipeline.Call{Pipeline: inner}}
	w := newWorld(t, pipelineOf(call), nil)
	res := w.run(t.Context())
	if res.Status != pipeline.Failure || !strings.Contains(w.sink.trace(runner.JobFinished), "deadlock") {
		t.Errorf("%v\n%s", res, w.sink.trace())
	}
}

func TestEnvironmentIsTold(t *testing.T) {
	j := jobOf("deploy", nil, script("s", "set url=https://example.test/7"))
	j.Environment = &pipeline.Environment{Name: lit("production"), URL: expr(func(s *pipeline.Scope) pipeline.Data {
		r, _ := s.Steps.Lookup("s")
		v, _ := r.Outputs.Get("url")
		return v
	})}
	w := newWorld(t, pipelineOf(j), sleeper)
	w.run(t.Context())
	last := w.sink.all()[len(w.sink.all())-2]
	if last.Environment != "production" || last.EnvironmentURL != "https://example.test/7" {
		t.Errorf("%+v", last)
	}
}

// effects is an Actions whose steps apply what a test gives them.
type effects struct {
	run func(ctx context.Context, st runner.StepContext) (pipeline.Status, error)
}

func (effects) Prepare(context.Context, runner.JobContext, []*pipeline.Step) (map[string]string, error) {
	return nil, nil
}

func (e effects) Run(ctx context.Context, st runner.StepContext, _ *pipeline.Use) (pipeline.Status, error) {
	return e.run(ctx, st)
}

func use(id string) *pipeline.Step {
	return &pipeline.Step{ID: id, Name: lit(id), If: success, Do: &pipeline.Use{Ref: "x"}}
}

func TestEffects(t *testing.T) {
	closed := false
	w := newWorld(t, pipelineOf(jobOf("j", nil, use("apply"), script("see", "path"))), func(_ context.Context, c dummy.Call) runner.Exit {
		fmt.Fprintln(c.Out, "PATH="+c.Env("PATH"))
		return runner.Exit{}
	})
	w.opts.Actions = effects{func(ctx context.Context, st runner.StepContext) (pipeline.Status, error) {
		for _, e := range []pipeline.Effect{
			pipeline.AddPath{Dir: "/one"}, pipeline.AddPath{Dir: "/two"}, pipeline.AddPath{Dir: "/one"},
			pipeline.Debug{Text: "not asked for"}, pipeline.Say{Text: "said"}, pipeline.BeginGroup{Title: "G"}, pipeline.EndGroup{},
			pipeline.AddSummary{Markdown: "# Title"}, pipeline.RemoveMatcher{Owner: "nobody"},
			pipeline.Annotate{Annotation: pipeline.Annotation{Level: "notice", Message: "here", File: "/ws/a/b.go", Line: 4}},
		} {
			st.Apply(e)
		}
		st.Job().OnClose(func(context.Context) { closed = true })
		st.Job().AddArtifact("built")
		if st.Job().ID() != "j" || st.Job().Pipeline() == nil || st.Job().Workspace() == nil || st.Job().Scope().Machine.Workspace != "/ws" {
			t.Error("the job's context does not know its job")
		}
		inner := st.WithAction(&pipeline.ActionScope{Path: "/action"}, pipeline.NewMap("in", "1"))
		if inner.Scope().Action.Path != "/action" || st.Scope().Action != nil {
			t.Error("the action's scope is not apart")
		}
		exit, err := inner.Exec(ctx, []string{"program"}, "", []pipeline.EnvVar{{Name: "PATH", Value: "/given"}})
		if err != nil || exit.Code != 0 {
			t.Errorf("%+v %v", exit, err)
		}
		return pipeline.Success, nil
	}}
	want(t, statuses(w.run(t.Context())), "j=success")
	want(t, w.sink.trace(runner.Log, runner.Annotated), `log | j | apply | said
log | j | apply | G
log | j | apply
annotation | j | apply | notice: here a/b.go:4
log | j | apply | PATH=/given
log | j | see | PATH=/one:/two:/bin`)
	if !closed {
		t.Error("what was to be done at the end was not")
	}
	for _, e := range w.sink.all() {
		if e.Type == runner.JobFinished && (e.Summary != "# Title\n" || len(e.Artifacts) != 1) {
			t.Errorf("%+v", e)
		}
	}
}

// engine runs containers by a function.
type engine func(c runner.ContainerRun, stdio runner.Stdio) (runner.Exit, error)

func (e engine) RunContainer(_ context.Context, _ runner.Workspace, c runner.ContainerRun, _ runner.Command, stdio runner.Stdio) (runner.Exit, error) {
	return e(c, stdio)
}

func TestContainersOfSteps(t *testing.T) {
	w := newWorld(t, pipelineOf(jobOf("j", nil, use("c"))), nil)
	w.opts.Actions = effects{func(ctx context.Context, st runner.StepContext) (pipeline.Status, error) {
		exit, err := st.Container(ctx, runner.ContainerRun{Image: "i", Env: []pipeline.EnvVar{{Name: "X", Value: "1"}}})
		if err != nil {
			return "", err
		}
		if exit.Code != 0 {
			return st.Fail("the container ended with %d", exit.Code)
		}
		return pipeline.Success, nil
	}}
	if res := w.run(t.Context()); !strings.Contains(res.Jobs[0].Reason, "no container engine") {
		t.Errorf("%+v", res)
	}
	w.sink = sink{}
	w.opts.Engine = func() (runner.ContainerEngine, error) {
		return engine(func(c runner.ContainerRun, stdio runner.Stdio) (runner.Exit, error) {
			names := map[string]string{}
			for _, v := range c.Env {
				names[v.Name] = v.Value
			}
			fmt.Fprintf(stdio.Out, "%s X=%s CI=%s OUT set: %v\n!error inside\n", c.Image, names["X"], names["CI"], names["OUT"] != "")
			return runner.Exit{Code: 3}, nil
		}), nil
	}
	w.run(t.Context())
	want(t, w.sink.trace(runner.Log, runner.Annotated), `log | j | c | i X=1 CI=true OUT set: true
annotation | j | c | error: inside :0
annotation | j | c | error: the container ended with 3 :0`)
}

const goMatcher = `{"problemMatcher":[{"owner":"go","pattern":[{"regexp":"^\\s*(\\S+\\.go):(\\d+): (.*)$","file":1,"line":2,"message":3}]}]}`

func TestAnnotationsFindTheirFile(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{"order/order_test.go", "a/same_test.go", "b/same_test.go", "top.go"} {
		p := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, pipelineOf(jobOf("j", nil, script("s", "test"))), func(_ context.Context, c dummy.Call) runner.Exit {
		c.Write("/ws/m.json", goMatcher)
		fmt.Fprint(c.Out, "!matcher m.json\n    order_test.go:7: one of that name\nsame_test.go:8: two of that name\n/ws/top.go:9: absolute\nb/same_test.go:3: by its folder\nnone.go:1: nowhere\n")
		return runner.Exit{}
	})
	w.exec.Host = root
	w.run(t.Context())
	want(t, w.sink.trace(runner.Annotated), `annotation | j | s | error: one of that name order/order_test.go:7
annotation | j | s | error: two of that name same_test.go:8
annotation | j | s | error: absolute top.go:9
annotation | j | s | error: by its folder b/same_test.go:3
annotation | j | s | error: nowhere none.go:1`)
}

func TestNoLegs(t *testing.T) {
	w := newWorld(t, pipelineOf(matrixJob(matrixOf{"echo 1"}, pipeline.Strategy{})), sleeper)
	w.req.Matrix = map[string]string{"v": "other"}
	res := w.run(t.Context())
	want(t, statuses(res), "m=skipped")
	if res.Jobs[0].Reason != "no leg of the matrix has the values asked for" || res.Reason != "every job was skipped" {
		t.Errorf("%+v", res)
	}
}
