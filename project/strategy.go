package project

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/project/internal/bind"
	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// StrategyKind is how a candidate takes over.
type StrategyKind string

const (
	// Rolling replaces instances batch by batch.
	Rolling StrategyKind = "rolling"
	// BlueGreen starts all instances beside the old ones, tries them, and switches at once.
	BlueGreen StrategyKind = "blue-green"
	// Canary gives the candidate a growing share of requests.
	Canary StrategyKind = "canary"
)

// Strategy says how a candidate takes over. Only the members of its kind mean something.
type Strategy struct {
	// Kind is empty before a [Placement] is made: canary where the service has a port that takes weights, else rolling.
	Kind  StrategyKind `json:"kind"`
	Batch Batch        `json:"batch,omitzero"`
	// Preview has public addresses by the names of ports, where the candidate of a blue-green release is seen before the switch.
	Preview map[string]string `json:"preview,omitempty"`
	// Smoke are checks of the candidate before the switch of a blue-green release, in order.
	Smoke []Smoke `json:"smoke,omitempty"`
	// Steps are those of a canary; after the last the candidate gets everything.
	Steps []Step `json:"steps,omitempty"`
	// KeepWarm is how long the old version keeps running after the candidate has taken over, 0 to 7d; default 10m. A rollback within it
	// starts no process.
	KeepWarm Duration `json:"keep_warm"`
}

// Batch is how many instances a rolling release replaces at a time: a number, or a share of all in percent, rounded up. One is set.
type Batch struct {
	Count   int     `json:"count,omitempty"`
	Percent float64 `json:"percent,omitempty"`
}

// Size returns the batch for a number of instances; at least 1.
func (b Batch) Size(instances int) int {
	n := b.Count
	if b.Percent > 0 {
		n = int((float64(instances)*b.Percent + 99.999999) / 100)
	}
	return max(1, min(n, instances))
}

// Smoke is a check of a candidate that nobody uses yet: an HTTP request or a command.
type Smoke struct {
	HTTP string `json:"http,omitempty"`
	// Port is the name of the port that is asked; default: the first of HTTP.
	Port string `json:"port,omitempty"`
	// Status is the status that is wanted, 100 to 599; default 200.
	Status  int     `json:"status,omitempty"`
	Command Command `json:"command,omitzero"`
	// Timeout is how long it may take, 10ms to 1h; default 10s.
	Timeout Duration `json:"timeout"`
}

// Step is a weight and what ends it.
type Step struct {
	// Weight is the candidate's share of requests in percent, above 0 and up to 100.
	Weight float64 `json:"weight"`
	// For is how long the step takes at least, up to 30d.
	For Duration `json:"for,omitempty"`
	// Requests is how many requests the candidate has to have served in the step.
	Requests int `json:"requests,omitempty"`
	// Within is how long Requests may take, up to 30d, default 30m; after it the step is inconclusive.
	Within Duration `json:"within,omitempty"`
	// Pause waits for a person at the end of the step.
	Pause bool `json:"pause,omitempty"`
}

// The default steps: long enough for the analysis at a few requests a second.
const (
	stepFor    = 2 * time.Minute
	stepWithin = 30 * time.Minute
)

func defaultSteps() []Step {
	return []Step{{Weight: 5, For: Duration(stepFor)}, {Weight: 25, For: Duration(stepFor)}, {Weight: 50, For: Duration(stepFor)}}
}

func defaultStrategy() Strategy {
	return Strategy{KeepWarm: Duration(10 * time.Minute)}
}

// become makes the strategy one of a kind, with the kind's defaults. What another kind had is gone.
func (s *Strategy) become(k StrategyKind) {
	if s.Kind == k {
		return
	}
	*s = Strategy{Kind: k, KeepWarm: s.KeepWarm}
	switch k {
	case Rolling:
		s.Batch = Batch{Count: 1}
	case Canary:
		s.Steps = defaultSteps()
	}
}

