package storage

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

	"github.com/bmatcuk/doublestar/v4"
)

// Patterns is a list of path patterns, in the order given. `*`, `?`, `[a-z]` and `**` have their usual meaning and match
// hidden files too; braces are literal. A pattern with "!" in front takes out again what earlier ones have let in. The
// rules are those of the vendor's glob package (https://github.com/actions/toolkit/tree/main/packages/glob), on which
// the artifact and cache actions are built.
type Patterns struct {
	list []globPattern
	// descendants: a folder that matches stands for all that is in it.
	descendants bool
}

type globPattern struct {
	negate bool
	// root is the longest part in front without a wildcard, absolute and clean.
	root string
	// match are the slash-separated segments of the pattern, absolute.
	segments []string
}

// ParsePatterns reads patterns, one an element; empty ones and those that begin with "#" are left out. Relative ones belong to
// root, and "~" in front is home; both are absolute paths of the host. descendants says whether a folder that matches
// stands for all that is in it.
func ParsePatterns(lines []string, root, home string, descendants bool) (Patterns, error) {
	p := Patterns{descendants: descendants}
	includes := false
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		g := globPattern{}
		text := line
		for strings.HasPrefix(text, "!") {
			g.negate = !g.negate
			text = strings.TrimSpace(text[1:])
		}
		if text == "" {
			return Patterns{}, fmt.Errorf("pattern %q names no path", line)
		}
		if text == "~" || strings.HasPrefix(text, "~/") {
			if home == "" {
				return Patterns{}, fmt.Errorf("pattern %q: the home folder is not known", line)
			}
			text = escapeGlob(filepath.ToSlash(home)) + text[1:]
		} else if !path.IsAbs(text) && !filepath.IsAbs(text) {
			text = escapeGlob(filepath.ToSlash(root)) + "/" + text
		}
		// The braces of the matcher's language are plain characters in the vendor's.
		text = strings.NewReplacer("{", `\{`, "}", `\}`).Replace(filepath.ToSlash(text))
		text = path.Clean(text)
		if !doublestar.ValidatePattern(text) {
			return Patterns{}, fmt.Errorf("pattern %q is not valid; is a \"[\" not closed?", line)
		}
		g.segments = strings.Split(text, "/")
		literal := 0
		for literal < len(g.segments) && !hasMeta(g.segments[literal]) {
			literal++
		}
		var names []string
		for _, s := range g.segments[:literal] {
			names = append(names, unescapeGlob(s))
		}
		g.root = filepath.FromSlash(strings.Join(names, "/"))
		if g.root == "" {
			g.root = string(filepath.Separator)
		}
		includes = includes || !g.negate
		p.list = append(p.list, g)
	}
	if !includes {
		return Patterns{}, errors.New("no path is given")
	}
	return p, nil
}

