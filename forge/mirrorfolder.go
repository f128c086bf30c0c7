package forge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// RecordFolder records the files of a folder of this machine, as they are now, as a commit of the mirror, and returns it with the name of
// its branch. Neither the folder nor a repository that it belongs to is touched. Files that the folder's .gitignore names are left out,
// and repositories within it are recorded as submodules are, by their commit alone. The same files give the same commit again;
// others give one after it, so that what changed can be told. Author and message are those of the folder's own HEAD where it has one.
// Calls that come while another one records share the next recording: it begins after all of them.
func (m *Mirror) RecordFolder(ctx context.Context, dir string) (commit, branch string, err error) {
	fail := func(err error) (string, string, error) {
		return "", "", fmt.Errorf("record the files of %s: %w", dir, withRoom(err, m.dir))
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fail(err)
	}
	r, leave := m.join(ctx, abs)
	defer leave()
	select {
	case <-r.done:
	case <-ctx.Done():
		return fail(context.Cause(ctx))
	}
	if r.err != nil {
		return fail(r.err)
	}
	return r.commit, r.branch, nil
}

// recording is one look at a folder, for all who have asked for it before it began.
type recording struct {
	// waiting counts them; Mirror.mu guards it.
	waiting int
	done    chan struct{}
	cancel  context.CancelFunc

	commit, branch string
	err            error
}

// join returns the folder's recording that has not begun yet. It goes on until it is done, or until all who wait for it have left.
func (m *Mirror) join(ctx context.Context, dir string) (r *recording, leave func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r = m.next[dir]; r == nil {
		r = &recording{done: make(chan struct{})}
		if m.next == nil {
			m.next = map[string]*recording{}
		}
		m.next[dir] = r
		// It is for all of them, not for the first alone.
		shared, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r.cancel = cancel
		go func() {
			defer close(r.done)
			defer cancel()
			r.commit, r.branch, r.err = m.record(shared, dir, r)
		}()
	}
	r.waiting++
	return r, func() {
		m.mu.Lock()
		r.waiting--
		last := r.waiting == 0
		if last {
			m.begun(dir, r)
		}
		m.mu.Unlock()
		if last {
			r.cancel()
			<-r.done // nothing of it goes on behind the caller's back
		}
	}
}

// begun has later calls wait for another recording. Mirror.mu must be held.
func (m *Mirror) begun(dir string, r *recording) {
	if m.next[dir] == r {
		delete(m.next, dir)
	}
}

