package forge

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Mirror is a server's own copy of one repository, without a work tree, in a folder of this machine. Its methods may be called
// concurrently, also by several processes; what is interrupted leaves nothing that is used later.
//
//	repository.git    what was fetched: branches as refs/remotes/origin/NAME, tags, and single commits as refs/cached/COMMIT
//	trees/COMMIT      the files of a commit, never changed
//	index             what was seen of a folder that is recorded, see RecordFolder
//	lock              held while one of these is changed
type Mirror struct {
	dir, url string
	env      []string

	mu sync.Mutex
	// used counts who works with a commit's files.
	used map[string]int
	// next are the recordings of folders that have not begun yet.
	next map[string]*recording
}

// keptTrees is how many commits' files stay that nobody works with.
const keptTrees = 16

// cachedRefs is where single commits are kept from being lost.
const cachedRefs = "refs/cached/"

// OpenMirror opens, or makes, the mirror of a repository in a folder. address is what git clones; it may be empty where everything
// comes by [Mirror.RecordFolder] or [Mirror.Unbundle]. token is sent to an http server, by the environment of git alone.
func OpenMirror(dir, address, token string) (*Mirror, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the mirror: %w", err)
	}
	if strings.HasPrefix(address, "-") {
		return nil, fmt.Errorf("open the mirror: %q is no address of a repository", address)
	}
	if err := os.MkdirAll(filepath.Join(abs, "trees"), 0o755); err != nil {
		return nil, fmt.Errorf("open the mirror: %w", err)
	}
	return &Mirror{dir: abs, url: address, env: credentials(address, token), used: map[string]int{}}, nil
}

// users are what servers want for a user beside a token, where it matters.
var users = map[string]string{"bitbucket.org": "x-token-auth", "gitlab.com": "oauth2"}

// credentials are variables that have git send a token to the server of an address, and to no other. In the environment other users do
// not see it, and it is on no disk.
func credentials(address, token string) []string {
	u, err := url.Parse(address)
	if err != nil || token == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil
	}
	user := users[u.Hostname()]
	if user == "" {
		user = "x-access-token"
	}
	basic := base64.StdEncoding.EncodeToString([]byte(user + ":" + token))
	return []string{
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=http." + u.Scheme + "://" + u.Host + "/.extraheader", "GIT_CONFIG_VALUE_0=Authorization: Basic " + basic,
	}
}

func (m *Mirror) repository() string { return filepath.Join(m.dir, "repository.git") }

// tree is where the files of a commit are, if they are.
func (m *Mirror) tree(commit string) string { return filepath.Join(m.dir, "trees", commit) }

// git runs git on the mirror's repository.
func (m *Mirror) git(ctx context.Context, args ...string) ([]byte, error) {
	return git{dir: m.dir, env: m.env}.run(ctx, append([]string{"--git-dir=" + m.repository()}, args...)...)
}

// lock keeps other processes, and other callers here, from changing the mirror.
func (m *Mirror) lock(ctx context.Context) (unlock func(), err error) { return lockFolder(ctx, m.dir) }

// init makes the repository where there is none. The lock must be held.
func (m *Mirror) init(ctx context.Context, sha256 bool) error {
	_, err := os.Stat(filepath.Join(m.repository(), "HEAD"))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// It comes to its place as a whole.
	temp, err := os.MkdirTemp(m.dir, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	args := []string{"init", "--quiet", "--bare", "--template=", "--initial-branch=main"}
	if sha256 {
		args = append(args, "--object-format=sha256")
	}
	made := filepath.Join(temp, "repository.git")
	if _, err := (git{dir: temp}).run(ctx, append(args, made)...); err != nil {
		return err
	}
	return os.Rename(made, m.repository())
}

// Heads asks the server for the commits of all branches, tags and pull or merge requests, by full ref, and for the default branch; an
// annotated tag has the commit that it is of. Nothing is fetched.
func (m *Mirror) Heads(ctx context.Context) (refs map[string]string, defaultBranch string, err error) {
	if m.url == "" {
		return nil, "", errors.New("list the branches: the repository has no address")
	}
	out, err := git{dir: m.dir, env: m.env}.run(ctx, "ls-remote", "--symref", "--", m.url, "HEAD", "refs/heads/*", "refs/tags/*", "refs/pull/*/head", "refs/merge-requests/*/head")
	if err != nil {
		return nil, "", fmt.Errorf("list the branches: %w", err)
	}
	refs = map[string]string{}
	head := ""
	for line := range strings.Lines(string(out)) {
		id, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		switch to, symbolic := strings.CutPrefix(id, "ref: "); {
		case symbolic:
			if branch, ok := strings.CutPrefix(to, "refs/heads/"); ok && name == "HEAD" {
				defaultBranch = branch
			}
		case name == "HEAD":
			head = id
		case strings.HasSuffix(name, "^{}"):
			refs[strings.TrimSuffix(name, "^{}")] = id // follows the tag's own line
		default:
			refs[name] = id
		}
	}
	if defaultBranch == "" && head != "" {
		// An old server does not say; the usual names are likelier than others.
		for _, name := range []string{"main", "master"} {
			if refs["refs/heads/"+name] == head {
				return refs, name, nil
			}
		}
	}
	return refs, defaultBranch, nil
}

// has reports whether a commit is here with all of its files.
func (m *Mirror) has(ctx context.Context, commit string) bool {
	if _, err := os.Stat(m.tree(strings.ToLower(commit))); err == nil {
		return true // they were read from it; git need not be asked for each run
	}
	_, err := m.git(ctx, "cat-file", "-e", commit+"^{tree}")
	return err == nil
}

// resolve returns the commit that a ref stands for here; empty where it does not. A branch goes before a tag of the same name.
func (m *Mirror) resolve(ctx context.Context, ref string) (string, error) {
	if _, err := os.Stat(filepath.Join(m.repository(), "HEAD")); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if isCommit(ref) {
		if m.has(ctx, ref) {
			return strings.ToLower(ref), nil
		}
		return "", nil
	}
	g := git{dir: m.repository()}
	if branch, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
		return resolve(ctx, g, "refs/remotes/origin/"+branch)
	}
	if strings.HasPrefix(ref, "refs/") {
		return resolve(ctx, g, ref)
	}
	return resolve(ctx, g, "refs/remotes/origin/"+ref, "refs/tags/"+ref)
}

