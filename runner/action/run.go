package action

import (
	"context"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// Run implements [runner.Actions].
func (r *Runner) Run(ctx context.Context, step runner.StepContext, u *pipeline.Use) (pipeline.Status, error) {
	j := r.of(step.Job())
	a, err := j.resolve(ctx, u)
	if err != nil {
		if ctx.Err() != nil {
			return pipeline.Cancelled, nil
		}
		return step.Fail("%v", located(step.Step().Pos, err))
	}
	in, err := evalInputs(step, u, a)
	if err != nil {
		return step.Fail("%v", err)
	}
	if a.builtin != nil {
		c := &call{jobActions: j, step: step, in: in, ref: a.ref, builtin: a.builtin}
		status, err := a.builtin.run(ctx, c)
		if err != nil && ctx.Err() != nil {
			return pipeline.Cancelled, nil
		}
		if err != nil {
			return step.Fail("%v", err)
		}
		return status, nil
	}
	if err := j.install(ctx, a); err != nil {
		return step.Fail("%v", err)
	}
	inner := step.WithAction(a.scope, in.object)
	switch runs := a.def.Runs.(type) {
	case *pipeline.NodeAction:
		return j.runNode(ctx, inner, a, runs, in)
	case *pipeline.CompositeAction:
		return step.Steps(ctx, runs.Steps, in.object, a.scope, a.def.Outputs)
	case *pipeline.ContainerAction:
		return j.runContainer(ctx, inner, a, runs, in)
	}
	return step.Fail("%s: the action runs in a way that is not known here", a.file)
}

// runPre runs an action's pre step.
func (j *jobActions) runPre(ctx context.Context, step runner.StepContext, u *pipeline.Use, a *action) (pipeline.Status, error) {
	in, err := evalInputs(step, u, a)
	if err != nil {
		return step.Fail("%v", err)
	}
	if err := j.install(ctx, a); err != nil {
		return step.Fail("%v", err)
	}
	inner := step.WithAction(a.scope, in.object)
	switch runs := a.def.Runs.(type) {
	case *pipeline.NodeAction:
		return j.node(ctx, inner, a, runs, runs.Pre, in)
	case *pipeline.ContainerAction:
		return j.container(ctx, inner, a, runs, runs.PreEntrypoint, in)
	}
	return pipeline.Success, nil
}

// statusOf is a step's status by its process's end.
func statusOf(e runner.Exit) pipeline.Status {
	switch {
	case e.Cancelled:
		return pipeline.Cancelled
	case e.Code != 0:
		return pipeline.Failure
	}
	return pipeline.Success
}

// state returns the variables by which an action's programs find what earlier ones have saved.
func (j *jobActions) state(step runner.StepContext) []pipeline.EnvVar {
	var out []pipeline.EnvVar
	j.mu.Lock()
	kept := j.kept[step.Step()]
	j.mu.Unlock()
	for _, saved := range []map[string]string{kept, step.State()} {
		for k, v := range saved {
			out = append(out, pipeline.EnvVar{Name: "STATE_" + k, Value: v})
		}
	}
	return out
}

// keepState keeps what the pre program of an action within a composite one has saved: it runs as part of the outer step.
func (j *jobActions) keepState(s *pipeline.Step, saved map[string]string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.kept[s] = saved
}
