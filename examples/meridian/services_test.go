package meridian_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestServices runs the pipelines of the services that have dependencies, which a machine with Gantry's own ones can build
// without a network.
func TestServices(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the services; not with -short")
	}
	gantry := build(t)
	for _, service := range []string{"ledger", "marketdata"} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			artifacts := t.TempDir()
			// With the race detector, these tests are run by make test.
			events, code := run(t, gantry, copyService(t, service), "--artifacts", artifacts, "--var", "RACE=off")
			if code != 0 {
				t.Fatalf("exit code %d", code)
			}
			i := slices.IndexFunc(events, func(e event) bool { return e.Type == "job.finished" && e.Job == "Build" })
			if i < 0 || !slices.Equal(events[i].Artifacts, []string{service}) || len(events[i].Outputs["digest"]) != 64 {
				t.Errorf("the build is event %d of %+v", i, events)
			}
			if info, err := os.Stat(filepath.Join(artifacts, service, service)); err != nil || info.Size() < 1<<20 {
				t.Errorf("the binary in the artifact: %v, %v", info, err)
			}
		})
	}
}

// TestModules holds the modules' requirements against the main module's: what is downloaded for that one is enough.
func TestModules(t *testing.T) {
	own := requirements(t, "../../go.mod")
	for _, dir := range append([]string{"kit", "load"}, services...) {
		file := filepath.Join(dir, "go.mod")
		replaced := map[string]bool{}
		for line := range strings.Lines(read(t, file)) {
			if path, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "replace "), " => ."); ok {
				replaced[path] = true
			}
		}
		for path, version := range requirements(t, file) {
			if !replaced[path] && own[path] != version {
				t.Errorf("%s wants %s %s, and the main module has %q", file, path, version, own[path])
			}
		}
	}
}

// requirements reads the modules that a go.mod requires, with their versions.
func requirements(t *testing.T, file string) map[string]string {
	t.Helper()
	found := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(read(t, file)))
	for lines.Scan() {
		var path, version string
		line := strings.TrimPrefix(strings.TrimSpace(lines.Text()), "require ")
		if n, _ := fmt.Sscan(line, &path, &version); n == 2 && strings.HasPrefix(version, "v") {
			found[path] = version
		}
	}
	if len(found) == 0 && strings.Contains(read(t, file), "require") {
		t.Fatalf("%s is not understood", file)
	}
	return found
}
