package githubactions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/pipeline"
)

// parseMatrix parses a workflow whose only job has the matrix.
func parseMatrix(t *testing.T, matrix string) (pipeline.Matrix, pipeline.Diagnostics) {
	t.Helper()
	src := "on: push\njobs:\n  a:\n    runs-on: x\n    strategy:\n      matrix:\n        " +
		strings.ReplaceAll(strings.TrimSpace(matrix), "\n", "\n        ") + "\n    steps: [run: x]\n"
	p, diags := Parse("m.yml", []byte(src), Options{})
	if p == nil {
		return nil, diags
	}
	return p.Jobs[0].Strategy.Matrix, diags
}

func TestMatrixExpand(t *testing.T) {
	for _, c := range []struct {
		name, matrix string
		want         []string // suffix and values of each leg
	}{
		{"crossed, the first varies slowest", "os: [a, b]\nv: [1, 2]", []string{
			` (a, 1) {"os":"a","v":1}`, ` (a, 2) {"os":"a","v":2}`, ` (b, 1) {"os":"b","v":1}`, ` (b, 2) {"os":"b","v":2}`}},
		// The example of the vendor's documentation.
		{"include", `
fruit: [apple, pear]
animal: [cat, dog]
include:
  - color: green
  - color: pink
    animal: cat
  - fruit: apple
    shape: circle
  - fruit: banana
  - fruit: banana
    animal: cat`, []string{
			` (apple, cat, pink, circle) {"fruit":"apple","animal":"cat","color":"pink","shape":"circle"}`,
			` (apple, dog, green, circle) {"fruit":"apple","animal":"dog","color":"green","shape":"circle"}`,
			` (pear, cat, pink) {"fruit":"pear","animal":"cat","color":"pink"}`,
			` (pear, dog, green) {"fruit":"pear","animal":"dog","color":"green"}`,
			` (banana) {"fruit":"banana"}`,
			` (banana, cat) {"fruit":"banana","animal":"cat"}`}},
		{"include alone", "include:\n  - {site: production, n: 1}\n  - {site: staging}", []string{
			` (production, 1) {"site":"production","n":1}`, ` (staging) {"site":"staging"}`}},
		{"exclude, then include", "os: [a, b]\nv: [1, 2]\nexclude:\n  - {os: a, v: 1}\n  - {os: b}\ninclude:\n  - {os: b, v: 1}", []string{
			` (a, 2) {"os":"a","v":2}`, ` (b, 1) {"os":"b","v":1}`}},
		{"exclude by part of an object", "os: [{n: a, x: 1}, {n: b, x: 1}]\nexclude: [{os: {n: a}}]", []string{
			` (b, 1) {"os":{"n":"b","x":1}}`}},
		{"values of other types differ", "v: [1, '1', true]\nexclude: [{v: '1'}]", []string{
			` (1) {"v":1}`, ` (true) {"v":true}`}},
		{"lists, empty and null values in the suffix", "v: [[1, [2]], '', null]", []string{
			` (1, 2) {"v":[1,[2]]}`, ` {"v":""}`, ` #2 {"v":null}`}},
		{"the same values twice", "v: [a, a]", []string{` (a) {"v":"a"}`, ` (a) #2 {"v":"a"}`}},
		{"keys in another case", "OS: [a, b]\nexclude: [{os: a}]\ninclude: [{oS: b, n: 1}]", []string{` (b, 1) {"OS":"b","n":1}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, diags := parseMatrix(t, c.matrix)
			if err := diags.Err(); err != nil {
				t.Fatal(err)
			}
			legs, err := m.Expand(nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range legs {
				got = append(got, l.Suffix+" "+pipeline.Text(l.Values))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMatrixErrors(t *testing.T) {
	numbers := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprint(i)
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	for _, c := range []struct{ name, matrix, want string }{
		{"an empty vector", "os: []", "m.yml:7:13: error: the vector \"os\" of the matrix does not contain any values"},
		{"no vector", "{}", "at least one vector"},
		{"include is empty", "include: []", "at least one vector"},
		{"257 legs", "n: " + numbers(257), "more than 256 legs"},
		{"256 legs and one by include", "n: " + numbers(256) + "\ninclude: [{x: 1, n: 1000}]", "257 legs"},
		{"far too many", "a: " + numbers(1000) + "\nb: " + numbers(1000) + "\nc: " + numbers(1000) + "\nd: " + numbers(1000), "too many combinations"},
		{"nothing left", "a: [1]\nexclude: [{a: 1}]", "exclude leaves no combination"},
		{"a scalar for a vector", "a: 1", "m.yml:7:12: error: unexpected value '1'"},
		{"a scalar in include", "a: [1]\ninclude: [x]", "unexpected value 'x'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, diags := parseMatrix(t, c.matrix)
			if err := diags.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// An exclude with an unknown key is a warning about the file and fails the job when it is about to run.
func TestMatrixExcludeUnknownKey(t *testing.T) {
	m, diags := parseMatrix(t, "os: [a]\nexclude:\n  - so: a")
	if diags.HasErrors() || len(diags) != 1 || diags[0].Code != codeMatrixExclude || diags[0].Pos.Line != 9 {
		t.Errorf("diagnostics: %v", diags)
	}
	_, err := m.Expand(nil)
	if err == nil || !strings.Contains(err.Error(), `m.yml:7:9: exclude names the key "so"`) {
		t.Errorf("error %v", err)
	}
}

// A matrix may come from the outputs of another job: then its legs are known when the job becomes ready.
func TestMatrixFromOutputs(t *testing.T) {
	outputs := pipeline.NewMap("list", `["a", "b"]`, "key", "os", "matrix", `{"os": ["a"], "include": [{"os": "b", "n": 1}]}`,
		"strategy", `{"fail-fast": false, "max-parallel": 3, "matrix": {"v": [1, 2]}}`, "text", "x", "empty", "[]")
	scope := func(planning bool) *pipeline.Scope {
		s := &pipeline.Scope{Planning: planning, Run: &pipeline.Run{}, Job: &pipeline.JobScope{Key: "use"}}
		if !planning {
			s.Upstream = []pipeline.Result{{Key: "prep", Direct: true, Status: pipeline.Success, Outputs: outputs}}
		}
		return s
	}
	for _, c := range []struct{ name, strategy, want string }{
		{"a vector", "matrix: {os: '${{ fromJSON(needs.prep.outputs.list) }}'}", "(a) (b)"},
		{"the whole matrix", "matrix: ${{ fromJSON(needs.prep.outputs.matrix) }}", "(a) (b, 1)"},
		{"a key", "matrix:\n        ${{ needs.prep.outputs.key }}: |-\n          ${{ fromJSON(needs.prep.outputs.list) }}", "(a) (b)"},
		{"an inserted mapping", "matrix:\n        ${{ insert }}: ${{ fromJSON(needs.prep.outputs.matrix) }}", "(a) (b, 1)"},
		{"a value", "matrix: {os: ['${{ needs.prep.outputs.key }}', x]}", "(os) (x)"},
		{"within include", "matrix: {include: [{a: '${{ needs.prep.outputs.key }}'}]}", "(os)"},
		{"include as a whole", "matrix: {include: '${{ fromJSON(needs.prep.outputs.list) }}'}", "has to be a mapping"},
		{"no list", "matrix: {os: '${{ needs.prep.outputs.text }}'}", `m.yml:11:15: the vector "os" of the matrix has to be a sequence, got "x"`},
		{"an empty list", "matrix: {os: '${{ fromJSON(needs.prep.outputs.empty) }}'}", "does not contain any values"},
		{"no mapping", "matrix: ${{ needs.prep.outputs.text }}", "m.yml:11:15: matrix has to be a mapping"},
		{"no JSON", "matrix: ${{ fromJSON(needs.prep.outputs.text) }}", "m.yml:11:15: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, diags := Parse("m.yml", []byte("on: push\njobs:\n  prep:\n    runs-on: x\n    outputs: {list: '', key: '', matrix: '', text: '', empty: '', strategy: ''}\n    steps: []\n  use:\n    needs: prep\n    runs-on: x\n    strategy:\n      "+c.strategy+"\n"), Options{})
			if err := diags.Err(); err != nil {
				t.Fatal(err)
			}
			m := p.Jobs[1].Strategy.Matrix
			if _, err := m.Expand(scope(true)); err != pipeline.ErrUnknown {
				t.Errorf("while planning: %v", err)
			}
			legs, err := m.Expand(scope(false))
			got := ""
			for _, l := range legs {
				got += l.Suffix
			}
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	p, diags := Parse("m.yml", []byte("on: push\njobs:\n  prep: {runs-on: x, outputs: {strategy: x}}\n  use:\n    needs: prep\n    runs-on: x\n    strategy: ${{ fromJSON(needs.prep.outputs.strategy) }}\n"), Options{})
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	s := p.Jobs[1].Strategy
	legs, err := s.Matrix.Expand(scope(false))
	failFast, err2 := s.FailFast.Bool(scope(false))
	most, _, err3 := s.MaxParallel.Number(scope(false))
	if err != nil || err2 != nil || err3 != nil || len(legs) != 2 || failFast || most != 3 {
		t.Errorf("strategy: %v %v %v, %v %v %v", legs, failFast, most, err, err2, err3)
	}
}
