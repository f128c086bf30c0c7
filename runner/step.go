package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
)

// step is one step while it runs. It implements [StepContext].
type step struct {
	frame *frame
	def   *pipeline.Step
	hook  *Hook
	// ctx ends with the step: by its timeout, its job's cancel, or a cancel step.
	ctx context.Context
	// head is what the events of the step have in common. Steps of a composite action print under the head of the step
	// that called it.
	head   Event
	nested bool

	// action and inputs replace the frame's where set.
	action *pipeline.ActionScope
	inputs pipeline.Object
	own    *stepState
}

// stepState is what all views of one step share.
type stepState struct {
	mu      sync.Mutex
	env     *pipeline.Map
	outputs *pipeline.Map
	exit    *int
	why     string
	last    Command
	status  pipeline.Status // Failure once an effect has failed the step
}

func (f *frame) newStep(def *pipeline.Step) *step {
	return &step{frame: f, def: def, nested: f.outer != nil, own: &stepState{outputs: pipeline.NewMap(), env: pipeline.NewEnvMap()}}
}

// guarded is what all steps have in common: the condition, the events, the timeout, continue-on-error, and the result.
// base is the context to run under; nil: the job's.
func (f *frame) guarded(st *step, base context.Context, do func(*step) (pipeline.Status, string)) {
	j, def := f.job, st.def
	scope := f.scope(def)
	st.head = j.head
	if st.nested {
		st.head = f.outer.head
	}
	// The name goes to events even where the step does not run.
	name, nameErr := def.Name.Text(scope)
	if st.hook != nil {
		name = st.hook.Name
	}
	name = j.mask(name)
	finish := func(outcome, conclusion pipeline.Status, why string, took time.Duration) {
		if st.hook == nil && def.ID != "" {
			st.own.mu.Lock()
			r := pipeline.StepResult{Outcome: outcome, Conclusion: conclusion, Outputs: st.own.outputs}
			st.own.mu.Unlock()
			f.results.set(def.ID, r)
		}
		if !st.nested {
			e := st.head
			e.Type, e.Status, e.Reason, e.Tolerated = StepFinished, outcome, j.mask(why), outcome == pipeline.Failure && conclusion != outcome
			e.Exit, e.Duration = st.own.exit, took.Seconds()
			j.emit(e)
		}
	}
	if !st.nested {
		st.head.Step, st.head.StepID = name, def.ID
		if st.hook != nil {
			st.head.StepID = ""
		}
		st.head.Number = j.nextNumber()
	}
	// A step's own variables count in its condition.
	envErr := st.evalEnv(scope)
	condition := def.If
	if st.hook != nil {
		condition = st.hook.If
	}
	runs := true
	var err error
	if !condition.IsZero() {
		runs, err = condition.Bool(st.Scope())
	}
	if err == nil && !runs {
		finish(pipeline.Skipped, pipeline.Skipped, explain(condition, st.Scope()), 0)
		return
	}
	ctx, release := j.stepContext()
	defer release()
	if base != nil && j.work.Err() == nil {
		ctx = base
	}
	if err := errors.Join(err, envErr, nameErr); err != nil {
		f.started(st)
		st.annotateError(err.Error())
		finish(pipeline.Failure, pipeline.Failure, err.Error(), 0)
		f.note(pipeline.Failure, err.Error())
		return
	}
	start := j.Now()
	f.started(st)
	if st.nested {
		st.group(name)
		defer st.endGroup()
	}
	minutes, limited, err := def.Timeout.Number(st.Scope())
	var errTimeout error
	if err == nil && limited && minutes > 0 && st.hook == nil {
		errTimeout = fmt.Errorf("the step took longer than its timeout of %s minutes", pipeline.Text(minutes))
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, time.Duration(minutes*float64(time.Minute)), errTimeout)
		defer stop()
	}
	st.ctx = ctx
	outcome, why := pipeline.Failure, ""
	if err != nil {
		why = err.Error()
		st.annotateError(why)
	} else {
		outcome, why = do(st)
	}
	st.own.mu.Lock()
	if outcome == pipeline.Success && st.own.status == pipeline.Failure {
		outcome, why = pipeline.Failure, st.own.why
	}
	st.own.mu.Unlock()
	if ctx.Err() != nil && outcome != pipeline.Success {
		cause := context.Cause(ctx)
		why = cause.Error()
		outcome = pipeline.Cancelled
		if errTimeout != nil && errors.Is(cause, errTimeout) {
			outcome = pipeline.Failure
			st.annotateError(why)
		}
		if errors.Is(cause, errStepCancelled) {
			finish(pipeline.Cancelled, pipeline.Success, why, j.Now().Sub(start))
			return
		}
	}
	conclusion := outcome
	if outcome == pipeline.Failure && st.hook == nil {
		goOn, err := def.ContinueOnError.Bool(st.Scope())
		if err != nil {
			st.annotateError(err.Error())
		} else if goOn {
			conclusion = pipeline.Success
		}
	}
	if outcome == pipeline.Failure && conclusion == outcome && j.OnFailure != nil && !st.nested {
		j.failed(st, name, why)
	}
	finish(outcome, conclusion, why, j.Now().Sub(start))
	if conclusion == pipeline.Failure {
		why = failedBecause(name, why)
	}
	f.note(conclusion, why)
}