func (s *Strategy) value() bind.Value {
	var kind StrategyKind
	short := bind.Words(&kind, "the strategy", Rolling, BlueGreen, Canary).Then(func() {
		if kind != "" {
			s.become(kind)
		}
	})
	become := func(k StrategyKind) func() { return func() { s.become(k) } }
	return bind.Either("the strategy", short, bind.Of(bind.Object{
		Def: "strategy", What: "the strategy",
		Members: []bind.Member{
			{Key: "rolling", Doc: "Replaces instances batch by batch.", Value: bind.Of(bind.Object{
				What: "rolling", Members: []bind.Member{
					{Key: "batch", Value: s.Batch.value(), Doc: "How many at a time: a number, or a share such as `25%`, rounded up. Default: 1."},
				},
			}).Before(become(Rolling))},
			{Key: "blue-green", Doc: "Starts the candidate beside the old version, tries it, and switches at once.", Value: bind.Of(bind.Object{
				What: "blue-green", Members: []bind.Member{
					{Key: "preview", Value: s.preview(), Doc: "Public addresses of the candidate before the switch, by the names of ports; an address alone is for the only port."},
					{Key: "smoke", Value: bind.Items(&s.Smoke, "the smoke checks", 1, (*Smoke).value), Doc: "Checks of the candidate before the switch, in order."},
				},
			}).Before(become(BlueGreen))},
			{Key: "canary", Doc: "Gives the candidate a growing share of requests.", Value: bind.Of(bind.Object{
				What: "canary", Members: []bind.Member{
					{Key: "steps", Value: bind.Items(&s.Steps, "the steps", 1, (*Step).value), Doc: "Ascending weights, each with what ends it; after the last the candidate gets everything. Default: 5, 25 and 50 percent for 2m each."},
				},
			}).Before(become(Canary))},
			{Key: "keep-warm", Value: duration(&s.KeepWarm, "keep-warm", 0, 7*24*time.Hour), Doc: "How long the old version keeps running after the candidate has taken over, for a rollback at once; up to 7d."},
		},
		Choices: []bind.Choice{{Keys: []string{"rolling", "blue-green", "canary"}}},
	}))
}

// anyPort stands in Preview for the only public port, until a [Placement] is made.
const anyPort = ""

func (s *Strategy) preview() bind.Value {
	var one string
	return bind.Either("the preview",
		address(&one, "the preview").Then(func() {
			if one != "" {
				s.Preview = map[string]string{anyPort: one}
			}
		}),
		bind.TextsOf(&s.Preview, "the preview", nameKeys("the name of a port"), func(dst *string) bind.Value { return address(dst, "the preview") }))
}

var errShare = errors.New("a share is above 0% and up to 100%")

var batchText = lazy.New(`^[0-9]+(\.[0-9]+)?%$`)

func (b *Batch) value() bind.Value {
	var count int
	var share float64
	return bind.Either("the batch",
		bind.Int(&count, "the batch", 1, 10_000).Then(func() {
			if count > 0 {
				*b = Batch{Count: count}
			}
		}),
		bind.Parsed(&share, "the batch", bind.Grammar[float64]{
			Form: "a share such as 25%", Pattern: batchText,
			Parse: func(text string) (float64, error) { return parseShare(text) },
		}).Then(func() {
			if share > 0 {
				*b = Batch{Percent: share}
			}
		}))
}

func parseShare(text string) (float64, error) {
	x, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || x <= 0 || x > 100 {
		return 0, errShare
	}
	return x, nil
}

func (s *Smoke) value() bind.Value {
	s.Timeout = Duration(10 * time.Second)
	return bind.Of(bind.Object{
		Def: "smoke", What: "a smoke check",
		Members: []bind.Member{
			{Key: "http", Value: urlPath(&s.HTTP, "the path").Then(func() {
				if s.Status == 0 {
					s.Status = 200
				}
			}), Doc: "A path that is asked by GET."},
			{Key: "port", Value: name(&s.Port, "the port"), Doc: "The name of the port that is asked. Default: the first of HTTP."},
			{Key: "status", Value: bind.Int(&s.Status, "the status", 100, 599), Doc: "The status that is wanted. Default: 200."},
			{Key: "command", Value: command(&s.Command, "the command"), Doc: "A command that exits with 0, run in the candidate's folder and environment."},
			{Key: "timeout", Value: duration(&s.Timeout, "the timeout", 10*time.Millisecond, time.Hour), Doc: "How long it may take; 10ms to 1h."},
		},
		Choices: []bind.Choice{{Keys: []string{"http", "command"}, Need: true}, {Keys: []string{"command", "status"}}, {Keys: []string{"command", "port"}}},
	})
}

func (s *Step) value() bind.Value {
	weight := bind.Percent(&s.Weight, "the weight", bind.Range{Least: 0, Most: 100, Above: true})
	alone := weight.Then(func() { s.For = Duration(stepFor) })
	return bind.Either("a step", alone, bind.Of(bind.Object{
		Def: "step", What: "a step",
		Members: []bind.Member{
			{Key: "weight", Required: true, Value: weight, Doc: "The candidate's share of requests in percent."},
			{Key: "for", Value: duration(&s.For, "for", time.Second, 30*24*time.Hour), Doc: "How long the step takes at least; 1s to 30d."},
			{Key: "requests", Value: bind.Int(&s.Requests, "requests", 1, 1_000_000_000).Then(func() {
				if s.Within == 0 {
					s.Within = Duration(stepWithin)
				}
			}), Doc: "How many requests the candidate has to have served in the step."},
			{Key: "within", Value: duration(&s.Within, "within", time.Second, 30*24*time.Hour), Doc: "How long `requests` may take before the step is inconclusive; 1s to 30d. Default: 30m."},
			{Key: "pause", Value: bind.Flag(&s.Pause, "pause"), Doc: "Waits for a person at the end of the step."},
		},
	}).Then(func() {
		if s.For == 0 && s.Requests == 0 && !s.Pause {
			s.For = Duration(stepFor)
		}
	}))
}
