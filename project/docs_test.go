package project

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/project/openslo"
)

const reference = "../docs/gantry-yaml.md"

// replace holds a part of a page, between <!-- name --> and <!-- /name -->, against what it has to be, or writes it with -update.
func replace(t *testing.T, file, name, want string) {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
	text := string(read(t, file))
	before, rest, ok := strings.Cut(text, begin)
	have, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part %q", file, name)
	}
	if have == want {
		return
	}
	if !*update {
		t.Errorf("%s is out of date in %q; run the test with -update", file, name)
		return
	}
	if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The tables of the reference are those that the file is read by.
func TestReference(t *testing.T) {
	type object struct {
		Properties map[string]struct {
			Description string `json:"description"`
			Default     any    `json:"default"`
		} `json:"properties"`
		Required    []string          `json:"required"`
		Definitions map[string]object `json:"definitions"`
	}
	var root object
	if err := json.Unmarshal(makeSchema(), &root); err != nil {
		t.Fatal(err)
	}
	tables := root.Definitions
	tables["file"] = root
	delete(tables, "override") // the service's own, in other words
	for _, name := range sortedKeys(tables) {
		o := tables[name]
		var b strings.Builder
		b.WriteString("| key | default | meaning |\n| --- | --- | --- |\n")
		for _, key := range sortedKeys(o.Properties) {
			p := o.Properties[key]
			value := ""
			switch {
			case slices.Contains(o.Required, key):
				value = "required"
			case p.Default != nil:
				value = fmt.Sprintf("`%v`", p.Default)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", key, value, strings.ReplaceAll(p.Description, "|", `\|`))
		}
		replace(t, reference, name, b.String())
	}
}

var block = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Every example of the reference is accepted. Parts of a file are put into one.
func TestExamples(t *testing.T) {
	text := string(read(t, reference))
	found := block.FindAllStringSubmatch(text, -1)
	if len(found) < 5 {
		t.Fatalf("%d examples", len(found))
	}
	for i, m := range found {
		example := m[1]
		if strings.HasPrefix(example, "apiVersion:") {
			if slos, diags := openslo.Parse("example.yaml", []byte(example)); slos == nil {
				t.Errorf("example %d: %v\n%s", i+1, diags.Err(), example)
			}
			continue
		}
		if !strings.Contains("\n"+example, "\nservices:") {
			example = "services: {web: {command: [./web], ports: {http: \":8080\"}}, worker: {command: [./worker]}}\n" + example
		}
		if !strings.Contains("\n"+example, "\nenvironments:") {
			example += "environments: [production]\n"
		}
		if p, diags := Parse("example.yaml", []byte(example)); p == nil {
			var b strings.Builder
			diags.Render(&b, func(string) []byte { return []byte(example) })
			t.Errorf("example %d:\n%s", i+1, b.String())
		}
	}
}

func TestDiagnosticsDocumentation(t *testing.T) {
	var b strings.Builder
	b.WriteString("| code | severity | meaning |\n| --- | --- | --- |\n")
	for _, c := range codeTable {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c[0], c[1], c[2])
	}
	replace(t, "../docs/diagnostics.md", "gantry-yaml", b.String())
}

// The table has every code that the sources have, once.
func TestCodeTable(t *testing.T) {
	declared := map[string]bool{}
	for _, file := range []string{"codes.go", "internal/bind/codes.go", "openslo/parse.go", "ics/codes.go"} {
		f, err := parser.ParseFile(gotoken.NewFileSet(), filepath.FromSlash(file), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(strings.ToLower(spec.Names[0].Name), "code") {
				return true
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == gotoken.STRING {
				code, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				declared[code] = true
			}
			return true
		})
	}
	seen := map[string]bool{}
	for _, c := range codeTable {
		if seen[c[0]] {
			t.Errorf("%s stands twice", c[0])
		}
		seen[c[0]] = true
		if !declared[c[0]] {
			t.Errorf("%s is in the table and nowhere else", c[0])
		}
	}
	for _, code := range sortedKeys(declared) {
		if !seen[code] {
			t.Errorf("%s is not in the table", code)
		}
	}
}