func hasMeta(segment string) bool {
	for i := 0; i < len(segment); i++ {
		switch segment[i] {
		case '\\':
			i++
		case '*', '?', '[':
			return true
		}
	}
	return false
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

func unescapeGlob(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Roots returns the folders and files where a search begins: the parts of the patterns without a wildcard, those left out
// that lie in another.
func (p Patterns) Roots() []string {
	var out []string
	for _, g := range p.list {
		if g.negate || slices.Contains(out, g.root) {
			continue
		}
		if slices.ContainsFunc(p.list, func(o globPattern) bool { return !o.negate && o.root != g.root && within(o.root, g.root) }) {
			continue
		}
		out = append(out, g.root)
	}
	return out
}

// within reports whether p is dir or lies in it.
func within(dir, p string) bool {
	if dir == p {
		return true
	}
	if !strings.HasSuffix(dir, string(filepath.Separator)) {
		dir += string(filepath.Separator)
	}
	return strings.HasPrefix(p, dir)
}

// match reports whether a path is wanted, and whether something in it may be.
func (p Patterns) match(segments []string) (wanted, partial bool) {
	for _, g := range p.list {
		if g.negate {
			if wanted && g.matches(segments, p.descendants) {
				wanted = false
			}
			continue
		}
		if !wanted && g.matches(segments, p.descendants) {
			wanted = true
		}
		partial = partial || g.partial(segments, p.descendants)
	}
	return wanted, partial || wanted
}

func (g globPattern) matches(segments []string, descendants bool) bool {
	if matchSegments(g.segments, segments) {
		return true
	}
	if !descendants {
		return false
	}
	// A trailing "**" already stands for all that is in a folder.
	return matchSegments(append(slices.Clip(g.segments), "**"), segments)
}

// partial reports whether the pattern may match something below the path.
func (g globPattern) partial(segments []string, descendants bool) bool {
	for i, s := range g.segments {
		if s == "**" {
			return true
		}
		if i == len(segments) {
			return true
		}
		if ok, _ := doublestar.Match(s, segments[i]); !ok {
			return false
		}
	}
	return descendants
}

// matchSegments matches whole segments. After a mismatch it goes back to the last "**" alone: an earlier one could not match
// more, so that the time stays at most the product of the lengths.
func matchSegments(pattern, segments []string) bool {
	p, s := 0, 0
	back, from := -1, 0 // behind the last "**", and where it has stopped
	for s < len(segments) {
		if p < len(pattern) {
			if pattern[p] == "**" {
				p++
				back, from = p, s
				continue
			}
			if ok, _ := doublestar.Match(pattern[p], segments[s]); ok {
				p, s = p+1, s+1
				continue
			}
		}
		if back < 0 {
			return false
		}
		from++
		p, s = back, from
	}
	for p < len(pattern) && pattern[p] == "**" {
		p++
	}
	return p == len(pattern)
}

// Match is one path that was found.
type Match struct {
	// Path is absolute, as the patterns have it; Host is where that is on the host.
	Path, Host string
	Info       fs.FileInfo
}

// FindOptions say what a search gives.
type FindOptions struct {
	// Hidden: files and folders whose names begin with a dot count too.
	Hidden bool
	// Directories are given, not only files.
	Directories bool
	// Host returns where a root of the search is on the host; empty leaves it out. nil: paths are the host's.
	Host func(root string) (string, error)
	// FollowLinks looks at what symbolic links lead to. Without, a link is a file.
	FollowLinks bool
}

// Find searches below the roots of the patterns and returns what they match, in the order of a walk by name. Paths that
// cannot be read because they are gone, and links that lead nowhere, are left out.
func (p Patterns) Find(ctx context.Context, o FindOptions) ([]Match, error) {
	var out []Match
	for _, root := range p.Roots() {
		host := root
		if o.Host != nil {
			var err error
			if host, err = o.Host(root); err != nil {
				return nil, err
			}
			if host == "" {
				continue
			}
		}
		if err := p.walk(ctx, root, host, o, nil, &out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p Patterns) walk(ctx context.Context, file, host string, o FindOptions, above []fs.FileInfo, out *[]Match) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	segments := strings.Split(strings.TrimSuffix(filepath.ToSlash(file), "/"), "/")
	wanted, partial := p.match(segments)
	if !partial {
		return nil
	}
	if base := filepath.Base(file); !o.Hidden && strings.HasPrefix(base, ".") {
		return nil
	}
	stat := os.Lstat
	if o.FollowLinks {
		stat = os.Stat
	}
	info, err := stat(host)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if wanted {
			*out = append(*out, Match{file, host, info})
		}
		return nil
	}
	// A link to a folder above would go round for ever.
	if o.FollowLinks && slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
		return nil
	}
	if wanted && o.Directories {
		*out = append(*out, Match{file, host, info})
	}
	entries, err := os.ReadDir(host)
	if err != nil {
		return err
	}
	above = append(above, info)
	for _, e := range entries {
		if err := p.walk(ctx, filepath.Join(file, e.Name()), filepath.Join(host, e.Name()), o, above, out); err != nil {
			return err
		}
	}
	return nil
}

// CommonRoot returns the folder that an artifact's paths are relative to, by the vendor's rule: the root of the search; of
// several searches the folder that they have in common; of a single file named without a wildcard its folder.
// files are what Find has found.
func (p Patterns) CommonRoot(files []Match) string {
	roots := p.Roots()
	if len(roots) == 1 {
		if len(files) == 1 && files[0].Path == roots[0] && !files[0].Info.IsDir() {
			return filepath.Dir(roots[0])
		}
		return roots[0]
	}
	common := roots[0]
	for _, r := range roots[1:] {
		for !within(common, r) {
			common = filepath.Dir(common)
		}
	}
	// A file that is one of the roots may have been the whole of what they have in common.
	if slices.ContainsFunc(files, func(m Match) bool { return m.Path == common && !m.Info.IsDir() }) {
		return filepath.Dir(common)
	}
	return common
}

// Within reports whether a path is a folder or lies in it. Both are absolute and clean.
func Within(dir, file string) bool { return within(dir, file) }
