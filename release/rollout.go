package release

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Candidate is what is released: an artifact and the configuration that it runs with, both by their digests.
type Candidate struct {
	Artifact string `json:"artifact"`
	Config   string `json:"config"`
}

// IsZero says whether there is none.
func (c Candidate) IsZero() bool { return c == Candidate{} }

// Version is the candidate's short name, in routing tables, metrics and tables for people: the first 8 hexadecimal digits of a SHA-256 over both digests;
// empty for none.
func (c Candidate) Version() string {
	if c.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(c.Artifact + "\n" + c.Config))
	return hex.EncodeToString(sum[:4])
}

// Phase is where a rollout is.
type Phase string

const (
	// Waiting has not begun: a gate is closed.
	Waiting Phase = "waiting"
	// Expanding runs the migrations that both versions can live with.
	Expanding Phase = "expanding"
	// Placing starts instances, Checking looks at them, Routing moves the traffic, Holding watches.
	Placing  Phase = "placing"
	Checking Phase = "checking"
	Routing  Phase = "routing"
	Holding  Phase = "holding"
	// Soaking watches a wave of regions that is through.
	Soaking Phase = "soaking"
	// Warm keeps the old version running without traffic.
	Warm Phase = "warm"
	// Contracting runs the migrations that the old version cannot live with.
	Contracting Phase = "contracting"
	// Retiring ends the old version.
	Retiring Phase = "retiring"
	// Succeeded, RolledBack and Cancelled are ends; a cancelled rollout never began.
	Succeeded  Phase = "succeeded"
	RolledBack Phase = "rolled-back"
	Cancelled  Phase = "cancelled"
	// Returning moves the traffic back, Removing ends the new version.
	Returning Phase = "returning"
	Removing  Phase = "removing"
)

// Ended says whether nothing more happens.
func (p Phase) Ended() bool { return p == Succeeded || p == RolledBack || p == Cancelled }

// Reverting says whether the way leads back.
func (p Phase) Reverting() bool { return p == Returning || p == Removing }

// Rollout is one candidate on its way into one environment. It is stored as it is; every field is the whole truth about something.
type Rollout struct {
	// New replaces Old, which is zero where nothing was there.
	New Candidate `json:"new"`
	Old Candidate `json:"old,omitzero"`
	// Waves are the regions, those of a wave at a time.
	Waves    [][]string `json:"waves"`
	Strategy Strategy   `json:"strategy"`
	// Expand and Contract say whether there are migrations of that kind to run.
	Expand   bool `json:"expand,omitempty"`
	Contract bool `json:"contract,omitempty"`

	Phase Phase `json:"phase"`
	Wave  int   `json:"wave"`
	Step  int   `json:"step"`
	// Since is when the phase began.
	Since time.Time `json:"since"`
	// Base is how many requests the new version had answered in each region of the wave when it began to be watched.
	Base map[string]int64 `json:"base,omitempty"`
	// Extended counts how often the step's time was given again.
	Extended int `json:"extended,omitempty"`
	// Approved is set when a person went on from a manual step.
	Approved bool `json:"approved,omitempty"`
	// Paused holds it where it is; it still goes back. Doubt says that it paused by itself, since no verdict could be had.
	Paused bool `json:"paused,omitempty"`
	Doubt  bool `json:"doubt,omitempty"`
	// Back is the new version's share on the way back: above zero only while too few old instances run to take all at once.
	Back int `json:"back,omitempty"`
	// Contracted is set before the first contract migration is asked for. There is no way back from it.
	Contracted bool `json:"contracted,omitempty"`
	// Reason says why it is where it is: what is waited for, why it went back.
	Reason string `json:"reason,omitempty"`
	// Cause is why it went back.
	Cause string `json:"cause,omitempty"`
}

// New begins a rollout. It says all that is wrong with what is asked for.
func New(now time.Time, candidate, earlier Candidate, waves [][]string, s Strategy) (Rollout, error) {
	errs := []error{s.Check()}
	if candidate.IsZero() {
		errs = append(errs, errors.New("there is no candidate"))
	}
	seen := map[string]bool{}
	for i, w := range waves {
		if len(w) == 0 {
			errs = append(errs, fmt.Errorf("wave %d has no region", i+1))
		}
		for _, region := range w {
			if seen[region] {
				errs = append(errs, fmt.Errorf("the region %s is there twice", region))
			}
			seen[region] = true
		}
	}
	if len(waves) == 0 {
		errs = append(errs, errors.New("there is no region"))
	}
	if err := errors.Join(errs...); err != nil {
		return Rollout{}, err
	}
	return Rollout{New: candidate, Old: earlier, Waves: waves, Strategy: s, Phase: Waiting, Since: now}, nil
}

