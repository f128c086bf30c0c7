package githubactions

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files and generated documentation")

// The documentation has every code that the source has, and the other way round.
func TestCodeTable(t *testing.T) {
	fset := gotoken.NewFileSet()
	f, err := parser.ParseFile(fset, "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || !strings.HasPrefix(spec.Names[0].Name, "code") || spec.Names[0].Name == "codeTable" {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		declared = append(declared, code)
		return true
	})
	var documented []string
	for _, c := range codeTable {
		documented = append(documented, c.code)
	}
	slices.Sort(declared)
	slices.Sort(documented)
	if diff := cmp.Diff(declared, documented); diff != "" {
		t.Errorf("-declared +documented:\n%s", diff)
	}
}

func TestDiagnosticsDocumentation(t *testing.T) {
	const file = "../../docs/diagnostics.md"
	const begin, end = "<!-- github-actions -->\n", "<!-- /github-actions -->\n"
	var table strings.Builder
	table.WriteString("| code | severity | meaning |\n| --- | --- | --- |\n")
	for _, c := range codeTable {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", c.code, c.severity, c.meaning)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	have, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part between %q and %q", file, begin, end)
	}
	if have == table.String() {
		return
	}
	if !*update {
		t.Fatalf("%s is out of date; run the test with -update", file)
	}
	if err := os.WriteFile(file, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
