package runner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/dummy"
)

// sleeper answers "sleep 2s" scripts in the bubble's time and "exit N" ones at once.
func sleeper(ctx context.Context, c dummy.Call) runner.Exit {
	for line := range strings.SplitSeq(c.Script, "\n") {
		switch verb, rest, _ := strings.Cut(line, " "); verb {
		case "sleep":
			d, err := time.ParseDuration(rest)
			if err != nil {
				return runner.Exit{Code: 2, Reason: err.Error()}
			}
			select {
			case <-time.After(d):
			case <-ctx.Done():
				return runner.Exit{Code: 130, Cancelled: true}
			}
		case "exit":
			var n int
			fmt.Sscan(rest, &n)
			return runner.Exit{Code: n}
		case "echo":
			fmt.Fprintln(c.Out, rest)
		case "set":
			c.Write(c.Env("OUT"), rest+"\n")
		}
	}
	return runner.Exit{}
}

func TestReadyQueueHasNoBarriers(t *testing.T) {
	// By stages this takes 2+2+... = 8 s; each chain on its own takes 4 s.
	synctest.Test(t, func(t *testing.T) {
		var jobs []*pipeline.Job
		for _, chain := range []string{"a", "b"} {
			for i := range 4 {
				sleep := "1s"
				var needs []string
				if i > 0 {
					needs = []string{fmt.Sprintf("%s%d", chain, i-1)}
				}
				jobs = append(jobs, jobOf(fmt.Sprintf("%s%d", chain, i), needs, script("s", "sleep "+sleep)))
			}
		}
		jobs = append(jobs, jobOf("long", nil, script("s", "sleep 4s")))
		w := newWorld(t, pipelineOf(jobs...), sleeper)
		start := time.Now()
		res := w.run(t.Context())
		if took := time.Since(start); took != 4*time.Second {
			t.Errorf("took %v, want 4s", took)
		}
		if res.Status != pipeline.Success {
			t.Errorf("status %s", res.Status)
		}
	})
}

func TestJobLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var jobs []*pipeline.Job
		for i := range 6 {
			jobs = append(jobs, jobOf(fmt.Sprint("j", i), nil, script("s", "sleep 1s")))
		}
		w := newWorld(t, pipelineOf(jobs...), sleeper)
		w.opts.Jobs = 2
		start := time.Now()
		w.run(t.Context())
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %v, want 3s", took)
		}
	})
}

func TestNeeds(t *testing.T) {
	for _, c := range []struct {
		name string
		jobs []*pipeline.Job
		want string
	}{
		{"skipped after a failure, transitively", []*pipeline.Job{
			jobOf("a", nil, script("s", "exit 1")), jobOf("b", []string{"a"}), jobOf("c", []string{"b"}),
		}, "a=failure b=skipped c=skipped"},
		{"always runs", func() []*pipeline.Job {
			b := jobOf("b", []string{"a"})
			b.If = always
			return []*pipeline.Job{jobOf("a", nil, script("s", "exit 1")), b, jobOf("c", []string{"b"})}
		}(), "a=failure b=success c=skipped"},
		{"a tolerated failure counts as success", func() []*pipeline.Job {
			a := jobOf("a", nil, script("s", "exit 1"))
			a.ContinueOnError = lit(true)
			return []*pipeline.Job{a, jobOf("b", []string{"a"})}
		}(), "a=failure(tolerated) b=success"},
		{"needs are found without case", []*pipeline.Job{jobOf("Build", nil), jobOf("b", []string{"build"})}, "Build=success b=success"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, pipelineOf(c.jobs...), sleeper)
			want(t, statuses(w.run(t.Context())), c.want)
		})
	}
}

func TestOnlyTheJobsAskedFor(t *testing.T) {
	w := newWorld(t, pipelineOf(jobOf("a", nil), jobOf("b", []string{"a"}), jobOf("c", nil)), nil)
	w.req.Jobs = []string{"B"}
	want(t, statuses(w.run(t.Context())), "a=success b=success")
}