func failedBecause(step, why string) string {
	if why == "" {
		return fmt.Sprintf("step %q failed", step)
	}
	return fmt.Sprintf("step %q failed: %s", step, why)
}

func (f *frame) started(st *step) {
	if st.nested {
		return
	}
	e := st.head
	e.Type = StepStarted
	f.job.emit(e)
}

// failed lets a person look into a failure.
func (j *job) failed(st *step, name, why string) {
	j.failureMu.Lock()
	defer j.failureMu.Unlock()
	if j.killed() {
		return
	}
	st.own.mu.Lock()
	last := st.own.last
	st.own.mu.Unlock()
	if last.Env == nil {
		last.Env, last.Dir = st.Environ(nil), j.ws.Machine().Workspace
	}
	j.OnFailure(st.ctx, FailedStep{Job: j.leg.name, Step: name, Reason: why, Workspace: j.ws, Command: last})
}

// runStep runs a step of the file.
func (f *frame) runStep(st *step, base context.Context) {
	f.guarded(st, base, func(st *step) (pipeline.Status, string) {
		switch a := st.def.Do.(type) {
		case *pipeline.Script:
			return st.script(a)
		case *pipeline.Use:
			if f.job.Actions == nil {
				return pipeline.Failure, fmt.Sprintf("this run can use no actions, and the step uses %q", a.Ref)
			}
			status, err := f.job.Actions.Run(st.ctx, st, a)
			if err != nil {
				if st.ctx.Err() != nil {
					return pipeline.Cancelled, context.Cause(st.ctx).Error()
				}
				st.annotateError(err.Error())
				return pipeline.Failure, err.Error()
			}
			return status, st.failure()
		case *pipeline.Sequence:
			return f.sequence(a)
		case *pipeline.Parallel:
			return f.parallel(a)
		}
		return pipeline.Failure, "the step does nothing that this runner knows"
	})
}

// sequence runs a group of steps in the frame, then its post hooks.
func (f *frame) sequence(a *pipeline.Sequence) (pipeline.Status, string) {
	g := f.inner()
	g.runSteps(a.Steps)
	g.runSteps(a.Post)
	g.waitBackground(nil)
	return g.end()
}

// parallel runs steps at the same time.
func (f *frame) parallel(a *pipeline.Parallel) (pipeline.Status, string) {
	g := f.inner()
	var wg sync.WaitGroup
	for _, s := range a.Steps {
		st := g.newStep(s)
		wg.Go(func() { g.runStep(st, nil) })
	}
	wg.Wait()
	g.waitBackground(nil)
	return g.end()
}

// inner returns a frame for a group of steps: it sees and adds to the same results, and has a state of its own.
func (f *frame) inner() *frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &frame{job: f.job, outer: f.outer, env: f.env, inputs: f.inputs, action: f.action, results: f.results, status: f.status, outcome: pipeline.Success}
}

// script runs the text of a script by its shell.
func (st *step) script(a *pipeline.Script) (pipeline.Status, string) {
	j, scope := st.frame.job, st.Scope()
	fail := func(err error) (pipeline.Status, string) {
		st.annotateError(err.Error())
		return pipeline.Failure, err.Error()
	}
	text, err := a.Text.Text(scope)
	if err != nil {
		return fail(err)
	}
	shell, err := a.Shell.Text(scope)
	if err != nil {
		return fail(err)
	}
	dir, err := a.Dir.Text(scope)
	if err != nil {
		return fail(err)
	}
	env := st.Environ(nil)
	path := lookupEnv(env, "PATH")
	in, err := j.p.Dialect.Shell(shell, func(program string) bool {
		_, ok := j.ws.LookPath(st.ctx, program, path)
		return ok
	})
	if err != nil {
		return fail(err)
	}
	file := fmt.Sprintf("%s/%s%s", j.control(), unique("script"), in.Ext)
	body := in.Prefix + text + in.Suffix
	if !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	if err := j.ws.WriteFile(st.ctx, file, []byte(body), 0o755); err != nil {
		return fail(fmt.Errorf("write the script: %w", err))
	}
	argv := slices.Clone(in.Argv)
	for i := range argv {
		argv[i] = strings.ReplaceAll(argv[i], "{0}", file)
	}
	exit, err := st.exec(st.ctx, argv, dir, env)
	if err != nil {
		return fail(err)
	}
	return st.judge(exit)
}

// judge makes a status of an exit.
func (st *step) judge(exit Exit) (pipeline.Status, string) {
	switch {
	case exit.Cancelled:
		return pipeline.Cancelled, ""
	case exit.Code == 0 && exit.Reason == "":
		return pipeline.Success, ""
	}
	why := exit.Reason
	if why == "" {
		why = fmt.Sprintf("exit code %d", exit.Code)
	}
	return pipeline.Failure, why
}

var sequence atomic.Uint64

// unique returns a file name that no other step of this process uses.
func unique(prefix string) string { return fmt.Sprintf("%s-%d", prefix, sequence.Add(1)) }

func lookupEnv(env []pipeline.EnvVar, name string) string {
	for _, v := range slices.Backward(env) {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}