// steps are those of the strategy.
func (r Rollout) steps() []Step { return r.Strategy.Plan(!r.Old.IsZero()) }

// Regions are all of them, in the order of waves.
func (r Rollout) Regions() []string { return slices.Concat(r.Waves...) }

// current are the regions of the wave.
func (r Rollout) current() []string { return r.Waves[min(r.Wave, len(r.Waves)-1)] }

// Desired is what a region shall look like. A target moves a share only to a version with healthy instances: where the old one has none, the new one
// keeps the traffic until it has, and the other way round.
type Desired struct {
	New      Group `json:"new"`
	Old      Group `json:"old"`
	Baseline int   `json:"baseline,omitempty"`
	// Weight is the new version's share of the traffic. The old one has the rest, with the baseline's in it.
	Weight int `json:"weight"`
}

// Group is a number of instances of a version.
type Group struct {
	Candidate Candidate `json:"candidate,omitzero"`
	Instances int       `json:"instances"`
}

// Desired says what each region shall look like now, of what is stored alone.
func (r Rollout) Desired() map[string]Desired {
	all := map[string]Desired{}
	for wave, regions := range r.Waves {
		for _, region := range regions {
			all[region] = r.desired(wave, region)
		}
	}
	return all
}

func (r Rollout) desired(wave int, region string) Desired {
	n := r.Strategy.In(region)
	make := func(s Step, weight int) Desired {
		return Desired{New: Group{r.New, s.New}, Old: Group{r.Old, s.Old}, Baseline: s.Baseline, Weight: weight}
	}
	before := Step{Old: n}
	steps := r.steps()
	for i := range steps {
		steps[i] = r.Strategy.step(steps[i], region)
	}
	after := steps[len(steps)-1]
	if r.Old.IsZero() {
		before.Old = 0
	}
	warm := after
	if r.Strategy.Kind != Rolling {
		warm.Old = before.Old // runs on without traffic; a rolling strategy is for who has no room for both
	}
	switch r.Phase {
	case Waiting, Expanding, Cancelled, RolledBack:
		return make(before, 0)
	case Succeeded, Retiring:
		return make(after, Whole)
	case Warm, Contracting:
		return make(warm, Whole)
	case Removing:
		return make(before, 0)
	case Returning:
		// The new instances stay until the old ones have the traffic again; none is started any more.
		back := before
		switch {
		case wave < r.Wave:
			back.New = n
		case wave == r.Wave && r.Step < len(steps):
			back.New = steps[r.Step].New
		}
		return make(back, min(r.Back, back.New*Whole))
	}
	switch {
	case wave < r.Wave || wave == r.Wave && r.Phase == Soaking:
		return make(warm, Whole)
	case wave > r.Wave:
		return make(before, 0)
	}
	last := before
	if r.Step > 0 {
		last = steps[r.Step-1]
	}
	now := steps[r.Step]
	switch r.Phase {
	case Placing, Checking:
		// More of the new, none less of the old, and the traffic as it was.
		return make(Step{New: max(now.New, last.New), Old: max(now.Old, last.Old), Baseline: max(now.Baseline, last.Baseline)}, last.Weight)
	case Routing:
		return make(Step{New: max(now.New, last.New), Old: max(now.Old, last.Old), Baseline: now.Baseline}, now.Weight)
	}
	if now.Weight == Whole {
		now = warm
	}
	return make(now, now.Weight)
}

// Observed is what is seen of a region.
type Observed struct {
	// At is when it was seen; zero is never.
	At time.Time
	// Healthy are the instances of each version that are ready for traffic.
	Healthy map[Candidate]int
	// Running are all instances that there are, ready or not.
	Running map[Candidate]int
	// Failed says why a version's instances do not become healthy, where that is known.
	Failed map[Candidate]string
	// Weights are the shares that the traffic really has.
	Weights map[Candidate]int
	// Requests are those that each version has answered so far.
	Requests map[Candidate]int64
}

// clone copies what Advance changes.
func (r Rollout) clone() Rollout {
	r.Base = maps.Clone(r.Base)
	return r
}
