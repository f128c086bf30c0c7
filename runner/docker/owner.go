package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/moby/moby/client"
)

// owner is a folder with a lock file beside it that this process keeps locked as long as it lives. Its name labels what the
// process makes in the engine: whoever can lock another's file knows that its owner is dead, however it died, and may clean
// up after it.
type owner struct {
	name string
	dir  string
	lock *os.File
}

const (
	lockExt = ".lock"
	// newPrefix marks lock files that are not locked yet: they get their name afterwards, so that none is ever seen unlocked.
	newPrefix = "new-"
	// staleNew is the age from which a lock file that never got its name is a left-over.
	staleNew = time.Hour
)

func newOwner(root string) (*owner, error) {
	fail := func(err error) (*owner, error) { return nil, fmt.Errorf("make the folder for jobs: %w", err) }
	root, err := filepath.Abs(root)
	if err != nil {
		return fail(err)
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return fail(err)
	}
	name := uuid.NewString()
	fresh := filepath.Join(root, newPrefix+name+lockExt)
	o := &owner{name: name, dir: filepath.Join(root, name)}
	if o.lock, err = tryLock(fresh); err != nil {
		return fail(err)
	}
	if err := os.Rename(fresh, o.dir+lockExt); err != nil {
		return fail(errors.Join(err, o.lock.Close(), os.Remove(fresh)))
	}
	if err := os.Mkdir(o.dir, 0o700); err != nil {
		return fail(errors.Join(err, o.lock.Close(), os.Remove(o.dir+lockExt)))
	}
	return o, nil
}

// close gives the folder up. Where something is still in it, it stays for the next start to remove.
func (o *owner) close() error {
	err := os.Remove(o.dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.Remove(o.dir + lockExt)
	}
	o.lock.Close()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// sweep removes what dead owners have left.
func (e *Engine) sweep(ctx context.Context) error {
	files, err := os.ReadDir(e.o.Root)
	if err != nil {
		return fmt.Errorf("look for left-overs: %w", err)
	}
	for _, f := range files {
		name, isLock := strings.CutSuffix(f.Name(), lockExt)
		if !isLock || name == e.owner.name {
			continue
		}
		path := filepath.Join(e.o.Root, f.Name())
		if strings.HasPrefix(name, newPrefix) {
			if info, err := f.Info(); err == nil && time.Since(info.ModTime()) > staleNew {
				os.Remove(path)
			}
			continue
		}
		if uuid.Validate(name) != nil {
			continue // not ours
		}
		lock, err := tryLock(path)
		if err != nil {
			continue // alive, or another process is at it
		}
		// What resists, such as files of other users that a container left, is tried again at the next start.
		if e.removeOwned(ctx, name) == nil && removeAll(filepath.Join(e.o.Root, name)) == nil {
			os.Remove(path)
		}
		lock.Close()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// removeOwned removes the containers, networks and volumes with an owner's label.
func (e *Engine) removeOwned(ctx context.Context, name string) error {
	filter := client.Filters{}.Add("label", LabelOwner+"="+name)
	var errs []error
	containers, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	errs = append(errs, err)
	for _, c := range containers.Items {
		errs = append(errs, e.removeContainer(ctx, c.ID))
	}
	networks, err := e.api.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	errs = append(errs, err)
	for _, n := range networks.Items {
		errs = append(errs, e.removeNetwork(ctx, n.ID))
	}
	return errors.Join(errs...)
}

// removeAll is os.RemoveAll for trees whose folders may lack the right to write, as module caches do.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
