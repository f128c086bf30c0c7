package githubactions

import (
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions/expr"
)

// evaluate computes an expression in a scope and returns its text.
func evaluate(t *testing.T, source string, s *pipeline.Scope) string {
	t.Helper()
	e, err := expr.Compile(source, nil)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	v, err := compiled{e}.Eval(s)
	if err != nil {
		return "error: " + err.Error()
	}
	return pipeline.Text(v)
}

func TestStatusFunctions(t *testing.T) {
	up := func(direct bool, status pipeline.Status) pipeline.Result {
		return pipeline.Result{Key: "j", Direct: direct, Status: status}
	}
	for _, c := range []struct {
		name                        string
		scope                       pipeline.Scope
		success, failure, cancelled string
	}{
		{"job without needs", pipeline.Scope{}, "true", "false", "false"},
		{"job after success", pipeline.Scope{Upstream: []pipeline.Result{up(true, pipeline.Success)}}, "true", "false", "false"},
		{"job after failure, far away", pipeline.Scope{Upstream: []pipeline.Result{up(true, pipeline.Success), up(false, pipeline.Failure)}}, "false", "true", "false"},
		{"job after a skipped one", pipeline.Scope{Upstream: []pipeline.Result{up(true, pipeline.Skipped)}}, "false", "false", "false"},
		{"job of a cancelled run", pipeline.Scope{Cancelled: true}, "false", "false", "true"},
		{"step", pipeline.Scope{Current: pipeline.Success, Upstream: []pipeline.Result{up(true, pipeline.Failure)}}, "true", "false", "false"},
		{"step after failure", pipeline.Scope{Current: pipeline.Failure}, "false", "true", "false"},
		{"step of a cancelled job", pipeline.Scope{Current: pipeline.Cancelled, Cancelled: true}, "false", "false", "true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for source, want := range map[string]string{"success()": c.success, "failure()": c.failure, "cancelled()": c.cancelled, "always()": "true"} {
				if got := evaluate(t, source, &c.scope); got != want {
					t.Errorf("%s is %s, want %s", source, got, want)
				}
			}
		})
	}
}

func TestExplainStatus(t *testing.T) {
	e, err := expr.Condition("github.ref == 'x'", nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &pipeline.Scope{Run: testRun(), Upstream: []pipeline.Result{{Key: "far", Status: pipeline.Failure}, {Key: "test", Direct: true, Status: pipeline.Skipped}}}
	if got, want := (compiled{e}).Explain(s), "'test' was skipped, which it needs"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s.Upstream = nil
	if got, want := (compiled{e}).Explain(s), "github.ref == 'x' is false: github.ref is 'refs/heads/main'"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
