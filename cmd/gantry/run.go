package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/cmd/gantry/internal/render"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/secret"
)

const runLong = `Run runs the workflows of a repository on this machine.

Without --file it runs those that the event starts, by their filters: a push of HEAD unless --event or --input say
otherwise. Jobs run in work copies of the commit with the changes that are not committed, in a clean environment.

On a terminal it shows what runs now, and of each step that ended its last lines, or everything when it failed; elsewhere
it writes lines with the job's name in front; with --output json one event a line.

The first Ctrl-C cancels the run: steps that clean up still run. The second kills everything at once.

Exit codes: 0 the pipeline succeeded or the event starts nothing, 1 it failed, 2 a file, a flag or the machine is not fit to
run, 130 interrupted.`

const runExample = `  gantry run
  gantry run --job test --matrix go=1.26
  gantry run --file .github/workflows/release.yml --input version=1.2.3
  gantry run --event pull_request --base main
  gantry run --secret DEPLOY_KEY --secret-file secrets.env
  gantry run --debug-on-failure
  gantry run --output json | jq -r 'select(.type == "log") | .line'`

// runFlags are the flags of `gantry run` beside those that select.
type runFlags struct {
	selection
	output, executor choiceFlag
	jobs             int
	inPlace, keep    bool
	noBuiltins       bool
	debugOnFailure   bool
	timestamps       bool
	verbose          bool
	artifacts        string
	images           []string
	passEnv          []string
	interrupt        time.Duration
	terminate        time.Duration
}

func newRunCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:     "run",
		Short:   "Run the workflows that an event starts",
		Long:    runLong,
		Example: runExample,
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context()) },
	}
	f.selection.register(cmd)
	f.output.register(cmd, "text", "json")
	f.executor.value, f.executor.allowed = "host", []string{"host", "docker"}
	registerChoice(cmd, &f.executor, "executor", "x", "where jobs without a container run: host, docker")
	fl := cmd.Flags()
	fl.IntVar(&f.jobs, "jobs", 0, "how many jobs run at a time (default: one for each processor)")
	fl.BoolVar(&f.inPlace, "in-place", false, "run in the project's own folder instead of work copies")
	fl.BoolVar(&f.keep, "keep", false, "keep the work copies, and say where they are")
	fl.BoolVar(&f.noBuiltins, "no-builtin-actions", false, "run the real actions/checkout, cache and others in place of the built-in ones")
	fl.BoolVar(&f.debugOnFailure, "debug-on-failure", false, "open a shell in the place of a step that failed")
	fl.BoolVar(&f.timestamps, "timestamps", false, "put the time (UTC) in front of each line")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "on a terminal, show the output of all steps as it comes")
	fl.BoolVar(&f.selection.debug, "debug", false, "show debug output: ::debug:: lines, and RUNNER_DEBUG=1 for the steps")
	fl.StringVar(&f.artifacts, "artifacts", "", "unpack the run's artifacts into `DIR`, each into a folder of its name")
	fl.StringArrayVar(&f.images, "image", nil, "image for jobs without a container under --executor docker: `[LABEL=]IMAGE`")
	fl.StringArrayVar(&f.passEnv, "pass-env", nil, "environment variable `NAME` of this process to pass to the steps")
	fl.DurationVar(&f.interrupt, "interrupt-grace", runner.DefaultInterrupt, "how long a cancelled process has after SIGINT, before SIGTERM")
	fl.DurationVar(&f.terminate, "terminate-grace", runner.DefaultTerminate, "how long it has after SIGTERM, before SIGKILL")
	return cmd
}

// check refuses what can be refused before anything is read.
func (f *runFlags) check() error {
	switch {
	case f.jobs < 0:
		return usagef("--jobs must be at least 1, got %d", f.jobs)
	case f.inPlace && f.executor.value == "docker":
		return usagef("--in-place runs on this machine: it cannot be used with --executor docker")
	case f.debugOnFailure && !isTerminal(os.Stdin):
		return usagef("--debug-on-failure needs a terminal: standard input is none")
	case f.debugOnFailure && f.output.value == "json":
		return usagef("--debug-on-failure is for people: it cannot be used with --output json")
	}
	return nil
}

func (f *runFlags) run(ctx context.Context) error {
	if err := f.check(); err != nil {
		return err
	}
	c, err := f.choose(ctx)
	if err != nil {
		return err
	}
	if n := count(c.diags).warnings; n > 0 && f.output.value == "text" {
		fmt.Fprintf(os.Stderr, "%s about the workflows: gantry check shows them\n", plural(n, "warning"))
	}
	if len(c.started) == 0 {
		return f.nothing(c)
	}
	if err := c.count(); err != nil {
		return err
	}
	w, err := f.wire(c)
	if err != nil {
		return err
	}
	defer func() {
		// The result stands; what could not be cleaned up is for the person to know.
		if err := w.close(); err != nil {
			fmt.Fprintf(os.Stderr, "gantry: %v\n", err)
		}
	}()

	var pipeGone atomic.Pointer[error]
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := newRenderer(f.output.value, render.Options{
		Timestamps: f.timestamps, Verbose: f.verbose, Workflows: len(c.started) > 1, ArtifactsDir: w.artifactsDir(f, c),
		OnError: func(err error) {
			pipeGone.Store(&err)
			cancel(fmt.Errorf("nobody reads the output: %w", err))
		},
	})
	// Without this, writing to a pipe that nobody reads would end the process, and leave the steps' processes alone.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	ctx, signals, stop := onInterrupt(ctx, func(text string) {
		out.Emit(runner.Event{Time: time.Now(), Type: runner.Log, Line: text, Notice: true})
	})
	defer stop()

	o := w.options
	o.Sink, o.Masker, o.Jobs, o.Kill = out, secret.NewMasker(), f.jobs, signals.Kill
	o.Interrupt, o.Terminate = f.interrupt, f.terminate
	if f.inPlace {
		o.InPlace = c.project.dir
	}
	if f.debugOnFailure {
		o.OnFailure = debugShell(out)
	}
	var requests []runner.Request
	for i := range c.started {
		s := &c.started[i]
		requests = append(requests, runner.Request{
			Pipeline: s.pipeline, Run: s.run, Inputs: s.inputs, Secrets: c.secrets, Vars: c.vars, Env: c.env, Jobs: s.jobs, Matrix: c.matrix,
		})
	}
	result, err := runner.Run(ctx, o, requests...)
	if err == nil {
		err = w.unpack(context.WithoutCancel(ctx), f.artifacts, c)
	}
	closed := out.Close()
	switch {
	case signals.Seen():
		return told(exitInterrupted)
	case err != nil:
		return err
	case pipeGone.Load() != nil:
		return &exitError{exitFailed, closed}
	case result.Status != pipeline.Success && result.Status != pipeline.Skipped:
		return told(exitFailed)
	}
	return closed
}

// nothing tells that the event starts no workflow, which is no failure.
func (f *runFlags) nothing(c *chosen) error {
	const reason = "the event starts no workflow"
	if f.output.value == "json" {
		out, now := newRenderer("json", render.Options{}), time.Now()
		out.Emit(runner.Event{Time: now, Type: runner.RunStarted})
		out.Emit(runner.Event{Time: now, Type: runner.RunFinished, Status: pipeline.Skipped, Reason: reason})
		return out.Close()
	}
	fmt.Fprintf(os.Stderr, "nothing to run, %s:\n", reason)
	for _, n := range c.notStarted {
		fmt.Fprintf(os.Stderr, "  %s: %s\n", n.File, n.Reason)
	}
	return nil
}
