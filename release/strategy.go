package release

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Whole is all of the traffic: weights are in ten-thousandths.
const Whole = 10_000

// Kind is a way to replace a version.
type Kind string

const (
	// Rolling replaces instances batch by batch.
	Rolling Kind = "rolling"
	// BlueGreen starts all instances beside the old ones, looks at them, and switches at once.
	BlueGreen Kind = "blue-green"
	// Canary gives a growing share of the traffic to the new version.
	Canary Kind = "canary"
)

// Strategy says how a version is replaced in a region.
type Strategy struct {
	Kind Kind `json:"kind"`
	// Instances is how many of them there are in each region, at least 1. Regions are those that have another number.
	Instances int            `json:"instances"`
	Regions   map[string]int `json:"regions,omitempty"`
	// Batch is how many instances a rolling step replaces, at least 1.
	Batch int `json:"batch,omitempty"`
	// Steps are a canary's, with weights that grow; the last one is followed by all of the traffic.
	Steps []CanaryStep `json:"steps,omitempty"`
	// Hold is how long a rolling step, or the whole new version of a blue-green one, is watched.
	Hold time.Duration `json:"hold,omitempty"`
	// Smoke has the new version looked at before it gets any traffic.
	Smoke bool `json:"smoke,omitempty"`
	// Baseline starts as many instances of the old version anew as a canary step has of the new one, with the same share, to compare with. Steps above
	// half of the traffic leave no room for it, and have none.
	Baseline bool `json:"baseline,omitempty"`
	// Analyse has each watched step judged: without a verdict that passes it is not left.
	Analyse bool `json:"analyse,omitempty"`
	// Start is how long instances may take until they are healthy; 0 is 5 minutes.
	Start time.Duration `json:"start,omitempty"`
	// Extend is how often a step is watched for its time again when its verdict is inconclusive or an error.
	Extend int `json:"extend,omitempty"`
	// Undecided is what happens after that.
	Undecided Undecided `json:"undecided,omitempty"`
	// Soak is how long a wave of regions is watched before the next begins.
	Soak time.Duration `json:"soak,omitempty"`
	// Warm is how long the old version is kept running without traffic, so that going back takes no start.
	Warm time.Duration `json:"warm,omitempty"`
}

// Undecided is what a rollout does when no verdict can be had.
type Undecided string

const (
	// Wait leaves it to a person: the rollout pauses.
	Wait Undecided = "wait"
	// GoBack takes the new version back.
	GoBack Undecided = "rollback"
)

// CanaryStep is a share of the traffic, and how long it is watched: for a time, until there were enough requests, or both.
type CanaryStep struct {
	Weight   int           `json:"weight"`
	For      time.Duration `json:"for,omitempty"`
	Requests int64         `json:"requests,omitempty"`
	// Within is how long the requests may take; after it the step is inconclusive. 0 is any time.
	Within time.Duration `json:"within,omitempty"`
	// Manual waits for a person when the step is over.
	Manual bool `json:"manual,omitempty"`
}

const defaultStart = 5 * time.Minute

// Check says all that is wrong with a strategy.
func (s Strategy) Check() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if s.Instances < 1 {
		bad("there has to be an instance at least")
	}
	for _, region := range slices.Sorted(maps.Keys(s.Regions)) {
		if s.Regions[region] < 1 {
			bad("there has to be an instance at least in %s", region)
		}
	}
	for name, d := range map[string]time.Duration{"hold": s.Hold, "start": s.Start, "soak": s.Soak, "warm": s.Warm} {
		if d < 0 {
			bad("%s is negative: %v", name, d)
		}
	}
	if s.Extend < 0 {
		bad("extend is negative: %d", s.Extend)
	}
	if s.Undecided != "" && s.Undecided != Wait && s.Undecided != GoBack {
		bad("undecided is %q, which is neither %q nor %q", s.Undecided, Wait, GoBack)
	}
	if s.Kind != Canary && (len(s.Steps) > 0 || s.Baseline) {
		bad("steps and a baseline belong to a canary")
	}
	switch s.Kind {
	case Rolling:
		if s.Batch < 1 {
			bad("a rolling strategy replaces at least one instance at a time")
		}
	case BlueGreen:
	case Canary:
		if len(s.Steps) == 0 {
			bad("a canary has a step at least")
		}
		last := 0
		for i, st := range s.Steps {
			if st.Weight <= last || st.Weight >= Whole {
				bad("step %d: the weight %d has to be above %d and at most %d", i+1, st.Weight, last, Whole-1)
			}
			last = max(last, st.Weight)
			if st.For < 0 || st.Requests < 0 || st.Within < 0 || st.For == 0 && st.Requests == 0 && !st.Manual {
				bad("step %d: it has to last for a time, for a number of requests, or until a person goes on", i+1)
			}
		}
	default:
		bad("the kind %q is none of %s, %s, %s", s.Kind, Rolling, BlueGreen, Canary)
	}
	return errors.Join(errs...)
}

// Step is a state of a region on its way from one version to the next.
type Step struct {
	// New and Old are how many instances of each version run; Baseline how many of the old one are started anew.
	New      int `json:"new"`
	Old      int `json:"old"`
	Baseline int `json:"baseline"`
	// Weight is the new version's share, and Baseline's is the same.
	Weight int `json:"weight"`
	// Smoke has the new instances looked at before they get their share.
	Smoke bool `json:"smoke"`
	// Hold and Requests are what has to pass before the next step, the requests in each region and within a time where it is above zero; Analyse wants a
	// verdict, Manual a person.
	Hold     time.Duration `json:"hold"`
	Requests int64         `json:"requests"`
	Within   time.Duration `json:"within"`
	Analyse  bool          `json:"analyse"`
	Manual   bool          `json:"manual"`
}

// In is how many instances there are in a region.
func (s Strategy) In(region string) int {
	if n, ok := s.Regions[region]; ok {
		return n
	}
	return s.Instances
}

// step is a step as a region with its own number of instances has it: as large a part of them, and never less.
func (s Strategy) step(st Step, region string) Step {
	n := s.In(region)
	part := func(count int) int { return (count*n + s.Instances - 1) / s.Instances }
	st.New, st.Old, st.Baseline = part(st.New), part(st.Old), part(st.Baseline)
	return st
}

// Plan lists the steps of a strategy, with the instances of a region that has the usual number of them. Without an earlier version there is nothing to share traffic with: all comes in one step.
func (s Strategy) Plan(earlier bool) []Step {
	n := s.Instances
	whole := Step{New: n, Weight: Whole, Hold: s.Hold, Analyse: s.Analyse && s.Hold > 0}
	if !earlier {
		whole.Smoke = s.Smoke
		whole.Analyse = false // with nothing to compare with, health has to do
		return []Step{whole}
	}
	var steps []Step
	switch s.Kind {
	case Rolling:
		for done := min(s.Batch, n); done < n; done += s.Batch {
			steps = append(steps, Step{New: done, Old: n - done, Weight: done * Whole / n, Hold: s.Hold, Analyse: s.Analyse && s.Hold > 0})
		}
	case Canary:
		for _, c := range s.Steps {
			count := max(1, (c.Weight*n+Whole-1)/Whole)
			st := Step{New: count, Old: n, Weight: c.Weight, Hold: c.For, Requests: c.Requests, Within: c.Within, Analyse: s.Analyse && (c.For > 0 || c.Requests > 0), Manual: c.Manual}
			if s.Baseline && c.Weight <= Whole/2 {
				st.Baseline = count
			}
			steps = append(steps, st)
		}
	}
	steps = append(steps, whole)
	steps[0].Smoke = s.Smoke
	return steps
}