// record is one look at a folder, which begins when the lock is there.
func (m *Mirror) record(ctx context.Context, dir string, r *recording) (commit, branch string, err error) {
	unlock, err := m.lock(ctx)
	m.mu.Lock()
	m.begun(dir, r)
	m.mu.Unlock()
	if err != nil {
		return "", "", err
	}
	defer unlock()
	if err := isFolder(dir); err != nil {
		return "", "", err
	}
	l, err := OpenLocal(ctx, dir)
	if err != nil {
		return "", "", err
	}
	branch = l.Branch
	if branch == "" {
		branch = "main"
	}
	if err := m.init(ctx, len(l.Commit) == 64); err != nil {
		return "", "", err
	}
	// The index remembers what was seen, so that the next time only what has changed is read. The lock is ours: one of git's own was
	// left by a process that is gone.
	index := filepath.Join(m.dir, "index")
	if err := os.Remove(index + ".lock"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	g := git{dir: dir, env: []string{"GIT_INDEX_FILE=" + index}}
	with := []string{"--git-dir=" + m.repository(), "--work-tree=" + dir, "-c", "core.bare=false", "-c", "core.autocrlf=false", "-c", "advice.addEmbeddedRepo=false"}
	if _, err := g.run(ctx, append(with, "add", "--all", "--", ".")...); err != nil {
		return "", "", err
	}
	out, err := g.run(ctx, append(with, "write-tree")...)
	if err != nil {
		return "", "", err
	}
	tree := text(out)
	ref := "refs/remotes/origin/" + branch
	parent, err := resolve(ctx, git{dir: m.repository()}, ref)
	if err != nil {
		return "", "", err
	}
	if parent != "" {
		if out, err = m.git(ctx, "rev-parse", "--verify", parent+"^{tree}"); err != nil {
			return "", "", err
		}
		if text(out) == tree {
			return parent, branch, nil
		}
	}
	if commit, err = m.commitTree(ctx, l, tree, parent); err != nil {
		return "", "", err
	}
	if _, err := m.git(ctx, "update-ref", ref, commit); err != nil {
		return "", "", err
	}
	if _, err := m.git(ctx, "symbolic-ref", "refs/remotes/origin/HEAD", ref); err != nil {
		return "", "", err
	}
	return commit, branch, nil
}

// commitTree makes the commit of a folder's files.
func (m *Mirror) commitTree(ctx context.Context, l *Local, tree, parent string) (string, error) {
	author, email, at := l.Author, l.Email, l.Time
	message := l.Message
	switch {
	case !l.HasCommit():
		author, email, at, message = "gantry", "gantry@localhost", time.Now(), "Files of "+filepath.Base(l.Dir)
	case l.Dirty:
		subject, _, _ := strings.Cut(l.Message, "\n")
		message = subject + "\n\nWith changes that are not committed, on top of " + l.Commit + "."
		at = time.Now()
	}
	if author == "" {
		author = "gantry"
	}
	g := git{dir: m.dir, in: []byte(message + "\n"), env: []string{
		"GIT_AUTHOR_NAME=" + author, "GIT_AUTHOR_EMAIL=" + email, "GIT_AUTHOR_DATE=" + date(at),
		"GIT_COMMITTER_NAME=" + author, "GIT_COMMITTER_EMAIL=" + email, "GIT_COMMITTER_DATE=" + date(at),
	}}
	args := []string{"--git-dir=" + m.repository(), "commit-tree", tree, "-F", "-"}
	if parent != "" {
		args = append(args, "-p", parent)
	}
	out, err := g.run(ctx, args...)
	return text(out), err
}

// Bundle writes a commit with its history, and all branches and tags, as a git bundle (git-bundle(1)), for a mirror on another machine.
// Commits in have, where they are known here, and what they stand on, are left out: the receiver has them.
func (m *Mirror) Bundle(ctx context.Context, commit string, have []string, w io.Writer) error {
	fail := func(err error) error { return fmt.Errorf("bundle %s: %w", commit, withRoom(err, m.dir)) }
	if !isCommit(commit) {
		return fail(errors.New("it is no commit in full"))
	}
	at, err := m.Fetch(ctx, commit)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp(m.dir, ".new-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(temp)
	// A bundle holds refs, not commits.
	if _, err := m.git(ctx, "update-ref", cachedRefs+at, at); err != nil {
		return fail(err)
	}
	file := filepath.Join(temp, "bundle")
	args := []string{"bundle", "create", "--quiet", file, cachedRefs + at, "--remotes=origin", "--tags"}
	for _, h := range have {
		if isCommit(h) && !strings.EqualFold(h, at) && m.has(ctx, h) {
			args = append(args, "^"+h)
		}
	}
	if _, err := m.git(ctx, args...); err != nil {
		return fail(err)
	}
	f, err := os.Open(file)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fail(err)
	}
	return nil
}

// Has reports whether a commit is in the mirror.
func (m *Mirror) Has(ctx context.Context, commit string) bool {
	at, err := m.resolve(ctx, commit)
	return err == nil && isCommit(commit) && at != ""
}

// Unbundle takes in what [Mirror.Bundle] has written.
func (m *Mirror) Unbundle(ctx context.Context, r io.Reader) error {
	fail := func(err error) error { return fmt.Errorf("take in a bundle: %w", withRoom(err, m.dir)) }
	unlock, err := m.lock(ctx)
	if err != nil {
		return fail(err)
	}
	defer unlock()
	temp, err := os.MkdirTemp(m.dir, ".new-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(temp)
	file := filepath.Join(temp, "bundle")
	f, err := os.Create(file)
	if err != nil {
		return fail(err)
	}
	_, err = io.Copy(f, r)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fail(err)
	}
	// A bundle of SHA-256 objects says so in its header.
	header := make([]byte, 4096)
	if f, err = os.Open(file); err == nil {
		n, _ := io.ReadFull(f, header)
		header = header[:n]
		f.Close()
	}
	if err := m.init(ctx, strings.Contains(string(header), "@object-format=sha256")); err != nil {
		return fail(err)
	}
	if _, err := m.git(ctx, "fetch", "--quiet", "--force", "--no-write-fetch-head", "--no-auto-gc", "--no-tags", "--", file, "+refs/*:refs/*"); err != nil {
		return fail(err)
	}
	return nil
}
