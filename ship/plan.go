package ship

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
)

// plan is what a release was begun with. It never changes.
type plan struct {
	Services     []planService     `json:"services"`
	Environments []planEnvironment `json:"environments"`
}

// planService says where a service's candidate comes from.
type planService struct {
	Name     string `json:"name"`
	Pipeline string `json:"pipeline,omitempty"`
	Artifact string `json:"artifact"`
}

type planEnvironment struct {
	Name     string         `json:"name"`
	Gates    project.Gates  `json:"gates,omitzero"`
	Services []planRollouts `json:"services"`
}

// planRollouts is a service in an environment.
type planRollouts struct {
	Service string `json:"service"`
	// Needs are the services of this release that come before it here.
	Needs    []string         `json:"needs"`
	Config   string           `json:"config"`
	Waves    [][]string       `json:"waves"`
	Strategy release.Strategy `json:"strategy"`
	// Expand and Contract are the names of its migrations.
	Expand   []string `json:"expand,omitempty"`
	Contract []string `json:"contract,omitempty"`
	// Candidate is a rollback's, Undo the rollout that it may abort instead.
	Candidate release.Candidate `json:"candidate,omitzero"`
	Undo      int64             `json:"undo,omitempty"`
}

func (p *plan) environment(name string) *planEnvironment {
	for i := range p.Environments {
		if p.Environments[i].Name == name {
			return &p.Environments[i]
		}
	}
	return nil
}

func (e *planEnvironment) service(name string) *planRollouts {
	for i := range e.Services {
		if e.Services[i].Service == name {
			return &e.Services[i]
		}
	}
	return nil
}

// has says whether a service is in the environment.
func (e *planEnvironment) has(name string) bool { return e.service(name) != nil }

// dependents are the services that need one, in an environment.
func (e *planEnvironment) dependents(name string) []string {
	var all []string
	for _, s := range e.Services {
		if slices.Contains(s.Needs, name) {
			all = append(all, s.Service)
		}
	}
	return all
}

const codeRollout = "rollout"

// document is a configuration document with its digest.
type document struct {
	digest string
	config project.Config
}

// planned makes the plan of a release, and the configuration documents that it names. What a rollout cannot do is in the diagnostics.
func planned(p *project.Project, name string, environments []*project.Environment, services []*project.Service) (*plan, []document, pipeline.Diagnostics, error) {
	var diags pipeline.Diagnostics
	var docs []document
	out := &plan{}
	used := map[string]bool{}
	for _, e := range environments {
		pe := planEnvironment{Name: e.Name, Gates: e.Gates}
		for _, s := range services {
			c := e.Config(name, s.Name)
			if len(c.Placements) == 0 {
				continue // it is not released there
			}
			digest, err := c.Digest()
			if err != nil {
				return nil, nil, nil, err
			}
			docs = append(docs, document{digest, c})
			st, found := strategyOf(c, e.Soak.Duration())
			diags = append(diags, found...)
			one := planRollouts{Service: s.Name, Config: digest, Waves: e.Waves, Strategy: st, Needs: []string{}}
			for _, m := range c.Placements[0].Service.Migrations {
				switch m.Phase {
				case project.Expand:
					one.Expand = append(one.Expand, m.Name)
				case project.Contract:
					one.Contract = append(one.Contract, m.Name)
				}
			}
			pe.Services = append(pe.Services, one)
			used[s.Name] = true
		}
		for i := range pe.Services {
			pe.Services[i].Needs = needs(p, &pe, pe.Services[i].Service)
		}
		if len(pe.Services) > 0 {
			out.Environments = append(out.Environments, pe)
		}
	}
	for _, s := range services {
		if used[s.Name] {
			out.Services = append(out.Services, planService{Name: s.Name, Pipeline: s.Pipeline, Artifact: s.Artifact})
		}
	}
	diags.Sort()
	return out, docs, diags, nil
}

// needs are the services of an environment that one needs, also through services that are not released there now.
func needs(p *project.Project, e *planEnvironment, name string) []string {
	found, seen := []string{}, map[string]bool{name: true}
	var visit func(name string)
	visit = func(name string) {
		s := p.Service(name)
		if s == nil {
			return
		}
		for _, need := range s.Needs {
			switch {
			case seen[need]:
			case e.has(need):
				found = append(found, need)
				seen[need] = true
			default:
				seen[need] = true
				visit(need)
			}
		}
	}
	visit(name)
	return found
}

// strategyOf says by which strategy a rollout places a configuration. A rollout has one strategy for all regions, with as many instances in each as
// that shall have.
func strategyOf(c project.Config, soak time.Duration) (release.Strategy, pipeline.Diagnostics) {
	var diags pipeline.Diagnostics
	first := c.Placements[0]
	s := strategy(first.Service, soak, func(format string, a ...any) {
		diags.Errorf(first.Service.Pos, codeRollout, "%s in %s: %s", c.Service, c.Environment, fmt.Sprintf(format, a...))
	})
	for _, p := range c.Placements[1:] {
		other := strategy(p.Service, soak, func(string, ...any) {})
		if other.Instances != s.Instances {
			if s.Regions == nil {
				s.Regions = map[string]int{}
			}
			s.Regions[p.Region] = other.Instances
		}
		if p.Service.Strategy.Batch == first.Service.Strategy.Batch {
			other.Batch = s.Batch // what differs is the number of instances, of which each step replaces the same part
		}
		if what := difference(s, other); what != "" {
			diags.Add(pipeline.Diagnostic{Severity: pipeline.Error, Pos: p.Service.Pos, Code: codeRollout,
				Message: fmt.Sprintf("%s in %s is to be released differently in the regions %s and %s (%s), and a rollout has one way for all of them", c.Service, c.Environment, first.Region, p.Region, what),
				Hint:    "give the regions the same, or make them environments of their own"})
		}
	}
	if err := s.Check(); err != nil && !diags.HasErrors() {
		diags.Errorf(first.Service.Pos, codeRollout, "%s in %s cannot be released so: %s", c.Service, c.Environment, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return s, diags
}

// difference says in what two strategies differ; empty is in nothing.
func difference(a, b release.Strategy) string {
	of := func(s release.Strategy) map[string]string {
		return map[string]string{
			"strategy": fmt.Sprint(s.Kind, s.Batch, s.Steps, s.Hold, s.Smoke, s.Warm), "health": fmt.Sprint(s.Start),
			"analysis": fmt.Sprint(s.Baseline, s.Analyse, s.Extend, s.Undecided),
		}
	}
	x, y := of(a), of(b)
	var names []string
	for _, name := range slices.Sorted(maps.Keys(x)) {
		if x[name] != y[name] {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
