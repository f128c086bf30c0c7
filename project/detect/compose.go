package detect

import (
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

var composeFile = lazy.New(`^(docker-)?compose\.ya?ml$`)

// compose reads which services are built here, what they publish and what they need. Images of others are not released here.
func (s *scanner) compose() {
	for _, f := range s.named(composeFile) {
		var doc yaml.Node
		if decode(s.read(f), &doc) != nil || len(doc.Content) == 0 {
			continue
		}
		all := member(doc.Content[0], "services")
		if all == nil || all.Kind != yaml.MappingNode {
			continue
		}
		known := map[string]*Service{}
		for i := 0; i+1 < len(all.Content); i += 2 {
			key, n := all.Content[i], all.Content[i+1]
			if v := s.built(f, n); v != nil {
				known[key.Value] = v
				v.published(f, n)
			} else if image := member(n, "image"); image != nil && !odd(image.Value) && !odd(key.Value) {
				s.found.Left = append(s.found.Left, Fact{What: "service of Compose", Value: key.Value, File: f, Line: key.Line,
					Why: "it is the image " + image.Value + ", which is not built here; tell the services its address by `environment`"})
			}
		}
		for i := 0; i+1 < len(all.Content); i += 2 {
			v := known[all.Content[i].Value]
			for _, need := range names(member(all.Content[i+1], "depends_on")) {
				if other := known[need.Value]; v != nil && other != nil && !s.reaches(other, v) && !slices.Contains(v.Needs, other.Name) {
					v.Needs = append(v.Needs, other.Name)
					v.fact(Fact{What: "needs", Value: other.Name, File: f, Line: need.Line})
				}
			}
		}
	}
}

// reaches reports whether one service needs another, directly or not, or is it.
func (s *scanner) reaches(from, to *Service) bool {
	todo, seen := []*Service{from}, map[*Service]bool{}
	for len(todo) > 0 {
		v := todo[0]
		todo = todo[1:]
		if v == to {
			return true
		}
		if v == nil || seen[v] {
			continue
		}
		seen[v] = true
		for _, n := range v.Needs {
			todo = append(todo, s.found.service(n))
		}
	}
	return false
}

// built returns the service that is in the folder that an image is built from.
func (s *scanner) built(file string, n *yaml.Node) *Service {
	build := member(n, "build")
	if c := member(build, "context"); c != nil {
		build = c
	}
	if build == nil || build.Kind != yaml.ScalarNode {
		return nil
	}
	at := s.found.at(path.Join(path.Dir(file), build.Value))
	if len(at) != 1 {
		return nil
	}
	return at[0]
}

var publishes = lazy.New(`^(?:[0-9.]+:)?([0-9]{2,5}):([0-9]{2,5})$`)

// published takes the port of this machine where the code does not say one.
func (v *Service) published(file string, n *yaml.Node) {
	ports := member(n, "ports")
	if ports == nil || v.Port == 0 || !v.guessed("port") {
		return
	}
	for _, p := range ports.Content {
		if m := publishes.FindStringSubmatch(p.Value); m != nil {
			if port := atoi(m[1]); port >= 80 && port <= 65535 {
				v.Port = port
				v.fact(Fact{What: "port", Value: number(port), File: file, Line: p.Line})
				return
			}
		}
	}
}

func atoi(text string) int {
	n := 0
	for _, c := range strings.TrimLeft(text, "0") {
		n = min(n*10+int(c-'0'), 1<<20)
	}
	return n
}

// names are the items of a list or the keys of a mapping.
func names(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	var out []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, n.Content[i])
	}
	return out
}
