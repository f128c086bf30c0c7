package project

import (
	"maps"
	"slices"

	"github.com/gantry-ops/gantry/project/internal/bind"
)

// FileName is what the file is called, in the top folder of the project.
const FileName = "gantry.yaml"

// Project is what a gantry.yaml says.
type Project struct {
	// File is the name that the file was read by.
	File string `json:"file"`
	// Name is the project's on the server; empty where the file does not say it.
	Name string `json:"name,omitempty"`
	// Services are in the order of the file, with what defaults and they themselves say. What they are in an environment is in its placements.
	Services     []*Service     `json:"services"`
	Environments []*Environment `json:"environments"`
}

// Service returns a service by its name, or nil.
func (p *Project) Service(name string) *Service {
	for _, s := range p.Services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Environment returns an environment by its name, or nil.
func (p *Project) Environment(name string) *Environment {
	for _, e := range p.Environments {
		if e.Name == name {
			return e
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// document is the file as a whole, while it is read.
type document struct {
	name         string
	defaults     *Service
	services     map[string]*bind.Node
	environments []Environment
}

func newDocument() *document { return &document{defaults: newService("")} }

func (d *document) object() bind.Object {
	return bind.Object{
		What: FileName, Extensions: true,
		Members: []bind.Member{
			{Key: "name", Value: name(&d.name, "the name of the project"), Doc: "The project's name on the server. Default: the one that the repository is known by."},
			{Key: "defaults", Value: bind.Of(bind.Object{Def: "defaults", What: "the defaults", Members: d.defaults.common()}), Doc: "What holds for all services where nothing else is said."},
			{Key: "services", Required: true, Value: bind.Nodes(&d.services, "the services", nameKeys("the name of a service"), func() bind.Value { return newService("").value() }).AtLeast(1), Doc: "What is released, by names of your choice."},
			{Key: "environments", Required: true, Value: bind.Items(&d.environments, "the environments", 1, (*Environment).value), Doc: "Where candidates go through, in order."},
		},
	}
}
