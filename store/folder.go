package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// lockName is the file in a data folder that its server keeps locked. Its content is the server's name.
const lockName = "lock"

// ErrInUse: another process has the data folder.
var ErrInUse = errors.New("another gantry uses this folder")

// LockDir takes a data folder for this process, so that no two servers use one SQLite file: the leases of work depend on that. It
// returns the name of the server that had the folder before, empty where there was none, for [engine.Engine.Disown]: that it could be
// locked proves that server dead. The lock ends with release, or with the process however that ends. The folder must exist.
func LockDir(dir, owner string) (previous string, release func() error, err error) {
	name := filepath.Join(dir, lockName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", nil, fmt.Errorf("lock the data folder: %w", err)
	}
	fail := func(err error) (string, func() error, error) {
		f.Close()
		return "", nil, fmt.Errorf("lock the data folder %s: %w", dir, err)
	}
	switch locked, err := tryLock(f); {
	case err != nil:
		return fail(err)
	case !locked:
		return fail(fmt.Errorf("%w; stop it, or give this one another --data", ErrInUse))
	}
	before, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return fail(err)
	}
	// A crash in between leaves a name cut short, whose leases expire like any dead server's.
	if err := f.Truncate(0); err != nil {
		return fail(err)
	}
	if _, err := f.WriteAt([]byte(owner+"\n"), 0); err != nil {
		return fail(err)
	}
	if err := f.Sync(); err != nil {
		return fail(err)
	}
	// The file stays: who removed it could take it from under another process that has just opened it.
	return strings.TrimSpace(string(before)), sync.OnceValue(f.Close), nil
}
