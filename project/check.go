package project

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/internal/bind"
)

// check holds the parts against each other.
func (c *checker) check() {
	c.checkNeeds()
	c.checkMigrations()
	names := map[string]bool{}
	for _, e := range c.p.Environments {
		if names[e.Name] {
			c.r.Errorf(c.r.At(&e.Name), codeDuplicate, "give it another name", "there is an environment %q already", e.Name)
		}
		names[e.Name] = true
		c.checkEnvironment(e)
		for _, p := range e.Placements {
			c.checkPlacement(e, p)
		}
	}
	c.checkListeners()
}

// unknown reports a name that there is not.
func (c *checker) unknown(n *bind.Node, what, name string, known []string) {
	hint := "there is " + bind.Or(known)
	if c.unknowns++; len(known) == 0 {
		hint = "there is none"
	} else if c.unknowns > 100 || len(known) > 20 {
		hint = fmt.Sprintf("there are %d others", len(known))
	}
	if c.unknowns > 100 {
		// Who wrote that many does not read a hint for each.
	} else if near := bind.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	c.r.Report(pipeline.Error, n, codeUnknownName, hint, "there is no %s %q", what, name)
}

func (c *checker) serviceNames() []string {
	var names []string
	for _, s := range c.p.Services {
		names = append(names, s.Name)
	}
	return names
}

func (c *checker) checkNeeds() {
	for _, s := range c.p.Services {
		for i, need := range s.Needs {
			n := c.places[s].At(&s.Needs[i])
			switch {
			case need == s.Name:
				c.r.Report(pipeline.Error, n, codeCycle, "remove it", "the service %s needs itself", need)
			case c.p.Service(need) == nil:
				c.unknown(n, "service", need, c.serviceNames())
			}
		}
	}
	c.checkCycles()
}

// checkCycles walks along needs and reports each way that leads back into itself, once.
func (c *checker) checkCycles() {
	const open, done = 1, 2
	state := map[string]int{}
	var way []string
	var visit func(s *Service)
	visit = func(s *Service) {
		state[s.Name] = open
		way = append(way, s.Name)
		for i, need := range s.Needs {
			next := c.p.Service(need)
			switch {
			case next == nil || next == s:
			case state[need] == open:
				circle := append(slices.Clone(way[slices.Index(way, need):]), need)
				c.r.Report(pipeline.Error, c.places[s].At(&s.Needs[i]), codeCycle, "none of them could be released first; take one of these needs away",
					"services need each other in a circle: %s", strings.Join(circle, " → "))
			case state[need] != done:
				visit(next)
			}
		}
		way = way[:len(way)-1]
		state[s.Name] = done
	}
	for _, s := range c.p.Services {
		if state[s.Name] == 0 {
			visit(s)
		}
	}
}

// checkMigrations also says where a rollback ends, which people have to know before a release and not after it.
func (c *checker) checkMigrations() {
	for _, s := range c.p.Services {
		names := map[string]bool{}
		for i := range s.Migrations {
			m := &s.Migrations[i]
			n := c.places[s].At(&m.Name)
			if names[m.Name] {
				c.r.Report(pipeline.Error, n, codeDuplicate, "a migration's name says that it has run; give this one another", "there is a migration %q already", m.Name)
			}
			names[m.Name] = true
			if m.Phase == Contract {
				c.r.Report(pipeline.Note, n, codeContract, "release it apart from the expand step that it belongs to, once nobody would go back",
					"once %s has run, %s is not rolled back to a candidate from before it", m.Name, s.Name)
			}
		}
	}
}

func (c *checker) checkEnvironment(e *Environment) {
	regions := map[string]bool{}
	for i := range e.waves {
		for j := range e.waves[i] {
			g := &e.waves[i][j]
			if regions[g.name] {
				c.r.Report(pipeline.Error, c.r.At(&g.name), codeDuplicate, "a region is in one wave", "there is a region %q in %s already", g.name, e.Name)
			}
			regions[g.name] = true
			c.checkOverrides(e, &g.services, g.services)
		}
	}
	for i, name := range e.only {
		if c.p.Service(name) == nil {
			c.unknown(c.r.At(&e.only[i]), "service", name, c.serviceNames())
		}
	}
	c.checkOverrides(e, &e.services, e.services)
	for i := range e.Targets {
		t := &e.Targets[i]
		if t.Region != "" && !regions[t.Region] {
			c.unknown(c.r.At(&t.Region), "region", t.Region, e.Regions())
		}
		for j, name := range t.Services {
			c.checkMember(e, c.r.At(&t.Services[j]), name)
		}
	}
	c.checkGates(e)
}

// checkOverrides wants services that there are in the environment.
func (c *checker) checkOverrides(e *Environment, ptr *map[string]*bind.Node, over map[string]*bind.Node) {
	for _, name := range sortedKeys(over) {
		c.checkMember(e, c.r.AtKey(ptr, name), name)
	}
}

func (c *checker) checkMember(e *Environment, n *bind.Node, name string) {
	switch {
	case c.p.Service(name) == nil:
		c.unknown(n, "service", name, c.serviceNames())
	case e.only != nil && !slices.Contains(e.only, name):
		c.r.Report(pipeline.Error, n, codeUnknownName, "add it to `only`, or remove it here", "the service %s is not released in %s", name, e.Name)
	}
}

func (c *checker) checkGates(e *Environment) {
	for _, f := range e.Gates.Freezes {
		if what, hint := f.problem(); what != "" {
			c.r.Report(pipeline.Error, c.r.At(f), codeFreeze, hint, "the freeze %s means nothing: %s", f.Name, what)
		}
	}
}

// checkPlacement holds a service in a region against itself.
func (c *checker) checkPlacement(e *Environment, p *Placement) {
	s := p.Service
	if len(p.Targets) == 0 {
		c.r.Report(pipeline.Error, c.r.At(&e.Name), codeTarget, "add a target for it, or one without `services` and `region`",
			"no target of %s is for %s in the region %s", e.Name, s.Name, p.Region)
	}
	c.checkPorts(s)
	c.checkHealth(s)
	c.checkVariables(s)
	c.checkStrategy(e, s)
	c.checkAnalysis(e, s)
}

// at returns the place of one of a service's members, or else that of the service.
func (c *checker) at(s *Service, ptrs ...any) *bind.Node {
	for _, ptr := range ptrs {
		if n := c.places[s].At(ptr); n != nil {
			return n
		}
	}
	return c.root.Get("services").Key(s.Name)
}