func TestOutputsReachDependants(t *testing.T) {
	a := jobOf("a", nil, script("s", "set v=42"))
	a.Outputs = []pipeline.Output{{Name: "answer", Value: expr(func(s *pipeline.Scope) pipeline.Data {
		r, _ := s.Steps.Lookup("S")
		v, _ := r.Outputs.Get("v")
		return v
	})}}
	b := jobOf("b", []string{"a"}, &pipeline.Step{ID: "t", Name: lit("t"), If: success, Do: &pipeline.Script{Text: expr(func(s *pipeline.Scope) pipeline.Data {
		v, _ := s.Upstream[0].Outputs.Get("answer")
		return "echo got " + pipeline.Text(v)
	})}})
	w := newWorld(t, pipelineOf(a, b), sleeper)
	w.run(t.Context())
	want(t, w.sink.trace(runner.Log), "log | b | t | got 42")
}

type matrixOf []string

func (m matrixOf) Expand(*pipeline.Scope) ([]pipeline.Leg, error) {
	var legs []pipeline.Leg
	for _, v := range m {
		legs = append(legs, pipeline.Leg{Suffix: " (" + v + ")", Values: pipeline.NewMap("v", v)})
	}
	return legs, nil
}

func matrixJob(legs matrixOf, st pipeline.Strategy) *pipeline.Job {
	st.Matrix = legs
	j := jobOf("m", nil, &pipeline.Step{ID: "s", Name: lit("s"), If: success, Do: &pipeline.Script{Text: expr(func(s *pipeline.Scope) pipeline.Data {
		v, _ := s.Matrix.Get("v")
		return v
	})}})
	j.Strategy = &st
	return j
}

func TestMatrix(t *testing.T) {
	legs := matrixOf{"sleep 1s\nexit 1", "sleep 2s", "sleep 3s"}
	for _, c := range []struct {
		name string
		st   pipeline.Strategy
		took time.Duration
		want []string
	}{
		{"fail-fast cancels the others", pipeline.Strategy{FailFast: lit(true)}, time.Second, []string{"failure", "cancelled", "cancelled"}},
		{"without it they go on", pipeline.Strategy{FailFast: lit(false)}, 3 * time.Second, []string{"failure", "success", "success"}},
		{"max-parallel", pipeline.Strategy{FailFast: lit(false), MaxParallel: lit(1.0)}, 6 * time.Second, []string{"failure", "success", "success"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				after := jobOf("after", []string{"m"})
				after.If = expr(func(s *pipeline.Scope) pipeline.Data { return s.Upstream[0].Status == pipeline.Failure })
				w := newWorld(t, pipelineOf(matrixJob(legs, c.st), after), sleeper)
				start := time.Now()
				res := w.run(t.Context())
				if took := time.Since(start); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				got := map[string]string{}
				for _, j := range res.Jobs {
					got[j.ID] = string(j.Status)
				}
				for i, l := range legs {
					if s := got["m ("+l+")"]; s != c.want[i] {
						t.Errorf("leg %d: %s, want %s", i, s, c.want[i])
					}
				}
				if got["after"] != "success" {
					t.Errorf("the job after saw no failure: %v", got)
				}
				if res.Status != pipeline.Failure {
					t.Errorf("run: %s", res.Status)
				}
			})
		})
	}
}

func TestMatrixLegsByValue(t *testing.T) {
	w := newWorld(t, pipelineOf(matrixJob(matrixOf{"echo 1", "echo 2"}, pipeline.Strategy{})), sleeper)
	w.req.Matrix = map[string]string{"v": "echo 2", "other": "x"}
	want(t, statuses(w.run(t.Context())), "m (echo 2)=success")
}

func TestCancelInterruptsAndCleansUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		last := jobOf("report", []string{"a"}, script("s", "echo reported"))
		last.If = always
		w := newWorld(t, pipelineOf(
			jobOf("a", nil, script("long", "sleep 1h"), script("skipped", "echo no"), script("tidy", "echo tidy", when(always)), script("oncancel", "echo cancelled", when(stopped))),
			jobOf("never", []string{"a"}), last,
		), sleeper)
		time.AfterFunc(time.Minute, func() { cancel(runner.ErrInterrupted) })
		start := time.Now()
		res := w.run(ctx)
		if took := time.Since(start); took != time.Minute {
			t.Errorf("took %v", took)
		}
		if res.Status != pipeline.Cancelled {
			t.Errorf("status %s", res.Status)
		}
		got := strings.Fields(statuses(res))
		slices.Sort(got)
		want(t, strings.Join(got, " "), "a=cancelled never=cancelled report=success")
		want(t, w.sink.trace(runner.Log), "log | a | tidy | tidy\nlog | a | oncancel | cancelled\nlog | report | s | reported")
	})
}

func TestKillLeavesNothingToRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		kill := make(chan struct{})
		w := newWorld(t, pipelineOf(jobOf("a", nil, script("long", "sleep 1h"), script("tidy", "sleep 1h", when(always)))), func(ctx context.Context, c dummy.Call) runner.Exit {
			select {
			case <-c.Command.Kill:
				return runner.Exit{Code: 137, Cancelled: true}
			case <-time.After(time.Hour):
				return runner.Exit{}
			}
		})
		w.opts.Kill = kill
		time.AfterFunc(time.Second, func() { cancel(runner.ErrInterrupted); close(kill) })
		start := time.Now()
		want(t, statuses(w.run(ctx)), "a=cancelled")
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := script("slow", "sleep 1h")
		slow.Timeout = lit(2.0)
		a := jobOf("a", nil, slow, script("after", "echo after", when(failed)))
		b := jobOf("b", nil, script("s", "sleep 1h"), script("tidy", "echo tidy", when(always)))
		b.Timeout = lit(0.5)
		w := newWorld(t, pipelineOf(a, b), sleeper)
		res := w.run(t.Context())
		want(t, statuses(res), "b=cancelled a=failure")
		if res.Status != pipeline.Failure {
			t.Errorf("run: %s", res.Status)
		}
		want(t, w.sink.trace(runner.StepFinished), `step.finished | b | s | cancelled | the job took longer than its timeout of 0.5 minutes
step.finished | b | tidy | success
step.finished | a | slow | failure | the step took longer than its timeout of 2 minutes
step.finished | a | after | success`)
	})
}

func TestCancelTimeoutBoundsTheCleaningUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		j := jobOf("j", nil, script("long", "sleep 1h"), script("tidy", "sleep 1h", when(always)))
		j.CancelTimeout = lit(2.0)
		w := newWorld(t, pipelineOf(j), sleeper)
		time.AfterFunc(time.Second, func() { cancel(runner.ErrInterrupted) })
		start := time.Now()
		w.run(ctx)
		if took := time.Since(start); took != time.Second+2*time.Minute {
			t.Errorf("took %v", took)
		}
		if tr := w.sink.trace(runner.StepFinished); !strings.Contains(tr, "tidy | cancelled | cleaning up took longer than 2m0s") {
			t.Error(tr)
		}
	})
}

