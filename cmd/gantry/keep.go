package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gantry-ops/gantry/runner"
)

// keeper moves work folders away before they are removed.
type keeper struct{ dir string }

func (k *keeper) wrap(e runner.Executor) runner.Executor { return &keepingExecutor{e, k} }

type keepingExecutor struct {
	runner.Executor
	k *keeper
}

// Open implements [runner.Executor].
func (e *keepingExecutor) Open(ctx context.Context, spec runner.JobSpec) (runner.Workspace, error) {
	ws, err := e.Executor.Open(ctx, spec)
	if err != nil {
		return nil, err
	}
	name := strings.NewReplacer("/", "-", string(filepath.Separator), "-").Replace(spec.JobID)
	return &keptWorkspace{ws, filepath.Join(e.k.dir, spec.RunID, name), spec.Log}, nil
}

type keptWorkspace struct {
	runner.Workspace
	to  string
	log func(string)
}

// Close implements [runner.Workspace].
func (w *keptWorkspace) Close(ctx context.Context) error {
	return errors.Join(w.keep(ctx), w.Workspace.Close(ctx))
}

func (w *keptWorkspace) keep(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(w.to), 0o755); err != nil {
		return fmt.Errorf("keep the work folder: %w", err)
	}
	from := w.Machine().Workspace
	if dir, ok := w.HostPath(from); !ok || os.Rename(dir, w.to) != nil {
		// It lies elsewhere, or on another file system.
		if err := w.CopyOut(ctx, from, w.to); err != nil {
			return fmt.Errorf("keep the work folder: %w", err)
		}
	}
	w.log("the work folder is kept in " + w.to)
	return nil
}
