package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/runs/worker"
)

// places is what the jobs of a worker run with: the server's own and those elsewhere differ only in where the files come from.
type places struct {
	machines *machines
	formats  *formats
	// remote are other repositories, of actions.
	remote forge.Cache
	// local gets the files of a task.
	local func(ctx context.Context, t *jobs.Task) (l *forge.Local, release func(), err error)
}

// prepare implements [worker.Options.Prepare].
func (p *places) prepare(ctx context.Context, t *jobs.Task, artifacts *worker.ArtifactStore) (*worker.Prepared, error) {
	if t.Facts == nil {
		return nil, errors.New("the task has no facts of its run")
	}
	local, release, err := p.local(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("get the files of %s: %w", t.SHA, err)
	}
	pl, err := p.formats.Load(ctx, local.Dir, t.File)
	if err != nil {
		release()
		return nil, err
	}
	at := *local
	if branch, ok := strings.CutPrefix(t.Facts.Change.Ref, "refs/heads/"); ok {
		at.Branch = branch
	}
	t.Facts.Token = t.Secrets["GITHUB_TOKEN"]
	remote := p.remote
	remote.Token = t.Facts.Token
	o, actions, err := p.machines.options(jobParts{
		local: &at, remote: &remote, artifacts: artifacts.Artifacts, run: t.Facts.ID, scope: t.Project + "/" + t.Facts.Repository.FullName(),
	})
	if err != nil {
		release()
		return nil, err
	}
	return &worker.Prepared{
		Options: o, Pipeline: pl, Env: pipeline.NewEnvMap(),
		Close: func() error {
			release()
			return actions.Close()
		},
	}, nil
}

// projectReader finds projects; *runs.Service does.
type projectReader interface {
	Project(ctx context.Context, id string) (*runs.Project, error)
}

// fromMirrors gets files from the server's own mirrors.
func fromMirrors(s *sources, projects projectReader) func(context.Context, *jobs.Task) (*forge.Local, func(), error) {
	return func(ctx context.Context, t *jobs.Task) (*forge.Local, func(), error) {
		p, err := projects.Project(ctx, t.Project)
		if err != nil {
			return nil, nil, err
		}
		return s.local(ctx, p, t.SHA)
	}
}

// fromQueue gets files from the server by bundles, which are kept for the next job.
func fromQueue(q jobs.Queue, dir string) func(context.Context, *jobs.Task) (*forge.Local, func(), error) {
	var mu sync.Mutex
	mirrors := map[string]*forge.Mirror{}
	open := func(project string) (*forge.Mirror, error) {
		mu.Lock()
		defer mu.Unlock()
		if m := mirrors[project]; m != nil {
			return m, nil
		}
		sum := sha256.Sum256([]byte(project))
		m, err := forge.OpenMirror(filepath.Join(dir, hex.EncodeToString(sum[:8])), "", "")
		if err == nil {
			mirrors[project] = m
		}
		return m, err
	}
	return func(ctx context.Context, t *jobs.Task) (*forge.Local, func(), error) {
		m, err := open(t.Project)
		if err != nil {
			return nil, nil, err
		}
		if !m.Has(ctx, t.SHA) {
			r, err := q.Source(ctx, t.TaskRef)
			if err != nil {
				return nil, nil, err
			}
			err = errors.Join(m.Unbundle(ctx, r), r.Close())
			if err != nil {
				return nil, nil, err
			}
		}
		s, release, err := m.Snapshot(ctx, t.SHA, t.Path)
		if err != nil {
			return nil, nil, err
		}
		l := *s.Local
		f := t.Facts.Repository
		l.Remote = forge.Remote{URL: f.CloneURL, Server: f.Server, Owner: f.Owner, Name: f.Name}
		l.DefaultBranch = f.DefaultBranch
		return &l, release, nil
	}
}
