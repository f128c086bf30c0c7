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
)

// CheckOut makes dest a work copy: of HEAD with the changes of the folder that are not committed, or of another commit. dest
// becomes a repository of its own with the remote's real address; it borrows the objects of this one, and so must not outlive
// it. Files that are in dest already stay where nothing of theirs name is checked out, unless o.Clean.
//
// Where Dir is a folder within the repository, dest has the content of that folder, and a history of one commit with the data
// of the real one; the commit returned, which is always that of dest's HEAD, is then another. Where there is no repository,
// the files are copied and commit is ZeroCommit; files that are ignored or not there any longer are left out.
func (l *Local) CheckOut(ctx context.Context, dest string, o CheckOut) (commit string, err error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("check out %s: %w", l.Dir, err) }
	dest, err = filepath.Abs(dest)
	if err != nil {
		return fail(err)
	}
	if dest == l.Dir || dest == l.Top {
		return fail(errors.New("a work copy cannot be made onto the folder itself"))
	}
	h, err := l.head(ctx, o)
	if err != nil {
		return fail(err)
	}
	if err := prepare(dest, o.Clean); err != nil {
		return fail(err)
	}
	switch {
	case !l.IsRepository():
		err = copyAll(ctx, l.Dir, dest)
	case !l.HasCommit():
		if err = emptyRepository(dest, head{commit: ZeroCommit, branch: l.Branch}, l.URL, nil); err == nil && !o.Committed {
			err = l.overlay(ctx, dest, o)
		}
	default:
		s := source{dir: l.common, url: l.URL}
		current := h.commit == l.Commit
		if l.Prefix != "" {
			h.commit, err = l.subfolder(ctx, s, dest, h, o)
		} else {
			err = s.skeleton(ctx, dest, h, o)
		}
		if err == nil && current && !o.Committed && l.Dirty {
			err = l.overlay(ctx, dest, o)
		}
	}
	if err != nil {
		return fail(withRoom(err, dest))
	}
	return h.commit, nil
}

// head finds what to check out.
func (l *Local) head(ctx context.Context, o CheckOut) (head, error) {
	if !l.HasCommit() {
		if o.Ref != "" && !strings.HasSuffix("refs/heads/"+l.Branch, "/"+o.Ref) && o.Ref != "refs/heads/"+l.Branch && o.Ref != ZeroCommit {
			return head{}, fmt.Errorf("there is no %q: the folder has no commits", o.Ref)
		}
		return head{commit: ZeroCommit}, nil
	}
	switch ref := o.Ref; {
	case ref == "" || ref == "HEAD":
		h := head{commit: l.Commit, branch: l.Branch}
		if l.Branch == "" && len(l.Tags) > 0 {
			h.ref = "refs/tags/" + l.Tags[0]
		}
		return h, nil
	case l.Branch != "" && (ref == l.Branch || ref == "refs/heads/"+l.Branch):
		return head{commit: l.Commit, branch: l.Branch}, nil
	case isCommit(ref):
		commit, err := resolve(ctx, l.git(), ref)
		if err == nil && commit == "" {
			err = fmt.Errorf("there is no commit %s here (git fetch may bring it)", ref)
		}
		return head{commit: commit}, err
	default:
		type candidate struct {
			ref  string
			head head
		}
		name := strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/")
		var all []candidate
		if !strings.HasPrefix(ref, "refs/tags/") {
			all = append(all, candidate{"refs/heads/" + name, head{branch: name}}, candidate{"refs/remotes/origin/" + name, head{branch: name}})
		}
		if !strings.HasPrefix(ref, "refs/heads/") {
			all = append(all, candidate{"refs/tags/" + name, head{ref: "refs/tags/" + name}})
		}
		if strings.HasPrefix(ref, "refs/") {
			all = append(all, candidate{ref, head{}})
		}
		for _, c := range all {
			commit, err := resolve(ctx, l.git(), c.ref)
			if err != nil {
				return head{}, err
			}
			if commit != "" {
				c.head.commit = commit
				return c.head, nil
			}
		}
		return head{}, fmt.Errorf("there is no branch or tag %q here (git fetch may bring it)", ref)
	}
}

