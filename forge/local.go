package forge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// ZeroCommit stands for no commit at all, as git writes it.
const ZeroCommit = "0000000000000000000000000000000000000000"

// Local is a folder of this machine, in a Git repository or not, as it was when it was opened.
type Local struct {
	// Dir is the folder itself, absolute and without links; Top the repository's work tree ("" where there is none), and
	// Prefix the way from Top to Dir with slashes, "" where they are the same.
	Dir, Top, Prefix string
	// Commit is that of HEAD and Parents those of it; ZeroCommit where there is none.
	Commit  string
	Parents []string
	// Branch is the one checked out; empty for a detached HEAD. Tags are those of HEAD's commit.
	Branch string
	Tags   []string
	// Remote is "origin", or the only remote; without one Name is that of the folder, and the rest empty.
	Remote
	// DefaultBranch is that of the remote as far as it is known here, else init.defaultBranch, else "main".
	DefaultBranch string
	// Author, Email, Message (whole) and Time (by the author) of HEAD's commit.
	Author, Email, Message string
	Time                   time.Time
	// Dirty: files in Dir differ from the commit, or are neither in it nor ignored.
	Dirty bool

	// gitDir is the repository's own folder, common what linked work trees share.
	gitDir, common string
	// mirrored: the folder holds the files alone, and what git is asked goes to common.
	mirrored bool
	changes  []change
}

// change is a file that differs from the commit.
type change struct {
	path      string // from Top, as git has it
	submodule bool
	tracked   bool
}

// OpenLocal reads the facts of a folder. That it is in no repository, or in one without commits, is not an error.
func OpenLocal(ctx context.Context, dir string) (*Local, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	if info, err := os.Stat(abs); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("open %s: not a folder", dir)
	}
	l := &Local{Dir: abs, Commit: ZeroCommit, DefaultBranch: "main", Remote: Remote{Name: filepath.Base(abs)}}
	if l.Top, l.gitDir, err = findRepository(abs); err != nil || l.Top == "" {
		return l, err
	}
	l.common = commonDir(l.gitDir)
	if abs != l.Top {
		l.Prefix = filepath.ToSlash(strings.TrimPrefix(strings.TrimPrefix(abs, l.Top), string(filepath.Separator)))
	}
	g := git{dir: abs}
	var config, status, log []byte
	var logErr error
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() (err error) {
		config, err = g.run(ctx, "config", "--list", "-z")
		return err
	})
	all.Go(func() (err error) {
		status, err = g.run(ctx, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=dirty", "--", ".")
		return err
	})
	all.Go(func() error {
		// Without commits this fails; the status tells that apart from other failures.
		log, logErr = g.run(ctx, "log", "-1", "--no-show-signature", "--decorate=full", "--format=%H%x00%P%x00%D%x00%an%x00%ae%x00%at%x00%B")
		return nil
	})
	if err := all.Wait(); err != nil {
		return nil, fmt.Errorf("read the repository of %s: %w", dir, err)
	}
	if err := l.readStatus(status); err != nil {
		return nil, err
	}
	l.readConfig(config)
	if l.Commit != ZeroCommit {
		if logErr != nil {
			return nil, fmt.Errorf("read the repository of %s: %w", dir, logErr)
		}
		l.readLog(log)
	}
	return l, nil
}

// IsRepository reports whether the folder is in a Git repository.
func (l *Local) IsRepository() bool { return l.Top != "" }

// git asks the repository.
func (l *Local) git() git {
	if l.mirrored {
		return git{dir: l.common}
	}
	return git{dir: l.Dir}
}

// HasCommit reports whether there is a commit.
func (l *Local) HasCommit() bool { return l.Commit != ZeroCommit }

