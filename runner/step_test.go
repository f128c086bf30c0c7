package runner_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/dummy"
)

func TestStepResults(t *testing.T) {
	tolerated := script("tolerated", "exit 3")
	tolerated.ContinueOnError = lit(true)
	outcome := &pipeline.Step{ID: "see", Name: lit("see"), If: success, Do: &pipeline.Script{Text: expr(func(s *pipeline.Scope) pipeline.Data {
		r, _ := s.Steps.Lookup("tolerated")
		return fmt.Sprintf("echo %s then %s", r.Outcome, r.Conclusion)
	})}}
	w := newWorld(t, pipelineOf(jobOf("j", nil, tolerated, outcome, script("boom", "exit 4"), script("skipped", "echo no"), script("onfail", "echo failed", when(failed)))), sleeper)
	res := w.run(t.Context())
	want(t, statuses(res), "j=failure")
	want(t, res.Jobs[0].Reason, `step "boom" failed: exit code 4`)
	want(t, w.sink.trace(runner.Log, runner.StepFinished), `step.finished | j | tolerated | failure | exit code 3 | tolerated
log | j | see | failure then success
step.finished | j | see | success
step.finished | j | boom | failure | exit code 4
step.finished | j | skipped | skipped | its condition is false: test expression
log | j | onfail | failed
step.finished | j | onfail | success`)
}

func TestEnvironment(t *testing.T) {
	env := func(c dummy.Call) runner.Exit {
		fmt.Fprintf(c.Out, "A=%s B=%s C=%s CI=%s JOB_ID=%s\n", c.Env("A"), c.Env("B"), c.Env("C"), c.Env("CI"), c.Env("JOB_ID"))
		return runner.Exit{}
	}
	j := jobOf("j", nil,
		script("one", "", func(s *pipeline.Step) { s.Env = lit(pipeline.NewMap("C", "step")) }),
		script("set", "set env.B=later"),
		script("two", ""))
	j.Env = expr(func(s *pipeline.Scope) pipeline.Data {
		a, _ := s.Env.Get("A")
		return pipeline.NewMap("B", "job", "C", "job after "+pipeline.Text(a))
	})
	p := pipelineOf(j)
	p.Env = lit(pipeline.NewMap("A", "pipeline", "B", "pipeline", "CI", "mine", "JOB_ID", "mine"))
	w := newWorld(t, p, func(ctx context.Context, c dummy.Call) runner.Exit {
		if c.Script != "" {
			return sleeper(ctx, c)
		}
		return env(c)
	})
	w.run(t.Context())
	want(t, w.sink.trace(runner.Log), `log | j | one | A=pipeline B=job C=step CI=mine JOB_ID=7
log | j | two | A=pipeline B=later C=job after pipeline CI=mine JOB_ID=7`)
}

func TestCommandFileMistakeFailsTheStep(t *testing.T) {
	w := newWorld(t, pipelineOf(jobOf("j", nil, script("s", "set nothing"))), sleeper)
	want(t, statuses(w.run(t.Context())), "j=failure")
	if tr := w.sink.trace(runner.Annotated); !strings.Contains(tr, "OUT: no = in") {
		t.Error(tr)
	}
}

func TestUnknownShell(t *testing.T) {
	s := script("s", "x")
	s.Do.(*pipeline.Script).Shell = lit("none")
	w := newWorld(t, pipelineOf(jobOf("j", nil, s)), sleeper)
	want(t, statuses(w.run(t.Context())), "j=failure")
	want(t, w.sink.trace(runner.Annotated), `annotation | j | s | error: unknown shell "none" :0`)
}

