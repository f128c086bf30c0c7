// Package disk keeps small files so that a death at any moment, also of the machine, leaves the old content or the new one.
package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile replaces a file as a whole: a temporary one beside it, fsync, rename, fsync of the folder. Its mode is as given, whatever the umask. What
// a death leaves is NAME.new, which the next write replaces; so a file has one writer at a time. With an error the old content stands.
func WriteFile(name string, content []byte, mode fs.FileMode) error {
	temp := name + ".new"
	if err := write(temp, content, mode); err != nil {
		return errors.Join(err, remove(temp))
	}
	if err := os.Rename(temp, name); err != nil {
		return errors.Join(err, remove(temp))
	}
	return SyncFolder(filepath.Dir(name))
}

func write(name string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err = f.Chmod(mode); err == nil {
		if _, err = f.Write(content); err == nil {
			err = f.Sync()
		}
	}
	return errors.Join(err, f.Close())
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncFolder makes what was created, renamed or removed in a folder last.
func SyncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
