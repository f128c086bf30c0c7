package docker

import (
	"fmt"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// ignoreList are the patterns of a .dockerignore file. The last pattern that matches a path, or a folder above it, decides.
// See https://docs.docker.com/build/concepts/context/#dockerignore-files.
type ignoreList []ignorePattern

type ignorePattern struct {
	glob string
	back bool // it brings a path back
}

func parseIgnore(text string) (ignoreList, error) {
	var list ignoreList
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		n++
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		p := ignorePattern{}
		if line, p.back = strings.CutPrefix(line, "!"); p.back {
			line = strings.TrimSpace(line)
		}
		p.glob = strings.TrimPrefix(path.Clean("/"+line), "/")
		if p.glob == "" {
			continue // the root: docker takes no notice of it
		}
		if !doublestar.ValidatePattern(p.glob) {
			return nil, fmt.Errorf("line %d: %q is not a pattern", n, line)
		}
		list = append(list, p)
	}
	return list, nil
}

func (l ignoreList) excludes(p string) bool {
	out := false
	for _, pattern := range l {
		if pattern.back != out {
			continue // it would not change anything
		}
		for q := p; q != "." && q != "/"; q = path.Dir(q) {
			if doublestar.MatchUnvalidated(pattern.glob, q) {
				out = !pattern.back
				break
			}
		}
	}
	return out
}

// mayReturn reports whether something below an excluded folder may be brought back.
func (l ignoreList) mayReturn(dir string) bool {
	for _, pattern := range l {
		if pattern.back && reachesInto(pattern.glob, dir) {
			return true
		}
	}
	return false
}

// reachesInto reports whether a pattern can match something at or below a folder.
func reachesInto(glob, dir string) bool {
	parts := strings.Split(glob, "/")
	for i, name := range strings.Split(dir, "/") {
		if i == len(parts) || parts[i] == "**" {
			return true
		}
		if !doublestar.MatchUnvalidated(parts[i], name) {
			return false
		}
	}
	return true
}
