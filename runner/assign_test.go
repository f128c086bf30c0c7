package runner_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/dummy"
	"github.com/gantry-ops/gantry/secret"
)

// elsewhere is a dispatcher that runs each leg as another process would: with nothing but the assignment as JSON and the same pipeline.
type elsewhere struct {
	t   *testing.T
	w   *world
	mu  sync.Mutex
	ids []string
	// ended are the outcomes of an earlier life.
	ended map[string]runner.Outcome
	given map[string]runner.Assignment
}

func (e *elsewhere) Begun(id string) bool {
	for known := range e.ended {
		if known == id || strings.HasPrefix(known, id+" ") || id == "" {
			return true
		}
	}
	return false
}

func (e *elsewhere) Dispatch(ctx context.Context, a runner.Assignment) (runner.Outcome, error) {
	b, err := json.Marshal(a)
	if err != nil {
		return runner.Outcome{}, err
	}
	var arrived runner.Assignment
	if err := json.Unmarshal(b, &arrived); err != nil {
		return runner.Outcome{}, err
	}
	e.mu.Lock()
	e.ids = append(e.ids, a.ID)
	if e.given == nil {
		e.given = map[string]runner.Assignment{}
	}
	e.given[a.ID] = arrived
	o, ok := e.ended[a.ID]
	e.mu.Unlock()
	if ok {
		return o, nil
	}
	opts := e.w.opts
	opts.Dispatch = nil
	opts.Masker = secret.NewMasker()
	if o, err = runner.RunAssigned(ctx, opts, e.w.req, arrived); err != nil {
		return o, err
	}
	if b, err = json.Marshal(o); err != nil {
		return o, err
	}
	var back runner.Outcome
	return back, json.Unmarshal(b, &back)
}

// legs is a matrix of fixed legs.
type fixedLegs []string

func (f fixedLegs) Expand(*pipeline.Scope) ([]pipeline.Leg, error) {
	var out []pipeline.Leg
	for _, v := range f {
		out = append(out, pipeline.Leg{Values: pipeline.NewMap("v", v), Suffix: " (" + v + ")"})
	}
	return out, nil
}

// upstreamText shows what a job sees of those before it.
func upstreamText(s *pipeline.Scope) string {
	var out []string
	for _, r := range s.Upstream {
		got, _ := r.Outputs.Get("got")
		out = append(out, fmt.Sprintf("%s=%s/%s", r.Key, r.Status, pipeline.Text(got)))
	}
	return strings.Join(out, ",")
}

// assignable is a pipeline with all that an assignment has to carry: legs, a call with inputs from results, outputs, tolerance, skips.
func assignable() *pipeline.Pipeline {
	deep := jobOf("deep", nil, script("say", ""))
	deep.Steps[0].Do = &pipeline.Script{Text: expr(func(s *pipeline.Scope) pipeline.Data {
		who, _ := s.Inputs.Get("who")
		key, _ := s.Secrets.Get("key")
		return "deep " + pipeline.Text(who) + " " + pipeline.Text(key)
	})}
	inner := pipelineOf(deep)
	inner.Inputs = []pipeline.Input{{Name: "who"}}

	first := jobOf("first", nil, script("a", "first"))
	first.Strategy = &pipeline.Strategy{Matrix: fixedLegs{"1", "2"}}
	first.Outputs = []pipeline.Output{{Name: "got", Value: expr(func(s *pipeline.Scope) pipeline.Data {
		v, _ := s.Matrix.Get("v")
		return "leg " + pipeline.Text(v)
	})}}
	shaky := jobOf("shaky", nil, script("a", "fail"))
	shaky.ContinueOnError = lit(true)
	never := jobOf("never", nil, script("a", "never"))
	never.If = lit(false)
	call := &pipeline.Job{Key: "call", If: success, Needs: []pipeline.Need{{Key: "first"}}, Call: &pipeline.Call{
		Pipeline: inner, Inputs: expr(func(s *pipeline.Scope) pipeline.Data { return pipeline.NewMap("who", upstreamText(s)) }),
		Secrets: expr(func(s *pipeline.Scope) pipeline.Data {
			v, _ := s.Secrets.Get("KEY")
			return pipeline.NewMap("key", v)
		}),
	}}
	last := jobOf("last", []string{"call", "shaky", "never"}, script("a", ""))
	last.If = always
	last.RunsOn = lit([]any{"linux", "big"})
	last.Environment = &pipeline.Environment{Name: lit("production")}
	last.Steps[0].Do = &pipeline.Script{Text: expr(func(s *pipeline.Scope) pipeline.Data { return "last " + upstreamText(s) })}
	return pipelineOf(first, shaky, never, call, last)
}

func answer(scripts *[]string, mu *sync.Mutex) func(context.Context, dummy.Call) runner.Exit {
	return func(_ context.Context, c dummy.Call) runner.Exit {
		mu.Lock()
		defer mu.Unlock()
		*scripts = append(*scripts, c.Job+": "+strings.TrimSpace(c.Script))
		if strings.Contains(c.Script, "fail") {
			return runner.Exit{Code: 1}
		}
		return runner.Exit{}
	}
}

