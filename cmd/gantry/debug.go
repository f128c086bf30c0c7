package main

import (
	"context"
	"fmt"
	"os"

	"github.com/gantry-ops/gantry/cmd/gantry/internal/render"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// debugShell returns what opens a shell in the place of a step that failed: in its folder, with its environment, on this
// process's terminal. The run goes on when the shell ends.
func debugShell(out render.Renderer) func(context.Context, runner.FailedStep) {
	pauses, _ := out.(interface {
		Pause(job, step string)
		Resume()
	})
	return func(ctx context.Context, f runner.FailedStep) {
		if ctx.Err() != nil || f.Workspace == nil {
			return
		}
		if pauses != nil {
			pauses.Pause(f.Job, f.Step)
			defer pauses.Resume()
		}
		dir := f.Command.Dir
		if dir == "" {
			dir = f.Workspace.Machine().Workspace
		}
		env := f.Command.Env
		if env == nil {
			env = f.Workspace.Environ()
		}
		shell, ok := chooseShell(ctx, f.Workspace, env)
		if !ok {
			fmt.Fprintf(os.Stderr, "\n%s › %s failed: %s\nno shell to look into it: neither bash nor sh is on the job's PATH\n", f.Job, f.Step, f.Reason)
			return
		}
		fmt.Fprintf(os.Stderr, "\n%s › %s failed: %s\n%s in %s with the step's environment; exit ends it, and the run goes on\n", f.Job, f.Step, f.Reason, shell, dir)
		exit, err := f.Workspace.Exec(ctx, runner.Command{Argv: []string{shell, "-i"}, Dir: dir, Env: shellEnv(env)}, runner.Stdio{Terminal: os.Stdin})
		switch {
		case err != nil:
			fmt.Fprintf(os.Stderr, "the shell cannot be opened: %v\n", err)
		case exit.Reason != "":
			fmt.Fprintf(os.Stderr, "the shell ended: %s\n", exit.Reason)
		}
	}
}

// chooseShell prefers bash, which most steps run in.
func chooseShell(ctx context.Context, ws runner.Workspace, env []pipeline.EnvVar) (string, bool) {
	path := ""
	for _, v := range env {
		if v.Name == "PATH" {
			path = v.Value
		}
	}
	for _, name := range []string{"bash", "sh"} {
		if file, ok := ws.LookPath(ctx, name, path); ok {
			return file, true
		}
	}
	return "", false
}

// shellEnv adds what a person's shell needs and a step does not have: the kind of terminal.
func shellEnv(env []pipeline.EnvVar) []pipeline.EnvVar {
	for _, v := range env {
		if v.Name == "TERM" {
			return env
		}
	}
	return append(env[:len(env):len(env)], pipeline.EnvVar{Name: "TERM", Value: os.Getenv("TERM")})
}
