package githubactions

import (
	"fmt"
	"strings"
	"testing"
)

// Files made to cost much: each has to be read, or refused at a place, with bounded work.
func TestHostileFiles(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%[1]d [%s]\n", i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	each := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	job := func(body string) string {
		return "on: push\njobs:\n  a:\n    runs-on: x\n    steps: [run: x]\n" + body
	}
	for _, c := range []struct{ name, content, want string }{
		{"alias bomb", bomb.String(), codeNodes},
		{"deep flow", strings.Repeat("[", 5000), codeYAML},
		{"deep flow, closed", strings.Repeat("[", 5000) + strings.Repeat("]", 5000), codeDepth},
		{"deep blocks", each(2000, "%[1]*[1]s- \n"), ""},
		{"one long line", "[" + strings.Repeat("a,", 60_000) + "a]", codeType},
		{"one long line beyond ASCII", "[" + strings.Repeat("ä,", 40_000) + "a]", codeType},
		{"very many keys", each(10_000, "k%d: 1\n"), codeUnknownKey},
		{"very many needs of nothing", "on: push\njobs:\n" + each(3_000, "  job%05d: {runs-on: x, needs: jub%[1]05d, steps: [run: x]}\n"), codeNeeds},
		{"a circle of very many jobs", "on: push\njobs:\n  a: {runs-on: x, steps: []}\n" + each(3_000, "  j%d: {runs-on: x, needs: [j%[1]d, j0, j2999], steps: []}\n"), codeCycle},
		{"too many jobs", "on: push\njobs:\n" + each(10_001, "  j%d: {runs-on: x}\n"), codeJobLimit},
		{"a chain of very many jobs", "on: push\njobs:\n  j0: {runs-on: x}\n" + func() string {
			var b strings.Builder
			for i := 1; i < 3_000; i++ {
				fmt.Fprintf(&b, "  j%d: {runs-on: x, needs: j%d}\n", i, i-1)
			}
			return b.String()
		}(), ""},
		{"very many vectors", job("    strategy:\n      matrix:\n" + each(8_000, "        v%d: [1]\n") + "        exclude: [{" + each(8_000, "x%d: 1, ") + "}]\n"), codeMatrix},
		{"very many values and excludes", job("    strategy:\n      matrix:\n        v: [" + each(10_000, "%d,") + "]\n        exclude: [" + each(5_000, "{v: %d},") + "]\n"), codeMatrix},
		{"very many includes", job("    strategy:\n      matrix:\n        v: [" + each(200, "%d,") + "]\n        include: [" + each(3_000, "{w: %d},") + "]\n"), "-"},
		{"a long pattern", "on: {push: {branches: ['" + strings.Repeat("*a?", 100_000) + "']}}\njobs: {a: {runs-on: x}}", codePattern},
		{"many repetitions in a pattern", "on: {push: {branches: ['a" + strings.Repeat("?+", 1500) + "']}}\njobs: {a: {runs-on: x}}", codePattern},
		{"too large", strings.Repeat("#", DefaultMaxFileSize+1), codeFileSize},
		{"very many expressions", job("    env: {" + each(4_000, "v%d: '${{ github.x }}',") + "}\n"), "-"},
		{"very many syntax errors", job("    env: {" + each(4_000, "v%d: '${{ a b }}',") + "}\n"), codeExpr},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, diags := Parse("h.yml", []byte(c.content), Options{})
			if c.want == "-" {
				if err := diags.Err(); err != nil {
					t.Errorf("refused: %.300v", err)
				}
				return
			}
			if c.want == "" {
				return
			}
			for _, d := range diags {
				if d.Code == c.want {
					return
				}
			}
			t.Errorf("no diagnostic %q among %d: %.300v", c.want, len(diags), diags)
		})
	}
}
