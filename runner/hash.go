package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// hashFiles hashes the files of the work folder that match the patterns: SHA-256 over the SHA-256 of each file in the order
// of their paths, which is what GitHub documents for hashFiles. Patterns apply in their order, "!" takes files out
// again, a pattern that matches a folder means all that is in it. It returns "" where nothing matches.
func (j *job) hashFiles(patterns []string) (string, error) {
	root, ok := j.ws.HostPath(j.ws.Machine().Workspace)
	if !ok {
		return "", errors.New("the work folder cannot be read from here")
	}
	return hashFiles(root, j.ws.Machine().Workspace, patterns)
}

// hashFiles does it for a host folder that processes of the job see as inside.
func hashFiles(root, inside string, patterns []string) (string, error) {
	type glob struct {
		pattern string
		negate  bool
	}
	var globs []glob
	for _, p := range patterns {
		for line := range strings.SplitSeq(p, "\n") {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			g := glob{pattern: line}
			for strings.HasPrefix(g.pattern, "!") {
				g.negate, g.pattern = !g.negate, g.pattern[1:]
			}
			g.pattern = filepath.ToSlash(strings.TrimSpace(g.pattern))
			if rest, ok := strings.CutPrefix(g.pattern, inside); ok {
				g.pattern = strings.TrimPrefix(rest, "/")
			}
			g.pattern = path.Clean(g.pattern)
			if strings.HasPrefix(g.pattern, "../") || path.IsAbs(g.pattern) {
				continue // files outside of the work folder never count
			}
			if !doublestar.ValidatePattern(g.pattern) {
				return "", fmt.Errorf("hashFiles: %q is no valid pattern", line)
			}
			globs = append(globs, g)
		}
	}
	if len(globs) == 0 {
		return "", nil
	}
	all := sha256.New()
	matched := false
	// WalkDir goes in lexical order of each folder's names, as the vendor's own walk does.
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			return nil
		}
		in := false
		for _, g := range globs {
			if g.negate == in && matchOrInside(g.pattern, rel) {
				in = !g.negate
			}
		}
		if !in {
			return nil
		}
		info, err := os.Stat(p)
		if err != nil || !info.Mode().IsRegular() {
			return nil
		}
		sum, err := hashFile(p)
		if err != nil {
			return err
		}
		matched = true
		all.Write(sum)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("hashFiles: %w", err)
	}
	if !matched {
		return "", nil
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// matchOrInside reports whether a pattern matches a path or a folder above it.
func matchOrInside(pattern, rel string) bool {
	if pattern == "." {
		return true
	}
	for p := rel; p != "."; p = path.Dir(p) {
		if doublestar.MatchUnvalidated(pattern, p) {
			return true
		}
	}
	return false
}

func hashFile(p string) ([]byte, error) {
	f, err := os.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
