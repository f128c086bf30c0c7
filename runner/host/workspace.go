package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

var _ runner.Workspace = (*Workspace)(nil)

// Workspace is the place of one job; see [runner.Workspace].
type Workspace struct {
	executor *Executor
	run      *run
	// dir is the job's own folder.
	dir string
	// repository names the work folder in it; empty for one that is somebody else's.
	repository string
	machine    pipeline.Machine
	env        []pipeline.EnvVar
	// token marks the job's processes; tracking is the value that they get.
	token, tracking string

	mu sync.Mutex
	// groups are the process groups that had members left when their first process had ended.
	groups []int
	// rest is the output of descendants that goes on.
	rest []*output
}

// Machine implements [runner.Workspace].
func (w *Workspace) Machine() pipeline.Machine { return w.machine }

// Environ implements [runner.Workspace].
func (w *Workspace) Environ() []pipeline.EnvVar { return slices.Clone(w.env) }

// Container implements [runner.Workspace]: there is none.
func (w *Workspace) Container() *pipeline.RunningContainer { return nil }

// Services implements [runner.Workspace]: there are none.
func (w *Workspace) Services() map[string]pipeline.RunningContainer { return nil }

// HostPath implements [runner.Workspace]: all paths are the host's.
func (w *Workspace) HostPath(path string) (string, bool) { return path, filepath.IsAbs(path) }

// LookPath implements [runner.Workspace]. Relative folders in path are taken from the work folder.
func (w *Workspace) LookPath(_ context.Context, program, path string) (string, bool) {
	file, err := lookPath(program, path, w.machine.Workspace)
	return file, err == nil
}

// Close implements [runner.Workspace]. An error names what could not be removed.
func (w *Workspace) Close(ctx context.Context) error {
	w.mu.Lock()
	groups, rest := w.groups, w.rest
	w.groups, w.rest = nil, nil
	w.mu.Unlock()
	w.executor.strays.kill(w.token, ctx.Done())
	for _, g := range groups { // those that have lost their mark
		killGroup(g, ctx.Done())
	}
	for _, o := range rest {
		o.close()
	}
	defer w.executor.turns.take(toClose, 0)()
	err := w.run.recycle(w.dir, w.repository)
	if w.machine.Control != "" {
		err = errors.Join(err, removeAll(w.machine.Control))
	}
	if err != nil {
		err = fmt.Errorf("remove the folder of the job: %w", err)
	}
	if err2 := w.executor.release(w.run); err == nil && err2 != nil {
		err = fmt.Errorf("remove the folder of the run: %w", err2)
	}
	return err
}

// errNotExecutable: a file of the name is there, and no program.
var errNotExecutable = errors.New("not executable")

// lookPath finds a program by a PATH; relative folders in it, and a program with a slash, are taken from dir.
// The error is errNotExecutable or os.ErrNotExist.
func lookPath(program, path, dir string) (string, error) {
	if program == "" {
		return "", os.ErrNotExist
	}
	if filepath.Base(program) != program {
		file := program
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		return isProgram(file)
	}
	failure := os.ErrNotExist
	for _, d := range filepath.SplitList(path) {
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d)
		}
		file, err := isProgram(filepath.Join(d, program))
		if err == nil {
			return file, nil
		}
		if errors.Is(err, errNotExecutable) {
			failure = err
		}
	}
	return "", failure
}

// isProgram returns the file of a program: on Windows with one of the endings that make a file one.
func isProgram(file string) (string, error) {
	endings := []string{""}
	if runtime.GOOS == "windows" {
		endings = append(filepath.SplitList(os.Getenv("PATHEXT")), "")
	}
	failure := os.ErrNotExist
	for _, e := range endings {
		info, err := os.Stat(file + e)
		switch {
		case err != nil:
		case info.IsDir() || runtime.GOOS != "windows" && info.Mode()&0o111 == 0:
			failure = errNotExecutable
		default:
			return file + e, nil
		}
	}
	return "", failure
}
