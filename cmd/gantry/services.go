package main

import (
	"context"
	"errors"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/docker"
	"github.com/gantry-ops/gantry/runner/host"
)

// withServices runs jobs on this machine with their services in containers beside them.
type withServices struct {
	machine *host.Executor
	engine  *docker.Engine
}

// Open implements [runner.Executor].
func (e *withServices) Open(ctx context.Context, spec runner.JobSpec) (runner.Workspace, error) {
	services, err := e.engine.StartServices(ctx, spec)
	if err != nil {
		return nil, err
	}
	ws, err := e.machine.Open(ctx, spec)
	if err != nil {
		return nil, errors.Join(err, services.Close(context.WithoutCancel(ctx)))
	}
	return &servedWorkspace{ws, services}, nil
}

type servedWorkspace struct {
	runner.Workspace
	services *docker.ServiceSet
}

// Services implements [runner.Workspace].
func (w *servedWorkspace) Services() map[string]pipeline.RunningContainer {
	return w.services.Running()
}

// Close implements [runner.Workspace].
func (w *servedWorkspace) Close(ctx context.Context) error {
	return errors.Join(w.Workspace.Close(ctx), w.services.Close(ctx))
}
