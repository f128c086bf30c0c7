package project

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files and generated documentation")

// golden holds text against a file, or writes it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got (write with -update):\n%s", file, diff)
	}
}

// files returns the YAML files of a folder of testdata.
func files(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(found) == 0 {
		t.Fatalf("no files in testdata/%s: %v", pattern, err)
	}
	return found
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Each file of testdata has beside it what people see about it.
func TestDiagnostics(t *testing.T) {
	for _, file := range append(files(t, "good/*.yaml"), files(t, "bad/*.yaml")...) {
		t.Run(strings.TrimPrefix(filepath.ToSlash(file), "testdata/"), func(t *testing.T) {
			content := read(t, file)
			p, diags := Parse(filepath.Base(file), content)
			var got strings.Builder
			diags.Render(&got, func(string) []byte { return content })
			if good := strings.Contains(filepath.ToSlash(file), "/good/"); good != (p != nil) || good == diags.HasErrors() {
				t.Errorf("a project: %v, errors: %v\n%s", p != nil, diags.HasErrors(), got.String())
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", got.String())
		})
	}
}

func BenchmarkParse(b *testing.B) {
	content, err := os.ReadFile("testdata/good/full.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if p, diags := Parse("gantry.yaml", content); p == nil {
			b.Fatal(diags.Err())
		}
	}
}
