// Gantry runs the pipelines that a repository already has. This package turns flags into wiring: it reads the repository,
// puts the rooms together and shows what happens. It holds no logic of a format, of the scheduler or of an executor.
//
// People are spoken to on standard error; what a command is asked for goes to standard output.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/gantry-ops/gantry/cmd/gantry/internal/remote"
)

// Exit codes, as `gantry --help` and docs/cli.md promise them.
const (
	exitSuccess     = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() { os.Exit(run(os.Args[1:])) }

// exitError ends the process with a code. A nil err has been told already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// told is the end of a command that has said all there is to say.
func told(code int) error { return &exitError{code: code} }

// run executes a command line and returns the exit code.
func run(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(context.Background())
	if err == nil {
		return exitSuccess
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{code: exitUsage, err: err}
		switch {
		case errors.Is(err, remote.ErrFailed):
			exit = &exitError{code: exitFailed}
		case errors.Is(err, context.Canceled):
			exit = &exitError{code: exitInterrupted}
		}
	}
	if exit.err != nil {
		fmt.Fprintf(os.Stderr, "gantry: %v\n", exit.err)
		if errors.As(err, new(usageError)) || errors.As(err, new(remote.UsageError)) {
			fmt.Fprintf(os.Stderr, "hint: %s --help shows what it takes\n", cmd.CommandPath())
		}
	}
	return exit.code
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	return nil
}
