package githubactions

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gantry-ops/gantry/pipeline"
)

// files is a repository of workflows, and a resolver of others by their reference.
type files map[string]string

func (f files) fs() fstest.MapFS {
	out := fstest.MapFS{}
	for name, content := range f {
		if !strings.Contains(name, "@") {
			out[name] = &fstest.MapFile{Data: []byte(content)}
		}
	}
	return out
}

func (f files) Workflow(ref string) (string, []byte, error) {
	content, ok := f[ref]
	if !ok {
		return "", nil, errors.New("not in the cache, and --offline was given")
	}
	return ref, []byte(content), nil
}

const (
	leaf   = "on: workflow_call\njobs:\n  leaf: {runs-on: x, steps: [run: x]}\n"
	signed = `on:
  workflow_call:
    inputs:
      n: {type: number, required: true}
      b: {type: boolean}
      s: {type: string, default: x, required: true}
    secrets:
      token: {required: true}
    outputs:
      o: {value: '${{ jobs.leaf.outputs.x }}', description: an output}
jobs:
  leaf: {runs-on: x, outputs: {x: y}, steps: [run: x]}
`
)

func TestCalls(t *testing.T) {
	call := func(uses, more string) string {
		return "on: push\njobs:\n  call:\n    uses: " + uses + "\n" + more
	}
	for _, c := range []struct {
		name, entry string
		files       files
		want        string // part of the errors; empty: none
	}{
		{"by path", call("./.github/workflows/b.yml", ""), files{".github/workflows/b.yml": leaf}, ""},
		{"by reference", call("o/r/.github/workflows/b.yml@v1", ""), files{"o/r/.github/workflows/b.yml@v1": leaf}, ""},
		{"a path in another repository", call("o/r/.github/workflows/b.yml@v1", ""), files{
			"o/r/.github/workflows/b.yml@v1": strings.Replace(leaf, "runs-on: x, steps: [run: x]", "uses: ./.github/workflows/c.yml", 1),
			"o/r/.github/workflows/c.yml@v1": leaf}, ""},
		{"no such file", call("./.github/workflows/b.yml", ""), nil, `a.yml:4:11: error: the workflow "./.github/workflows/b.yml" cannot be read: there is no file .github/workflows/b.yml in the repository`},
		{"not to be had", call("o/r/.github/workflows/b.yml@v1", ""), nil, "cannot be read: not in the cache, and --offline was given"},
		{"not callable", call("./.github/workflows/b.yml", ""), files{".github/workflows/b.yml": "on: push\njobs: {a: {runs-on: x}}"}, "does not start on workflow_call"},
		{"broken", call("./.github/workflows/b.yml", ""), files{".github/workflows/b.yml": "on: workflow_call\njobs: {a: {run-on: x}}"}, ".github/workflows/b.yml:2:12: error: unexpected key"},
		{"itself", call("./.github/workflows/a.yml", ""), files{".github/workflows/a.yml": call("./.github/workflows/a.yml", "")}, "calls itself"},
		{"in a circle", call("./.github/workflows/b.yml", ""), files{
			".github/workflows/b.yml": "on: workflow_call\njobs: {b: {uses: ./.github/workflows/a.yml}}",
			".github/workflows/a.yml": call("./.github/workflows/b.yml", "")}, ".github/workflows/b.yml:2:18: error: the workflow \"./.github/workflows/a.yml\" calls itself"},
		{"inputs and secrets", call("./.github/workflows/b.yml", "    with: {n: 1, b: true}\n    secrets: {token: '${{ secrets.T }}'}\n"), files{".github/workflows/b.yml": signed}, ""},
		{"secrets inherited", call("./.github/workflows/b.yml", "    with: {n: '${{ 1 }}'}\n    secrets: inherit\n"), files{".github/workflows/b.yml": signed}, ""},
		{"input missing", call("./.github/workflows/b.yml", "    secrets: inherit\n"), files{".github/workflows/b.yml": signed}, "a.yml:4:11: error: input n is required, but not provided while calling"},
		{"input of the wrong type", call("./.github/workflows/b.yml", "    with: {n: x, b: 'true'}\n    secrets: inherit\n"), files{".github/workflows/b.yml": signed}, "the input b is a boolean, got \"true\""},
		{"unknown input", call("./.github/workflows/b.yml", "    with: {n: 1, nn: 2}\n    secrets: inherit\n"), files{".github/workflows/b.yml": signed}, "a.yml:5:18: error: invalid input: nn is not defined"},
		{"secret missing", call("./.github/workflows/b.yml", "    with: {n: 1}\n"), files{".github/workflows/b.yml": signed}, "secret token is required"},
		{"unknown secret", call("./.github/workflows/b.yml", "    with: {n: 1}\n    secrets: {token: x, tolken: y}\n"), files{".github/workflows/b.yml": signed}, "invalid secret: tolken"},
		{"too much permission", "permissions: {contents: read}\n" + call("./.github/workflows/b.yml", ""), files{".github/workflows/b.yml": "permissions: write-all\n" + leaf}, "is requesting 'actions: write,"},
		{"a path out of the folder", call("./workflows/b.yml", ""), nil, "workflows are files in .github/workflows"},
		{"a path with a version", call("./.github/workflows/b.yml@v1", ""), nil, "a path in the repository has no version"},
		{"no version", call("o/r/.github/workflows/b.yml", ""), nil, "it names no version"},
		{"no file", call("o/r@v1", ""), nil, "invalid workflow reference"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, diags := Parse(".github/workflows/a.yml", []byte(c.entry), Options{FS: c.files.fs(), Resolver: c.files})
			err := diags.Err()
			if c.want == "" {
				if err != nil || p.Jobs[0].Call.Pipeline == nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestCallModel(t *testing.T) {
	f := files{".github/workflows/b.yml": signed}
	p, diags := Parse(".github/workflows/a.yml", []byte(`on: push
permissions: {contents: read}
jobs:
  call:
    uses: ./.github/workflows/b.yml
    with: {n: 2, s: "${{ github.sha }}"}
    secrets: {token: x}
`), Options{FS: f.fs()})
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	c := p.Jobs[0].Call
	if c.Ref != "./.github/workflows/b.yml" || c.Pipeline.File != ".github/workflows/b.yml" || c.InheritSecrets || len(p.Jobs[0].Steps) != 0 {
		t.Errorf("call: %+v", c)
	}
	secrets, err := c.Secrets.Eval(nil)
	if err != nil || pipeline.Text(secrets) != `{"token":"x"}` {
		t.Errorf("secrets: %v, %v", pipeline.Text(secrets), err)
	}
	called := c.Pipeline
	if len(called.Inputs) != 3 || called.Inputs[0].Type != "number" || !called.Inputs[0].Required || pipeline.Text(mustEval(t, called.Inputs[2].Default)) != "x" {
		t.Errorf("inputs: %+v", called.Inputs)
	}
	if len(called.Secrets) != 1 || !called.Secrets[0].Required || len(called.Outputs) != 1 || called.Outputs[0].Value.Source() != "jobs.leaf.outputs.x" {
		t.Errorf("secrets %+v, outputs %+v", called.Secrets, called.Outputs)
	}
	if got := called.Jobs[0].Permissions["contents"]; got != "read" {
		t.Errorf("the called job has contents: %q", got)
	}
}

func mustEval(t *testing.T, v pipeline.Value) pipeline.Data {
	t.Helper()
	d, err := v.Eval(nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCallDepth(t *testing.T) {
	f := files{}
	for i := 1; i < 12; i++ {
		f[".github/workflows/l"+string(rune('a'+i))+".yml"] = "on: workflow_call\njobs: {a: {uses: ./.github/workflows/l" + string(rune('b'+i)) + ".yml}}"
	}
	f[".github/workflows/lm.yml"] = leaf
	entry := func(first byte) []byte {
		return []byte("on: push\njobs: {a: {uses: ./.github/workflows/l" + string(first) + ".yml}}")
	}
	// lm is a leaf: from le on there are nine levels below the entry, from ld on ten.
	if _, diags := Parse("e.yml", entry('e'), Options{FS: f.fs()}); diags.HasErrors() {
		t.Error(diags.Err())
	}
	if _, diags := Parse("e.yml", entry('d'), Options{FS: f.fs()}); !strings.Contains(diags.Err().Error(), "depth exceeded 9") {
		t.Error(diags.Err())
	}
}

type unfollowed struct{}

func (unfollowed) Workflow(string) (string, []byte, error) { return "", nil, ErrNotFollowed }

// A resolver may leave workflows of other repositories unread, while those of the same are followed.
func TestCallNotFollowed(t *testing.T) {
	f := files{".github/workflows/b.yml": leaf}
	p, diags := Parse("e.yml", []byte("on: push\njobs:\n  a: {uses: o/r/.github/workflows/x.yml@v1}\n  b: {uses: ./.github/workflows/b.yml}"), Options{FS: f.fs(), Resolver: unfollowed{}})
	if p == nil || p.Jobs[0].Call.Pipeline != nil || p.Jobs[1].Call.Pipeline == nil || len(diags) != 1 || diags[0].Severity != pipeline.Warning {
		t.Errorf("%+v %v", p, diags)
	}
}

// A file that is checked on its own does not follow calls, and says so.
func TestParseAlone(t *testing.T) {
	p, diags := Parse("e.yml", []byte("on: push\njobs: {a: {uses: ./.github/workflows/x.yml}}"), Options{Alone: true})
	if p == nil || p.Jobs[0].Call.Pipeline != nil || len(diags) != 1 || diags[0].Severity != pipeline.Warning || diags[0].Code != codeCall {
		t.Errorf("%+v %v", p, diags)
	}
}
