package detect

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/gantry-ops/gantry/project"
)

var update = flag.Bool("update", false, "write golden files")

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

// Each repository of testdata has beside it the gantry.yaml that is written for it, and what is said about it.
func TestScan(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no repositories: %v", err)
	}
	for _, name := range archives {
		t.Run(filepath.Base(name), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			repository := fstest.MapFS{}
			for _, f := range a.Files {
				repository[f.Name] = &fstest.MapFile{Data: f.Data}
			}
			found, err := Scan(repository, "The Desk")
			if err != nil {
				t.Fatal(err)
			}
			base := strings.TrimSuffix(name, ".txtar")
			text := found.YAML("schema.json")
			golden(t, base+".yaml", string(text))
			accepted(t, text)
			var said strings.Builder
			for _, s := range found.Services {
				fmt.Fprintf(&said, "%s\n", s.Name)
				for _, f := range s.Facts {
					fmt.Fprintf(&said, "  %v guess=%v\n", f, f.Guess)
				}
			}
			for _, f := range found.Left {
				fmt.Fprintf(&said, "left out: %v\n", f)
			}
			golden(t, base+".txt", said.String())
			if _, err := json.Marshal(found); err != nil {
				t.Error(err)
			}
		})
	}
}

func accepted(t *testing.T, text []byte) {
	t.Helper()
	if p, diags := project.Parse("gantry.yaml", text); p == nil || len(diags) > 0 {
		var b strings.Builder
		diags.Render(&b, func(string) []byte { return text })
		t.Errorf("what was written is not accepted:\n%s\n%s", b.String(), text)
	}
}

func TestTooLarge(t *testing.T) {
	repository := fstest.MapFS{}
	for i := range maxFiles + 1 {
		repository[fmt.Sprintf("f%d", i)] = &fstest.MapFile{}
	}
	if _, err := Scan(repository, "x"); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	if _, err := Scan(os.DirFS(filepath.Join(t.TempDir(), "nothing")), "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

// FuzzScan: whatever stands in a repository, what is written is accepted.
func FuzzScan(f *testing.F) {
	f.Add("desk", "web: ./x $PORT\nclock: y", "FROM x\nEXPOSE 80\nCMD [\"/a\", \"b\"]", "services: {a: {build: a, depends_on: [b]}, b: {build: .}}",
		`{"name": "@a/b", "scripts": {"start": "x"}}`, "package main\nfunc main() { Listen(\":8080\", \"/healthz\") }", "jobs: [{uses: actions/upload-artifact@v4, with: {name: x, path: dist/x}}]", "module a")
	f.Fuzz(func(t *testing.T, name, procfile, dockerfile, compose, pkg, main, workflow, module string) {
		repository := fstest.MapFS{}
		for file, text := range map[string]string{
			"Procfile": procfile, "a/Procfile": procfile, "Dockerfile": dockerfile, "a/Dockerfile": dockerfile, "compose.yaml": compose, "b/package.json": pkg,
			"main.go": main, "a/main.go": main, "go.mod": module, ".github/workflows/ci.yml": workflow, "a/.github/workflows/ci.yml": workflow,
		} {
			repository[file] = &fstest.MapFile{Data: []byte(text)}
		}
		found, err := Scan(repository, name)
		if err != nil {
			t.Fatal(err)
		}
		accepted(t, found.YAML(project.SchemaURL))
	})
}