func TestConcurrencyGroups(t *testing.T) {
	group := func(j *pipeline.Job, cancel bool, queue string) *pipeline.Job {
		j.Concurrency = &pipeline.Concurrency{Group: lit("Deploy"), CancelInProgress: lit(cancel), Queue: lit(queue)}
		return j
	}
	start := func(at string) *pipeline.Job { return jobOf("t"+at, nil, script("s", "sleep "+at)) }
	for _, c := range []struct {
		name   string
		cancel bool
		queue  string
		want   string
		took   time.Duration
	}{
		// a enters at 1 s and runs for 10 s, b enters at 2 s, c at 3 s.
		{"the newest waits", false, "", "a=success b=cancelled c=success", 21 * time.Second},
		{"the newest cancels", true, "", "a=cancelled b=cancelled c=success", 13 * time.Second},
		{"all wait", false, "max", "a=success b=success c=success", 31 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, pipelineOf(start("1s"), start("2s"), start("3s"),
					group(jobOf("a", []string{"t1s"}, script("s", "sleep 10s")), c.cancel, c.queue),
					group(jobOf("b", []string{"t2s"}, script("s", "sleep 10s")), c.cancel, c.queue),
					group(jobOf("c", []string{"t3s"}, script("s", "sleep 10s")), c.cancel, c.queue)), sleeper)
				begin := time.Now()
				res := w.run(t.Context())
				if took := time.Since(begin); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				got := strings.Fields(statuses(res))
				got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "t") })
				slices.Sort(got)
				want(t, strings.Join(got, " "), c.want)
			})
		})
	}
}

func TestCall(t *testing.T) {
	inner := pipelineOf(
		jobOf("x", nil, &pipeline.Step{ID: "s", Name: lit("s"), If: success, Do: &pipeline.Script{Text: expr(func(s *pipeline.Scope) pipeline.Data {
			v, _ := s.Inputs.Get("who")
			sec, _ := s.Secrets.Get("key")
			return "echo hello " + pipeline.Text(v) + " " + pipeline.Text(sec) + "\nset v=1"
		})}}),
		jobOf("y", []string{"x"}))
	inner.Jobs[0].Outputs = []pipeline.Output{{Name: "o", Value: lit("from x")}}
	inner.Inputs = []pipeline.Input{{Name: "who", Type: "string", Required: true}}
	inner.Outputs = []pipeline.Output{{Name: "r", Value: expr(func(s *pipeline.Scope) pipeline.Data {
		v, _ := s.Jobs[0].Outputs.Get("o")
		return v
	})}}
	call := &pipeline.Job{Key: "call", If: success, Call: &pipeline.Call{Pipeline: inner, Inputs: lit(pipeline.NewMap("who", "world")), Secrets: lit(pipeline.NewMap("key", "k3y"))}}
	after := jobOf("after", []string{"call"}, &pipeline.Step{ID: "s", Name: lit("s"), If: success, Do: &pipeline.Script{Text: expr(func(s *pipeline.Scope) pipeline.Data {
		v, _ := s.Upstream[0].Outputs.Get("r")
		return "echo " + pipeline.Text(v)
	})}})
	w := newWorld(t, pipelineOf(call, after), sleeper)
	want(t, statuses(w.run(t.Context())), "call / x=success call / y=success after=success")
	want(t, w.sink.trace(runner.Log), "log | call / x | s | hello world k3y\nlog | after | s | from x")
	for _, e := range w.sink.all() {
		if e.Type == runner.JobFinished && e.Job == "call / x" && e.JobID != "call / x" {
			t.Errorf("job_id %q", e.JobID)
		}
	}

	call.Call.Inputs = lit(pipeline.NewMap("whom", "world"))
	w = newWorld(t, pipelineOf(call, after), sleeper)
	res := w.run(t.Context())
	want(t, statuses(res), "call=failure after=skipped")
	if r := res.Jobs[0].Reason; !strings.Contains(r, `unknown input "whom"`) || !strings.Contains(r, `input "who" is required`) {
		t.Errorf("reason %q", r)
	}
}

func TestWorkspaceThatCannotOpen(t *testing.T) {
	w := newWorld(t, pipelineOf(jobOf("a", nil), jobOf("b", nil)), nil)
	w.exec.Refuse = func(s runner.JobSpec) error {
		if s.JobID == "a" {
			return errors.New("write /full/work: no space left on device")
		}
		return nil
	}
	res := w.run(t.Context())
	got := strings.Fields(statuses(res))
	slices.Sort(got)
	want(t, strings.Join(got, " "), "a=failure b=success")
	if !strings.Contains(w.sink.trace(runner.Annotated), "no space left on device") {
		t.Errorf("no annotation says why:\n%s", w.sink.trace())
	}
}
