package githubactions

import (
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

func parseAction(t *testing.T, content string) *pipeline.ActionDefinition {
	t.Helper()
	a, diags := ParseAction("action.yml", []byte(content))
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParseNodeAction(t *testing.T) {
	a := parseAction(t, `
name: Greet
description: Greets
author: someone
branding: {icon: award, color: green}
inputs:
  who: {description: whom, required: true, default: world}
  token: {default: '${{ github.token }}', deprecationMessage: not any more, something: else}
  nothing:
outputs:
  time: {description: the time}
runs:
  using: Node20
  main: dist/main.js
  pre: dist/pre.js
  pre-if: runner.os == 'Linux'
  post: dist/post.js
`)
	n, ok := a.Runs.(*pipeline.NodeAction)
	if !ok || n.Using != "node20" || n.Main != "dist/main.js" || n.Pre != "dist/pre.js" || n.Post != "dist/post.js" {
		t.Fatalf("runs: %+v", a.Runs)
	}
	if n.PreIf.Source() != "always() && (runner.os == 'Linux')" || n.PostIf.Source() != "always()" {
		t.Errorf("pre-if %q, post-if %q", n.PreIf.Source(), n.PostIf.Source())
	}
	if a.Name != "Greet" || len(a.Inputs) != 3 || !a.Inputs[0].Required || a.Inputs[1].Deprecated != "not any more" || a.Inputs[1].Default.Source() != "github.token" || len(a.Outputs) != 1 {
		t.Errorf("signature: %+v", a)
	}
}

func TestParseCompositeAction(t *testing.T) {
	a := parseAction(t, `
name: Composite
description: x
inputs: {n: {default: 1}}
outputs:
  o: {value: '${{ steps.a.outputs.o }}'}
runs:
  using: composite
  steps:
    - {id: a, run: 'echo ${{ inputs.n }}', shell: bash, if: inputs.n > 0, working-directory: x, continue-on-error: true, env: {A: b}}
    - uses: ./other
      with: {x: '${{ github.action_path }}'}
    - {run: x, shell: sh}
`)
	c, ok := a.Runs.(*pipeline.CompositeAction)
	if !ok || len(c.Steps) != 3 {
		t.Fatalf("runs: %+v", a.Runs)
	}
	first := c.Steps[0]
	script := first.Do.(*pipeline.Script)
	if first.ID != "a" || script.Shell.Source() != "bash" || script.Dir.Source() != "x" || script.Text.Source() != "format('echo {0}', inputs.n)" || first.If.Source() != "success() && (inputs.n > 0)" {
		t.Errorf("first step: %+v %+v", first, script)
	}
	if c.Steps[1].ID != "__self" || c.Steps[2].ID != "__run" || c.Steps[1].Name.Source() != "Run ./other" {
		t.Errorf("IDs %q %q, name %q", c.Steps[1].ID, c.Steps[2].ID, c.Steps[1].Name.Source())
	}
	if a.Outputs[0].Value.Source() != "steps.a.outputs.o" {
		t.Errorf("output: %q", a.Outputs[0].Value.Source())
	}
}

func TestParseContainerAction(t *testing.T) {
	a := parseAction(t, `
name: Container
description: x
runs:
  using: docker
  image: docker/Dockerfile
  entrypoint: /main.sh
  pre-entrypoint: /pre.sh
  post-entrypoint: /post.sh
  post-if: failure()
  args: ['${{ inputs.a }}', -v, 1]
  env: {A: '${{ inputs.b }}', B: 2}
`)
	c, ok := a.Runs.(*pipeline.ContainerAction)
	if !ok || c.Image != "docker/Dockerfile" || c.Entrypoint != "/main.sh" || c.PreEntrypoint != "/pre.sh" || c.PostEntrypoint != "/post.sh" || len(c.Args) != 3 {
		t.Fatalf("runs: %+v", a.Runs)
	}
	if c.Args[0].Source() != "inputs.a" || c.Args[2].Source() != "1" || c.PostIf.Source() != "always() && (failure())" || c.Env.IsZero() {
		t.Errorf("runs: %+v", c)
	}
}

func TestParseActionErrors(t *testing.T) {
	for _, c := range []struct{ name, runs, want string }{
		{"no runs", "", `required key "runs" is missing`},
		{"no using", "runs: {usign: node20}", `is "usign" at line 2 meant to be "using"?`},
		{"unknown runtime", "runs: {using: nod20, main: x}", `did you mean "node20"?`},
		{"no main", "runs: {using: node20}", `required key "main" is missing`},
		{"no shell", "runs: {using: composite, steps: [{run: x}]}", `action.yml:2:34: error: required key "shell" is missing in a step of an action`},
		{"no action", "runs: {using: composite, steps: [{rnu: x}]}", "needs one of the keys run and uses"},
		{"secrets", "runs: {using: composite, steps: [{run: '${{ secrets.x }}', shell: sh}]}", "action.yml:2:45: error: unrecognized named-value: 'secrets'"},
		{"a condition's mistake at its place", "runs: {using: node20, main: x, post-if: runnr.os}", "action.yml:2:41: error: unrecognized named-value: 'runnr'"},
		{"a Dockerfile elsewhere", "runs: {using: docker, image: ../Dockerfile}", "outside of the action's folder"},
		{"no version", "runs: {using: composite, steps: [{uses: a/b}]}", "names no version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := "name: x\n" + c.runs + "\n"
			a, diags := ParseAction("action.yml", []byte(content))
			var got strings.Builder
			diags.Render(&got, func(string) []byte { return []byte(content) })
			if a != nil || !strings.Contains(got.String(), c.want) {
				t.Errorf("%v, want %q", got.String(), c.want)
			}
		})
	}
}
