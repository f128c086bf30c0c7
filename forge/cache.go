package forge

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// DefaultBaseURL is where repositories are looked for.
const DefaultBaseURL = "https://github.com"

// Cache keeps other repositories by commit. It is shared by processes that run at the same time, and its files are never
// changed once they are there. The zero Cache lacks a Dir.
//
//	SERVER/OWNER/NAME/repository.git    what was fetched
//	SERVER/OWNER/NAME/commits/COMMIT    the files of a commit
//	SERVER/OWNER/NAME/refs/REF          what a ref was resolved to last
type Cache struct {
	// Dir is the cache's folder.
	Dir string
	// BaseURL is what "owner/name" is put behind: a URL (https, http, ssh, file) or a folder; empty: DefaultBaseURL.
	BaseURL string
	// Offline uses nothing but the cache.
	Offline bool
	// Token is sent to an http server of BaseURL.
	Token string
}

// ErrOffline: what is asked for is not in the cache, and nothing may be fetched.
var ErrOffline = errors.New("not in the cache, and this run is offline")

// Fetch returns a folder with the files of a repository, "owner/name", at a branch, a tag or a commit in full, and the commit.
// The folder must not be changed.
func (c *Cache) Fetch(ctx context.Context, repository, ref string) (dir, commit string, err error) {
	r, err := c.repository(repository)
	if err != nil {
		return "", "", err
	}
	if ref == "" {
		return "", "", fmt.Errorf("fetch %s: a branch, tag or commit is missing", repository)
	}
	if dir, ok := r.files(ref); ok {
		return dir, ref, nil
	}
	h, err := r.resolve(ctx, ref)
	if err == nil {
		if dir, ok := r.files(h.commit); ok {
			return dir, h.commit, nil
		}
		dir, err = r.export(ctx, h)
	}
	if err != nil {
		return "", "", fmt.Errorf("fetch %s at %s: %w", repository, ref, err)
	}
	return dir, h.commit, nil
}

// CheckOut makes dest a work copy of a repository, "owner/name"; see [Local.CheckOut]. Without o.Ref it has the default
// branch. Committed has no meaning here.
func (c *Cache) CheckOut(ctx context.Context, repository, dest string, o CheckOut) (commit string, err error) {
	r, err := c.repository(repository)
	if err != nil {
		return "", err
	}
	fail := func(err error) (string, error) { return "", fmt.Errorf("check out %s: %w", repository, err) }
	if dest, err = filepath.Abs(dest); err != nil {
		return fail(err)
	}
	ref := o.Ref
	if ref == "" {
		ref = "HEAD"
	}
	h, err := r.resolve(ctx, ref)
	if err != nil {
		return fail(err)
	}
	unlock, err := r.lock(ctx)
	if err != nil {
		return fail(err)
	}
	defer unlock()
	if err := r.fetch(ctx, h, o); err != nil {
		return fail(err)
	}
	if err := prepare(dest, o.Clean); err != nil {
		return fail(err)
	}
	if err := (source{dir: r.git(), url: r.url}).skeleton(ctx, dest, h, o); err != nil {
		return fail(err)
	}
	return h.commit, nil
}

// cached is one repository in the cache.
type cached struct {
	cache    *Cache
	name     string
	dir, url string
	env      []string
}

var repositoryName = regexp.MustCompile(`^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$`)

func (c *Cache) repository(name string) (*cached, error) {
	owner, repo, _ := strings.Cut(name, "/")
	if !repositoryName.MatchString(name) || strings.Trim(owner, ".") == "" || strings.Trim(repo, ".") == "" || strings.HasPrefix(name, "-") {
		return nil, fmt.Errorf("%q does not name a repository: expected owner/name", name)
	}
	if c.Dir == "" {
		return nil, errors.New("the cache has no folder")
	}
	base := strings.TrimSuffix(c.BaseURL, "/")
	if base == "" {
		base = DefaultBaseURL
	}
	r := &cached{cache: c, name: name, url: base + "/" + name}
	server := "path"
	u, err := url.Parse(base)
	if err == nil && strings.Contains(base, "://") {
		server = u.Host
		if u.Scheme == "file" {
			server = "path"
		}
	} else {
		abs, err := filepath.Abs(base)
		if err != nil {
			return nil, err
		}
		u = &url.URL{Scheme: "file", Path: abs}
		r.url = filepath.Join(abs, filepath.FromSlash(name))
	}
	if u.Scheme == "file" {
		if _, err := os.Stat(filepath.Join(u.Path, name) + ".git"); err == nil {
			r.url += ".git"
		}
	}
	if base != DefaultBaseURL {
		server = fmt.Sprintf("%s-%x", strings.Map(func(r rune) rune {
			if r == ':' || r == '/' || r == '\\' {
				return '-'
			}
			return r
		}, server), sha256.Sum256([]byte(base)))[:len(server)+9]
	}
	r.dir = filepath.Join(c.Dir, server, owner, repo)
	r.env = credentials(base, c.Token)
	return r, nil
}

func (r *cached) git() string { return filepath.Join(r.dir, "repository.git") }

// files returns the folder of a commit's files where it is there.
func (r *cached) files(commit string) (string, bool) {
	if !isCommit(commit) {
		return "", false
	}
	dir := filepath.Join(r.dir, "commits", strings.ToLower(commit))
	info, err := os.Stat(dir)
	return dir, err == nil && info.IsDir()
}

// remembered is the file that keeps what a ref was resolved to.
func (r *cached) remembered(ref string) string {
	return filepath.Join(r.dir, "refs", url.PathEscape(ref)+".ref") // the ending keeps ".." and the like apart
}

