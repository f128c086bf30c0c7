package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// explain adds to an error of the system what a person can do about it.
func explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		var p *fs.PathError
		where := "it"
		if errors.As(err, &p) {
			where = p.Path
		}
		return fmt.Errorf("%w (the disk that holds %s is full, or its quota is used up: free some space there)", err, where)
	}
	return err
}

// ReadFile implements [runner.Workspace]. What is not a regular file is an error: reading a pipe would never end.
func (w *Workspace) ReadFile(_ context.Context, path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("read %s: it has %d bytes, more than the %d allowed", path, info.Size(), limit)
	}
	data := make([]byte, 0, info.Size()+1)
	for {
		n, err := f.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if int64(len(data)) > limit {
			return nil, fmt.Errorf("read %s: it has more than the %d bytes allowed", path, limit)
		}
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
	}
}

// WriteFile implements [runner.Workspace].
func (w *Workspace) WriteFile(_ context.Context, path string, data []byte, mode os.FileMode) error {
	if mode&0o111 != 0 {
		// A process that is forked while the file is open to be written holds it open for a moment, and the system
		// does not start programs that are open so (ETXTBSY).
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
	}
	err := os.WriteFile(path, data, mode)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			err = os.WriteFile(path, data, mode)
		}
	} else if errors.Is(err, fs.ErrPermission) { // a file that is there and may not be written may still be replaced
		if os.Remove(path) == nil {
			err = os.WriteFile(path, data, mode)
		}
	}
	return explain(err)
}

// CopyIn implements [runner.Workspace].
func (w *Workspace) CopyIn(ctx context.Context, host, path string) error {
	return explain(copyTree(ctx, host, path))
}

// CopyOut implements [runner.Workspace].
func (w *Workspace) CopyOut(ctx context.Context, path, host string) error {
	return explain(copyTree(ctx, path, host))
}

// copyTree copies a file or folder to a path; folders merge.
func copyTree(ctx context.Context, from, to string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return copyEntry(ctx, from, to, info)
}

func copyEntry(ctx context.Context, from, to string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return copyFolder(ctx, from, to, info)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		if err := makeRoom(to); err != nil {
			return err
		}
		return os.Symlink(target, to)
	case info.Mode().IsRegular():
		return copyFile(from, to, info)
	}
	return fmt.Errorf("copy %s: a device, pipe or socket cannot be copied", from)
}

func copyFolder(ctx context.Context, from, to string, info fs.FileInfo) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	there, err := os.Lstat(to)
	switch {
	case err == nil && !there.IsDir():
		if err := os.Remove(to); err != nil {
			return err
		}
		fallthrough
	case errors.Is(err, fs.ErrNotExist):
		if err := os.Mkdir(to, 0o700); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	for _, e := range entries {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone meanwhile
		}
		if err != nil {
			return err
		}
		if err := copyEntry(ctx, filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), info); err != nil {
			return err
		}
	}
	return os.Chmod(to, info.Mode().Perm()) // last: it may forbid writing
}

func copyFile(from, to string, info fs.FileInfo) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := makeRoom(to); err != nil {
		return err
	}
	if info.Mode()&0o111 != 0 {
		syscall.ForkLock.RLock() // see WriteFile
		defer syscall.ForkLock.RUnlock()
	}
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if e := dst.Close(); err == nil {
			err = e
		}
	}()
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	return dst.Chmod(info.Mode().Perm())
}

// makeRoom removes a file or link that is to be replaced.
func makeRoom(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeAll removes a folder with everything in it, also where folders in it may not be written, as those of Go's module
// cache. Links are removed, not followed.
func removeAll(path string) error {
	err := os.RemoveAll(path)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && err == nil {
			os.Chmod(p, 0o700) // WalkDir reads a folder after this call
		}
		return nil
	})
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("%w (something in it belongs to another user: remove it by hand)", err)
	}
	return nil
}
