package forge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// CheckOut says what a work copy is to have.
type CheckOut struct {
	// Ref is a branch, a tag, a full ref or a commit; empty: HEAD.
	Ref string
	// Depth is how many commits of the history to have; 0: all, with all branches and tags.
	Depth int
	// Tags: with tags, also where the depth is limited.
	Tags bool
	// Committed leaves changes out that are not committed.
	Committed bool
	// Sparse are the folders to have, or with Cone unset patterns as those of .gitignore; empty: all.
	Sparse []string
	Cone   bool
	// Submodules is "" or "false", "true", or "recursive".
	Submodules string
	// LFS gets the content of files that Git LFS keeps.
	LFS bool
	// Filter asks a server to leave objects out, such as "blob:none". A work copy borrows all objects that are here, and what
	// the cache fetches serves others too: so it has no effect, save that nothing is ever missing.
	Filter string
	// Clean removes what is in the folder before.
	Clean bool
}

// source is a repository on this machine that work copies are made of.
type source struct {
	// dir is its common folder; url what the copies have as their remote.
	dir, url string
}

// head is what a work copy has checked out.
type head struct {
	commit string
	// branch is the branch checked out; empty: none.
	branch string
	// ref, where set, is one more ref of the commit, such as a tag.
	ref string
}

// skeleton makes dest a repository that borrows the objects of the source, with the refs, the history and the files that o asks
// for. All of its files are written here rather than by git, whose every call costs milliseconds; one call fills the
// folder. The layout is that of gitrepository-layout(5).
func (s source) skeleton(ctx context.Context, dest string, h head, o CheckOut) error {
	shallow, err := s.history(ctx, h.commit, o.Depth)
	if err != nil {
		return err
	}
	refs, err := s.refs(ctx, h, o)
	if err != nil {
		return err
	}
	if err := emptyRepository(dest, h, s.url, []string{filepath.Join(s.dir, "objects")}); err != nil {
		return err
	}
	dot := filepath.Join(dest, ".git")
	if err := os.WriteFile(filepath.Join(dot, "packed-refs"), []byte(refs), 0o644); err != nil {
		return err
	}
	if len(shallow) > 0 {
		if err := os.WriteFile(filepath.Join(dot, "shallow"), []byte(strings.Join(shallow, "\n")+"\n"), 0o644); err != nil {
			return err
		}
	}
	return s.fill(ctx, dest, h.commit, o)
}