// resolve finds the commit of a ref. A tag goes before a branch of the same name.
func (r *cached) resolve(ctx context.Context, ref string) (head, error) {
	if isCommit(ref) {
		return head{commit: strings.ToLower(ref)}, nil
	}
	if strings.HasPrefix(ref, "-") || strings.ContainsAny(ref, " ~^:?*[\\\x00\n") || strings.Contains(ref, "..") {
		return head{}, fmt.Errorf("%q is not the name of a branch, a tag or a commit", ref)
	}
	if r.cache.Offline {
		data, err := os.ReadFile(r.remembered(ref))
		f := strings.Fields(string(data))
		if err != nil || len(f) == 0 || !isCommit(f[0]) {
			return head{}, fmt.Errorf("%w: which commit %q is, is not known (run once without --offline to fetch it)", ErrOffline, ref)
		}
		return headOf(f[0], strings.Join(f[1:], " ")), nil
	}
	wanted := []string{ref}
	if ref != "HEAD" && !strings.HasPrefix(ref, "refs/") {
		wanted = []string{"refs/tags/" + ref, "refs/heads/" + ref}
	}
	args := []string{"ls-remote", "--symref", "--", r.url}
	for _, w := range wanted {
		args = append(args, w)
		if w != "HEAD" {
			args = append(args, w+"^{}")
		}
	}
	out, err := git{dir: os.TempDir(), env: r.env}.run(ctx, args...)
	if err != nil {
		return head{}, err
	}
	ids := map[string]string{}
	full := ""
	for line := range strings.Lines(string(out)) {
		id, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if to, ok := strings.CutPrefix(id, "ref: "); ok {
			full = to // where HEAD points
			continue
		}
		ids[name] = id
	}
	for _, w := range wanted {
		id := ids[w]
		if peeled, ok := ids[w+"^{}"]; ok {
			id = peeled // the commit of an annotated tag
		}
		if id == "" {
			continue
		}
		if w != "HEAD" {
			full = w
		}
		return headOf(id, full), r.remember(ref, id+" "+full+"\n")
	}
	return head{}, fmt.Errorf("%s has no branch or tag %q", r.url, ref)
}

// headOf makes what is checked out of a commit and the full name of its ref.
func headOf(commit, ref string) head {
	h := head{commit: commit}
	if branch, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
		h.branch = branch
	} else if strings.HasPrefix(ref, "refs/") {
		h.ref = ref
	}
	return h
}

// remember keeps what a ref was resolved to.
func (r *cached) remember(ref, text string) error {
	file := r.remembered(ref)
	if data, err := os.ReadFile(file); err == nil && string(data) == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return err
	}
	_, err = temp.WriteString(text)
	if e := temp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	return err
}

// lock keeps other processes from changing this repository's cache.
func (r *cached) lock(ctx context.Context) (unlock func(), err error) {
	return lockFolder(ctx, r.dir)
}

// export writes the files of a commit to their place.
func (r *cached) export(ctx context.Context, h head) (string, error) {
	unlock, err := r.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if dir, ok := r.files(h.commit); ok {
		return dir, nil // another process was faster
	}
	if err := r.fetch(ctx, h, CheckOut{Depth: 1}); err != nil {
		return "", err
	}
	place := filepath.Join(r.dir, "commits", h.commit)
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return "", err
	}
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
	if _, err := g.run(ctx, "--git-dir="+r.git(), "--work-tree="+tree, "-c", "core.bare=false", "-c", "core.autocrlf=false", "read-tree", "--reset", "-u", h.commit); err != nil {
		return "", err
	}
	return place, os.Rename(tree, place)
}

// has reports whether the commit has been fetched.
func (r *cached) has(ctx context.Context, commit string) bool {
	_, err := git{dir: r.git()}.run(ctx, "--git-dir="+r.git(), "cat-file", "-e", commit+"^{tree}")
	return err == nil
}

// fetch brings a commit, and what else o asks for, into the repository. The lock must be held.
func (r *cached) fetch(ctx context.Context, h head, o CheckOut) error {
	if _, err := os.Stat(filepath.Join(r.git(), "HEAD")); errors.Is(err, fs.ErrNotExist) {
		args := []string{"init", "--quiet", "--bare", "--template="}
		if len(h.commit) == 64 {
			args = append(args, "--object-format=sha256")
		}
		if _, err := (git{dir: r.dir}).run(ctx, append(args, r.git())...); err != nil {
			return err
		}
	}
	here := r.has(ctx, h.commit)
	// The commit alone is there for ever; histories and tags grow.
	if here && (o.Depth == 1 && !o.Tags || r.cache.Offline) {
		return nil
	}
	if r.cache.Offline {
		return fmt.Errorf("%w: commit %s (run once without --offline to fetch it)", ErrOffline, h.commit)
	}
	args := []string{"--git-dir=" + r.git(), "fetch", "--quiet", "--force", "--no-write-fetch-head", "--no-auto-gc"}
	_, shallowErr := os.Stat(filepath.Join(r.git(), "shallow"))
	switch {
	case o.Depth > 0:
		args = append(args, fmt.Sprintf("--depth=%d", o.Depth))
	case shallowErr == nil:
		args = append(args, "--unshallow")
	}
	if !o.Tags && o.Depth > 0 {
		args = append(args, "--no-tags")
	}
	args = append(args, "--", r.url, h.commit+":refs/cached/"+h.commit)
	if o.Depth <= 0 {
		args = append(args, "+refs/heads/*:refs/remotes/origin/*")
	}
	if o.Depth <= 0 || o.Tags {
		args = append(args, "+refs/tags/*:refs/tags/*")
	}
	_, err := git{dir: r.dir, env: r.env}.run(ctx, args...)
	return err
}
