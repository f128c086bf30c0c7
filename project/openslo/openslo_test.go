package openslo

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files")

// Each file of testdata has beside it what people see about it, and what was read.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			slos, diags := Parse(filepath.Base(file), content)
			if good := strings.Contains(filepath.ToSlash(file), "/good/"); good != (slos != nil) || good == diags.HasErrors() {
				t.Errorf("%d SLOs, errors: %v", len(slos), diags.HasErrors())
			}
			var got strings.Builder
			diags.Render(&got, func(string) []byte { return content })
			if slos != nil {
				enc := json.NewEncoder(&got)
				enc.SetEscapeHTML(false)
				enc.SetIndent("", "  ")
				if err := enc.Encode(slos); err != nil {
					t.Fatal(err)
				}
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want +got (write with -update):\n%s", diff)
			}
		})
	}
}

func TestOperators(t *testing.T) {
	for _, tt := range []struct {
		op    Operator
		holds [3]bool // for 1, 2 and 3 against 2
	}{
		{AtMost, [3]bool{true, true, false}}, {AtLeast, [3]bool{false, true, true}},
		{Below, [3]bool{true, false, false}}, {Above, [3]bool{false, false, true}}, {"", [3]bool{}},
	} {
		for i, want := range tt.holds {
			if got := tt.op.Holds(float64(i+1), 2); got != want {
				t.Errorf("%d %s 2: got %v, want %v", i+1, tt.op, got, want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		slos, diags := Parse("fuzz.yaml", content)
		if (len(slos) == 0) != diags.HasErrors() {
			t.Fatalf("%d SLOs, errors: %v", len(slos), diags.HasErrors())
		}
		for _, d := range diags {
			if d.Pos.Line < 1 || d.Message == "" || d.Code == "" {
				t.Fatalf("a finding without a place or a text: %+v", d)
			}
		}
		for _, s := range slos {
			if s.Name == "" || s.Indicator.Kind == "" || len(s.Objectives) == 0 {
				t.Fatalf("an SLO with holes: %+v", s)
			}
		}
	})
}
