package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/secret"
	"github.com/gantry-ops/gantry/ship"
)

// shipSources reads commits for releases. It implements [ship.Sources] by the mirrors that runs are made from.
type shipSources struct {
	sources *sources
	runs    *runs.Service
}

var _ ship.Sources = (*shipSources)(nil)

// Resolve implements [ship.Sources].
func (s *shipSources) Resolve(ctx context.Context, project, ref string) (commit, full, title string, err error) {
	p, err := s.runs.Project(ctx, project)
	if err != nil {
		return "", "", "", err
	}
	snapshot, release, err := s.sources.Snapshot(ctx, p, ref)
	if err != nil {
		return "", "", "", err
	}
	defer release()
	c := snapshot.Change
	if p.Source.Folder && ref != "" && !isSHA(ref) && ref != "HEAD" && ref != c.Ref && "refs/heads/"+ref != c.Ref {
		// What is in the folder is not what was asked for.
		branch := strings.TrimPrefix(c.Ref, "refs/heads/")
		return "", "", "", &ship.InvalidError{Field: "ref", Value: ref, Message: fmt.Sprintf("is not what is in the folder: %s has %s checked out", p.Source.URL, branch)}
	}
	title, _, _ = strings.Cut(strings.TrimSpace(c.Message), "\n")
	return c.SHA, c.Ref, title, nil
}

// Files implements [ship.Sources]. The commit's files are made again whenever one is opened: what keeps them may tidy up in between.
func (s *shipSources) Files(ctx context.Context, project, commit string) (fs.FS, error) {
	p, err := s.runs.Project(ctx, project)
	if err != nil {
		return nil, err
	}
	return &commitFiles{ctx: ctx, sources: s.sources, project: p, commit: commit}, nil
}

// commitFiles are the files of a commit.
type commitFiles struct {
	ctx     context.Context // of who asked for the files: fs.FS has none of its own
	sources *sources
	project *runs.Project
	commit  string
}

// Open implements fs.FS.
func (f *commitFiles) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	snapshot, release, err := f.sources.Snapshot(f.ctx, f.project, f.commit)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	// A link that leads out of the commit leads nowhere.
	root, err := os.OpenRoot(snapshot.Dir)
	if err != nil {
		release()
		return nil, err
	}
	file, err := root.Open(name)
	if err != nil {
		release()
		return nil, errors.Join(err, root.Close())
	}
	return &commitFile{file, func() error { release(); return root.Close() }}, nil
}

// commitFile keeps the commit's files until it is closed.
type commitFile struct {
	*os.File
	release func() error
}

// Close implements fs.File.
func (f *commitFile) Close() error { return errors.Join(f.File.Close(), f.release()) }

// shipBuilds finds and starts the runs that build candidates. It implements [ship.Builds].
type shipBuilds struct{ runs *runs.Service }

var _ ship.Builds = (*shipBuilds)(nil)

// buildsLooked bounds how many runs of a commit are looked through.
const buildsLooked = 50

// Find implements [ship.Builds]: the newest run of the commit that has succeeded and has left the artifact.
func (b *shipBuilds) Find(ctx context.Context, project, commit, file, artifact string) (ship.Artifact, bool, error) {
	page, err := b.runs.Runs(ctx, runs.RunQuery{
		Projects: []string{project}, SHA: commit, File: file, Status: []runs.Status{runs.Success}, ListOptions: runs.ListOptions{Limit: buildsLooked},
	})
	if err != nil {
		return ship.Artifact{}, false, err
	}
	for _, r := range page.Items {
		list, err := b.runs.Artifacts(ctx, r.ID)
		if err != nil {
			return ship.Artifact{}, false, err
		}
		for _, a := range list {
			if a.Name == artifact {
				return shipArtifact(a), true, nil
			}
		}
	}
	return ship.Artifact{}, false, nil
}

func shipArtifact(a jobs.Artifact) ship.Artifact {
	return ship.Artifact{Run: a.Run, Name: a.Name, Size: a.Size, Digest: a.Digest}
}

// Start implements [ship.Builds]: as a person would, and where no pipeline may be started by a person, as a push would.
func (b *shipBuilds) Start(ctx context.Context, project, commit, ref, file, actor, key string) ([]string, error) {
	var reasons []string
	for _, event := range []string{"manual", "push"} {
		started, err := b.runs.Trigger(ctx, runs.Trigger{Project: project, Event: event, Ref: ref, SHA: commit, File: file, Actor: actor, ActorName: actor, Delivery: "release:" + event + ":" + key})
		if err != nil {
			return nil, err
		}
		if len(started.Runs) > 0 {
			ids := make([]string, 0, len(started.Runs))
			for _, r := range started.Runs {
				ids = append(ids, r.ID)
			}
			return ids, nil
		}
		for _, n := range started.NotStarted {
			reasons = append(reasons, path.Base(n.File)+": "+n.Reason)
		}
	}
	if len(reasons) == 0 {
		reasons = []string{"the project has no pipeline"}
	}
	return nil, fmt.Errorf("%w: no pipeline builds %s: %s", ship.ErrRefused, short12(commit), strings.Join(reasons, "; "))
}

func short12(commit string) string {
	if len(commit) > 12 {
		return commit[:12]
	}
	return commit
}

// State implements [ship.Builds].
func (b *shipBuilds) State(ctx context.Context, run string) (ended, good bool, reason string, err error) {
	r, err := b.runs.Run(ctx, run)
	if errors.Is(err, runs.ErrNotFound) {
		return true, false, "the run is no longer there", nil
	}
	if err != nil {
		return false, false, "", err
	}
	switch r.Status {
	case runs.Success:
		return true, true, "", nil
	case runs.Failure, runs.Cancelled, runs.Skipped:
		reason = r.Reason
		if reason == "" {
			reason = string(r.Status)
		}
		return true, false, reason, nil
	}
	return false, false, string(r.Status), nil
}

// Open implements [ship.Builds].
func (b *shipBuilds) Open(ctx context.Context, a ship.Artifact) (io.ReadCloser, error) {
	_, r, err := b.runs.OpenArtifact(ctx, a.Run, a.Name)
	return r, err
}

// fleetSecrets gives instances the secrets that they name.
type fleetSecrets struct{ store *secret.Store }

// Secrets returns those of the names; one that is missing is an error, since a workload without it would do something else.
func (f fleetSecrets) Secrets(ctx context.Context, project, environment string, names []string) (map[string]string, error) {
	all, err := f.store.Values(ctx, project, environment)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(names))
	var missing []string
	for _, n := range names {
		v, ok := all[n]
		if !ok {
			missing = append(missing, n)
			continue
		}
		out[n] = v
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the project %s has no secret %s for %s: gantry secrets set keeps one", project, strings.Join(missing, ", "), environment)
	}
	return out, nil
}