func TestBackgroundSteps(t *testing.T) {
	background := func(s *pipeline.Step) { s.Background = true }
	wait := &pipeline.Step{ID: "w", Name: lit("wait"), If: success, Do: &pipeline.Wait{IDs: []string{"Quick"}}}
	cancel := &pipeline.Step{ID: "c", Name: lit("cancel"), If: success, Do: &pipeline.CancelStep{ID: "server"}}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, pipelineOf(jobOf("j", nil,
			script("server", "sleep 1h", background), script("quick", "sleep 2s\necho quick", background),
			script("now", "sleep 1s\necho now"), wait, script("then", "echo then"), cancel, script("end", "echo end"))), sleeper)
		start := time.Now()
		want(t, statuses(w.run(t.Context())), "j=success")
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("took %v, want 2s", took)
		}
		want(t, w.sink.trace(runner.Log), "log | j | now | now\nlog | j | quick | quick\nlog | j | then | then\nlog | j | end | end")
	})
	synctest.Test(t, func(t *testing.T) { // a failure in the background fails the job, and the job waits for what still runs
		w := newWorld(t, pipelineOf(jobOf("j", nil, script("b", "sleep 3s\nexit 1", background), script("now", "echo now"))), sleeper)
		start := time.Now()
		want(t, statuses(w.run(t.Context())), "j=failure")
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v, want 3s", took)
		}
	})
}

func TestGroupsOfSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		par := &pipeline.Step{ID: "p", Name: lit("p"), If: success, Do: &pipeline.Parallel{Steps: []*pipeline.Step{script("p1", "sleep 1s\necho 1"), script("p2", "sleep 2s\necho 2")}}}
		seq := &pipeline.Step{ID: "q", Name: lit("q"), If: success, Do: &pipeline.Sequence{
			Steps: []*pipeline.Step{script("q1", "exit 1"), script("q2", "echo no")},
			Post:  []*pipeline.Step{script("post", "echo post", when(always)), script("onfail", "echo onfail", when(failed))},
		}}
		w := newWorld(t, pipelineOf(jobOf("j", nil, par, seq, script("tidy", "echo tidy", when(failed)))), sleeper)
		start := time.Now()
		want(t, statuses(w.run(t.Context())), "j=failure")
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("took %v, want 2s", took)
		}
		want(t, w.sink.trace(runner.Log), "log | j | p1 | 1\nlog | j | p2 | 2\nlog | j | post | post\nlog | j | onfail | onfail\nlog | j | tidy | tidy")
	})
}

// stars hides texts in the plainest way.
type stars struct {
	mu    sync.Mutex
	texts []string
}

func (m *stars) Add(s string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s != "" {
		m.texts = append(m.texts, s)
	}
}

func (m *stars) Mask(dst, src []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.texts {
		src = bytes.ReplaceAll(src, []byte(t), []byte("***"))
	}
	return append(dst, src...)
}

func (m *stars) Longest() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, t := range m.texts {
		n = max(n, len(t))
	}
	return n
}

func TestSecretsAreHiddenAcrossChunks(t *testing.T) {
	const secret = "s3cret-value"
	text := "before " + secret + " after\n!mask later\nnow later is hidden\nno end " + secret
	for cut := 1; cut < len(text); cut++ {
		w := newWorld(t, pipelineOf(jobOf("j", nil, script("s", "x"))), func(_ context.Context, c dummy.Call) runner.Exit {
			fmt.Fprint(c.Out, text[:cut])
			fmt.Fprint(c.Out, text[cut:])
			return runner.Exit{Code: 1, Reason: "saw " + secret}
		})
		w.opts.Masker = &stars{}
		w.req.Secrets = pipeline.NewMap("TOKEN", secret)
		w.run(t.Context())
		want(t, w.sink.trace(runner.Log), "log | j | s | before *** after\nlog | j | s | now *** is hidden\nlog | j | s | no end ***")
		if strings.Contains(w.sink.trace(), secret) {
			t.Fatalf("cut at %d: the secret is in an event:\n%s", cut, w.sink.trace())
		}
	}
}