// emptyRepository writes the files of a repository without refs.
func emptyRepository(dest string, h head, url string, alternates []string) error {
	dot := filepath.Join(dest, ".git")
	// Git makes the other folders when it needs them; a new folder costs up to half a millisecond.
	for _, d := range []string{"", "objects", "objects/info", "refs"} {
		if err := os.Mkdir(filepath.Join(dot, d), 0o755); err != nil {
			return err
		}
	}
	var config strings.Builder
	version, format := 0, ""
	if len(h.commit) == 64 {
		version, format = 1, "[extensions]\n\tobjectformat = sha256\n"
	}
	fmt.Fprintf(&config, "[core]\n\trepositoryformatversion = %d\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n[gc]\n\tauto = 0\n%s", version, format)
	if url != "" {
		fmt.Fprintf(&config, "[remote \"origin\"]\n\turl = %s\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n", quote(url))
		if h.branch != "" {
			fmt.Fprintf(&config, "[branch %s]\n\tremote = origin\n\tmerge = %s\n", quote(h.branch), quote("refs/heads/"+h.branch))
		}
	}
	at := h.commit + "\n"
	if h.branch != "" {
		at = "ref: refs/heads/" + h.branch + "\n"
	}
	files := map[string]string{"config": config.String(), "HEAD": at}
	if len(alternates) > 0 {
		for i, a := range alternates {
			alternates[i] = quotePath(a)
		}
		files["objects/info/alternates"] = strings.Join(alternates, "\n") + "\n"
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dot, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// quote writes a value for git's configuration (git-config(1), Values).
func quote(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(v) + `"`
}

// quotePath writes a path of an alternate: one that begins with a quote or a hash, or has a line feed in it, needs quotes.
func quotePath(p string) string {
	if strings.ContainsAny(p, "\n\"#") {
		return quote(p)
	}
	return p
}

// history returns the commits at which a history of this depth ends.
func (s source) history(ctx context.Context, commit string, depth int) ([]string, error) {
	var ends []string
	data, err := os.ReadFile(filepath.Join(s.dir, "shallow"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ends = strings.Fields(string(data))
	switch {
	case depth <= 0:
		return ends, nil
	case depth == 1:
		if !slices.Contains(ends, commit) {
			ends = append(ends, commit)
		}
		return ends, nil
	}
	out, err := git{dir: s.dir}.run(ctx, "--git-dir="+s.dir, "rev-list", "--topo-order", "--parents", "--end-of-options", commit)
	if err != nil {
		return nil, err
	}
	// Children come before parents, so a commit's least distance is known when its line comes.
	distance := map[string]int{commit: 1}
	for line := range strings.Lines(string(out)) {
		ids := strings.Fields(line)
		d, reached := distance[ids[0]]
		if !reached {
			continue
		}
		if d == depth {
			if !slices.Contains(ends, ids[0]) {
				ends = append(ends, ids[0])
			}
			continue
		}
		for _, parent := range ids[1:] {
			if at, ok := distance[parent]; !ok || d+1 < at {
				distance[parent] = d + 1
			}
		}
	}
	return ends, nil
}

// refs returns the refs of a work copy in the format of packed-refs.
func (s source) refs(ctx context.Context, h head, o CheckOut) (string, error) {
	set := map[string]string{}
	if o.Depth <= 0 || o.Tags {
		args := []string{"--git-dir=" + s.dir, "for-each-ref", "--format=%(objectname) %(refname)", "refs/tags"}
		if o.Depth <= 0 {
			args = append(args, "refs/heads", "refs/remotes/origin")
		}
		out, err := git{dir: s.dir}.run(ctx, args...)
		if err != nil {
			return "", err
		}
		var local [][2]string
		for line := range strings.Lines(string(out)) {
			id, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
			if name, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
				local = append(local, [2]string{"refs/remotes/origin/" + name, id})
			} else if ref != "refs/remotes/origin/HEAD" {
				set[ref] = id
			}
		}
		for _, l := range local { // what is here only is as if it had been pushed
			if _, ok := set[l[0]]; !ok {
				set[l[0]] = l[1]
			}
		}
	}
	if h.branch != "" {
		set["refs/heads/"+h.branch] = h.commit
		if s.url != "" {
			set["refs/remotes/origin/"+h.branch] = h.commit
		}
	}
	if _, ok := set[h.ref]; h.ref != "" && !ok {
		set[h.ref] = h.commit
	}
	lines := make([]string, 0, len(set))
	for ref, id := range set {
		lines = append(lines, id+" "+ref+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, ""), nil
}

// fill writes the files of a commit.
func (s source) fill(ctx context.Context, dest, commit string, o CheckOut) error {
	g := git{dir: dest}
	if o.LFS {
		g.env = append(g.env, "GIT_LFS_SKIP_SMUDGE=0")
		if _, err := g.run(ctx, "config", "lfs.storage", filepath.Join(s.dir, "lfs")); err != nil {
			return err
		}
		if _, err := g.run(ctx, "lfs", "install", "--local", "--skip-repo"); err != nil {
			return fmt.Errorf("%w (Git LFS has to be installed for files that it keeps)", err)
		}
	}
	if len(o.Sparse) > 0 {
		mode := "--no-cone"
		if o.Cone {
			mode = "--cone"
		}
		g.in = []byte(strings.Join(o.Sparse, "\n") + "\n")
		if _, err := g.run(ctx, "sparse-checkout", "set", mode, "--stdin"); err != nil {
			return err
		}
		g.in = nil
	}
	if _, err := g.run(ctx, "read-tree", "--reset", "-u", commit); err != nil {
		return err
	}
	if o.Submodules == "true" || o.Submodules == "recursive" {
		return s.submodules(ctx, g, o.Submodules == "recursive")
	}
	return nil
}

// submodules fills the submodules, from what the source has of them as far as it goes.
func (s source) submodules(ctx context.Context, g git, recursive bool) error {
	if _, err := os.Stat(filepath.Join(g.dir, ".gitmodules")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := g.run(ctx, "submodule", "--quiet", "init"); err != nil {
		return err
	}
	out, err := g.run(ctx, "config", "--file", ".gitmodules", "-z", "--name-only", "--get-regexp", `^submodule\..*\.path$`)
	if err != nil {
		return err
	}
	for _, key := range fields(out) {
		name := strings.TrimSuffix(strings.TrimPrefix(key, "submodule."), ".path")
		here := filepath.Join(s.dir, "modules", filepath.FromSlash(name))
		if _, err := os.Stat(filepath.Join(here, "HEAD")); err != nil || !filepath.IsLocal(filepath.FromSlash(name)) {
			continue
		}
		if _, err := g.run(ctx, "config", "submodule."+name+".url", here); err != nil {
			return err
		}
	}
	args := []string{"-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init"}
	if recursive {
		args = append(args, "--recursive")
	}
	if _, err := g.run(ctx, args...); err != nil {
		return err
	}
	args = []string{"submodule", "--quiet", "sync"}
	if recursive {
		args = append(args, "--recursive")
	}
	_, err = g.run(ctx, args...)
	return err
}

// prepare makes the folder of a work copy ready: there, and without a repository of before.
func prepare(dest string, clean bool) error {
	if err := os.MkdirAll(dest, 0o755); err != nil {
		return err
	}
	if !clean {
		return os.RemoveAll(filepath.Join(dest, ".git"))
	}
	entries, err := os.ReadDir(dest)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dest, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// date writes a time as git reads it from GIT_AUTHOR_DATE.
func date(t time.Time) string { return fmt.Sprintf("@%d +0000", t.Unix()) }
