package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/moby/moby/client"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// workspace is a job's container with its services and folders.
type workspace struct {
	e        *Engine
	layout   *layout
	services *ServiceSet
	log      func(string)
	inPlace  string

	id      string
	user    string
	shell   string // path of sh in the container; empty: it has none
	machine pipeline.Machine
	environ []pipeline.EnvVar
	facts   *pipeline.RunningContainer

	// lives ends when the workspace closes: late output of processes that outlived their step is read until then.
	lives context.Context
	end   context.CancelFunc
	late  sync.WaitGroup

	mu    sync.Mutex
	found map[lookup]string
}

type lookup struct{ program, path string }

var _ runner.Workspace = (*workspace)(nil)

func (w *workspace) Machine() pipeline.Machine                { return w.machine }
func (w *workspace) Environ() []pipeline.EnvVar               { return slices.Clone(w.environ) }
func (w *workspace) Container() *pipeline.RunningContainer    { c := *w.facts; return &c }
func (w *workspace) HostPath(p string) (host string, ok bool) { return w.layout.paths.host(p) }

func (w *workspace) Services() map[string]pipeline.RunningContainer {
	if len(w.services.facts) == 0 {
		return nil
	}
	return w.services.Running()
}

// LookPath implements [runner.Workspace]. What was found is remembered; what was not is looked for again, as a step may have
// installed it.
func (w *workspace) LookPath(ctx context.Context, program, pathList string) (file string, ok bool) {
	if strings.Contains(program, "/") {
		return program, w.executable(ctx, program) == nil
	}
	key := lookup{program, pathList}
	w.mu.Lock()
	file, ok = w.found[key]
	w.mu.Unlock()
	if ok {
		return file, true
	}
	for _, dir := range strings.Split(pathList, ":") {
		if !path.IsAbs(dir) {
			continue
		}
		if file = path.Join(dir, program); w.executable(ctx, file) == nil {
			w.mu.Lock()
			w.found[key] = file
			w.mu.Unlock()
			return file, true
		}
	}
	return "", false
}

// maxLinks bounds the symbolic links that are followed, as Linux does.
const maxLinks = 40

// stat follows symbolic links.
func (w *workspace) stat(ctx context.Context, p string) (fs.FileMode, error) {
	for range maxLinks {
		got, err := w.e.api.ContainerStatPath(ctx, w.id, client.ContainerStatPathOptions{Path: p})
		if err != nil {
			return 0, notFound(p, err)
		}
		if got.Stat.Mode&fs.ModeSymlink == 0 {
			return got.Stat.Mode, nil
		}
		if got.Stat.LinkTarget == "" {
			return 0, &fs.PathError{Op: "stat", Path: p, Err: fs.ErrNotExist}
		}
		target := got.Stat.LinkTarget
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(p), target)
		}
		p = target
	}
	return 0, &fs.PathError{Op: "stat", Path: p, Err: errors.New("too many levels of symbolic links")}
}

func (w *workspace) executable(ctx context.Context, p string) error {
	mode, err := w.stat(ctx, p)
	switch {
	case err != nil:
		return err
	case mode.IsDir() || mode&0o111 == 0:
		return fs.ErrPermission
	}
	return nil
}

// Close implements [runner.Workspace].
func (w *workspace) Close(ctx context.Context) error {
	w.end()
	errs := []error{w.giveBack(ctx)}
	if w.id != "" {
		errs = append(errs, w.e.removeContainer(ctx, w.id))
	}
	errs = append(errs, w.services.Close(ctx))
	w.late.Wait()
	if err := removeAll(w.layout.dir); err != nil {
		errs = append(errs, fmt.Errorf("remove the job's folders: %w", err))
	}
	return errors.Join(errs...)
}

// giveBack makes files that the container's user wrote removable where Gantry does not run as root: the folders of the job are
// emptied, and a work folder of the user's own gets its owner back, by a process of root in the container.
func (w *workspace) giveBack(ctx context.Context) error {
	uid := os.Geteuid()
	if uid <= 0 || w.id == "" || w.shell == "" {
		return nil // root can remove everything; Windows and Docker Desktop map owners
	}
	script := `rm -rf /__w/_temp/* /__w/_actions/* /__t/* /github/home/* /github/home/.[!.]*; chmod -R a+rwX /__w /__t /github/home`
	if w.inPlace != "" {
		script = fmt.Sprintf("chown -R %d:%d %s; rm -rf /__w/_temp/* /__w/_actions/* /__t/* /github/home/* /github/home/.[!.]*", uid, os.Getegid(), quote(w.layout.work))
	}
	if err := w.asRoot(ctx, script); err != nil {
		return fmt.Errorf("give the job's files back to their owner: %w", err)
	}
	return nil
}

// quote makes one word for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// shared reports whether the container's user is another than Gantry's, so that files must be open to all to be of use.
func (w *workspace) shared() bool {
	user, _, _ := strings.Cut(w.user, ":")
	return user != "" && user != "0" && user != "root" && user != fmt.Sprint(os.Geteuid())
}