// ErrNoRef: a name stands for nothing in the repository.
var ErrNoRef = errors.New("there is no such branch, tag or commit")

// checkRef refuses what git could take for something else than the name of a ref or a commit.
func checkRef(ref string) error {
	if ref == "" || strings.HasPrefix(ref, "-") || strings.ContainsAny(ref, " ~^:?*[\\\x00\n") || strings.Contains(ref, "..") || strings.Contains(ref, "@{") {
		return fmt.Errorf("%q: %w", ref, ErrNoRef)
	}
	return nil
}

// Fetch brings the mirror up to date with all branches and tags, and with a commit or ref that may be on none of them, and returns that
// one's commit. A commit that is here already costs no network; ref empty is the default branch.
func (m *Mirror) Fetch(ctx context.Context, ref string) (commit string, err error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("fetch %s: %w", ref, withRoom(err, m.dir)) }
	if ref == "" {
		_, branch, err := m.Heads(ctx)
		if err != nil {
			return "", err
		}
		if branch == "" {
			return "", fmt.Errorf("the repository at %s has no default branch; name a branch", ParseRemote(m.url).URL)
		}
		ref = "refs/heads/" + branch
	}
	if err := checkRef(ref); err != nil {
		return fail(err)
	}
	if isCommit(ref) {
		if commit, err = m.resolve(ctx, ref); err != nil || commit != "" {
			return commit, err
		}
	}
	if m.url == "" {
		if commit, err = m.resolve(ctx, ref); err != nil || commit == "" {
			return fail(errors.Join(err, errors.New("it is not here, and there is no address to fetch it from")))
		}
		return commit, nil
	}
	unlock, err := m.lock(ctx)
	if err != nil {
		return fail(err)
	}
	defer unlock()
	if err := m.init(ctx, len(ref) == 64 && isCommit(ref)); err != nil {
		return fail(err)
	}
	args := []string{"fetch", "--quiet", "--force", "--prune", "--no-write-fetch-head", "--no-auto-gc", "--", m.url, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"}
	special := strings.HasPrefix(ref, "refs/") && !strings.HasPrefix(ref, "refs/heads/") && !strings.HasPrefix(ref, "refs/tags/")
	if special {
		args = append(args, "+"+ref+":"+ref)
	}
	if _, err := m.git(ctx, args...); err != nil {
		return fail(err)
	}
	if commit, err = m.resolve(ctx, ref); err != nil {
		return fail(err)
	}
	if commit == "" && isCommit(ref) {
		// On no branch: forges give out single commits all the same.
		if _, err := m.git(ctx, "fetch", "--quiet", "--force", "--no-write-fetch-head", "--no-auto-gc", "--no-tags", "--", m.url, ref+":"+cachedRefs+ref); err != nil {
			return fail(err)
		}
		commit, err = m.resolve(ctx, ref)
	}
	if err == nil && commit == "" {
		err = ErrNoRef
	}
	if err != nil {
		return fail(err)
	}
	return commit, nil
}

// ChangedFiles returns the paths that differ between two commits, sorted; with path, those below that folder, relative to it.
// mergeBase compares head with the commit at which it left base, as a pull request does. known is false where that cannot be told: base is
// not here (a forced push), or the two have no history in common.
func (m *Mirror) ChangedFiles(ctx context.Context, base, head, path string, mergeBase bool) (files []string, known bool, err error) {
	if !isCommit(base) || !isCommit(head) || strings.Trim(base, "0") == "" {
		return nil, false, nil
	}
	args := []string{"diff", "--name-only", "--no-renames", "-z", "--no-ext-diff"}
	if path != "" {
		args = append(args, "--relative="+strings.Trim(path, "/")+"/")
	}
	if mergeBase {
		args = append(args, base+"..."+head)
	} else {
		args = append(args, base, head)
	}
	out, err := m.git(ctx, append(args, "--")...)
	var failed *GitError
	if errors.As(err, &failed) && failed.Code > 0 {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("find the changed files: %w", err)
	}
	return fields(out), true, nil
}
