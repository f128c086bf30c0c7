package detect

import (
	"path"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

func number(n int) string { return strconv.Itoa(n) }

var ciFile = lazy.New(`^(\.gitlab-ci\.ya?ml|azure-pipelines\.ya?ml|Jenkinsfile)$`)

// pipelines finds the CI files, and what those of GitHub Actions upload.
func (s *scanner) pipelines() {
	for _, f := range s.files {
		dir := path.Dir(f)
		switch {
		case strings.HasSuffix("/"+dir, "/.github/workflows") && (path.Ext(f) == ".yml" || path.Ext(f) == ".yaml"):
			s.found.Pipelines = append(s.found.Pipelines, &Pipeline{File: f, Artifacts: uploads(s.read(f))})
		case ciFile.MatchString(path.Base(f)):
			s.found.Pipelines = append(s.found.Pipelines, &Pipeline{File: f})
		}
	}
}

// uploads finds the steps that use actions/upload-artifact with a name that is no expression.
func uploads(src []byte) []Artifact {
	var doc yaml.Node
	if decode(src, &doc) != nil {
		return nil
	}
	var out []Artifact
	walkYAML(&doc, 0, func(n *yaml.Node) {
		uses, with := member(n, "uses"), member(n, "with")
		if uses == nil || with == nil || !strings.HasPrefix(uses.Value, "actions/upload-artifact@") {
			return
		}
		name := member(with, "name")
		if name == nil || name.Value == "" || strings.Contains(name.Value, "${{") {
			return
		}
		a := Artifact{Name: name.Value, Line: name.Line}
		if p := member(with, "path"); p != nil && !strings.ContainsAny(p.Value, "\n*?[$") {
			a.Path = path.Clean(p.Value)
		}
		out = append(out, a)
	})
	return out
}

// decode reads YAML; what is impossible to the library is an error too.
func decode(src []byte, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errUnreadable
		}
	}()
	return yaml.Unmarshal(src, into)
}

// walkYAML visits the mappings of a document. Aliases are not followed.
func walkYAML(n *yaml.Node, depth int, visit func(*yaml.Node)) {
	if depth > 50 {
		return
	}
	if n.Kind == yaml.MappingNode {
		visit(n)
	}
	for _, c := range n.Content {
		walkYAML(c, depth+1, visit)
	}
}

// member returns the value of a key, or nil.
func member(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// pipelineOf finds the CI file and the artifact of a service: a file that uploads an artifact of its name, or else the one in the service's own
// folder, or the only one.
func (s *scanner) pipelineOf(v *Service) {
	if v.Artifact == "" {
		v.Artifact = v.Name
	}
	var best *Pipeline
	near := 0
	for _, p := range s.found.Pipelines {
		for _, a := range p.Artifacts {
			if a.Name == v.Name {
				v.Pipeline = p.File
				v.fact(Fact{What: "pipeline", Value: p.File, File: p.File})
				s.artifact(v, p, a, false)
				return
			}
		}
		// One in the folder of another service builds that one.
		if root := p.root(); !within(v.Path, root) && !within(root, v.Path) {
			continue
		}
		if near++; best == nil || p.own(v) {
			best = p
		}
	}
	if best == nil {
		v.fact(Fact{What: "artifact", Value: v.Artifact, Guess: true, Why: "no CI file was found"})
		return
	}
	own := best.own(v)
	if !own && near > 1 {
		v.fact(Fact{What: "artifact", Value: v.Artifact, Guess: true, Why: "no CI file uploads an artifact of this name"})
		return
	}
	v.Pipeline = best.File
	v.fact(Fact{What: "pipeline", Value: best.File, File: best.File})
	if len(best.Artifacts) == 1 && (own || len(s.found.Services) == 1) {
		s.artifact(v, best, best.Artifacts[0], true)
		return
	}
	v.fact(Fact{What: "artifact", Value: v.Artifact, Guess: true, Why: "no step uploads an artifact of this name"})
}

// root is the folder of the repository, or of the part of one, that a CI file is for.
func (p *Pipeline) root() string {
	dir := path.Dir(p.File)
	if strings.HasSuffix("/"+dir, "/.github/workflows") {
		dir = path.Dir(path.Dir(dir))
	}
	return dir
}

// own reports whether a CI file is in a service's own folder.
func (p *Pipeline) own(v *Service) bool { return v.Path != "." && within(p.File, v.Path) }

// artifact takes an artifact for a service's, and looks what its program is called in there.
func (s *scanner) artifact(v *Service, p *Pipeline, a Artifact, guess bool) {
	v.Artifact = a.Name
	f := Fact{What: "artifact", Value: a.Name, File: p.File, Line: a.Line, Guess: guess}
	if guess {
		f.Why = "it is the only one of the file"
	}
	v.fact(f)
	base := path.Base(a.Path)
	if len(v.Command) > 0 && strings.HasPrefix(v.Command[0], "./") && a.Path != "" && path.Ext(base) == "" && !s.isDir(a.Path) && v.Command[0] != "./"+base && base != "dist" && base != "bin" && base != "build" && base != "." {
		v.Command[0] = "./" + base
		v.fact(Fact{What: "command", Value: v.Command[0], File: p.File, Line: a.Line, Guess: true, Why: "the artifact is made of " + a.Path})
	}
}

func (s *scanner) isDir(dir string) bool {
	for _, f := range s.files {
		if strings.HasPrefix(f, dir+"/") {
			return true
		}
	}
	return false
}
