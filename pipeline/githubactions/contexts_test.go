package githubactions

import (
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

type stepMap map[string]pipeline.StepResult

func (m stepMap) Lookup(id string) (pipeline.StepResult, bool) { r, ok := m[id]; return r, ok }
func (m stepMap) IDs() []string                                { return []string{"__run", "make"} }

func TestContexts(t *testing.T) {
	s := testScope()
	env := pipeline.NewEnvMap()
	env.Set("A", "upper")
	s.Env, s.Secrets = env, pipeline.NewMap("KEY", "k")
	s.Upstream = []pipeline.Result{{Key: "lint", Direct: true, Status: pipeline.Success, Outputs: pipeline.NewMap("v", "1")}, {Key: "far", Status: pipeline.Success}}
	s.Steps = stepMap{"make": {Outcome: pipeline.Failure, Conclusion: pipeline.Success, Outputs: pipeline.NewMap("o", "x")}, "__run": {}}
	s.Strategy = pipeline.StrategyScope{Index: 1, Total: 4, MaxParallel: 4, FailFast: true}
	s.Job.Container = &pipeline.RunningContainer{ID: "c1", Network: "n1"}
	s.Job.Services = map[string]pipeline.RunningContainer{"db": {ID: "c2", Ports: map[string]string{"5432": "49153"}}}
	s.HashFiles = func(p []string) (string, error) { return "h", nil }
	for source, want := range map[string]string{
		"github.repository": "acme/shop", "github.REF_NAME": "main", "github.head_ref": "", "github.event.ref": "refs/heads/main",
		"github.token": "hunter2", "secrets.github_token": "hunter2", "secrets.key": "k", "github.no_such": "", "github.job": "build",
		"github.repositoryUrl": "git://github.com/acme/shop.git", "github.run_number": "3", "github.env": "",
		"env.A": "upper", "env.a": "", "needs.lint.outputs.v": "1", "needs.LINT.result": "success", "needs.far.result": "",
		"steps.make.outcome": "failure", "steps.make.conclusion": "success", "steps.make.outputs.o": "x", "toJSON(steps.*.outcome)": "[\n  \"failure\"\n]",
		"strategy.job-index": "1", "strategy.fail-fast": "true", "runner.os": "Linux", "runner.debug": "", "runner.environment": "self-hosted",
		"job.status": "success", "job.container.id": "c1", "job.services.db.ports['5432']": "49153", "hashFiles('**')": "h",
		"matrix.none": "", "inputs.none": "", "vars.none": "",
	} {
		if got := evaluate(t, source, s); got != want {
			t.Errorf("%s is %q, want %q", source, got, want)
		}
	}
}

// What is made of a Go map must come out in the same order each time: it may end up in a cache key.
func TestJobContextIsStable(t *testing.T) {
	s := testScope()
	s.Run.Repository.Server = ""
	ports := map[string]string{"1": "11", "2": "12", "3": "13", "4": "14"}
	s.Job.Services = map[string]pipeline.RunningContainer{"c": {Ports: ports}, "a": {}, "b": {}, "d": {}}
	for source, want := range map[string]string{
		"join(job.services.*.ports['1'])": "11", "join(job.services.c.ports.*)": "11,12,13,14",
		"job.check_run_id == job.check_run_id && job.check_run_id > 0": "true",
		"github.repositoryUrl": "git://github.com/acme/shop.git",
	} {
		for range 8 {
			if got := evaluate(t, source, s); got != want {
				t.Fatalf("%s is %q, want %q", source, got, want)
			}
		}
	}
}

func TestContextsWhilePlanning(t *testing.T) {
	s := testScope()
	s.Planning = true
	s.Upstream = []pipeline.Result{{Key: "lint", Direct: true, Status: pipeline.Success}, {Key: "off", Direct: true, Status: pipeline.Skipped}}
	for source, want := range map[string]string{
		"github.sha == 'x'": "false", "github.workspace": "…", "steps.a.outputs.b": "…", "needs.lint.outputs.x": "…", "needs.off.result": "skipped",
		"runner.os": "…", "runner.environment": "self-hosted", "job.container.id": "…", "hashFiles('x')": "…", "env.X": "…",
		"false && steps.a.outcome": "false", "true || steps.a.outcome": "true", "steps.a.outcome == 'x'": "…",
	} {
		if got := evaluate(t, source, s); got != want {
			t.Errorf("%s is %q, want %q", source, got, want)
		}
	}
}
