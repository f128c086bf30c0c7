package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Files in mounted folders are used directly, through an os.Root: a symbolic link that leads out of the folder means a place
// in the container, not on this machine. Such files, and those elsewhere, go through the engine's archive API.

// notFound turns the engine's error for a missing path into fs.ErrNotExist.
func notFound(p string, err error) error {
	if errdefs.IsNotFound(err) {
		return &fs.PathError{Op: "stat", Path: p, Err: fs.ErrNotExist}
	}
	return err
}

// inRoot calls f with the folder of this machine that holds a path. done is false where the path has to be used through
// the engine.
func (w *workspace) inRoot(p string, f func(root *os.Root, rest string) error) (done bool, err error) {
	host, rest, ok := w.layout.paths.find(p)
	if !ok {
		return false, nil
	}
	root, err := os.OpenRoot(host)
	if err != nil {
		return true, err
	}
	defer root.Close()
	err = f(root, rest)
	// Whatever else is wrong (a link that leads out, a folder of another user), the engine may still manage.
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errTooLarge) {
		return false, nil
	}
	return true, err
}

// lookAt is stat, at best without the engine.
func (w *workspace) lookAt(ctx context.Context, p string) (mode fs.FileMode, err error) {
	done, err := w.inRoot(p, func(root *os.Root, rest string) error {
		info, err := root.Stat(rest)
		if err == nil {
			mode = info.Mode()
		}
		return err
	})
	if done {
		return mode, err
	}
	return w.stat(ctx, p)
}

var errTooLarge = errors.New("file too large")

func readLimited(r io.Reader, p string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("read %s: %w: more than %d bytes", p, errTooLarge, limit)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// ReadFile implements [runner.Workspace].
func (w *workspace) ReadFile(ctx context.Context, p string, limit int64) (data []byte, err error) {
	done, err := w.inRoot(p, func(root *os.Root, rest string) error {
		f, err := root.Open(rest)
		if err != nil {
			return err
		}
		defer f.Close()
		data, err = readLimited(f, p, limit)
		return err
	})
	if done {
		return data, err
	}
	for range maxLinks {
		var link string
		if data, link, err = w.readArchived(ctx, p, limit); link == "" || err != nil {
			return data, err
		}
		if !path.IsAbs(link) {
			link = path.Join(path.Dir(p), link)
		}
		p = link
	}
	return nil, &fs.PathError{Op: "read", Path: p, Err: errors.New("too many levels of symbolic links")}
}

// readArchived reads one file through the engine; a symbolic link is not followed.
func (w *workspace) readArchived(ctx context.Context, p string, limit int64) (data []byte, link string, err error) {
	got, err := w.e.api.CopyFromContainer(ctx, w.id, client.CopyFromContainerOptions{SourcePath: p})
	if err != nil {
		return nil, "", notFound(p, err)
	}
	defer got.Content.Close()
	r := tar.NewReader(got.Content)
	h, err := r.Next()
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", p, err)
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		return nil, h.Linkname, nil
	case tar.TypeReg:
		data, err = readLimited(r, p, limit)
		return data, "", err
	}
	return nil, "", &fs.PathError{Op: "read", Path: p, Err: errors.New("not a regular file")}
}

// WriteFile implements [runner.Workspace].
func (w *workspace) WriteFile(ctx context.Context, p string, data []byte, mode os.FileMode) error {
	folder := os.FileMode(0o755)
	if w.shared() {
		// The processes are another user's; they must be able to add to what Gantry makes.
		mode |= 0o666
		folder = 0o777
	}
	done, err := w.inRoot(p, func(root *os.Root, rest string) error {
		if err := makeFolders(root, filepath.Dir(rest), folder); err != nil {
			return err
		}
		f, err := root.OpenFile(rest, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Chmod(mode), f.Close())
	})
	if done {
		return err
	}
	return w.writeArchived(ctx, p, data, mode, folder)
}

// makeFolders is MkdirAll past the umask.
func makeFolders(root *os.Root, dir string, mode os.FileMode) error {
	if dir == "." {
		return nil
	}
	if info, err := root.Stat(dir); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("not a directory")}
		}
		return nil
	}
	if err := makeFolders(root, filepath.Dir(dir), mode); err != nil {
		return err
	}
	if err := root.Mkdir(dir, mode); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return root.Chmod(dir, mode)
}

// writeArchived writes a file through the engine. The archive starts at the last folder above that exists, because an entry
// for a folder would change its mode.
func (w *workspace) writeArchived(ctx context.Context, p string, data []byte, mode, folder os.FileMode) error {
	base, missing, err := w.existing(ctx, path.Dir(p))
	if err != nil {
		return fmt.Errorf("write %s: %w", p, err)
	}
	var b bytes.Buffer
	t := tar.NewWriter(&b)
	for _, dir := range missing {
		err = errors.Join(err, t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: int64(folder.Perm())}))
	}
	name := path.Join(append(missing[max(0, len(missing)-1):], path.Base(p))...)
	err = errors.Join(err, t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode.Perm()), Size: int64(len(data))}))
	if err == nil {
		_, err = t.Write(data)
	}
	if err = errors.Join(err, t.Close()); err != nil {
		return fmt.Errorf("write %s: %w", p, err)
	}
	if _, err := w.e.api.CopyToContainer(ctx, w.id, client.CopyToContainerOptions{DestinationPath: base, Content: &b}); err != nil {
		return fmt.Errorf("write %s: %w", p, err)
	}
	return nil
}

// existing splits a folder's path into the part that exists and the folders that are missing below, from the outside in, each
// relative to that part.
func (w *workspace) existing(ctx context.Context, dir string) (base string, missing []string, err error) {
	for base = path.Clean(dir); base != "/"; base = path.Dir(base) {
		mode, err := w.lookAt(ctx, base)
		if err == nil && !mode.IsDir() {
			return "", nil, &fs.PathError{Op: "mkdir", Path: base, Err: errors.New("not a directory")}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, err
		}
	}
	for d := path.Clean(dir); d != base; d = path.Dir(d) {
		rel, _ := below(base, d, "/")
		if base == "/" {
			rel = d[1:]
		}
		missing = append([]string{rel}, missing...)
	}
	return base, missing, nil
}
