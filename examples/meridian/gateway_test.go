// Package meridian_test runs the pipelines of the example services by the gantry binary, as a person would: without a network,
// and knowing nothing of its insides.
package meridian_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the gateway several times; not with -short")
	}
	gantry := build(t)

	t.Run("green", func(t *testing.T) {
		t.Parallel()
		artifacts := t.TempDir()
		events, code := run(t, gantry, copyService(t, "gateway"), "--artifacts", artifacts)
		if code != 0 {
			t.Fatalf("exit code %d", code)
		}
		finished := map[string]event{}
		for _, e := range events {
			if e.Type == "job.finished" {
				finished[e.Job] = e
			}
		}
		for _, job := range []string{"Lint", "Test with GOMAXPROCS=1", "Test with GOMAXPROCS=4", "Build"} {
			if got := finished[job].Status; got != "success" {
				t.Errorf("job %q: %q (%s)", job, got, finished[job].Reason)
			}
		}
		if got := finished["Build"]; !slices.Equal(got.Artifacts, []string{"gateway"}) || len(got.Outputs["digest"]) != 64 {
			t.Errorf("the build left artifacts %v and outputs %v", got.Artifacts, got.Outputs)
		}
		if info, err := os.Stat(filepath.Join(artifacts, "gateway", "gateway")); err != nil || info.Size() < 1<<20 {
			t.Errorf("the binary in the artifact: %v, %v", info, err)
		}
	})

	t.Run("red", func(t *testing.T) {
		t.Parallel()
		dir := copyService(t, "gateway")
		const file = "order/order_test.go"
		source := read(t, filepath.Join(dir, file))
		broken := strings.Replace(source, "4_125_000}", "4_125_001}", 1)
		if broken == source {
			t.Fatal("there is nothing to break")
		}
		write(t, filepath.Join(dir, file), broken)
		events, code := run(t, gantry, dir, "--job", "build", "--matrix", "procs=1")
		if code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
		line := 1 + strings.Count(source[:strings.Index(source, `t.Errorf("notional`)], "\n")
		if !slices.ContainsFunc(events, func(e event) bool {
			a := e.Annotation
			return e.Type == "annotation" && a.Level == "error" && a.File == file && a.Line == line && strings.Contains(a.Message, "notional = 4125000, want 4125001")
		}) {
			t.Errorf("no annotation at %s:%d, there are:", file, line)
			for _, e := range events {
				if e.Annotation != nil {
					t.Errorf("  %s: %+v", e.Job, *e.Annotation)
				}
			}
		}
		for _, e := range events {
			if e.Type == "job.finished" && e.JobID == "build" && (e.Status != "skipped" || !strings.Contains(e.Reason, "test")) {
				t.Errorf("the build ended as %s (%s), want it skipped because of the test", e.Status, e.Reason)
			}
		}
	})
}
