package action

import (
	"fmt"
	"path"
	"strings"
)

// reference is what a `uses` names.
type reference struct {
	text string
	// image is set for docker://IMAGE.
	image string
	// local is a path relative to the work folder.
	local string
	// repository ("owner/name"), path in it, and ref of an action from elsewhere.
	repository, path, ref string
}

// parseReference reads a `uses`.
func parseReference(text string) (reference, error) {
	r := reference{text: text}
	switch {
	case strings.HasPrefix(text, "docker://"):
		if r.image = strings.TrimPrefix(text, "docker://"); r.image == "" {
			return r, fmt.Errorf("action %q names no image", text)
		}
		return r, nil
	case text == "." || strings.HasPrefix(text, "./") || strings.HasPrefix(text, `.\`):
		r.local = path.Clean(strings.ReplaceAll(text, `\`, "/"))
		if r.local == ".." || strings.HasPrefix(r.local, "../") {
			return r, fmt.Errorf("action %q leads out of the work folder", text)
		}
		return r, nil
	}
	name, ref, ok := strings.Cut(text, "@")
	if !ok || ref == "" {
		return r, fmt.Errorf("action %q has no version; write it as OWNER/NAME@REF, or ./PATH for one of this repository", text)
	}
	parts := strings.SplitN(strings.Trim(name, "/"), "/", 3)
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return r, fmt.Errorf("action %q is not of the form OWNER/NAME@REF", text)
	}
	for _, p := range strings.Split(name, "/") {
		if p == ".." || p == "." {
			return r, fmt.Errorf("action %q has %q in its path", text, p)
		}
	}
	if strings.HasPrefix(ref, "-") || strings.Contains(ref, "..") || strings.ContainsAny(ref, " ~^:?*[\\") {
		return r, fmt.Errorf("action %q: %q cannot be the name of a branch or tag", text, ref)
	}
	r.repository, r.ref = parts[0]+"/"+parts[1], ref
	if len(parts) == 3 {
		r.path = strings.Trim(parts[2], "/")
	}
	return r, nil
}

// remote reports whether the action comes from elsewhere.
func (r reference) remote() bool { return r.repository != "" }

// name is the action without its version, in lower case, as built-ins are found.
func (r reference) name() string { return strings.ToLower(path.Join(r.repository, r.path)) }

// modern reports whether the reference is for a major version or a later one. What names no version (a commit, a branch) is
// taken as the newest.
func (r reference) modern(from int) bool {
	n := major(r.ref)
	return n == 0 || n >= from || len(r.ref) == 40
}
