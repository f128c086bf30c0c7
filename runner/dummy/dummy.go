// Package dummy is an executor that starts no process: files are kept in memory, and commands are answered by a function.
// With it the scheduler and the steps can be tested deterministically, also in a bubble of testing/synctest.
package dummy

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// Call is a command that a job ran.
type Call struct {
	// Job is the ID of the job; Script the content of the script file where the command has one.
	Job, Script string
	Command     runner.Command
	Out         io.Writer
	Workspace   *Workspace
}

// Env returns a variable of the command.
func (c Call) Env(name string) string {
	for _, v := range c.Command.Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// Write appends to a file, as a process would to a command file.
func (c Call) Write(path, text string) {
	c.Workspace.mu.Lock()
	defer c.Workspace.mu.Unlock()
	c.Workspace.files[path] = append(c.Workspace.files[path], text...)
}

// Executor opens workspaces in memory. The zero Executor lets every command succeed.
type Executor struct {
	// Run answers a command; nil: exit code 0. It must return when ctx ends.
	Run func(ctx context.Context, c Call) runner.Exit
	// Host, where set, is a folder of this machine that stands behind the work folder for what looks at it from outside.
	Host string
	// Refuse, where it returns an error, keeps a job from opening.
	Refuse func(runner.JobSpec) error

	mu     sync.Mutex
	opened []runner.JobSpec
	closed int
}

var _ runner.Executor = (*Executor)(nil)
var _ runner.Workspace = (*Workspace)(nil)

// Opened returns the specs of all workspaces opened so far; Closed how many were closed.
func (e *Executor) Opened() []runner.JobSpec {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]runner.JobSpec(nil), e.opened...)
}

// Closed returns how many workspaces were closed.
func (e *Executor) Closed() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

// Open implements runner.Executor.
func (e *Executor) Open(ctx context.Context, spec runner.JobSpec) (runner.Workspace, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if e.Refuse != nil {
		if err := e.Refuse(spec); err != nil {
			return nil, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opened = append(e.opened, spec)
	return &Workspace{executor: e, spec: spec, files: map[string][]byte{}}, nil
}

// Workspace is one job's place in memory.
type Workspace struct {
	executor *Executor
	spec     runner.JobSpec

	mu    sync.Mutex
	files map[string][]byte
}

// Machine implements runner.Workspace.
func (w *Workspace) Machine() pipeline.Machine {
	return pipeline.Machine{OS: "Linux", Arch: "X64", Name: "dummy", Workspace: "/ws", Temp: "/temp", Tools: "/tools", Home: "/home", EventFile: "/temp/event.json"}
}

// Environ implements runner.Workspace.
func (w *Workspace) Environ() []pipeline.EnvVar {
	return []pipeline.EnvVar{{Name: "PATH", Value: "/bin"}, {Name: "HOME", Value: "/home"}}
}

// Container implements runner.Workspace.
func (w *Workspace) Container() *pipeline.RunningContainer { return nil }

// Services implements runner.Workspace.
func (w *Workspace) Services() map[string]pipeline.RunningContainer { return nil }

// LookPath implements runner.Workspace: every program is in /bin.
func (w *Workspace) LookPath(_ context.Context, program, _ string) (string, bool) {
	return "/bin/" + program, true
}

// Exec implements runner.Workspace.
func (w *Workspace) Exec(ctx context.Context, cmd runner.Command, stdio runner.Stdio) (runner.Exit, error) {
	c := Call{Job: w.spec.JobID, Command: cmd, Out: stdio.Out, Workspace: w}
	w.mu.Lock()
	for _, a := range cmd.Argv {
		if text, ok := w.files[a]; ok {
			c.Script = strings.TrimSuffix(string(text), "\n")
		}
	}
	w.mu.Unlock()
	if w.executor.Run == nil {
		return runner.Exit{}, nil
	}
	exit := w.executor.Run(ctx, c)
	exit.Cancelled = exit.Cancelled || ctx.Err() != nil && exit.Code != 0
	return exit, nil
}

// ReadFile implements runner.Workspace.
func (w *Workspace) ReadFile(_ context.Context, path string, limit int64) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b, ok := w.files[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, limit)
	}
	return append([]byte(nil), b...), nil
}

// WriteFile implements runner.Workspace.
func (w *Workspace) WriteFile(_ context.Context, path string, data []byte, _ os.FileMode) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[path] = append([]byte(nil), data...)
	return nil
}

// CopyIn implements runner.Workspace for single files.
func (w *Workspace) CopyIn(ctx context.Context, host, path string) error {
	b, err := os.ReadFile(host)
	if err != nil {
		return err
	}
	return w.WriteFile(ctx, path, b, 0o644)
}

// CopyOut implements runner.Workspace for single files.
func (w *Workspace) CopyOut(ctx context.Context, path, host string) error {
	b, err := w.ReadFile(ctx, path, 1<<30)
	if err != nil {
		return err
	}
	return os.WriteFile(host, b, 0o644)
}

// HostPath implements runner.Workspace: only the work folder is visible from outside, where the executor has a host folder.
func (w *Workspace) HostPath(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "/ws")
	if !ok || w.executor.Host == "" {
		return "", false
	}
	return w.executor.Host + rest, true
}

// Close implements runner.Workspace.
func (w *Workspace) Close(context.Context) error {
	w.executor.mu.Lock()
	defer w.executor.mu.Unlock()
	w.executor.closed++
	return nil
}