func TestLongLinesAreCutOutsideOfSecrets(t *testing.T) {
	const secret = "0123456789abcdef"
	line := strings.Repeat("x", 256<<10-8) + secret + strings.Repeat("y", 300<<10)
	w := newWorld(t, pipelineOf(jobOf("j", nil, script("s", "x"))), func(_ context.Context, c dummy.Call) runner.Exit {
		for b := []byte(line); len(b) > 0; {
			n := min(4096, len(b))
			c.Out.Write(b[:n])
			b = b[n:]
		}
		return runner.Exit{}
	})
	w.opts.Masker = &stars{}
	w.req.Secrets = pipeline.NewMap("TOKEN", secret)
	w.run(t.Context())
	var all string
	for _, e := range w.sink.all() {
		if e.Type == runner.Log {
			all += e.Line
		}
	}
	if all != strings.ReplaceAll(line, secret, "***") {
		t.Errorf("%d bytes came out, %d expected; secret there: %v", len(all), len(line)-len(secret)+3, strings.Contains(all, secret[:8]))
	}
}

func TestDescendantsMayWriteAfterTheStep(t *testing.T) {
	later := make(chan struct{})
	var wrote sync.WaitGroup
	w := newWorld(t, pipelineOf(jobOf("j", nil, script("a", "start"), script("b", "wait"))), func(_ context.Context, c dummy.Call) runner.Exit {
		if c.Script == "start" {
			wrote.Go(func() {
				<-later
				fmt.Fprintln(c.Out, "from the background")
			})
			return runner.Exit{}
		}
		close(later)
		wrote.Wait()
		return runner.Exit{}
	})
	w.run(t.Context())
	want(t, w.sink.trace(runner.Log), "log | j | a | from the background")
}

const twoLineMatcher = `{"problemMatcher":[{"owner":"lint","severity":"warning","pattern":[
 {"regexp":"^(\\S+\\.js)$","file":1},
 {"regexp":"^\\s+(\\d+):(\\d+)\\s+(\\S.*)$","line":1,"column":2,"message":3,"loop":true}]}]}`

func TestProblemMatchers(t *testing.T) {
	w := newWorld(t, pipelineOf(jobOf("j", nil, script("add", "add"), script("lint", "lint"))), func(_ context.Context, c dummy.Call) runner.Exit {
		if c.Script == "add" {
			c.Write("/ws/m.json", twoLineMatcher)
			fmt.Fprintln(c.Out, "!matcher m.json\n!matcher missing.json")
			return runner.Exit{}
		}
		fmt.Fprint(c.Out, "src/a.js\n  3:7  no semicolon\n\x1b[31m  9:1  unused\x1b[0m\nother\n  1:1 nothing before\nsrc/b.js\n  4:2  last\n")
		return runner.Exit{}
	})
	w.run(t.Context())
	want(t, w.sink.trace(runner.Annotated), `annotation | j | add | warning: read problem matcher missing.json: open /ws/missing.json: file does not exist :0
annotation | j | lint | warning: no semicolon src/a.js:3
annotation | j | lint | warning: unused src/a.js:9
annotation | j | lint | warning: last src/b.js:4`)
}

// acts is an Actions that runs "nest" as a composite of two scripts, and "hooks" with a step before and one after.
type acts struct{}

func (acts) Prepare(_ context.Context, j runner.JobContext, uses []*pipeline.Step) (map[string]string, error) {
	for _, u := range uses {
		if u.Do.(*pipeline.Use).Ref == "missing" {
			return nil, fmt.Errorf("%s: no such action %q", u.Pos, "missing")
		}
		if u.Do.(*pipeline.Use).Ref == "hooks" {
			j.Before(runner.Hook{Step: u, Name: "Pre " + u.ID, Run: func(_ context.Context, st runner.StepContext) (pipeline.Status, error) {
				st.Apply(pipeline.SaveState{Name: "from", Value: "pre"})
				st.Log("pre")
				return pipeline.Success, nil
			}})
		}
	}
	return map[string]string{"owner/action@v1": "0123456789"}, nil
}

