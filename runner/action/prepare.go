package action

import (
	"context"
	"fmt"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// Prepare implements [runner.Actions]: it fetches the remote actions, those that they use too, and registers their pre
// steps. Local actions are looked up when they run, because an earlier step may still make them; they have no pre steps.
func (r *Runner) Prepare(ctx context.Context, job runner.JobContext, uses []*pipeline.Step) (map[string]string, error) {
	j := r.of(job)
	resolved := map[string]string{}
	for _, s := range uses {
		hook, err := j.prepare(ctx, s, resolved)
		if err != nil {
			return resolved, err
		}
		if hook != nil {
			job.Before(*hook)
		}
	}
	return resolved, nil
}

// prepare looks a step's action up and returns its pre step, or nil without one.
func (j *jobActions) prepare(ctx context.Context, s *pipeline.Step, resolved map[string]string) (*runner.Hook, error) {
	u := s.Do.(*pipeline.Use)
	ref, err := parseReference(u.Ref)
	if err != nil {
		return nil, located(s.Pos, err)
	}
	if !ref.remote() {
		return nil, nil
	}
	a, err := j.resolve(ctx, u)
	if err != nil {
		return nil, located(s.Pos, err)
	}
	if a.builtin != nil {
		return nil, nil
	}
	resolved[ref.repository+"@"+ref.ref] = j.fetch(ctx, ref).commit
	hook := runner.Hook{Step: s, Name: "Pre " + nameOf(s)}
	switch runs := a.def.Runs.(type) {
	case *pipeline.NodeAction:
		if runs.Pre == "" {
			return nil, nil
		}
		hook.If = runs.PreIf
		hook.Run = func(ctx context.Context, step runner.StepContext) (pipeline.Status, error) {
			return j.runPre(ctx, step, u, a)
		}
	case *pipeline.ContainerAction:
		if runs.PreEntrypoint == "" {
			return nil, nil
		}
		hook.If = runs.PreIf
		hook.Run = func(ctx context.Context, step runner.StepContext) (pipeline.Status, error) {
			return j.runPre(ctx, step, u, a)
		}
	case *pipeline.CompositeAction:
		return j.prepareComposite(ctx, s, u, a, runs, resolved)
	default:
		return nil, nil
	}
	return &hook, nil
}

// prepareComposite prepares what a composite action uses. The pre steps of the inner actions run as one, because they see the
// inputs of the outer one.
func (j *jobActions) prepareComposite(ctx context.Context, s *pipeline.Step, u *pipeline.Use, a *action, runs *pipeline.CompositeAction, resolved map[string]string) (*runner.Hook, error) {
	var inner []runner.Hook
	for _, n := range pipeline.Uses(runs.Steps) {
		h, err := j.prepare(ctx, n, resolved)
		if err != nil {
			return nil, err
		}
		if h != nil {
			inner = append(inner, *h)
		}
	}
	if len(inner) == 0 {
		return nil, nil
	}
	return &runner.Hook{Step: s, Name: "Pre " + nameOf(s), Run: func(ctx context.Context, step runner.StepContext) (pipeline.Status, error) {
		in, err := evalInputs(step, u, a)
		if err != nil {
			return step.Fail("%v", err)
		}
		status := pipeline.Success
		for _, h := range inner {
			within := step.WithAction(a.scope, in.object)
			if !h.If.IsZero() {
				run, err := h.If.Bool(within.Scope())
				if err != nil {
					return step.Fail("%v", err)
				}
				if !run {
					continue
				}
			}
			st, err := h.Run(ctx, within)
			if err != nil {
				return st, err
			}
			j.keepState(h.Step, step.State())
			if st != pipeline.Success {
				status = st
			}
		}
		return status, nil
	}}, nil
}

// located puts a place in front of an error.
func located(pos pipeline.Pos, err error) error {
	if p := pos.String(); p != "" {
		return fmt.Errorf("%s: %w", p, err)
	}
	return err
}

// nameOf is a step's name for people, where that can be told before it runs.
func nameOf(s *pipeline.Step) string {
	if s.Name.Expr() == nil {
		if n := s.Name.Source(); n != "" {
			return n
		}
	}
	if u, ok := s.Do.(*pipeline.Use); ok {
		return "Run " + u.Ref
	}
	return s.ID
}
