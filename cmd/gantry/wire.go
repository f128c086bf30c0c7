package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/action"
	"github.com/gantry-ops/gantry/runner/storage"
)

// wiring is what the runs of one command are made of. Everything that costs time is made when a job first needs it.
type wiring struct {
	options   runner.Options
	artifacts *storage.Artifacts
	actions   *action.Runner
	machines  *machines
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
	images, err := labelImages(f.images)
	if err != nil {
		return nil, err
	}
	m := newMachines(machineOptions{cache: cache, images: images, passEnv: f.passEnv, docker: f.executor.value == "docker", noBuiltins: f.noBuiltins, offline: f.offline})
	if f.executor.value == "docker" {
		// All jobs need it: without one, nothing is run.
		if _, err := m.engine(); err != nil {
			return nil, err
		}
	}
	w := &wiring{artifacts: storage.OpenArtifacts(filepath.Join(state, "artifacts"), nil), machines: m}
	w.options, w.actions, err = m.options(jobParts{
		local: c.local, remote: f.remote(cache, c.token()), artifacts: w.artifacts, run: c.started[0].run.ID, scope: c.repository(), inPlace: f.inPlace,
	})
	if err != nil {
		return nil, err
	}
	if f.keep && !f.inPlace {
		keep := &keeper{dir: filepath.Join(state, "kept")}
		choose := w.options.Executor
		w.options.Executor = func(spec runner.JobSpec) (runner.Executor, error) {
			e, err := choose(spec)
			if err != nil {
				return nil, err
			}
			return keep.wrap(e), nil
		}
	}
	return w, nil
}

// labelImages reads --image: by label, and under the empty label the image for all others.
func labelImages(flags []string) (map[string]string, error) {
	out := map[string]string{}
	for _, v := range flags {
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
	if err := errors.Join(w.actions.Close(), w.machines.close()); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}
