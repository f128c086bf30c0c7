package storage

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Names of what is not yet, or no longer, part of a store. No stored thing's name begins with a dot.
const (
	tempPrefix = ".tmp-"
	lockSuffix = ".lock"
)

// staging is a temporary folder of this process. Another process that sweeps the store leaves it alone
// while the lock beside it is held, and a lock ends with its process.
type staging struct {
	dir  string
	lock *os.File
}

// stagingIn makes a temporary folder in dir, and dir as well. A sweeper may take dir away while it is empty; then it is
// made again.
func stagingIn(dir string) (*staging, error) {
	for try := 0; ; try++ {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		s, err := newStaging(dir)
		if try < 3 && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return s, err
	}
}

// newStaging makes a temporary folder in dir, which must exist.
func newStaging(dir string) (*staging, error) {
	for {
		name := filepath.Join(dir, tempPrefix+RandomName())
		lock, err := os.OpenFile(name+lockSuffix, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// A sweeper may have come between the creation and the lock; then the file is gone, and another name is needed.
		if ok := tryLock(lock); !ok || !isStill(name+lockSuffix, lock) {
			lock.Close()
			continue
		}
		if err := os.Mkdir(name, 0o755); err != nil {
			lock.Close()
			os.Remove(name + lockSuffix)
			return nil, err
		}
		return &staging{dir: name, lock: lock}, nil
	}
}

// place renames the folder to target. It returns fs.ErrExist when target is there already.
func (s *staging) place(target string) error {
	if err := syncTree(s.dir); err != nil {
		return err
	}
	// A folder cannot be renamed onto one that holds something, on any system: the first to come wins.
	if err := os.Rename(s.dir, target); err != nil {
		if _, statErr := os.Lstat(target); statErr == nil {
			return fmt.Errorf("%s: %w", target, fs.ErrExist)
		}
		return err
	}
	return syncDir(filepath.Dir(target))
}

// remove ends the staging; a folder that was placed stays.
func (s *staging) remove() {
	os.RemoveAll(s.dir)
	os.Remove(s.lock.Name())
	s.lock.Close()
}

// discard takes a stored folder away: at once for everybody who looks, then its content.
func discard(target string) error {
	s, err := newStaging(filepath.Dir(target))
	if err != nil {
		return err
	}
	defer s.remove()
	return os.Rename(target, filepath.Join(s.dir, "old"))
}

// sweepStaging removes what killed processes have left in dir. Faults do not matter: the next one sweeps again.
func sweepStaging(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, tempPrefix) || !strings.HasSuffix(name, lockSuffix) {
			continue
		}
		path := filepath.Join(dir, name)
		lock, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if tryLock(lock) && isStill(path, lock) {
			os.RemoveAll(strings.TrimSuffix(path, lockSuffix))
			os.Remove(path)
		}
		lock.Close()
	}
}

func isStill(path string, f *os.File) bool {
	a, err := os.Lstat(path)
	if err != nil {
		return false
	}
	b, err := f.Stat()
	return err == nil && os.SameFile(a, b)
}

// syncTree makes the files of a flat folder, and the folder, last.
func syncTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		f, err := os.OpenFile(filepath.Join(dir, e.Name()), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		err = errors.Join(f.Sync(), f.Close())
		if err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// RandomName returns a text of 24 hexadecimal digits that nobody can guess.
func RandomName() string {
	var b [12]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// fileName returns a name for the file system that differs for different names and can be read by people.
func fileName(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '.' && i == 0, c < ' ', c == 0x7f, strings.IndexByte(`%/\:*?"<>|`, c) >= 0:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	if s := b.String(); len(s) > 0 && len(s) <= 200 {
		return s
	}
	return "%" + digestOf(name)
}