// subfolder makes dest a repository of a folder within this one.
func (l *Local) subfolder(ctx context.Context, s source, dest string, h head, o CheckOut) (string, error) {
	g := git{dir: dest, env: []string{
		"GIT_AUTHOR_NAME=" + l.Author, "GIT_AUTHOR_EMAIL=" + l.Email, "GIT_AUTHOR_DATE=" + date(l.Time),
		"GIT_COMMITTER_NAME=" + l.Author, "GIT_COMMITTER_EMAIL=" + l.Email, "GIT_COMMITTER_DATE=" + date(l.Time),
	}}
	if err := emptyRepository(dest, h, s.url, []string{filepath.Join(s.dir, "objects")}); err != nil {
		return "", err
	}
	tree := h.commit + ":" + l.Prefix
	if _, err := g.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", tree); err != nil {
		var failed *GitError
		if !errors.As(err, &failed) {
			return "", err
		}
		// All of the folder is new: its files come as changes.
		g.in = []byte{}
		out, err := g.run(ctx, "hash-object", "-w", "-t", "tree", "--stdin")
		if err != nil {
			return "", err
		}
		tree = text(out)
	}
	g.in = []byte(l.Message)
	out, err := g.run(ctx, "commit-tree", tree)
	if err != nil {
		return "", err
	}
	h.commit = text(out)
	o.Depth = 1
	tags := l.Tags
	if !o.Tags {
		tags = nil
	}
	var refs strings.Builder
	if h.branch != "" {
		fmt.Fprintf(&refs, "%s refs/heads/%s\n", h.commit, h.branch)
		if s.url != "" {
			fmt.Fprintf(&refs, "%s refs/remotes/origin/%s\n", h.commit, h.branch)
		}
	} else if err := os.WriteFile(filepath.Join(dest, ".git", "HEAD"), []byte(h.commit+"\n"), 0o644); err != nil {
		return "", err
	}
	for _, t := range tags {
		fmt.Fprintf(&refs, "%s refs/tags/%s\n", h.commit, t)
	}
	if err := os.WriteFile(filepath.Join(dest, ".git", "packed-refs"), []byte(refs.String()), 0o644); err != nil {
		return "", err
	}
	return h.commit, s.fill(ctx, dest, h.commit, o)
}

// overlay carries the changes that are not committed to a work copy.
func (l *Local) overlay(ctx context.Context, dest string, o CheckOut) error {
	for _, c := range l.changes {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		path, ok := l.fromDir(c.path)
		if !ok || c.submodule || path == "" {
			continue
		}
		from, to := filepath.Join(l.Dir, filepath.FromSlash(path)), filepath.Join(dest, filepath.FromSlash(path))
		if within(from, dest) {
			continue
		}
		if len(o.Sparse) > 0 {
			// What is left out stays out.
			where := to
			if !c.tracked {
				where = filepath.Dir(to)
			}
			if _, err := os.Lstat(where); err != nil {
				continue
			}
		}
		info, err := os.Lstat(from)
		switch {
		case errors.Is(err, fs.ErrNotExist), notFolder(err):
			if err := os.RemoveAll(to); err != nil {
				return err
			}
			removeEmpty(filepath.Dir(to), dest)
			continue
		case err != nil:
			return err
		case info.IsDir():
			continue // a folder has taken a file's place; its files are changes as well
		}
		if err := replace(from, to, dest, info); err != nil {
			return err
		}
	}
	return nil
}

// replace copies a file or link over whatever is in its place.
func replace(from, to, dest string, info fs.FileInfo) error {
	if err := os.RemoveAll(to); err != nil && !notFolder(err) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		// A file is where a folder has to be: the change that removes it comes later.
		for d := filepath.Dir(to); within(d, dest) && d != dest; d = filepath.Dir(d) {
			if there, e := os.Lstat(d); e == nil && !there.IsDir() {
				if err := os.Remove(d); err != nil {
					return err
				}
			}
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
	}
	return copyEntry(from, to, info)
}

// removeEmpty removes folders that have become empty, as git does.
func removeEmpty(dir, stop string) {
	for dir != stop && within(dir, stop) && os.Remove(dir) == nil {
		dir = filepath.Dir(dir)
	}
}

// within reports whether path is dir or lies in it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+string(filepath.Separator))
}

// copyAll copies a folder that is in no repository.
func copyAll(ctx context.Context, from, dest string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if path == from {
			return nil
		}
		if path == dest {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		to := filepath.Join(dest, path[len(from):])
		if d.IsDir() {
			return os.MkdirAll(to, info.Mode().Perm()|0o700)
		}
		return replace(path, to, dest, info)
	})
}

// copyEntry copies a file or a link. Pipes, sockets and devices are no content and are left out, as git leaves them.
func copyEntry(from, to string, info fs.FileInfo) (err error) {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case !info.Mode().IsRegular():
		return nil
	}
	src, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	defer func() {
		if e := dst.Close(); err == nil {
			err = e
		}
	}()
	_, err = io.Copy(dst, src)
	return err
}

// shallow reports whether the history ends before its beginning.
func (l *Local) shallow() bool {
	_, err := os.Stat(filepath.Join(l.common, "shallow"))
	return err == nil
}