// sorted returns how each job ended, a line a job.
func sorted(res runner.Result) string {
	var out []string
	for _, j := range res.Jobs {
		out = append(out, j.ID+"="+string(j.Status))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func TestAssignedIsTheSame(t *testing.T) {
	results := map[string]string{}
	ran := map[string][]string{}
	for _, where := range []string{"here", "elsewhere"} {
		var mu sync.Mutex
		var scripts []string
		w := newWorld(t, assignable(), answer(&scripts, &mu))
		w.req.Secrets = pipeline.NewMap("KEY", "k3y-k3y")
		var e *elsewhere
		if where == "elsewhere" {
			e = &elsewhere{t: t, w: w}
			w.opts.Dispatch = e
		}
		res := w.run(context.Background())
		results[where] = string(res.Status) + "\n" + sorted(res)
		slices.Sort(scripts)
		ran[where] = scripts
		if e != nil {
			a := e.given["last"]
			if a.Environment != "production" || !slices.Equal(a.RunsOn, []string{"linux", "big"}) {
				t.Errorf("the assignment of last: %+v", a)
			}
			if got := e.given["call / deep"]; len(got.Path) != 2 || got.Key != "call / deep" {
				t.Errorf("the assignment of the called job: %+v", got)
			}
		}
	}
	want(t, results["elsewhere"], results["here"])
	want(t, strings.Join(ran["elsewhere"], "\n"), strings.Join(ran["here"], "\n"))
	if !slices.Contains(ran["here"], "call / deep: deep first=success/leg 2 k3y-k3y") {
		t.Errorf("ran %q", ran["here"])
	}
}

// A run whose coordinator died goes on: what has ended stands, what has not is run.
func TestAssignedResumes(t *testing.T) {
	var mu sync.Mutex
	var scripts []string
	w := newWorld(t, assignable(), answer(&scripts, &mu))
	w.req.Secrets = pipeline.NewMap("KEY", "k3y-k3y")
	w.opts.Dispatch = &elsewhere{t: t, w: w, ended: map[string]runner.Outcome{
		"first (1)": {Status: pipeline.Success, Outputs: pipeline.NewMap("got", "recorded")},
		"first (2)": {Status: pipeline.Success},
		"shaky":     {Status: pipeline.Failure},
	}}
	res := w.run(context.Background())
	slices.Sort(scripts)
	want(t, strings.Join(scripts, "\n"), "call / deep: deep first=success/recorded k3y-k3y\nlast: last call=success/,shaky=success/,never=skipped/,first=success/recorded")
	if res.Status != pipeline.Success {
		t.Errorf("the run ended with %s: %s", res.Status, res.Reason)
	}
}

// A run that was cancelled while its coordinator was away: what had begun is waited for by its dispatcher, the rest does not begin.
func TestAssignedResumesCancelled(t *testing.T) {
	var mu sync.Mutex
	var scripts []string
	w := newWorld(t, assignable(), answer(&scripts, &mu))
	w.req.Secrets = pipeline.NewMap("KEY", "k3y-k3y")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("ann cancelled the run"))
	w.opts.Dispatch = &elsewhere{t: t, w: w, ended: map[string]runner.Outcome{
		"first (1)":   {Status: pipeline.Success},
		"first (2)":   {Status: pipeline.Success},
		"call / deep": {Status: pipeline.Cancelled, Reason: "ann cancelled the run"},
	}}
	res := w.run(ctx)
	// "last" asks to run always, also now.
	want(t, sorted(res), `
call / deep=cancelled
first (1)=success
first (2)=success
last=success
never=cancelled
shaky=cancelled`)
	want(t, strings.Join(scripts, "\n"), "last: last call=cancelled/,shaky=cancelled/,never=cancelled/,first=success/")
}

func TestAssignedOutputWithSecret(t *testing.T) {
	job := jobOf("a", nil, script("s", "x"))
	job.Outputs = []pipeline.Output{{Name: "plain", Value: lit("ok")}, {Name: "leak", Value: lit("is k3y-k3y")}}
	w := newWorld(t, pipelineOf(job), nil)
	w.req.Secrets = pipeline.NewMap("KEY", "k3y-k3y")
	w.opts.Masker = secret.NewMasker()
	o, err := runner.RunAssigned(context.Background(), w.opts, w.req, runner.Assignment{ID: "a", Path: []runner.Stop{{Job: "a"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Outputs.Strings(); len(got) != 1 || got["plain"] != "ok" {
		t.Errorf("outputs %v", got)
	}
	if got := w.sink.trace(runner.Annotated); !strings.Contains(got, `the output "leak" is left out, because it holds a secret`) {
		t.Errorf("annotations: %s", got)
	}
}

func TestAssignedThatIsNotThere(t *testing.T) {
	w := newWorld(t, assignable(), nil)
	for _, tt := range []struct {
		path []runner.Stop
		want string
	}{
		{nil, `run the job "x": its path is empty`},
		{[]runner.Stop{{Job: "nope"}}, `run the job "x": ci.yml has no job "nope"`},
		{[]runner.Stop{{Job: "first", Leg: " (3)"}}, `run the job "x": the job "first" has no leg "(3)"`},
		{[]runner.Stop{{Job: "shaky"}, {Job: "deep"}}, `run the job "x": "shaky" calls no pipeline`},
		{[]runner.Stop{{Job: "call"}}, `run the job "x": it is a call, which has no steps`},
	} {
		_, err := runner.RunAssigned(context.Background(), w.opts, w.req, runner.Assignment{ID: "x", Path: tt.path})
		if err == nil || err.Error() != tt.want {
			t.Errorf("%v: got %v, want %s", tt.path, err, tt.want)
		}
	}
}
