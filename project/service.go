package project

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// Service is something that is released and run.
type Service struct {
	Name string       `json:"name"`
	Pos  pipeline.Pos `json:"-"`
	// Path is the service's folder, relative to gantry.yaml; default ".".
	Path string `json:"path"`
	// Pipeline is the CI file whose runs build it, relative to gantry.yaml; empty is any.
	Pipeline string `json:"pipeline,omitempty"`
	// Artifact is the name of the run's artifact that is the candidate; default: the service's name.
	Artifact string  `json:"artifact"`
	Command  Command `json:"command"`
	Ports    []*Port `json:"ports,omitempty"`
	Health   Health  `json:"health"`
	Metrics  Metrics `json:"metrics,omitzero"`
	// Environment are plain variables.
	Environment map[string]string `json:"environment,omitempty"`
	Secrets     []Secret          `json:"secrets,omitempty"`
	// Drain is how long requests and sessions may go on after new ones go elsewhere, 0 to 7d; default 30s.
	Drain     Duration  `json:"drain"`
	Stop      Stop      `json:"stop"`
	Resources Resources `json:"resources,omitzero"`
	// Instances is how many run in each region, spread over its targets, 1 to 1000; default 1.
	Instances int `json:"instances"`
	// Needs are services that are released before this one.
	Needs      []string    `json:"needs,omitempty"`
	Shadow     Shadow      `json:"shadow,omitzero"`
	Migrations []Migration `json:"migrations,omitempty"`
	Strategy   Strategy    `json:"strategy"`
	Routing    Routing     `json:"routing"`
	Analysis   Analysis    `json:"analysis"`
}

// Secret is an environment variable whose value the server keeps.
type Secret struct {
	Variable string `json:"variable"`
	// Name is the secret's on the server; it is the variable's where nothing else is said.
	Name string `json:"name"`
}

// Stop says how an instance is ended.
type Stop struct {
	// Signal is TERM, INT, QUIT, HUP, USR1 or USR2; default TERM.
	Signal string `json:"signal"`
	// Grace is how long it has until it is killed, 0 to 24h; default 10s.
	Grace Duration `json:"grace"`
}

// Resources are limits of one instance; zero is none.
type Resources struct {
	// CPU is in cores, 0.01 to 1024.
	CPU    float64 `json:"cpu,omitempty"`
	Memory Size    `json:"memory,omitempty"`
	// PIDs limits processes and threads, 1 to 4194304.
	PIDs int `json:"pids,omitempty"`
}

// Shadow mirrors requests to a candidate before it gets any. Its answers are thrown away.
type Shadow struct {
	// Percent of the requests, above 0 and up to 100.
	Percent float64 `json:"percent,omitempty"`
	// Methods are those that are mirrored; default GET and HEAD, as others do something.
	Methods []string `json:"methods,omitempty"`
}

