package project

import (
	"slices"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/internal/bind"
)

// The bounds of a file: how many services, how many services in regions of environments in all, how many nodes are read to place them, and
// how many routes their listeners have.
const (
	maxServices   = 500
	maxPlacements = 2_000
	maxRead       = 500_000
	maxRoutes     = 500_000
)

// Parse reads a gantry.yaml. file is the name that messages call it. The project is nil where one of the diagnostics is an error. Notes tell of
// what a release will not be able to do, such as going back over a contract step. Calendars and objectives in files of their own are not
// read; [Load] does.
func Parse(file string, src []byte) (*Project, pipeline.Diagnostics) {
	p, _, diags := parse(file, src)
	return p, diags
}

// parse also returns the checker, which knows where everything stands.
func parse(file string, src []byte) (*Project, *checker, pipeline.Diagnostics) {
	var diags pipeline.Diagnostics
	root := bind.Load(file, FileName, src, &diags)
	if root == nil {
		diags.Sort()
		return nil, nil, diags
	}
	r := bind.NewReader(&diags)
	doc := newDocument()
	r.Read(root, bind.Of(doc.object()))
	if diags.HasErrors() {
		diags.Sort()
		return nil, nil, diags
	}
	c := &checker{r: r, file: file, doc: doc, root: root, places: map[*Service]*bind.Reader{}, p: &Project{File: file, Name: doc.name}}
	c.build()
	if !diags.HasErrors() {
		c.check()
	}
	diags.Sort()
	if diags.HasErrors() {
		return nil, nil, diags
	}
	return c.p, c, diags
}

// checker builds a project out of what was read and holds its parts against each other.
type checker struct {
	r    *bind.Reader
	file string
	doc  *document
	root *bind.Node
	p    *Project
	// places are the readers that know where a service's members stand.
	places map[*Service]*bind.Reader
	// nodes is how many were read again, placed how many placements there are.
	nodes, placed int
	// unknowns is how many names there are not.
	unknowns int
}

// build makes services and placements by reading what is said about them again, one over the other.
func (c *checker) build() {
	for i, m := range c.root.Get("services").Members {
		if i == maxServices {
			c.r.Errorf(m.Key, codeTooMany, "split the file", "there are more than %d services", maxServices)
			return
		}
		s := c.service(m.Key.Text, nil)
		s.Pos = m.Key.Pos
		c.p.Services = append(c.p.Services, s)
	}
	order := c.order()
	for i := range c.doc.environments {
		e := &c.doc.environments[i]
		e.Pos = c.r.At(&e.Name).Pos
		if e.waves == nil {
			e.waves = [][]region{{{name: DefaultRegion}}}
		}
		if e.Targets == nil {
			e.Targets = []Target{{Kind: Process, Agents: []string{LocalAgent}}}
		}
		c.p.Environments = append(c.p.Environments, e)
		c.place(e, order)
	}
}

// place makes an environment's placements.
func (c *checker) place(e *Environment, order []string) {
	node := c.r.At(e)
	for _, wave := range e.waves {
		var names []string
		for _, g := range wave {
			names = append(names, g.name)
		}
		e.Waves = append(e.Waves, names)
		for _, name := range order {
			if e.only != nil && !slices.Contains(e.only, name) {
				continue
			}
			for _, g := range wave {
				if c.placed++; c.placed > maxPlacements || c.nodes > maxRead {
					c.r.Errorf(c.r.At(&e.Name), codeTooMany, "split the file", "there are more than %d services in regions, or they say too much", maxPlacements)
					return
				}
				s := c.service(name, node, e.services[name], g.services[name])
				s.Pos = c.p.Service(name).Pos
				e.Placements = append(e.Placements, &Placement{Region: g.name, Service: s, Targets: e.targets(name, g.name)})
			}
		}
	}
}

// targets returns the targets of a service in a region.
func (e *Environment) targets(service, region string) []Target {
	var out []Target
	for _, t := range e.Targets {
		if (t.Region == "" || t.Region == region) && (len(t.Services) == 0 || slices.Contains(t.Services, service)) {
			out = append(out, t)
		}
	}
	return out
}

// service reads everything that is said about a service: defaults, the environment, the service itself, and what goes before it there.
func (c *checker) service(name string, environment *bind.Node, over ...*bind.Node) *Service {
	s, r := newService(name), c.r.Quiet()
	c.nodes += c.root.Get("defaults").Size() + c.doc.services[name].Size()
	for _, n := range over {
		c.nodes += n.Size()
	}
	for _, m := range s.common() {
		r.Read(c.root.Get("defaults").Get(m.Key), m.Value)
	}
	if environment != nil {
		for _, m := range append(s.release(), bind.Member{Key: "environment", Value: bind.Texts(&s.Environment, "the environment", variableKeys(""))}) {
			r.Read(environment.Get(m.Key), m.Value)
		}
	}
	r.Read(c.doc.services[name], s.value())
	for _, n := range over {
		r.Read(n, s.override())
	}
	s.complete()
	c.places[s] = r
	return s
}

// order returns the names of the services such that each stands behind those that it needs, else in the order of the file. Cycles are
// reported elsewhere.
func (c *checker) order() []string {
	var out []string
	seen := map[string]bool{}
	var visit func(s *Service)
	visit = func(s *Service) {
		if s == nil || seen[s.Name] {
			return
		}
		seen[s.Name] = true
		for _, n := range s.Needs {
			visit(c.p.Service(n))
		}
		out = append(out, s.Name)
	}
	for _, s := range c.p.Services {
		visit(s)
	}
	return out
}
