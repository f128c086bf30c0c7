package githubactions

import (
	"fmt"
	"strings"
	"testing"
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