func (acts) Run(ctx context.Context, st runner.StepContext, use *pipeline.Use) (pipeline.Status, error) {
	switch use.Ref {
	case "nest":
		in, err := use.With.Object(st.Scope())
		if err != nil {
			return "", err
		}
		v, _ := in.Get("v")
		return st.Steps(ctx, []*pipeline.Step{
			script("inner", fmt.Sprintf("echo inner %s\nset r=%s!\nset env.FROM=inside", v, v)),
			script("bad", "exit 1", func(s *pipeline.Step) { s.ContinueOnError = lit(true) }),
		}, in, nil, []pipeline.Output{{Name: "result", Value: expr(func(s *pipeline.Scope) pipeline.Data {
			r, _ := s.Steps.Lookup("inner")
			o, _ := r.Outputs.Get("r")
			return o
		})}})
	case "hooks":
		st.After(runner.Hook{Step: st.Step(), Name: "Post " + st.Step().ID, Run: func(_ context.Context, st runner.StepContext) (pipeline.Status, error) {
			st.Log("post with state " + st.State()["from"])
			return pipeline.Success, nil
		}})
		return st.Fail("it %s", "broke")
	}
	return pipeline.Success, nil
}

func TestActions(t *testing.T) {
	nest := &pipeline.Step{ID: "n", Name: lit("nest"), If: success, Do: &pipeline.Use{Ref: "nest", With: lit(pipeline.NewMap("v", "7"))}}
	see := &pipeline.Step{ID: "see", Name: lit("see"), If: success, Do: &pipeline.Script{Text: expr(func(s *pipeline.Scope) pipeline.Data {
		r, _ := s.Steps.Lookup("n")
		o, _ := r.Outputs.Get("result")
		e, _ := s.Env.Get("FROM")
		_, leaked := s.Steps.Lookup("inner")
		return fmt.Sprintf("echo %v %v %v", o, e, leaked)
	})}}
	hooks := &pipeline.Step{ID: "h", Name: lit("hooks"), If: success, Do: &pipeline.Use{Ref: "hooks"}}
	w := newWorld(t, pipelineOf(jobOf("j", nil, nest, see, hooks)), sleeper)
	w.opts.Actions = acts{}
	want(t, statuses(w.run(t.Context())), "j=failure")
	for _, e := range w.sink.all() {
		if e.Type == runner.JobFinished && e.Actions["owner/action@v1"] != "0123456789" {
			t.Errorf("the commit of the action is not recorded: %v", e.Actions)
		}
	}
	want(t, w.sink.trace(runner.StepStarted, runner.Log, runner.StepFinished, runner.Annotated), `log | j | owner/action@v1 is commit 0123456789
step.started | j | Pre h
log | j | Pre h | pre
step.finished | j | Pre h | success
step.started | j | nest
log | j | nest | inner
log | j | nest | inner 7
log | j | nest
log | j | nest | bad
log | j | nest
step.finished | j | nest | success
step.started | j | see
log | j | see | 7! inside false
step.finished | j | see | success
step.started | j | hooks
annotation | j | hooks | error: it broke :0
step.finished | j | hooks | failure | it broke
step.started | j | Post h
log | j | Post h | post with state pre
step.finished | j | Post h | success`)

	missing := &pipeline.Step{ID: "m", Name: lit("m"), Pos: pipeline.Pos{File: "ci.yml", Line: 9, Col: 3}, If: success, Do: &pipeline.Use{Ref: "missing"}}
	w = newWorld(t, pipelineOf(jobOf("j", nil, missing)), sleeper)
	w.opts.Actions = acts{}
	w.run(t.Context())
	if tr := w.sink.trace(runner.JobFinished); !strings.Contains(tr, `ci.yml:9:3: no such action "missing"`) {
		t.Error(tr)
	}
}

func TestOnFailureSeesTheStep(t *testing.T) {
	w := newWorld(t, pipelineOf(jobOf("j", nil, script("s", "exit 5"), script("after", "echo no"))), sleeper)
	var saw []runner.FailedStep
	w.opts.OnFailure = func(_ context.Context, f runner.FailedStep) { saw = append(saw, f) }
	w.run(t.Context())
	if len(saw) != 1 || saw[0].Step != "s" || saw[0].Reason != "exit code 5" || len(saw[0].Command.Env) == 0 || saw[0].Command.Dir != "/ws" {
		t.Errorf("%+v", saw)
	}
}
