package project

import (
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/internal/bind"
)

// Environment is a place that candidates go through, in the order of the file. One rollout of a service goes through it at a time.
type Environment struct {
	Name string       `json:"name"`
	Pos  pipeline.Pos `json:"-"`
	// Waves are the names of regions that are released together, in order. There is at least one wave with one region; where the file names
	// none, it is called "default".
	Waves [][]string `json:"waves"`
	// Soak is how long a wave has to stay well before the next one begins, 0 to 30d.
	Soak    Duration `json:"soak,omitempty"`
	Targets []Target `json:"targets"`
	Gates   Gates    `json:"gates,omitzero"`
	// Placements are the environment's services in their order of release: every service in every region, wave by wave.
	Placements []*Placement `json:"placements"`

	waves    [][]region
	services map[string]*bind.Node
	only     []string
}

// Placement is a service in a region of an environment, with everything that the file says about it there: defaults, the environment, the
// service, the service in the environment, and the service in the region, each going before those in front of it.
type Placement struct {
	Region  string   `json:"region"`
	Service *Service `json:"service"`
	// Targets are those of the environment that it runs on.
	Targets []Target `json:"targets"`
}

// DefaultRegion is the region of environments that name none.
const DefaultRegion = "default"

// region is a region as the file has it.
type region struct {
	name     string
	services map[string]*bind.Node
}

// Regions returns all regions of the environment, wave by wave.
func (e *Environment) Regions() []string {
	var out []string
	for _, w := range e.Waves {
		out = append(out, w...)
	}
	return out
}

// Placement returns a service in a region, or nil.
func (e *Environment) Placement(region, service string) *Placement {
	for _, p := range e.Placements {
		if p.Region == region && p.Service.Name == service {
			return p
		}
	}
	return nil
}

// value keeps what the file says about services in the environment, to be read over each service.
func (e *Environment) value() bind.Value {
	s := newService("") // reads strategy, routing and analysis once, for their mistakes
	alone := name(&e.Name, "the name of an environment")
	return bind.Either("an environment", alone, bind.Of(bind.Object{
		Def: "environment", What: "an environment",
		Members: append([]bind.Member{
			{Key: "name", Required: true, Value: alone, Doc: "By which it is known everywhere."},
			{Key: "regions", Value: bind.Items(&e.waves, "the regions", 1, waveValue), Doc: "Waves of regions, in order. A region alone is a wave of its own; those in a list are released together. Default: one, called `default`."},
			{Key: "soak", Value: duration(&e.Soak, "soak", 0, 30*24*time.Hour), Doc: "How long a wave has to stay well before the next one begins; up to 30d."},
			{Key: "targets", Value: bind.Items(&e.Targets, "the targets", 1, (*Target).value).AtMost(100), Doc: "Where instances run. Default: the agent `local`, which the server starts."},
			{Key: "only", Value: bind.Items(&e.only, "only", 1, func(t *string) bind.Value { return name(t, "the name of a service") }), Doc: "The services that are released here. Default: all."},
			{Key: "services", Value: overridesValue(&e.services), Doc: "What is different here about services, by their names."},
			{Key: "environment", Value: bind.Texts(&s.Environment, "the environment", variableKeys("an environment variable")), Doc: "Plain variables of all services here."},
			{Key: "gates", Value: e.Gates.value(), Doc: "What has to be there before a release enters."},
		}, s.release()...),
	}))
}

func waveValue(w *[]region) bind.Value {
	return bind.Either("a wave of regions",
		bind.One(w, func(r *region) bind.Value { return name(&r.name, "the name of a region") }),
		bind.One(w, (*region).object),
		bind.Items(w, "a wave of regions", 1, func(r *region) bind.Value {
			return bind.Either("a region", name(&r.name, "the name of a region"), r.object())
		}))
}

func (r *region) object() bind.Value {
	return bind.Of(bind.Object{
		Def: "region", What: "a region",
		Members: []bind.Member{
			{Key: "name", Required: true, Value: name(&r.name, "the name of a region"), Doc: "By which it is known everywhere."},
			{Key: "services", Value: overridesValue(&r.services), Doc: "What is different in this region about services, by their names."},
		},
	})
}

// overridesValue reads overrides once, for their mistakes, and keeps their nodes to be read over each service.
func overridesValue(dst *map[string]*bind.Node) bind.Value {
	return bind.Nodes(dst, "the services", nameKeys("the name of a service"), func() bind.Value { return newService("").override() })
}
