package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/moby/moby/client"
)

// CopyIn implements [runner.Workspace].
func (w *workspace) CopyIn(ctx context.Context, host, p string) error {
	host, err := filepath.Abs(host)
	if err != nil {
		return err
	}
	src, name := os.DirFS(filepath.Dir(host)), filepath.Base(host)
	if _, err := fs.Lstat(src, name); err != nil {
		return fmt.Errorf("copy %s into the container: %w", host, err)
	}
	done, err := w.inRoot(p, func(root *os.Root, rest string) error {
		if err := makeFolders(root, filepath.Dir(rest), 0o755); err != nil {
			return err
		}
		return copyTree(ctx, src, name, root, rest)
	})
	if !done {
		err = w.sendTree(ctx, src, name, p)
	}
	if err != nil {
		return fmt.Errorf("copy %s into the container: %w", host, err)
	}
	return nil
}

// sendTree copies a tree through the engine.
func (w *workspace) sendTree(ctx context.Context, src fs.FS, name, p string) error {
	base, missing, err := w.existing(ctx, path.Dir(path.Clean(p)))
	if err != nil {
		return err
	}
	prefix := path.Join(append(missing[max(0, len(missing)-1):], path.Base(p))...)
	r, wr := io.Pipe()
	go func() { wr.CloseWithError(writeTree(ctx, wr, src, name, prefix, missing)) }()
	_, err = w.e.api.CopyToContainer(ctx, w.id, client.CopyToContainerOptions{DestinationPath: base, Content: r})
	r.CloseWithError(errors.New("the engine has stopped reading")) // so that the writer ends
	return err
}

// CopyOut implements [runner.Workspace].
func (w *workspace) CopyOut(ctx context.Context, p, host string) error {
	host, err := filepath.Abs(host)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
		return fmt.Errorf("copy %s out of the container: %w", p, err)
	}
	to, err := os.OpenRoot(filepath.Dir(host))
	if err != nil {
		return fmt.Errorf("copy %s out of the container: %w", p, err)
	}
	defer to.Close()
	done, err := w.inRoot(p, func(root *os.Root, rest string) error {
		return copyTree(ctx, root.FS(), filepath.ToSlash(rest), to, filepath.Base(host))
	})
	if !done {
		err = w.fetchTree(ctx, p, to, filepath.Base(host))
	}
	if err != nil {
		return fmt.Errorf("copy %s out of the container: %w", p, err)
	}
	return nil
}

// fetchTree copies a tree through the engine.
func (w *workspace) fetchTree(ctx context.Context, p string, to *os.Root, name string) error {
	got, err := w.e.api.CopyFromContainer(ctx, w.id, client.CopyFromContainerOptions{SourcePath: p})
	if err != nil {
		return notFound(p, err)
	}
	defer got.Content.Close()
	return readTree(ctx, got.Content, path.Base(path.Clean(p)), to, name)
}

// copyTree copies a file, link or folder. Folders merge, anything else replaces what is there.
func copyTree(ctx context.Context, src fs.FS, name string, dst *os.Root, to string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	info, err := fs.Lstat(src, name)
	if err != nil {
		return err
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		return copyFolder(ctx, src, name, info, dst, to)
	case fs.ModeSymlink:
		target, err := fs.ReadLink(src, name)
		if err != nil {
			return err
		}
		if err := clear(dst, to); err != nil {
			return err
		}
		return dst.Symlink(target, to)
	case 0:
		f, err := src.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return writeFile(dst, to, f, info.Mode().Perm())
	}
	return nil // sockets, pipes and devices mean nothing elsewhere
}

func copyFolder(ctx context.Context, src fs.FS, name string, info fs.FileInfo, dst *os.Root, to string) error {
	if err := makeFolder(dst, to); err != nil {
		return err
	}
	entries, err := fs.ReadDir(src, name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyTree(ctx, src, path.Join(name, e.Name()), dst, filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return dst.Chmod(to, info.Mode().Perm()) // last: it may take the right to write away
}

// makeFolder makes sure that there is a folder that can be written to.
func makeFolder(dst *os.Root, to string) error {
	if info, err := dst.Stat(to); err == nil && info.IsDir() {
		return nil
	}
	if err := clear(dst, to); err != nil {
		return err
	}
	return dst.Mkdir(to, 0o700)
}

// clear removes what a new file or link is to replace; a folder stays, and is an error for who wants to replace it.
func clear(dst *os.Root, to string) error {
	if err := dst.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func writeFile(dst *os.Root, to string, from io.Reader, mode fs.FileMode) error {
	if err := clear(dst, to); err != nil {
		return err
	}
	f, err := dst.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Chmod(mode), f.Close())
}