// findRepository looks for the work tree that dir is in; top is empty where there is none.
func findRepository(dir string) (top, gitDir string, err error) {
	for {
		path := filepath.Join(dir, ".git")
		info, err := os.Stat(path)
		switch {
		case err == nil && info.IsDir():
			if _, err := os.Lstat(filepath.Join(path, "HEAD")); err == nil {
				return dir, path, nil
			}
		case err == nil: // a linked work tree or a submodule
			data, err := os.ReadFile(path)
			if err != nil {
				return "", "", fmt.Errorf("find the repository: %w", err)
			}
			to, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "gitdir: ")
			if !ok {
				return "", "", fmt.Errorf("find the repository: %s does not say \"gitdir: …\"", path)
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(dir, to)
			}
			return dir, to, nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
			return "", "", fmt.Errorf("find the repository: %w", err)
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", "", nil
		}
		dir = up
	}
}

// commonDir returns the folder that all work trees of a repository share.
func commonDir(gitDir string) string {
	data, err := os.ReadFile(filepath.Join(gitDir, "commondir"))
	if err != nil {
		return gitDir
	}
	to := strings.TrimSpace(string(data))
	if !filepath.IsAbs(to) {
		to = filepath.Join(gitDir, to)
	}
	return to
}

// readStatus reads the format of "git status --porcelain=v2 -z".
func (l *Local) readStatus(out []byte) error {
	for _, line := range fields(out) {
		kind, rest, _ := strings.Cut(line, " ")
		c := change{tracked: true}
		before := 0 // fields before the path
		switch kind {
		case "#":
			if oid, ok := strings.CutPrefix(rest, "branch.oid "); ok && oid != "(initial)" {
				l.Commit = oid
			}
			if name, ok := strings.CutPrefix(rest, "branch.head "); ok && name != "(detached)" {
				l.Branch = name
			}
			continue
		case "1":
			before = 7
		case "u":
			before = 9
		case "?":
			c.tracked = false
		default:
			return fmt.Errorf("git status printed %q, which is not known", line)
		}
		for i := range before {
			var field string
			field, rest, _ = strings.Cut(rest, " ")
			if i == 1 {
				c.submodule = strings.HasPrefix(field, "S")
			}
		}
		c.path = rest
		if !c.tracked && strings.HasSuffix(rest, "/") {
			c.submodule = true // a repository within this one
		}
		l.changes = append(l.changes, c)
		l.Dirty = true
	}
	return nil
}

// readConfig reads the format of "git config --list -z": name, line feed, value.
func (l *Local) readConfig(out []byte) {
	urls := map[string]string{}
	for _, entry := range fields(out) {
		name, value, _ := strings.Cut(entry, "\n")
		if remote, ok := strings.CutSuffix(name, ".url"); ok {
			if remote, ok := strings.CutPrefix(remote, "remote."); ok && value != "" {
				if _, again := urls[remote]; !again {
					urls[remote] = value
				}
			}
		}
		if name == "init.defaultbranch" && value != "" {
			l.DefaultBranch = value
		}
	}
	name := "origin"
	if _, ok := urls[name]; !ok && len(urls) == 1 {
		for name = range urls {
		}
	}
	if address, ok := urls[name]; ok {
		if r := ParseRemote(address); r.Name != "" {
			l.Remote = r
		}
	}
	if data, err := os.ReadFile(filepath.Join(l.common, "refs", "remotes", name, "HEAD")); err == nil {
		if branch, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "ref: refs/remotes/"+name+"/"); ok {
			l.DefaultBranch = branch
		}
	}
}

// readLog reads the format that OpenLocal asks for.
func (l *Local) readLog(out []byte) {
	f := strings.SplitN(string(out), "\x00", 7)
	if len(f) < 7 {
		return
	}
	l.Parents = strings.Fields(f[1])
	for ref := range strings.SplitSeq(f[2], ", ") {
		if tag, ok := strings.CutPrefix(ref, "tag: refs/tags/"); ok {
			l.Tags = append(l.Tags, tag)
		}
	}
	l.Author, l.Email, l.Message = f[3], f[4], strings.TrimRight(f[6], "\n")
	if s, err := strconv.ParseInt(f[5], 10, 64); err == nil {
		l.Time = time.Unix(s, 0)
	}
}
