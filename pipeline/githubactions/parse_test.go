package githubactions

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gantry-ops/gantry/pipeline"
)

// bigWorkflow returns a workflow of about n lines with what real ones have.
func bigWorkflow(lines int) []byte {
	var b strings.Builder
	b.WriteString("name: CI\non:\n  push:\n    branches: [main, 'release/**']\n  pull_request:\nenv:\n  GO_VERSION: '1.26'\njobs:\n")
	for i := 0; strings.Count(b.String(), "\n") < lines; i++ {
		needs := ""
		if i > 0 {
			needs = fmt.Sprintf("    needs: job%d\n", i-1)
		}
		fmt.Fprintf(&b, `  job%d:
    name: Build on ${{ matrix.os }} (%[1]d)
%s    runs-on: ${{ matrix.os }}
    timeout-minutes: 20
    strategy:
      fail-fast: false
      matrix:
        os: [ubuntu-latest, ubuntu-22.04]
        go: ['1.25', '1.26']
        exclude:
          - os: ubuntu-22.04
            go: '1.25'
    outputs:
      version: ${{ steps.version.outputs.version }}
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0
      - uses: actions/setup-go@v5
        with:
          go-version: ${{ matrix.go }}
      - id: version
        run: |
          version=$(git describe --always)
          echo "version=$version" >> "$GITHUB_OUTPUT"
      - name: Test
        if: github.event_name == 'push' && contains(github.ref, 'release')
        env:
          NAME: service-${{ github.sha }}-${{ matrix.os }}
        run: |
          go vet ./...
          go test -race ./...
      - if: ${{ always() && runner.os == 'Linux' }}
        uses: actions/upload-artifact@v4
        with:
          name: logs-${{ matrix.os }}-${{ matrix.go }}
          path: logs
`, i, needs)
	}
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	for _, lines := range []int{400, 10_000} {
		content := bigWorkflow(lines)
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if _, diags := Parse("big.yml", content, Options{}); diags.HasErrors() {
					b.Fatal(diags.Err())
				}
			}
		})
	}
}

// FuzzParse looks for input that makes the reader panic or hang, or that it refuses without saying where.
func FuzzParse(f *testing.F) {
	f.Add(string(bigWorkflow(60)))
	for _, seed := range []string{
		"", "a", "- a", "on: push\njobs: {a: {runs-on: x, steps: [{run: x}]}}",
		"on: &a [*a]", "a: &a {b: *a}", "x: [1, 2", "on: push\n---\n", "\xff\xfe", "a: !!int x", "{a: 1, A: 2}", "? [a]\n: b",
		"on: {schedule: [{cron: 'TZ=x'}], push: {branches: ['[', '**?+']}}",
		"on: push\njobs: {a: {runs-on: x, needs: a, strategy: {matrix: {a: [1], exclude: [{b: 1}], include: [{c: &c [1, 2]}, *c]}}}}",
		"on: {workflow_call: {inputs: {a: {type: number, default: '${{ x }}'}}, outputs: {o: {value: '${{ jobs.a.outputs.b }}'}}}}\njobs: {a: {uses: './.github/workflows/a.yml'}}",
		"on: push\njobs: {a: {runs-on: '${{ fromJSON(''[]'') }}', steps: [{parallel: [{run: '${{ insert }}', id: a}]}, {wait: a}, {cancel: b}]}}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		check := func(what string, none bool, diags pipeline.Diagnostics) {
			if none != diags.HasErrors() {
				t.Errorf("%s: nothing returned %v, errors %v", what, none, diags)
			}
			for _, d := range diags {
				if d.Pos.File == "" || d.Pos.Line < 1 || d.Pos.Col < 1 || d.Code == "" || d.Message == "" {
					t.Errorf("%s: not located: %+v", what, d)
				}
			}
			diags.Render(io.Discard, func(string) []byte { return []byte(content) })
		}
		p, diags := Parse(".github/workflows/a.yml", []byte(content), Options{FS: fstest.MapFS{".github/workflows/a.yml": {Data: []byte(content)}}})
		check("workflow", p == nil, diags)
		if p != nil {
			for _, j := range p.Jobs {
				if j.Strategy != nil {
					_, _ = j.Strategy.Matrix.Expand(&pipeline.Scope{Planning: true, Run: &pipeline.Run{}})
				}
			}
			Select(p, &pipeline.Run{Event: pipeline.Event{Name: "push"}, Change: pipeline.Change{Ref: "refs/heads/main"}})
		}
		a, diags := ParseAction("action.yml", []byte(content))
		check("action", a == nil, diags)
	})
}
