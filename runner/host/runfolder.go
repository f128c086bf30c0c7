package host

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// run is the folder of a run that has open workspaces.
type run struct {
	name, dir string
	lock      *os.File
	users     int

	mu sync.Mutex
	// free are skeletons of jobs that have ended, by the name of their repository.
	free  map[string][]string
	freed int
}

// lockSuffix tells what is ours: a folder without a file of its name and this ending is somebody else's, and left alone.
const lockSuffix = ".gantry-lock"

// acquire returns the folder of a run, made where it is not there. Each acquire needs a release.
func (e *Executor) acquire(name string) (*run, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.runs[name]; r != nil {
		r.users++
		return r, nil
	}
	// What is there already is another process's, stale or somebody else's: this run takes another name.
	for i := 1; ; i++ {
		r := &run{name: name, users: 1}
		if i > 1 {
			r.name = fmt.Sprintf("%s.%d", name, i)
		}
		r.dir = filepath.Join(e.o.Root, r.name)
		if _, err := os.Lstat(r.dir); err == nil {
			continue
		}
		lock, err := lockFile(r.dir + lockSuffix)
		if errors.Is(err, errLocked) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r.lock = lock
		if err := os.Mkdir(r.dir, 0o755); err != nil {
			unlockFile(lock)
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			return nil, err
		}
		e.runs[name] = r
		return r, nil
	}
}

// release removes the folder of a run that nobody uses any longer.
func (e *Executor) release(r *run) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.users--; r.users > 0 {
		return nil
	}
	for name, other := range e.runs {
		if other == r {
			delete(e.runs, name)
		}
	}
	err := errors.Join(removeAll(r.dir), e.removeControl(r.name))
	unlockFile(r.lock)
	return err
}

// sweep removes the folders, and ends the processes, of runs whose gantry is no longer there. Errors leave things to the next
// gantry: this one's jobs do not depend on it.
func (e *Executor) sweep() {
	entries, err := os.ReadDir(e.o.Root)
	if err != nil {
		return
	}
	for _, entry := range entries {
		name, ours := strings.CutSuffix(entry.Name(), lockSuffix)
		if !ours || name == "" {
			continue
		}
		dir := filepath.Join(e.o.Root, name)
		lock := e.lockStale(name, dir)
		if lock == nil {
			continue // alive
		}
		killTracked(token(e.o.Root, name, ""), nil)
		if errors.Join(removeAll(dir), e.removeControl(name)) == nil {
			unlockFile(lock)
		} else {
			lock.Close() // the file stays, beside the folder
		}
	}
}

// lockStale takes the lock of a run whose gantry is gone; nil: it is not. This process's own runs are left out, and while it looks
// none can be acquired: the file of a run that is just being locked must not be taken for a stale one.
func (e *Executor) lockStale(name, dir string) *os.File {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.runs {
		if r.name == name {
			return nil
		}
	}
	lock, err := lockFile(dir + lockSuffix)
	if err != nil {
		return nil
	}
	return lock
}

// Tracking is the variable that marks the processes of a job. Its value is a list, separated by colons, of what [token] makes:
// one job within another (a step that calls gantry) adds to it. The processes are found by it when the job ends.
const Tracking = "GANTRY_JOB"

// token returns what marks the processes of a job; with an empty job what the tokens of a run begin with.
func token(root, run, job string) string {
	h := fnv.New64a()
	h.Write([]byte(root))
	return fmt.Sprintf("%016x/%s/%s", h.Sum64(), run, job)
}