// Port returns a port by its name, or nil.
func (s *Service) Port(name string) *Port {
	for _, p := range s.Ports {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Weighable reports whether requests to the service can be spread over versions by weights.
func (s *Service) Weighable() bool {
	for _, p := range s.Ports {
		if p.Listen != "" && p.Protocol.Weighable() {
			return true
		}
	}
	return false
}

func newService(name string) *Service {
	return &Service{
		Name: name, Path: ".", Health: defaultHealth(), Drain: Duration(30 * time.Second), Instances: 1,
		Stop:     Stop{Signal: "TERM", Grace: Duration(10 * time.Second)},
		Strategy: defaultStrategy(), Routing: Routing{Sticky: StickyNone}, Analysis: defaultAnalysis(),
	}
}

// value is the service as `services` has it.
func (s *Service) value() bind.Value {
	return bind.Of(bind.Object{
		Def: "service", What: "a service",
		Members: append([]bind.Member{
			{Key: "path", Value: file(&s.Path, "the path"), Doc: "The service's folder, relative to gantry.yaml."},
			{Key: "pipeline", Value: file(&s.Pipeline, "the pipeline"), Doc: "The CI file whose runs build it, relative to gantry.yaml. Default: any."},
			{Key: "artifact", Value: bind.String(&s.Artifact, "the artifact"), Doc: "The name of the run's artifact that is the candidate. Default: the service's name."},
			{Key: "needs", Value: bind.Items(&s.Needs, "needs", 0, func(t *string) bind.Value { return name(t, "the name of a service") }), Doc: "Services that are released before this one."},
			{Key: "migrations", Value: bind.Items(&s.Migrations, "the migrations", 0, (*Migration).value), Doc: "Changes of databases, in order."},
		}, s.members(true)...),
	})
}

// override is what environments and regions may say anew about a service.
func (s *Service) override() bind.Value {
	return bind.Of(bind.Object{Def: "override", What: "a service in an environment", Members: s.members(false)})
}

// members are those that a service has and that an environment may say anew.
func (s *Service) members(first bool) []bind.Member {
	return append([]bind.Member{
		{Key: "command", Required: first, Value: command(&s.Command, "the command"), Doc: "The program with its arguments, as a list; `{shell: LINE}` where a shell has to read it. A program with a slash is looked for in the candidate's folder."},
		{Key: "ports", Value: bind.Named(&s.Ports, "the ports", nameKeys("the name of a port"), 0, newPort, func(p *Port) string { return p.Name }, (*Port).value), Doc: "Ports by names of your choice; an address alone is what the agent listens on."},
		{Key: "secrets", Value: secretsValue(&s.Secrets), Doc: "Variables whose values the server keeps: a list of names, or a mapping from variables to names of secrets."},
		{Key: "instances", Value: bind.Int(&s.Instances, "instances", 1, 1000), Doc: "How many run in each region, spread over its targets."},
		{Key: "shadow", Value: s.Shadow.value(), Doc: "Mirrors requests to the candidate before it gets any: a percentage, or a mapping."},
	}, s.common()...)
}

// common are the members that defaults have as well.
func (s *Service) common() []bind.Member {
	return append([]bind.Member{
		{Key: "health", Value: s.Health.value(), Doc: "When an instance is healthy: a path, `tcp`, `none`, or a mapping. Default: `tcp` on the first port."},
		{Key: "metrics", Value: s.Metrics.value(), Doc: "Where its own Prometheus metrics are: a path, `none`, or a mapping. Default: `none`; the agent measures requests itself."},
		{Key: "environment", Value: bind.Texts(&s.Environment, "the environment", variableKeys("an environment variable")), Doc: "Plain variables. What several places say is merged."},
		{Key: "drain", Value: duration(&s.Drain, "drain", 0, 7*24*time.Hour), Doc: "How long requests and sessions may go on after new ones go elsewhere; up to 7d."},
		{Key: "stop", Doc: "How an instance is ended.", Value: bind.Of(bind.Object{
			Def: "stop", What: "stop", Members: []bind.Member{
				{Key: "signal", Value: bind.Words(&s.Stop.Signal, "the signal", "TERM", "INT", "QUIT", "HUP", "USR1", "USR2"), Doc: "What asks it to end."},
				{Key: "grace", Value: duration(&s.Stop.Grace, "grace", 0, 24*time.Hour), Doc: "How long it has until it is killed; up to 24h."},
			},
		})},
		{Key: "resources", Doc: "Limits of one instance. Default: none.", Value: bind.Of(bind.Object{
			Def: "resources", What: "the resources", Members: []bind.Member{
				{Key: "cpu", Value: cpu(&s.Resources.CPU), Doc: "Cores: a number such as 0.5, or `500m`."},
				{Key: "memory", Value: size(&s.Resources.Memory, "memory", 1<<20), Doc: "Bytes with a binary unit, such as `256Mi`."},
				{Key: "pids", Value: bind.Int(&s.Resources.PIDs, "pids", 1, 1<<22), Doc: "Processes and threads."},
			},
		})},
	}, s.release()...)
}

// release are the members that environments have as well: how a candidate takes over.
func (s *Service) release() []bind.Member {
	return []bind.Member{
		{Key: "strategy", Value: s.Strategy.value(), Doc: "How a candidate takes over. Default: `canary` where a public port takes weights, else `rolling`."},
		{Key: "routing", Value: s.Routing.value(), Doc: "Which version a request goes to while there are two."},
		{Key: "analysis", Value: s.Analysis.value(), Doc: "How a candidate is judged."},
	}
}

func secretsValue(dst *[]Secret) bind.Value {
	var named map[string]string
	list := bind.Items(dst, "the secrets", 0, func(s *Secret) bind.Value {
		return bind.Parsed(&s.Name, "a secret", bind.Grammar[string]{Form: variableForm, Pattern: secretText, Parse: asIs}).Then(func() { s.Variable = s.Name })
	})
	mapping := bind.TextsOf(&named, "the secrets", variableKeys("an environment variable"), func(s *string) bind.Value {
		return bind.Parsed(s, "the name of a secret", bind.Grammar[string]{Form: variableForm, Pattern: secretText, Parse: asIs})
	}).Then(func() {
		*dst = make([]Secret, 0, len(named))
		for _, k := range sortedKeys(named) {
			*dst = append(*dst, Secret{Variable: k, Name: named[k]})
		}
	})
	return bind.Either("the secrets", list, mapping)
}

var milliText = lazy.New(`^[0-9]+m$`)

func cpu(dst *float64) bind.Value {
	const least, most = 0.01, 1024
	return bind.Either("cpu",
		bind.Num(dst, "cpu", bind.Range{Least: least, Most: most}),
		bind.Parsed(dst, "cpu", bind.Grammar[float64]{
			Form: "a number of cores such as 0.5, or 500m", Pattern: milliText,
			Parse: func(text string) (float64, error) {
				n, err := strconv.ParseFloat(strings.TrimSuffix(text, "m"), 64)
				if n /= 1000; err != nil || n < least || n > most || math.IsNaN(n) {
					return 0, errors.New("it is from 10m to 1024000m")
				}
				return n, nil
			},
		}))
}

func (h *Shadow) value() bind.Value {
	share := bind.Percent(&h.Percent, "the share that is mirrored", bind.Range{Least: 0, Most: 100, Above: true})
	methods := func() {
		if h.Methods == nil {
			h.Methods = []string{"GET", "HEAD"}
		}
	}
	return bind.Either("the shadow", share.Then(methods), bind.Of(bind.Object{
		Def: "shadow", What: "the shadow",
		Members: []bind.Member{
			{Key: "percent", Required: true, Value: share, Doc: "The share of requests that is mirrored, in percent."},
			{Key: "methods", Value: bind.Items(&h.Methods, "the methods", 1, func(s *string) bind.Value {
				return bind.Words(s, "a method", "GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
			}), Doc: "The methods that are mirrored. Default: GET and HEAD, as others do something a second time."},
		},
	}).Then(methods))
}
