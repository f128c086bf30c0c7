package main

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"sync"

	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/pipeline/githubactions"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/runner/action"
	"github.com/gantry-ops/gantry/runner/docker"
	"github.com/gantry-ops/gantry/runner/host"
	"github.com/gantry-ops/gantry/runner/storage"
)

// machineOptions say where the jobs of this process run.
type machineOptions struct {
	// name is what jobs see as the runner's; empty: the host's.
	name string
	// cache is the folder for what can be made again.
	cache string
	// work is the folder of the jobs' work copies; empty: in the cache.
	work string
	// images are for jobs without a container under docker, by label; the empty label is for all others.
	images  map[string]string
	passEnv []string
	// docker: jobs without a container run in one.
	docker bool
	// noBuiltins and offline: see [action.Options].
	noBuiltins, offline bool
}

// machines is where the jobs of this process run, be it one command's or a worker's. What costs time is made when it is first needed.
type machines struct {
	o      machineOptions
	engine func() (*docker.Engine, error)
	host   func() (*host.Executor, error)
	caches *storage.Caches

	mu     sync.Mutex
	opened *docker.Engine
}

func newMachines(o machineOptions) *machines {
	m := &machines{o: o, caches: storage.OpenCaches(filepath.Join(o.cache, "caches"), 0, nil)}
	m.engine = sync.OnceValues(func() (*docker.Engine, error) {
		e, err := docker.New(context.Background(), docker.Options{Name: o.name, Root: filepath.Join(o.cache, "docker"), Image: o.images[""], Images: o.images})
		m.mu.Lock()
		defer m.mu.Unlock()
		m.opened = e
		return e, err
	})
	m.host = sync.OnceValues(func() (*host.Executor, error) {
		return host.New(host.Options{
			Name: o.name, Root: cmp.Or(o.work, filepath.Join(o.cache, "work")), Tools: filepath.Join(o.cache, "tools"), PassEnv: o.passEnv, IgnoreContainers: true,
		})
	})
	return m
}

// executor chooses by what a job wants: containers need the engine whatever the options say.
func (m *machines) executor(spec runner.JobSpec) (runner.Executor, error) {
	if spec.Container != nil || m.o.docker {
		if spec.InPlace != "" {
			return nil, errors.New("the job wants a container, and --in-place runs on this machine itself")
		}
		return m.engine()
	}
	h, err := m.host()
	if err != nil {
		return nil, err
	}
	if len(spec.Services) == 0 {
		return h, nil
	}
	e, err := m.engine()
	if err != nil {
		return nil, err
	}
	return &withServices{h, e}, nil
}

// jobParts are what differs between runs on the same machines.
type jobParts struct {
	// local is the run's own repository, remote the others.
	local     *forge.Local
	remote    *forge.Cache
	artifacts *storage.Artifacts
	// run and scope are where artifacts and caches belong: the run's ID and the repository.
	run, scope string
	inPlace    bool
}

// options are what jobs of a run are run with. The actions are to be closed.
func (m *machines) options(p jobParts) (runner.Options, *action.Runner, error) {
	actions, err := action.New(action.Options{
		Parse: githubactions.ParseAction, Source: p.remote, Checkout: &checkouter{p.local, p.remote},
		Artifacts: p.artifacts, Caches: m.caches, NoBuiltins: m.o.noBuiltins, InPlace: p.inPlace, Offline: m.o.offline,
	})
	if err != nil {
		return runner.Options{}, nil, err
	}
	return runner.Options{
		Actions: actions,
		Engine: func() (runner.ContainerEngine, error) {
			e, err := m.engine()
			if err != nil {
				return nil, err
			}
			return e, nil
		},
		Executor: m.executor,
		Keeper:   storage.Keeper{Artifacts: p.artifacts, Caches: m.caches, Run: p.run, Scope: p.scope},
	}, actions, nil
}

// close ends what was opened.
func (m *machines) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.opened == nil {
		return nil
	}
	return m.opened.Close()
}
