package detect

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// The bounds of a scan.
const (
	maxFiles = 20_000
	maxDepth = 8
	maxFile  = 1 << 20
)

// ErrTooLarge is a repository with more files than are looked at.
var ErrTooLarge = errors.New("there are more than 20000 files to look at; name a folder within")

// skipped are folders that hold what others have written, or tests.
var skipped = map[string]bool{
	"node_modules": true, "vendor": true, "testdata": true, "third_party": true, "dist": true, "build": true, "target": true, "__pycache__": true, "venv": true,
}

// scanner looks at a repository.
type scanner struct {
	fs    fs.FS
	found *Found
	// files are paths, in order.
	files []string
}

// Scan looks at a repository. name is what its top folder is called.
func Scan(fsys fs.FS, name string) (*Found, error) {
	s := &scanner{fs: fsys, found: &Found{Name: Name(name, "project")}}
	if err := s.walk(); err != nil {
		return nil, err
	}
	s.pipelines()
	s.golang()
	s.node()
	s.procfiles()
	s.dockerfiles()
	s.compose()
	s.complete()
	return s.found, nil
}

// walk lists the files. Folders that cannot be read are left out: nothing depends on all being seen.
func (s *scanner) walk() error {
	return fs.WalkDir(s.fs, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if name == "." {
				return err
			}
			return fs.SkipDir
		}
		base := path.Base(name)
		if d.IsDir() {
			hidden := strings.HasPrefix(base, ".") && name != "." && base != ".github"
			if hidden || skipped[base] || strings.HasPrefix(base, "_") || strings.Count(name, "/") >= maxDepth {
				return fs.SkipDir
			}
			return nil
		}
		// Names that need care in YAML and in comments are nobody's program.
		if !d.Type().IsRegular() || oddName.MatchString(name) {
			return nil
		}
		if len(s.files) == maxFiles {
			return ErrTooLarge
		}
		s.files = append(s.files, name)
		return nil
	})
}

// read returns a file's text; nil where it is too large or cannot be read.
func (s *scanner) read(name string) []byte {
	info, err := fs.Stat(s.fs, name)
	if err != nil || info.Size() > maxFile {
		return nil
	}
	b, err := fs.ReadFile(s.fs, name)
	if err != nil {
		return nil
	}
	return b
}

// named returns the files whose last part matches.
func (s *scanner) named(pattern *lazy.Regexp) []string {
	var out []string
	for _, f := range s.files {
		if pattern.MatchString(path.Base(f)) {
			out = append(out, f)
		}
	}
	return out
}

// code returns the files below a folder with an ending, tests left out.
func (s *scanner) code(dir string, endings ...string) []string {
	var out []string
	for _, f := range s.files {
		if !within(f, dir) || strings.Contains(path.Base(f), "_test.") || strings.Contains(path.Base(f), ".test.") || strings.Contains(path.Base(f), ".spec.") {
			continue
		}
		if slices.Contains(endings, path.Ext(f)) {
			out = append(out, f)
		}
	}
	return out
}

var oddName = lazy.New(`[\x00-\x1f\x7f\\]|[^\x00-\x7f]`)

func within(name, dir string) bool {
	return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
}

var notName = lazy.New(`[^a-z0-9]+`)

// Name makes a name for gantry.yaml of any text.
func Name(text, otherwise string) string {
	text = strings.Trim(notName.ReplaceAllString(strings.ToLower(text), "-"), "-")
	if len(text) > 50 { // room for a number behind it
		text = strings.Trim(text[:50], "-")
	}
	return cmp.Or(text, otherwise)
}

// complete fills in what follows from other things, and makes sure that there is a service.
func (s *scanner) complete() {
	if i := slices.IndexFunc(s.found.Left, func(f Fact) bool { return f.What == program }); len(s.found.Services) == 0 && i >= 0 {
		f := s.found.Left[i]
		s.found.Left = slices.Delete(s.found.Left, i, i+1)
		name := Name(path.Base(f.Value), s.found.Name)
		f.Why = "it does not listen on a port, and there is no other"
		s.found.add(&Service{Name: name, Path: f.Value, Command: []string{"./" + name}, Facts: []Fact{f, {
			What: "command", Value: "./" + name, Guess: true, Why: "the program is called as its folder"}}})
	}
	if len(s.found.Services) == 0 {
		name := s.found.Name
		s.found.add(&Service{Name: name, Path: ".", Command: []string{"./" + name}, Facts: []Fact{
			{What: "command", Value: "./" + name, Guess: true, Why: "no program was found; say what starts yours"},
		}})
	}
	taken := map[int]string{}
	for _, v := range s.found.Services {
		s.pipelineOf(v)
		if v.Port == 0 {
			continue
		}
		if other, ok := taken[v.Port]; ok {
			port := v.Port
			for taken[v.Port] != "" {
				v.Port++
			}
			if v.Port > 65535 {
				v.Port = 0
				continue
			}
			v.fact(Fact{What: "port", Value: number(v.Port), Guess: true, Why: number(port) + " is that of " + other})
		}
		taken[v.Port] = v.Name
	}
	// In the order of the alphabet, whatever they were found by.
	slices.SortFunc(s.found.Services, func(a, b *Service) int { return cmp.Compare(a.Name, b.Name) })
}
