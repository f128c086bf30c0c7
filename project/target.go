package project

import (
	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// TargetKind is what workloads run on.
type TargetKind string

// Process targets are processes under agents.
const Process TargetKind = "process"

// notYet are the kinds that have a name already.
var notYet = map[string]string{
	"docker":     "targets of the kind docker are not supported yet; the kind process is",
	"compose":    "targets of the kind compose are not supported yet; the kind process is",
	"kubernetes": "targets of the kind kubernetes are not supported yet; the kind process is",
}

// Target is where a region's instances run: the agents that are named, or all that have some labels.
type Target struct {
	Kind TargetKind `json:"kind"`
	// Region is empty for all of the environment's.
	Region string   `json:"region,omitempty"`
	Agents []string `json:"agents,omitempty"`
	// Labels have to be all there, with these values.
	Labels map[string]string `json:"labels,omitempty"`
	// Services are those that run there; none is all of the environment's.
	Services []string `json:"services,omitempty"`
}

// LocalAgent is the agent that the server starts on its own machine, the target of environments that name none.
const LocalAgent = "local"

var labelText = lazy.New(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)

func (t *Target) value() bind.Value {
	t.Kind = Process
	return bind.Of(bind.Object{
		Def: "target", What: "a target",
		Members: []bind.Member{
			{Key: "kind", Value: bind.Except(bind.Words(&t.Kind, "the kind of a target", Process), notYet), Doc: "What workloads run on: `process`, processes under agents."},
			{Key: "region", Value: name(&t.Region, "the region"), Doc: "The region that it is for. Default: all."},
			{Key: "agents", Value: bind.Items(&t.Agents, "the agents", 1, func(s *string) bind.Value { return name(s, "the name of an agent") }), Doc: "Agents by their names."},
			{Key: "labels", Value: bind.Texts(&t.Labels, "the labels", bind.Keys{
				What: "a label", Form: "made of letters, digits, '-', '_' and '.', at most 63", Pattern: labelText,
			}), Doc: "All agents that have these labels."},
			{Key: "services", Value: bind.Items(&t.Services, "the services", 1, func(s *string) bind.Value { return name(s, "the name of a service") }), Doc: "The services that run there. Default: all."},
		},
		Choices: []bind.Choice{{Keys: []string{"agents", "labels"}, Need: true}},
	})
}
