package docker

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Where the folders of a job are seen in its container.
const (
	inWork     = "/__w"
	inTemp     = "/__w/_temp"
	inActions  = "/__w/_actions"
	inPipes    = "/__w/_pipes"
	inTools    = "/__t"
	inHome     = "/github/home"
	inWorkflow = "/github/workflow"
	inSocket   = "/var/run/docker.sock"
)

// mounted is a folder of this machine and where a container sees it.
type mounted struct{ host, inside string }

// pathMap maps paths between this machine and a container. The longest match wins, so that folders may be mounted below others.
type pathMap []mounted

func newPathMap(m ...mounted) pathMap {
	slices.SortStableFunc(m, func(a, b mounted) int { return len(b.inside) - len(a.inside) })
	return m
}

// find returns the mounted folder that an absolute path inside lies in, and the rest of the path below it: "." for the folder.
func (m pathMap) find(inside string) (folder, rest string, ok bool) {
	if !path.IsAbs(inside) {
		return "", "", false
	}
	inside = path.Clean(inside)
	for _, e := range m {
		if rest, ok := below(e.inside, inside, "/"); ok {
			return e.host, filepath.FromSlash(path.Clean(rest)), true
		}
	}
	return "", "", false
}

// host returns the host path of an absolute path inside.
func (m pathMap) host(inside string) (string, bool) {
	folder, rest, ok := m.find(inside)
	if !ok {
		return "", false
	}
	return filepath.Join(folder, rest), true
}

// rewritePaths replaces, in a text, the paths from one place's view by those of another: at the start of the text and wherever
// a path can start. The longest match wins.
func rewritePaths(text string, moves []mounted) string {
	if !strings.Contains(text, "/") {
		return text
	}
	var b strings.Builder
	for at := 0; at < len(text); {
		if at == 0 || strings.IndexByte(" :=,;\"'\n\t(@", text[at-1]) >= 0 {
			if n, to, ok := longestMove(text[at:], moves); ok {
				b.WriteString(to)
				at += n
				continue
			}
		}
		b.WriteByte(text[at])
		at++
	}
	return b.String()
}

// longestMove finds the longest folder that s starts with as a path.
func longestMove(s string, moves []mounted) (n int, to string, ok bool) {
	for _, m := range moves {
		if len(m.host) > n && strings.HasPrefix(s, m.host) && (len(s) == len(m.host) || strings.IndexByte("/ :=,;\"'\n\t)", s[len(m.host)]) >= 0) {
			n, to, ok = len(m.host), m.inside, true
		}
	}
	return n, to, ok
}

// below returns the part of p below dir, without a slash in front.
func below(dir, p, sep string) (string, bool) {
	rest, ok := strings.CutPrefix(p, dir)
	if !ok {
		return "", false
	}
	if rest == "" {
		return "", true
	}
	return strings.CutPrefix(rest, sep)
}

// layout are the folders of one job on this machine.
type layout struct {
	// dir holds all that is removed with the job.
	dir   string
	work  string // the work folder as the container sees it
	pipes string // on the host
	paths pathMap
}

// makeLayout makes the folders. They are open to every user, as the container's user may be any; nobody else reaches
// them on this machine, because the owner's folder above is private.
func makeLayout(parent, repository, inPlace string) (*layout, error) {
	repository = safeName(repository)
	dir, err := os.MkdirTemp(parent, "job-")
	if err != nil {
		return nil, err
	}
	l := &layout{dir: dir, work: path.Join(inWork, repository, repository), pipes: filepath.Join(dir, "work", path.Base(inPipes))}
	mounts := []mounted{
		{filepath.Join(dir, "work"), inWork},
		{filepath.Join(dir, "tools"), inTools},
		{filepath.Join(dir, "home"), inHome},
		{filepath.Join(dir, "workflow"), inWorkflow},
	}
	folders := []string{filepath.Join(dir, "work", repository), filepath.Join(dir, "work", repository, repository), l.pipes,
		filepath.Join(dir, "work", path.Base(inTemp)), filepath.Join(dir, "work", path.Base(inActions))}
	for _, m := range mounts {
		folders = append(folders, m.host)
	}
	for _, f := range folders {
		if err := os.MkdirAll(f, 0o777); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		if err := os.Chmod(f, 0o777); err != nil { // past the umask
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	if inPlace != "" {
		abs, err := filepath.Abs(inPlace)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("work folder %q: %w", inPlace, err), os.RemoveAll(dir))
		}
		mounts = append(mounts, mounted{abs, l.work})
	}
	l.paths = newPathMap(mounts...)
	return l, nil
}

// binds are the mounts in the engine's form. Outer folders come first.
func (l *layout) binds() []string {
	var out []string
	for _, m := range slices.Backward(l.paths) {
		out = append(out, m.host+":"+m.inside)
	}
	return out
}

// safeName makes one element of a path of a name.
func safeName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == ':' || r < ' ' {
			return '-'
		}
		return r
	}, s)
	if s == "" || s == "." || s == ".." {
		return "repository"
	}
	return s
}
