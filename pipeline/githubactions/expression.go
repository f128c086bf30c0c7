package githubactions

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions/expr"
)

// compiled is an expression of a workflow in the model's terms.
type compiled struct{ *expr.Expr }

var (
	_ pipeline.Expr      = compiled{}
	_ pipeline.Explainer = compiled{}
	_ expr.Env           = scopeEnv{}
	_ expr.Reasoner      = scopeEnv{}
)

// Eval implements [pipeline.Expr].
func (c compiled) Eval(s *pipeline.Scope) (pipeline.Data, error) {
	return c.Evaluate(newScopeEnv(s))
}

// Explain implements [pipeline.Explainer].
func (c compiled) Explain(s *pipeline.Scope) string { return c.Expr.Explain(newScopeEnv(s)) }

// expression returns a token's expression as a value.
func (t *token) expression() pipeline.Value { return pipeline.Expression(t.pos, compiled{t.expr}) }

// successValue is the condition of jobs and steps that have none; alwaysValue that of an action's post step.
func successValue(pos pipeline.Pos) pipeline.Value { return pipeline.Expression(pos, onSuccess()) }
func alwaysValue(pos pipeline.Pos) pipeline.Value  { return pipeline.Expression(pos, onAlways()) }

var (
	onSuccess = sync.OnceValue(func() compiled { return fixed("success()") })
	onAlways  = sync.OnceValue(func() compiled { return fixed("always()") })
)

// fixed compiles a condition that the program itself writes.
func fixed(source string) compiled {
	e, err := expr.Condition(source, nil)
	if err != nil {
		panic(fmt.Sprintf("condition %q: %v", source, err)) // a mistake in this package, found by any test
	}
	return compiled{e}
}

// scopeEnv answers expressions from a scope.
type scopeEnv struct {
	contexts
	scope *pipeline.Scope
}

// newScopeEnv returns the environment for a scope; nil stands for one in which nothing is known.
func newScopeEnv(s *pipeline.Scope) scopeEnv {
	if s == nil {
		s = &pipeline.Scope{Planning: true}
	}
	return scopeEnv{newContexts(s), s}
}

// Call implements [expr.Env]: the functions that depend on the run.
// https://docs.github.com/en/actions/reference/workflows-and-actions/expressions#status-check-functions
func (e scopeEnv) Call(name string, args []pipeline.Data) (pipeline.Data, error) {
	s := e.scope
	switch name {
	case "always":
		return true, nil
	case "cancelled":
		return s.Cancelled, nil
	case "success":
		if s.Current != "" {
			return s.Current == pipeline.Success, nil
		}
		if s.Cancelled {
			return false, nil
		}
		for _, r := range s.Upstream {
			if r.Status != pipeline.Success {
				return false, nil
			}
		}
		return true, nil
	case "failure":
		if s.Current != "" {
			return s.Current == pipeline.Failure, nil
		}
		for _, r := range s.Upstream {
			if r.Status == pipeline.Failure {
				return true, nil
			}
		}
		return false, nil
	case "hashFiles":
		if s.HashFiles == nil {
			if s.Planning {
				return pipeline.Unknown, nil
			}
			return nil, errors.New("hashFiles: there is no work folder here")
		}
		patterns := make([]string, len(args))
		for i, a := range args {
			patterns[i] = pipeline.Text(a)
		}
		return s.HashFiles(patterns)
	}
	return nil, fmt.Errorf("%s: no such function", name)
}

// WhyNot implements [expr.Reasoner].
func (e scopeEnv) WhyNot(function string) string {
	s := e.scope
	switch function {
	case "success":
		if s.Current == "" {
			if s.Cancelled {
				return "the run was cancelled"
			}
			return upstreamReason(s.Upstream)
		}
		if s.Current == pipeline.Cancelled {
			return "the job was cancelled"
		}
		return "an earlier step failed"
	case "failure":
		if s.Current == "" {
			return "failure() is false: no job before it failed"
		}
		return "failure() is false: no earlier step failed"
	case "cancelled":
		return "cancelled() is false: nothing was cancelled"
	}
	return ""
}

// upstreamReason names the jobs that keep a job from running, those it needs itself first.
func upstreamReason(upstream []pipeline.Result) string {
	var out []string
	for _, direct := range []bool{true, false} {
		for _, r := range upstream {
			if r.Direct != direct || r.Status == pipeline.Success {
				continue
			}
			verb := map[pipeline.Status]string{pipeline.Failure: "failed", pipeline.Skipped: "was skipped", pipeline.Cancelled: "was cancelled"}[r.Status]
			out = append(out, fmt.Sprintf("'%s' %s", r.Key, verb))
		}
		if len(out) > 0 {
			break
		}
	}
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out, ", ") + ", which it needs"
}
