package githubactions

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
)

func parseOK(t *testing.T, content string) *pipeline.Pipeline {
	t.Helper()
	p, diags := Parse(".github/workflows/ci.yml", []byte(content), Options{})
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}

// written shows a value: literals as JSON-like text, expressions by their source.
func written(v pipeline.Value) string {
	if v.IsZero() {
		return "-"
	}
	return v.Source()
}

func TestModelOfJobs(t *testing.T) {
	p := parseOK(t, `
name: CI
run-name: Run ${{ github.run_id }}
on: [push]
env: {A: 1, B: '${{ github.sha }}'}
permissions: read-all
defaults: {run: {shell: bash, working-directory: top}}
concurrency: {group: 'g-${{ github.ref }}', cancel-in-progress: true, queue: max}
jobs:
  first:
    runs-on: [self-hosted, linux]
    if: github.ref == 'x'
    continue-on-error: true
    timeout-minutes: 5
    environment: prod
    outputs: {o: '${{ steps.s.outputs.x }}'}
    container: {image: alpine, env: {A: '${{ github.sha }}'}, ports: [80]}
    services:
      db: {image: postgres, command: x}
      cache: redis
    defaults: {run: {shell: sh}}
    steps:
      - {run: "  make\n  all", id: s}
      - {run: x, shell: python, working-directory: sub, env: {C: d}, timeout-minutes: 1, if: always()}
      - run: echo ${{ github.sha }}
      - {uses: a/b/c@v1, with: {n: 1, e: true, t: '${{ github.ref }}'}, continue-on-error: '${{ true }}'}
      - {name: 'N ${{ github.sha }}', run: x, background: true, id: bg}
      - wait: bg
      - wait-all:
      - {cancel: bg, name: Stop}
      - parallel: [{run: y}, {run: z}]
  second:
    needs: [First]
    permissions: {}
    runs-on: {group: org/big, labels: [gpu]}
    environment: {name: stage, url: '${{ steps.x.outputs.url }}', deployment: false}
    concurrency: '${{ github.ref }}'
    strategy: {fail-fast: false, max-parallel: 2, matrix: {os: [a]}}
  third:
    needs: first
    runs-on: '${{ fromJSON(needs.first.outputs.o) }}'
    strategy: '${{ fromJSON(needs.first.outputs.o) }}'
    environment: '${{ fromJSON(needs.first.outputs.o) }}'
`)
	if p.Name != "CI" || p.File != ".github/workflows/ci.yml" || written(p.RunName) != "format('Run {0}', github.run_id)" || written(p.Env) != `{"A":"1","B":"${{ github.sha }}"}` {
		t.Errorf("pipeline: %+v", p)
	}
	if c := p.Concurrency; written(c.Group) != "format('g-{0}', github.ref)" || written(c.CancelInProgress) != "true" || written(c.Queue) != "max" {
		t.Errorf("concurrency: %+v", p.Concurrency)
	}
	if p.Permissions["contents"] != "read" || p.Permissions["models"] != "read" || p.Permissions["id-token"] != "" {
		t.Errorf("permissions: %v", p.Permissions)
	}
	first, second, third := p.Jobs[0], p.Jobs[1], p.Jobs[2]
	got := []string{written(first.If), written(first.RunsOn), written(first.ContinueOnError), written(first.Timeout), written(first.Environment.Name),
		written(first.Container), written(first.Services[0].Container), written(first.Services[1].Container), first.Services[0].Name, written(first.Outputs[0].Value)}
	want := []string{"success() && (github.ref == 'x')", `["self-hosted","linux"]`, "true", "5", "prod",
		`{"image":"alpine","env":{"A":"${{ github.sha }}"},"ports":["80"]}`, `{"image":"postgres","command":"x"}`, "redis", "db", "steps.s.outputs.x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("first job: %s", diff)
	}
	got = []string{written(second.If), written(second.RunsOn), written(second.Environment.URL), written(second.Concurrency.Group), second.Needs[0].Key,
		written(second.Strategy.FailFast), written(second.Strategy.MaxParallel), written(third.RunsOn)}
	want = []string{"success()", `["gpu"]`, "steps.x.outputs.url", "github.ref", "first", "false", "2", "fromJSON(needs.first.outputs.o)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other jobs: %s", diff)
	}
	if second.Permissions == nil || len(second.Permissions) != 0 || first.Permissions["contents"] != "read" {
		t.Errorf("permissions of jobs: %v, %v", first.Permissions, second.Permissions)
	}
	if diff := cmp.Diff(strings.TrimSpace(`
s "Run make" if=success() script "  make\n  all" shell=sh dir=top
__run "Run x" if=always() script "x" shell=python dir=sub
__run_2 "Run echo ${{…}}" if=success() script "format('echo {0}', github.sha)" shell=sh dir=top
__a_b "Run a/b/c@v1" if=success() use a/b/c@v1 {"n":"1","e":"true","t":"${{ github.ref }}"}
bg "format('N {0}', github.sha)" if=success() script "x" shell=sh dir=top background
__wait "Wait" if=- wait [bg]
__wait-all "Wait for all" if=- wait []
__cancel "Stop" if=- cancel bg
__parallel "Parallel" if=success() parallel
  __run_3 "Run y" if=success() script "y" shell=sh dir=top
  __run_4 "Run z" if=success() script "z" shell=sh dir=top`), strings.TrimSpace(outline(first.Steps, ""))); diff != "" {
		t.Errorf("steps: %s", diff)
	}
}

