package forge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// MirrorSnapshot is a commit of a mirror.
type MirrorSnapshot struct {
	// Dir is the folder with the files of the commit, or of the folder asked for; nothing in it may be changed.
	Dir string
	// Local has the facts of the commit, and makes work copies of it; its Branch is empty unless the ref asked for was a branch.
	Local *Local
}

// Snapshot makes the files of a commit readable: of a branch, a tag, a full ref or a commit; empty: the default branch. What is not here
// is fetched. folder, with slashes, is the part of the repository wanted. release gives the files back; they stay until then.
func (m *Mirror) Snapshot(ctx context.Context, ref, folder string) (s *MirrorSnapshot, release func(), err error) {
	folder = strings.Trim(folder, "/")
	if folder != "" && !filepath.IsLocal(filepath.FromSlash(folder)) {
		return nil, nil, fmt.Errorf("read %s: the folder %q is not one of the repository", ref, folder)
	}
	commit, err := m.Fetch(ctx, ref)
	if err != nil {
		return nil, nil, err
	}
	m.mu.Lock()
	m.used[commit]++
	m.mu.Unlock()
	release = func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.used[commit]--; m.used[commit] == 0 {
			delete(m.used, commit)
		}
	}
	fail := func(err error) (*MirrorSnapshot, func(), error) {
		release()
		return nil, nil, fmt.Errorf("read the files of %s: %w", commit, withRoom(err, m.dir))
	}
	tree, err := m.export(ctx, commit)
	if err != nil {
		return fail(err)
	}
	dir := filepath.Join(tree, filepath.FromSlash(folder))
	// A link in the repository must not lead out of it.
	if real, err := filepath.EvalSymlinks(dir); err != nil || real != tree && !within(real, tree) {
		return fail(fmt.Errorf("the repository has no folder %q at this commit", folder))
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fail(fmt.Errorf("the repository has no folder %q at this commit", folder))
	}
	l, err := m.local(ctx, commit, ref, tree, folder)
	if err != nil {
		return fail(err)
	}
	return &MirrorSnapshot{Dir: dir, Local: l}, release, nil
}

// export returns the folder with a commit's files, made where it is not there.
func (m *Mirror) export(ctx context.Context, commit string) (string, error) {
	place := m.tree(commit)
	now := time.Now()
	if err := os.Chtimes(place, now, now); err == nil {
		return filepath.EvalSymlinks(place)
	}
	unlock, err := m.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(place); err == nil {
		return filepath.EvalSymlinks(place) // another was faster
	}
	m.prune()
	temp, err := os.MkdirTemp(filepath.Dir(place), ".new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	tree := filepath.Join(temp, "tree")
	if err := os.Mkdir(tree, 0o755); err != nil {
		return "", err
	}
	g := git{dir: tree, env: []string{"GIT_INDEX_FILE=" + filepath.Join(temp, "index")}}
	if _, err := g.run(ctx, "--git-dir="+m.repository(), "--work-tree="+tree, "-c", "core.bare=false", "-c", "core.autocrlf=false", "read-tree", "--reset", "-u", commit); err != nil {
		return "", err
	}
	if err := os.Rename(tree, place); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(place)
}

// prune removes the files of commits that nobody works with, but for the newest, and what an interrupted export has left. The lock must
// be held. What cannot be removed now is the next one's.
func (m *Mirror) prune() {
	dir := filepath.Join(m.dir, "trees")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	type old struct {
		name string
		used time.Time
	}
	var idle []old
	m.mu.Lock()
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil:
		case strings.HasPrefix(e.Name(), ".new-"):
			os.RemoveAll(filepath.Join(dir, e.Name())) // the lock is ours, so its maker is gone
		case m.used[e.Name()] == 0:
			idle = append(idle, old{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(idle, func(a, b old) int { return b.used.Compare(a.used) })
	var gone []string
	for _, o := range idle[min(len(idle), keptTrees):] {
		// Out of the way first: nobody may find half of it.
		away := filepath.Join(dir, ".new-old-"+o.name)
		if os.Rename(filepath.Join(dir, o.name), away) == nil {
			gone = append(gone, away)
		}
	}
	m.mu.Unlock()
	for _, away := range gone {
		os.RemoveAll(away)
	}
}

// local makes the facts of a commit.
func (m *Mirror) local(ctx context.Context, commit, ref, tree, folder string) (*Local, error) {
	out, err := m.git(ctx, "log", "-1", "--no-show-signature", "--decorate=full", "--format=%H%x00%P%x00%D%x00%an%x00%ae%x00%at%x00%B", commit, "--")
	if err != nil {
		return nil, err
	}
	l := &Local{
		Dir: filepath.Join(tree, filepath.FromSlash(folder)), Top: tree, Prefix: folder, Commit: commit, DefaultBranch: m.defaultBranch(ctx),
		gitDir: m.repository(), common: m.repository(), mirrored: true,
	}
	if l.Remote = ParseRemote(m.url); l.Name == "" {
		l.Name = filepath.Base(m.dir)
	}
	l.readLog(out)
	if name := strings.TrimPrefix(ref, "refs/heads/"); ref != "" && !isCommit(ref) && (name != ref || !strings.HasPrefix(ref, "refs/")) {
		if at, err := resolve(ctx, git{dir: m.repository()}, "refs/remotes/origin/"+name); err == nil && at == commit {
			l.Branch = name
		}
	}
	if ref == "" {
		l.Branch = l.DefaultBranch
	}
	return l, nil
}

// defaultBranch is what the mirror knows without asking the server.
func (m *Mirror) defaultBranch(ctx context.Context) string {
	// The file is read for each run; git knows of other ways to keep it.
	if data, err := os.ReadFile(filepath.Join(m.repository(), "refs", "remotes", "origin", "HEAD")); err == nil {
		if branch, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "ref: refs/remotes/origin/"); ok {
			return branch
		}
	}
	if out, err := m.git(ctx, "symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"); err == nil {
		return strings.TrimPrefix(text(out), "refs/remotes/origin/")
	}
	for _, name := range []string{"main", "master"} {
		if at, err := m.resolve(ctx, "refs/heads/"+name); err == nil && at != "" {
			return name
		}
	}
	return "main"
}

// lockFolder takes the lock of a folder of the cache or of a mirror, waiting for whoever has it.
func lockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	locked := make(chan error, 1)
	go func() { locked <- lockFile(f) }()
	select {
	case err := <-locked:
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path.Base(dir), err)
		}
		return func() { f.Close() }, nil
	case <-ctx.Done():
		go func() { // the lock may come yet
			<-locked
			f.Close()
		}()
		return nil, context.Cause(ctx)
	}
}

var errNoFolder = errors.New("there is no such folder")

// isFolder returns an error that says so where a path is no folder.
func isFolder(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return fmt.Errorf("%s: %w", dir, errNoFolder)
	}
	return err
}
