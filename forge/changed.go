package forge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ChangedFiles returns the files that changed, with paths from Dir, sorted: those that differ between base and HEAD, and those
// that differ between HEAD and the folder. base is
//
//   - empty: HEAD's first parent; for a commit without parents, all its files have changed
//   - a commit: that commit
//   - the name of a branch: the commit where HEAD's history left it, as for a pull request
//
// known is false where base cannot be told: in no repository, for a base that is not here, or at the end of a shallow history.
func (l *Local) ChangedFiles(ctx context.Context, base string) (files []string, known bool, err error) {
	if !l.HasCommit() {
		return nil, false, nil
	}
	g := l.git()
	diff := []string{"diff", "--name-only", "--no-renames", "-z", "--relative", "--no-ext-diff"}
	switch {
	case base == "" && len(l.Parents) == 0:
		if l.shallow() {
			return nil, false, nil
		}
		diff = []string{"ls-tree", "-r", "--name-only", "-z", l.Commit}
	case base == "":
		diff = append(diff, l.Parents[0], l.Commit)
	case isCommit(base):
		diff = append(diff, base, l.Commit)
	default:
		at, err := l.resolveBranch(ctx, base)
		if err != nil || at == "" {
			return nil, false, err
		}
		diff = append(diff, at+"..."+l.Commit)
	}
	out, err := g.run(ctx, diff...)
	var failed *GitError
	if errors.As(err, &failed) && failed.Code > 0 {
		return nil, false, nil // the commit is not here, or has no history in common
	}
	if err != nil {
		return nil, false, fmt.Errorf("find the changed files: %w", err)
	}
	files = fields(out)
	for _, c := range l.changes {
		if path, ok := l.fromDir(c.path); ok {
			files = append(files, strings.TrimSuffix(path, "/"))
		}
	}
	slices.Sort(files)
	return slices.Compact(files), true, nil
}

// fromDir returns a path from Top as one from Dir; ok is false where it does not lie in it.
func (l *Local) fromDir(path string) (string, bool) {
	if l.Prefix == "" {
		return path, true
	}
	return strings.CutPrefix(path, l.Prefix+"/")
}

// resolveBranch returns the commit of a branch, as the remote has it or else as it is here; empty where there is none.
func (l *Local) resolveBranch(ctx context.Context, name string) (string, error) {
	return resolve(ctx, l.git(), "refs/remotes/origin/"+name, "refs/heads/"+name)
}

// resolve returns the commit that the first of the refs which exists stands for; empty where none does.
func resolve(ctx context.Context, g git, refs ...string) (string, error) {
	for _, ref := range refs {
		out, err := g.run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
		var failed *GitError
		switch {
		case err == nil:
			return text(out), nil
		case !errors.As(err, &failed) || failed.Code < 0:
			return "", err
		}
	}
	return "", nil
}

// isCommit reports whether a text is a whole commit ID, of SHA-1 or SHA-256.
func isCommit(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}
