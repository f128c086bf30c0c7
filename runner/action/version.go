package action

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
)

// goPrerelease is the end of a Go version that is not released: 1.26rc1, 1.26beta2.
var goPrerelease = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(\d+(?:\.\d+){0,2})(rc|beta|alpha|a|b)(\d+)$`) })

// parseVersion reads a tool's version: v20.1.0, go1.26.1, 1.26rc1, 3.14.0a2, "Python 3.11.4".
func parseVersion(text string) (*semver.Version, bool) {
	fields := strings.Fields(text)
	for i := len(fields) - 1; i >= 0; i-- {
		f := strings.TrimPrefix(strings.TrimPrefix(fields[i], "go"), "v")
		f = strings.TrimRight(f, "+")
		if m := goPrerelease().FindStringSubmatch(f); m != nil {
			base := m[1]
			for strings.Count(base, ".") < 2 {
				base += ".0"
			}
			f = base + "-" + m[2] + "." + m[3]
		}
		if v, err := semver.NewVersion(f); err == nil {
			return v, true
		}
	}
	return nil, false
}

// versionRange is what a version must satisfy, in the words of npm's ranges (https://github.com/npm/node-semver#ranges),
// which the vendor's set-up actions use for all tools.
type versionRange struct {
	text        string
	constraints *semver.Constraints
	// exact is set where the range is one full version.
	exact *semver.Version
}

func parseRange(text string, prereleases bool) (versionRange, error) {
	r := versionRange{text: text}
	if v, ok := parseVersion(text); ok && (strings.Count(text, ".") >= 2 || v.Prerelease() != "") {
		r.exact = v
		return r, nil
	}
	norm := strings.TrimPrefix(strings.TrimSpace(text), "v")
	norm = strings.TrimPrefix(norm, "go")
	if norm == "latest" || norm == "*" || norm == "x" {
		norm = "*"
	} else if norm != "" && norm[0] >= '0' && norm[0] <= '9' && !strings.ContainsAny(norm, " -|xX*") && strings.Count(norm, ".") < 2 {
		// "20" and "1.22" mean any version that begins so.
		norm += ".x"
	}
	c, err := semver.NewConstraint(norm)
	if err != nil {
		return r, fmt.Errorf("version %q is neither a version nor a range of versions", text)
	}
	c.IncludePrerelease = prereleases
	r.constraints = c
	return r, nil
}

// allows reports whether a version satisfies the range.
func (r versionRange) allows(v *semver.Version) bool {
	if r.exact != nil {
		return v.Equal(r.exact)
	}
	return r.constraints.Check(v)
}