// outline writes steps a line each.
func outline(steps []*pipeline.Step, indent string) string {
	var b strings.Builder
	for _, s := range steps {
		name := written(s.Name)
		if script, ok := s.Do.(*pipeline.Script); ok && strings.HasPrefix(name, "Run ") && script.Text.Expr() != nil {
			name = "Run echo ${{…}}"
		}
		b.WriteString(indent + s.ID + ` "` + name + `" if=` + written(s.If) + " ")
		switch do := s.Do.(type) {
		case *pipeline.Script:
			b.WriteString(`script "` + strings.ReplaceAll(written(do.Text), "\n", `\n`) + `" shell=` + written(do.Shell) + " dir=" + written(do.Dir))
		case *pipeline.Use:
			b.WriteString("use " + do.Ref + " " + written(do.With))
		case *pipeline.Wait:
			b.WriteString("wait [" + strings.Join(do.IDs, " ") + "]")
		case *pipeline.CancelStep:
			b.WriteString("cancel " + do.ID)
		case *pipeline.Parallel:
			b.WriteString("parallel\n" + strings.TrimSuffix(outline(do.Steps, indent+"  "), "\n"))
		}
		if s.Background {
			b.WriteString(" background")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestModelOfTriggers(t *testing.T) {
	p := parseOK(t, `
on:
  pull_request: {branches: [main, '!x'], paths-ignore: docs/**}
  schedule:
    - {cron: '0 5 * * *', timezone: UTC}
  workflow_dispatch:
    inputs:
      level: {type: choice, options: [a, b], default: a, required: true, description: Level}
      dry: {type: boolean, default: false}
      count: {type: number, default: 3}
      plain:
  workflow_run: {workflows: CI, types: completed}
jobs: {a: {runs-on: x}}
`)
	pr, schedule, dispatch, run := p.Triggers[0], p.Triggers[1], p.Triggers[2], p.Triggers[3]
	if diff := cmp.Diff([]string{"opened", "synchronize", "reopened"}, pr.Types); diff != "" || len(pr.Branches.Patterns) != 2 || !pr.Branches.Patterns[1].Negate || !pr.Paths.Ignore {
		t.Errorf("pull_request: %+v", pr)
	}
	if len(schedule.Schedules) != 1 || schedule.Schedules[0].Cron != "0 5 * * *" || schedule.Schedules[0].TimeZone != "UTC" || schedule.Schedules[0].Pos.Line != 5 {
		t.Errorf("schedule: %+v", schedule)
	}
	bound, err := pipeline.BindInputs(dispatch.Inputs, pipeline.NewMap("DRY", "true"), nil)
	if err != nil || pipeline.Text(bound) != `{"level":"a","dry":true,"count":3,"plain":""}` {
		t.Errorf("inputs: %v, %v", pipeline.Text(bound), err)
	}
	if _, err := pipeline.BindInputs(dispatch.Inputs, pipeline.NewMap("level", "c"), nil); err == nil {
		t.Error("a choice that is no option is taken")
	}
	if diff := cmp.Diff([]string{"CI"}, run.Pipelines); diff != "" || len(run.Types) != 1 {
		t.Errorf("workflow_run: %+v", run)
	}
}

func TestFind(t *testing.T) {
	file := &fstest.MapFile{}
	got, err := Find(fstest.MapFS{".github/workflows/b.yml": file, ".github/workflows/a.yaml": file, ".github/workflows/README.md": file,
		".github/workflows/sub/c.yml": file, ".github/workflows/.hidden.yml": file, "d.yml": file})
	if diff := cmp.Diff([]string{".github/workflows/a.yaml", ".github/workflows/b.yml"}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := Find(fstest.MapFS{"x": file}); err != nil || len(got) != 0 {
		t.Errorf("without the folder: %v, %v", got, err)
	}
}
