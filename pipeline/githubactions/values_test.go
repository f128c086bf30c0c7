package githubactions

import (
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

func TestValues(t *testing.T) {
	scope := &pipeline.Scope{Run: &pipeline.Run{Change: pipeline.Change{SHA: "abc", Ref: "refs/heads/main"}},
		Vars: pipeline.NewMap("object", `{"group": "g", "queue": "max", "labels": ["l"], "name": "n", "url": "u"}`, "env", `{"X": "1", "x": "2"}`)}
	p := parseOK(t, `
on: push
jobs:
  a:
    runs-on: '${{ fromJSON(vars.object) }}'
    concurrency: '${{ fromJSON(vars.object) }}'
    environment: '${{ fromJSON(vars.object) }}'
    env:
      A: ${{ github.sha }}
      ${{ insert }}: ${{ fromJSON('{"B":1}') }}
      K-${{ github.sha }}: v
    steps:
      - run: "\n  echo ${{ github.sha }}  \nmore"
      - uses: a/b@v1
        with: {list: 'x-${{ github.sha }}'}
  b:
    runs-on: '${{ vars.none }}x'
    concurrency: '${{ github.ref }}'
    env: ${{ fromJSON(vars.env) }}
`)
	a, b := p.Jobs[0], p.Jobs[1]
	for _, c := range []struct {
		name  string
		value pipeline.Value
		want  string
	}{
		{"labels of an object", a.RunsOn, `["l"]`},
		{"group of an object", a.Concurrency.Group, "g"},
		{"queue of an object", a.Concurrency.Queue, "max"},
		{"absent member", a.Concurrency.CancelInProgress, ""},
		{"name of an object", a.Environment.Name, "n"},
		{"url of an object", a.Environment.URL, "u"},
		{"env", a.Env, `{"A":"abc","B":1,"K-abc":"v"}`},
		{"name of a script", a.Steps[0].Name, "Run echo abc"},
		{"with", a.Steps[1].Do.(*pipeline.Use).With, `{"list":"x-abc"}`},
		{"text with an expression", b.RunsOn, "x"},
		{"text for an object", b.Concurrency.Group, "refs/heads/main"},
		{"text has no other members", b.Concurrency.Queue, ""},
	} {
		got, err := c.value.Text(scope)
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
	if env, err := a.Env.Object(scope); err != nil {
		t.Error(err)
	} else if _, ok := env.Get("a"); ok {
		t.Error("names of variables are found in another case")
	}
}

func TestInsertNeedsMapping(t *testing.T) {
	p := parseOK(t, "on: push\njobs:\n  a:\n    runs-on: x\n    env:\n      ${{ insert }}: ${{ 'text' }}\n")
	_, err := p.Jobs[0].Env.Eval(&pipeline.Scope{Run: &pipeline.Run{}})
	if err == nil || err.Error() != `.github/workflows/ci.yml:6:22: ${{ insert }} needs a mapping, got "text"` {
		t.Errorf("error %v", err)
	}
}
