package action

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// maxDepth is how deep actions may use actions, as the vendor has it.
const maxDepth = 10

// maxDefinition bounds the size of an action.yml.
const maxDefinition = 1 << 20

// action is a reference that was looked up.
type action struct {
	ref reference
	// builtin is set for the actions that are replaced; then the rest is empty.
	builtin *builtin
	def     *pipeline.ActionDefinition
	// scope holds the folder, as processes of the job see it.
	scope *pipeline.ActionScope
	// file is the definition's name for messages.
	file string
}

// jobActions are the actions of one job.
type jobActions struct {
	*Runner
	job runner.JobContext

	mu sync.Mutex
	// uses holds what is known of a `uses`, by its place: each definition is read once for each place that uses it, so that
	// the steps of a composite action that is used twice are apart.
	uses map[*pipeline.Use]*use
	// fetched holds the remote repositories that are in the workspace.
	fetched map[string]*fetched
	// kept holds the state that pre steps of nested actions have saved.
	kept  map[*pipeline.Step]map[string]string
	token string
}

type use struct {
	action *action
	// above are the references that lead here, for the bound and for the message.
	above []string
}

type fetched struct {
	once        sync.Once
	host, dir   string
	commit      string
	err         error
	copied      sync.Once
	copiedError error
}

func (r *Runner) of(job runner.JobContext) *jobActions {
	return job.Values().Do(r, func() any {
		return &jobActions{Runner: r, job: job, uses: map[*pipeline.Use]*use{}, fetched: map[string]*fetched{}, kept: map[*pipeline.Step]map[string]string{}}
	}).(*jobActions)
}

func (j *jobActions) known(u *pipeline.Use) *use {
	j.mu.Lock()
	defer j.mu.Unlock()
	k, ok := j.uses[u]
	if !ok {
		k = &use{}
		j.uses[u] = k
	}
	return k
}

// resolve looks a reference up. The result is kept for the place that uses it, but for local actions, whose files may
// have changed since the last step.
func (j *jobActions) resolve(ctx context.Context, u *pipeline.Use) (*action, error) {
	k := j.known(u)
	if k.action != nil && k.action.ref.local == "" {
		return k.action, nil
	}
	if len(k.above) >= maxDepth {
		return nil, fmt.Errorf("actions use actions more than %d deep: %s", maxDepth, strings.Join(append(k.above, u.Ref), " → "))
	}
	ref, err := parseReference(u.Ref)
	if err != nil {
		return nil, err
	}
	a := &action{ref: ref}
	switch {
	case ref.image != "":
		a.def = &pipeline.ActionDefinition{Name: ref.image, Runs: &pipeline.ContainerAction{Image: "docker://" + ref.image}}
		a.scope = &pipeline.ActionScope{}
	case ref.local != "":
		err = j.local(ctx, a)
	default:
		if !j.o.NoBuiltins {
			a.builtin = builtins()[ref.name()]
		}
		if a.builtin == nil {
			err = j.remote(ctx, a)
		}
	}
	if err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	k.action = a
	if a.def == nil {
		return a, nil
	}
	if c, ok := a.def.Runs.(*pipeline.CompositeAction); ok {
		for _, s := range pipeline.Uses(c.Steps) {
			j.uses[s.Do.(*pipeline.Use)] = &use{above: append(append([]string{}, k.above...), u.Ref)}
		}
	}
	return a, nil
}

// definitions are the names that an action's definition may have, in the vendor's order.
var definitions = []string{"action.yml", "action.yaml", "Dockerfile", "dockerfile"}

// define reads an action's definition; read returns fs.ErrNotExist for a file that is not there. shown is the folder's name
// for people.
func (j *jobActions) define(a *action, shown string, read func(name string) ([]byte, error)) error {
	for _, name := range definitions {
		content, err := read(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		file := path.Join(shown, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		a.file = file
		if strings.EqualFold(name, "Dockerfile") {
			a.def = &pipeline.ActionDefinition{Name: shown, Pos: pipeline.Pos{File: file}, Runs: &pipeline.ContainerAction{Image: name}}
			return nil
		}
		def, diagnostics := j.o.Parse(file, content)
		if err := diagnostics.Err(); err != nil {
			return err
		}
		if def == nil || def.Runs == nil {
			return fmt.Errorf("%s says nothing about how the action runs", file)
		}
		a.def = def
		return nil
	}
	hint := ""
	if a.ref.local != "" {
		hint = "; is a checkout missing before this step?"
	}
	return fmt.Errorf("action %q: %s holds no action.yml, action.yaml or Dockerfile%s", a.ref.text, shown, hint)
}

// local reads an action of the work folder, as it is now.
func (j *jobActions) local(ctx context.Context, a *action) error {
	ws := j.job.Workspace()
	dir := path.Join(ws.Machine().Workspace, a.ref.local)
	a.scope = &pipeline.ActionScope{Path: dir}
	return j.define(a, a.ref.local, func(name string) ([]byte, error) {
		return ws.ReadFile(ctx, path.Join(dir, name), maxDefinition)
	})
}

// remote fetches an action and reads its definition. Its files are copied into the job when it runs.
func (j *jobActions) remote(ctx context.Context, a *action) error {
	f := j.fetch(ctx, a.ref)
	if f.err != nil {
		return f.err
	}
	a.scope = &pipeline.ActionScope{Path: path.Join(f.dir, a.ref.path), Repository: a.ref.repository, Ref: a.ref.ref}
	shown := path.Join(a.ref.repository+"@"+a.ref.ref, a.ref.path)
	root, err := os.OpenRoot(f.host)
	if err != nil {
		return fmt.Errorf("action %q: %w", a.ref.text, err)
	}
	defer root.Close()
	return j.define(a, shown, func(name string) ([]byte, error) {
		name = filepath.Join(filepath.FromSlash(a.ref.path), name)
		if info, err := root.Stat(name); err != nil {
			return nil, err
		} else if info.Size() > maxDefinition {
			return nil, fmt.Errorf("larger than %d bytes", maxDefinition)
		}
		return root.ReadFile(name)
	})
}

func (j *jobActions) fetch(ctx context.Context, ref reference) *fetched {
	key := strings.ToLower(ref.repository) + "@" + ref.ref
	j.mu.Lock()
	f, ok := j.fetched[key]
	if !ok {
		// Beside the folder for temporary files, where the vendor's runner has it too.
		f = &fetched{dir: path.Join(path.Dir(j.job.Workspace().Machine().Temp), "_actions", ref.repository, ref.ref)}
		j.fetched[key] = f
	}
	j.mu.Unlock()
	f.once.Do(func() {
		if j.o.Source == nil {
			f.err = fmt.Errorf("action %q is not in this repository, and fetching actions is not set up", ref.text)
			return
		}
		if f.host, f.commit, f.err = j.o.Source.Fetch(ctx, ref.repository, ref.ref); f.err != nil {
			f.err = fmt.Errorf("action %q: %w", ref.text, f.err)
		}
	})
	return f
}

// install makes the action's files visible to processes of the job.
func (j *jobActions) install(ctx context.Context, a *action) error {
	if !a.ref.remote() {
		return nil
	}
	f := j.fetch(ctx, a.ref)
	f.copied.Do(func() {
		f.copiedError = j.job.Workspace().CopyIn(ctx, f.host, f.dir)
	})
	if f.copiedError != nil {
		return fmt.Errorf("action %q: copy it into the job: %w", a.ref.text, f.copiedError)
	}
	return nil
}
