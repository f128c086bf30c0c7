package docker

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// benchEngine is an engine whose test images a test run before has built.
func benchEngine(b *testing.B) *Engine {
	b.Helper()
	e, err := New(b.Context(), Options{Root: b.TempDir(), Pull: PullNever})
	if err != nil {
		b.Skipf("skipping the benchmark: %v", err)
	}
	if _, err := e.api.ImageInspect(b.Context(), imageShell); err != nil {
		b.Skipf("skipping the benchmark: run the tests before, they build %s", imageShell)
	}
	b.Cleanup(func() { e.Close() })
	return e
}

func benchSpec() runner.JobSpec {
	return runner.JobSpec{RunID: "bench", JobID: "bench", Repository: "demo", Container: &pipeline.ContainerSpec{Image: imageShell}}
}

func BenchmarkOpen(b *testing.B) {
	e := benchEngine(b)
	for b.Loop() {
		ws, err := e.Open(b.Context(), benchSpec())
		if err != nil {
			b.Fatal(err)
		}
		if err := ws.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExec(b *testing.B) {
	for _, bb := range []struct {
		name, script string
		bytes        int64
	}{{"nothing", "true", 0}, {"output", "yes 0123456789012345678901234567890123456789012345678901234567890 | head -c 50000000", 50_000_000}} {
		for _, pipes := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/pipes=%v", bb.name, pipes), func(b *testing.B) {
				e := benchEngine(b)
				e.pipes = e.pipes && pipes
				ws, err := e.Open(b.Context(), benchSpec())
				if err != nil {
					b.Fatal(err)
				}
				defer ws.Close(context.Background())
				b.SetBytes(bb.bytes)
				for b.Loop() {
					exit, err := ws.Exec(b.Context(), runner.Command{Argv: []string{"sh", "-c", bb.script}, Dir: "/", Env: ws.Environ()}, runner.Stdio{Out: io.Discard})
					if err != nil || exit.Code != 0 {
						b.Fatal(exit, err)
					}
				}
			})
		}
	}
}
