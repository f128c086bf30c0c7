package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline/githubactions"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/action"
	"github.com/gantry-ops/gantry/runner/docker"
	"github.com/gantry-ops/gantry/runner/host"
	"github.com/gantry-ops/gantry/runner/storage"
)

// wiring is what a run is made of. Everything that costs time is made when a job first needs it.
type wiring struct {
	options   runner.Options
	artifacts *storage.Artifacts
	actions   *action.Runner
	engine    func() (*docker.Engine, error)
	// opened is set once the engine has been asked for.
	opened *docker.Engine
}

// wire puts the rooms together for the workflows chosen.
func (f *runFlags) wire(c *chosen) (*wiring, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	state, err := stateDir()
	if err != nil {
		return nil, err
	}
	images, err := f.labelImages()
	if err != nil {
		return nil, err
	}
	w := &wiring{artifacts: storage.OpenArtifacts(filepath.Join(state, "artifacts"), nil)}
	caches := storage.OpenCaches(filepath.Join(cache, "caches"), 0, nil)
	remote := f.remote(cache, c.token())
	w.engine = sync.OnceValues(func() (*docker.Engine, error) {
		e, err := docker.New(context.Background(), docker.Options{
			Root: filepath.Join(cache, "docker"), Image: images[""], Images: images,
		})
		w.opened = e
		return e, err
	})
	if f.executor.value == "docker" {
		// All jobs need it: without one, nothing is run.
		if _, err := w.engine(); err != nil {
			return nil, err
		}
	}
	w.actions, err = action.New(action.Options{
		Parse: githubactions.ParseAction, Source: remote, Checkout: &checkouter{c.local, remote},
		Artifacts: w.artifacts, Caches: caches, NoBuiltins: f.noBuiltins, InPlace: f.inPlace, Offline: f.offline,
	})
	if err != nil {
		return nil, err
	}
	machines := sync.OnceValues(func() (*host.Executor, error) {
		return host.New(host.Options{
			Root: filepath.Join(cache, "work"), Tools: filepath.Join(cache, "tools"), PassEnv: f.passEnv, IgnoreContainers: true,
		})
	})
	var keep *keeper
	if f.keep && !f.inPlace {
		keep = &keeper{dir: filepath.Join(state, "kept")}
	}
	w.options = runner.Options{
		Actions: w.actions,
		Engine: func() (runner.ContainerEngine, error) {
			e, err := w.engine()
			if err != nil {
				return nil, err
			}
			return e, nil
		},
		Executor: func(spec runner.JobSpec) (runner.Executor, error) {
			e, err := f.executorFor(spec, machines, w.engine)
			if err != nil || keep == nil {
				return e, err
			}
			return keep.wrap(e), nil
		},
		Keeper: storage.Keeper{Artifacts: w.artifacts, Caches: caches, Run: c.started[0].run.ID, Scope: c.repository()},
	}
	return w, nil
}

// executorFor chooses by what a job wants: containers need the engine whatever the flag says.
func (f *runFlags) executorFor(spec runner.JobSpec, machines func() (*host.Executor, error), engine func() (*docker.Engine, error)) (runner.Executor, error) {
	if spec.Container != nil || f.executor.value == "docker" {
		if spec.InPlace != "" {
			return nil, errors.New("the job wants a container, and --in-place runs on this machine itself")
		}
		return engine()
	}
	m, err := machines()
	if err != nil {
		return nil, err
	}
	if len(spec.Services) == 0 {
		return m, nil
	}
	e, err := engine()
	if err != nil {
		return nil, err
	}
	return &withServices{m, e}, nil
}

// labelImages reads --image: by label, and under the empty label the image for all others.
func (f *runFlags) labelImages() (map[string]string, error) {
	out := map[string]string{}
	for _, v := range f.images {
		label, image, ok := strings.Cut(v, "=")
		if !ok {
			label, image = "", v
		}
		if image == "" || ok && label == "" {
			return nil, usagef("--image %q: expected IMAGE or LABEL=IMAGE", v)
		}
		out[label] = image
	}
	return out, nil
}

// artifactsDir is what the table at the end names: where artifacts were unpacked, or where they are stored.
func (w *wiring) artifactsDir(f *runFlags, c *chosen) string {
	switch {
	case f.artifacts != "":
		return f.artifacts
	case len(c.started) == 1:
		return w.artifacts.RunDir(c.started[0].run.ID)
	}
	return w.artifacts.Dir()
}

// unpack puts the artifacts of the runs into a folder that a person has named.
func (w *wiring) unpack(ctx context.Context, dir string, c *chosen) error {
	if dir == "" {
		return nil
	}
	for _, s := range c.started {
		all, err := w.artifacts.List(s.run.ID)
		if err != nil {
			return err
		}
		for _, a := range all {
			// The store refuses names that are no plain folder names.
			if _, err := w.artifacts.Extract(ctx, a, filepath.Join(dir, a.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// close ends what the run has opened.
func (w *wiring) close() error {
	err := w.actions.Close()
	if w.opened != nil {
		err = errors.Join(err, w.opened.Close())
	}
	if err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}
