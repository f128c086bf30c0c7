//go:build unix

package host

import (
	"context"
	"io"
	"os/exec"
	"testing"

	"github.com/gantry-ops/gantry/runner"
)

// BenchmarkExec compares one process with what os/exec takes for the same.
func BenchmarkExec(b *testing.B) {
	w := open(b, newExecutor(b, Options{}), runner.JobSpec{})
	cmd := bash(w, "true")
	var env []string
	for _, v := range cmd.Env {
		env = append(env, v.Name+"="+v.Value)
	}
	b.Run("host", func(b *testing.B) {
		for b.Loop() {
			if exit, err := w.Exec(context.Background(), cmd, runner.Stdio{Out: io.Discard}); err != nil || exit.Code != 0 {
				b.Fatal(exit, err)
			}
		}
	})
	b.Run("os/exec", func(b *testing.B) {
		for b.Loop() {
			c := exec.Command("bash", "-c", "true")
			c.Dir, c.Env = cmd.Dir, env
			c.Stdout = struct{ io.Writer }{io.Discard} // by a pipe, not a file
			if err := c.Run(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkOutput(b *testing.B) {
	w := open(b, newExecutor(b, Options{}), runner.JobSpec{})
	b.SetBytes(100e6)
	for b.Loop() {
		if exit, err := w.Exec(context.Background(), bash(w, "head -c 100000000 /dev/zero"), runner.Stdio{Out: struct{ io.Writer }{io.Discard}}); err != nil || exit.Code != 0 {
			b.Fatal(exit, err)
		}
	}
}

// BenchmarkJob opens and closes a place: what a job costs beside its processes.
func BenchmarkJob(b *testing.B) {
	e := newExecutor(b, Options{})
	for b.Loop() {
		w, err := e.Open(context.Background(), runner.JobSpec{RunID: "r", JobID: "j", Repository: "shop", EventFile: []byte("{}")})
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
