package host

import (
	"os"
	"path/filepath"
	"strconv"
)

// tempName is the folder beside the work folder that is a job's Temp.
const tempName = "_temp"

// A skeleton is the folder of a job with nothing in it but its empty Temp and work folder. Making one on a disk costs up to
// half a millisecond a folder, so those of jobs that have ended are used again within the run, under the new job's name.

// makeSkeleton makes the folder of a job, or takes one that is free. work: with a work folder in it.
func (e *Executor) makeSkeleton(r *run, name, repository string, work bool) (string, error) {
	if work {
		if old := r.take(repository); old != "" {
			if dir, err := renameNew(old, r.dir, name); err == nil {
				return dir, nil
			}
			// Not to be had: made anew, and the old one goes with the run's folder.
		}
	}
	dir, err := makeNew(r.dir, name)
	if err != nil {
		return "", err
	}
	if err := os.Mkdir(filepath.Join(dir, tempName), 0o755); err != nil {
		return dir, err
	}
	if !work {
		return dir, nil
	}
	return dir, os.MkdirAll(filepath.Join(dir, repository, repository), 0o755)
}

// renameNew gives a skeleton a name that is free in dir.
func renameNew(old, dir, name string) (string, error) {
	for i := 1; ; i++ {
		path := filepath.Join(dir, name)
		if i > 1 {
			path += "." + strconv.Itoa(i)
		}
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		return path, os.Rename(old, path)
	}
}

func (r *run) take(repository string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.free[repository]
	if len(list) == 0 {
		return ""
	}
	last := list[len(list)-1]
	r.free[repository] = list[:len(list)-1]
	return last
}

// recycle empties the folder of a job that has ended and keeps it for another one. What is not as it was made is
// removed instead. repository is empty where the job had no work folder of its own.
func (r *run) recycle(dir, repository string) error {
	if repository == "" || !r.empty(dir, repository) {
		return removeAll(dir)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.freed++
	free := filepath.Join(r.dir, "_free-"+strconv.Itoa(r.freed))
	if err := os.Rename(dir, free); err != nil {
		return removeAll(dir)
	}
	if r.free == nil {
		r.free = map[string][]string{}
	}
	r.free[repository] = append(r.free[repository], free)
	return nil
}

// empty makes a skeleton of a job's folder again; false: it cannot be told that it is one.
func (r *run) empty(dir, repository string) bool {
	outer := filepath.Join(dir, repository)
	return onlyHas(dir, tempName, repository) && onlyHas(outer, repository) &&
		clear(filepath.Join(dir, tempName)) && clear(filepath.Join(outer, repository)) &&
		untouched(dir) && untouched(outer)
}

// onlyHas removes all from a folder but some names, and reports whether that worked.
func onlyHas(dir string, names ...string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	kept := 0
next:
	for _, e := range entries {
		for _, n := range names {
			if e.Name() == n && e.IsDir() {
				kept++
				continue next
			}
		}
		if removeAll(filepath.Join(dir, e.Name())) != nil {
			return false
		}
	}
	return kept == len(names)
}

func clear(dir string) bool { return untouched(dir) && onlyHas(dir) }

// untouched reports whether a folder is ours and open to all as it was made.
func untouched(dir string) bool {
	info, err := os.Lstat(dir)
	return err == nil && info.IsDir() && info.Mode().Perm() == 0o755 && info.Mode()&(os.ModeSetgid|os.ModeSticky) == 0 && owned(info)
}
