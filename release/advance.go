package release

import (
	"fmt"
	"time"

	"github.com/gantry-ops/gantry/release/analysis"
)

// Unjudged is no verdict yet.
const Unjudged analysis.Verdict = ""

// Outcome is how something ended that was done beside the rollout: a migration, smoke checks.
type Outcome struct {
	Done bool
	// Failure is empty for success.
	Failure string
}

// Input is what is known beside the rollout.
type Input struct {
	// Closed says which gate is closed, and why; empty is none. While one is, nothing begins and nothing gets a larger share or another wave of regions;
	// the way back is never closed.
	Closed string
	// Next says that another rollout waits for this one at its place.
	Next bool
	// Expand, Contract and Smoke are what came of the migrations and of the checks of the wave's new instances.
	Expand, Contract, Smoke Outcome
	Regions                 map[string]Observed
	// Verdict is on the step that is held since the rollout's Since, with its Reason in words. Early says that it does not wait for the step's end:
	// a sequential test has found the new version worse.
	Verdict analysis.Verdict
	Early   bool
	Reason  string
}

// stale is after which time what was seen of a region is nothing to go by.
const stale = 30 * time.Second

// Advance says what the rollout becomes, and when it changes by time alone; a zero time is never. One call makes one step: what it returns
// has to be stored and acted on before the next.
func (r Rollout) Advance(now time.Time, in Input) (Rollout, time.Time) {
	next := r.clone()
	wake := next.advance(now, in)
	return next, wake
}

// to begins a phase.
func (r *Rollout) to(p Phase, now time.Time, format string, a ...any) time.Time {
	r.Phase, r.Since, r.Reason = p, now, fmt.Sprintf(format, a...)
	return now
}

// back begins the way back.
func (r *Rollout) back(now time.Time, format string, a ...any) time.Time {
	r.Cause = fmt.Sprintf(format, a...)
	r.Paused, r.Doubt, r.Back = false, false, 0
	if steps := r.steps(); r.Strategy.Kind == Rolling && !r.Old.IsZero() && r.Step < len(steps) {
		// The old instances that are left would break down under all of it.
		r.Back = steps[r.Step].Weight
		if r.Phase == Placing || r.Phase == Checking {
			if r.Back = 0; r.Step > 0 {
				r.Back = steps[r.Step-1].Weight
			}
		}
	}
	return r.to(Returning, now, "%s", r.Cause)
}

// makeRoom lowers the share on the way back as old instances become healthy, in all regions alike.
func (r *Rollout) makeRoom(now time.Time, in Input) {
	least := 0 // the share that the old instances of some region cannot take
	for wave, regions := range r.Waves {
		for _, region := range regions {
			if o := in.Regions[region]; wave <= r.Wave && seen(now, o) {
				n := r.Strategy.In(region)
				least = max(least, (n-min(o.Healthy[r.Old], n))*Whole/n)
				if o.Healthy[r.New] == 0 {
					r.Back = 0 // there is nobody to spare them
				}
			}
		}
	}
	r.Back = min(r.Back, least)
}

func (r *Rollout) advance(now time.Time, in Input) time.Time {
	step := Step{}
	if steps := r.steps(); r.Step < len(steps) {
		step = steps[r.Step]
	}
	if bad, why := r.early(in); bad && in.Early && r.Step > 0 && (r.Phase == Placing || r.Phase == Checking || r.Phase == Routing) {
		return r.back(now, "%s", why) // it has the share of the step before, and its next instances may take minutes to start
	}
	switch r.Phase {
	case Waiting:
		if r.Paused {
			r.Reason = "paused"
			return time.Time{}
		}
		if r.closed(in) {
			return time.Time{}
		}
		if r.Expand {
			return r.to(Expanding, now, "the expand migrations run")
		}
		return r.place(now)
	case Expanding:
		switch {
		case !in.Expand.Done:
			return time.Time{}
		case in.Expand.Failure != "":
			// Nothing was started, and what was expanded is harmless to the old version.
			r.Cause = "an expand migration failed: " + in.Expand.Failure
			return r.to(RolledBack, now, "%s", r.Cause)
		}
		return r.place(now)
	case Placing:
		return r.placing(now, in, step)
	case Checking:
		switch {
		case !in.Smoke.Done:
			return time.Time{}
		case in.Smoke.Failure != "":
			return r.back(now, "a smoke check failed: %s", in.Smoke.Failure)
		case r.closed(in):
			return time.Time{}
		}
		return r.to(Routing, now, "the traffic moves to %s", share(step.Weight))
	case Routing:
		if why := r.unhealthy(now, in, step.New); why != "" {
			return r.back(now, "%s", why)
		}
		for _, region := range r.current() {
			if in.Regions[region].Weights[r.New] != step.Weight {
				return r.deadline(now, in, "the traffic of "+region+" moves to "+share(step.Weight), "the traffic of "+region+" does not move")
			}
		}
		return r.hold(now, in, step)
	case Holding:
		return r.holding(now, in, step)
	case Soaking:
		if why := r.unhealthy(now, in, step.New); why != "" {
			return r.back(now, "%s", why)
		}
		if v, why := r.early(in); v {
			return r.back(now, "%s", why)
		}
		if end := r.Since.Add(r.Strategy.Soak); now.Before(end) || r.Paused {
			return later(now, end)
		}
		if r.closed(in) {
			return time.Time{}
		}
		r.Wave, r.Step = r.Wave+1, 0
		return r.place(now)
	case Warm:
		if why := r.unhealthy(now, in, step.New); why != "" {
			return r.back(now, "%s", why)
		}
		if v, why := r.early(in); v {
			return r.back(now, "%s", why)
		}
		// Who waits for the next version is not made to wait for the comfort of going back to the one before this.
		if end := r.Since.Add(r.Strategy.Warm); now.Before(end) && !in.Next || r.Paused {
			return later(now, end)
		}
		if r.Contract {
			r.Contracted = true
			return r.to(Contracting, now, "the contract migrations run; from here there is no way back")
		}
		return r.to(Retiring, now, "the old version is ended")
	case Contracting:
		switch {
		case !in.Contract.Done:
		case in.Contract.Failure != "":
			r.Reason = "a contract migration failed: " + in.Contract.Failure + "; it cannot be taken back, a person has to mend it"
		default:
			return r.to(Retiring, now, "the old version is ended")
		}
		return time.Time{}
	case Retiring:
		return r.ending(now, in, r.Old, Succeeded, "through")
	case Returning:
		return r.returning(now, in)
	case Removing:
		return r.ending(now, in, r.New, RolledBack, r.Cause)
	}
	return time.Time{} // ended
}

func share(weight int) string { return fmt.Sprintf("%g %%", float64(weight)*100/Whole) }

// closed says whether a gate is, and remembers which.
func (r *Rollout) closed(in Input) bool {
	if in.Closed != "" {
		r.Reason = in.Closed
	}
	return in.Closed != ""
}

// later is a time to wake at, or never when it has passed.
func later(now, at time.Time) time.Time {
	if at.After(now) {
		return at
	}
	return time.Time{}
}

// place begins a step.
func (r *Rollout) place(now time.Time) time.Time {
	r.Extended, r.Approved, r.Base = 0, false, nil
	return r.to(Placing, now, "instances are started")
}

// seen says whether a region was heard of lately.
func seen(now time.Time, o Observed) bool { return !o.At.IsZero() && now.Sub(o.At) <= stale }

func (r *Rollout) start() time.Duration {
	if r.Strategy.Start > 0 {
		return r.Strategy.Start
	}
	return defaultStart
}

// deadline waits until a phase has taken as long as instances may take to start, and goes back then. what
// is waited for, stuck what it is called when the time for it is over.
func (r *Rollout) deadline(now time.Time, in Input, what, stuck string) time.Time {
	r.Reason = what
	for _, region := range r.current() {
		if o := in.Regions[region]; !seen(now, o) {
			silent := "; nothing is heard of " + region
			r.Reason, stuck = what+silent, stuck+silent
		}
	}
	end := r.Since.Add(r.start())
	if now.Before(end) {
		return end
	}
	return r.back(now, "%s after %v", stuck, r.start())
}

func (r *Rollout) placing(now time.Time, in Input, step Step) time.Time {
	ready := true
	for _, region := range r.current() {
		o := in.Regions[region]
		if why := o.Failed[r.New]; why != "" {
			return r.back(now, "in %s the new version does not start: %s", region, why)
		}
		st := r.Strategy.step(step, region)
		ready = ready && seen(now, o) && o.Healthy[r.New] >= st.New && (r.Old.IsZero() || o.Healthy[r.Old] >= min(1, st.Old)+st.Baseline)
	}
	if !ready {
		return r.deadline(now, in, "instances start", "instances are not healthy yet")
	}
	if r.Paused {
		r.Reason = "paused"
		return time.Time{}
	}
	if r.closed(in) {
		return time.Time{}
	}
	if step.Smoke {
		return r.to(Checking, now, "the new instances are looked at before they get traffic")
	}
	return r.to(Routing, now, "the traffic moves to %s", share(step.Weight))
}

// unhealthy says why the new version cannot go on in a region that it has traffic in; fewer than all of its instances may be ill for as long as
// instances may take to start.
func (r *Rollout) unhealthy(now time.Time, in Input, want int) string {
	for wave, regions := range r.Waves {
		if wave > r.Wave {
			break
		}
		for _, region := range regions {
			o := in.Regions[region]
			if !seen(now, o) {
				continue // the region serves on by itself; it is judged when it is back
			}
			if why := o.Failed[r.New]; why != "" {
				return fmt.Sprintf("in %s the new version fails: %s", region, why)
			}
			if want > 0 && o.Healthy[r.New] == 0 {
				return fmt.Sprintf("in %s no instance of the new version is healthy", region)
			}
		}
	}
	return ""
}

// hold begins to watch a step.
func (r *Rollout) hold(now time.Time, in Input, step Step) time.Time {
	r.Base = map[string]int64{}
	for _, region := range r.current() {
		r.Base[region] = in.Regions[region].Requests[r.New]
	}
	return r.to(Holding, now, "%s of the traffic is watched", share(step.Weight))
}

// early says whether a verdict is one to go back by at once, and why.
func (r *Rollout) early(in Input) (bool, string) {
	if in.Verdict == analysis.Fail {
		return true, "the analysis fails: " + in.Reason
	}
	return false, ""
}

func (r *Rollout) holding(now time.Time, in Input, step Step) time.Time {
	if why := r.unhealthy(now, in, step.New); why != "" {
		return r.back(now, "%s", why)
	}
	if bad, why := r.early(in); bad && (in.Early || step.Analyse) {
		return r.back(now, "%s", why)
	}
	for _, region := range r.current() {
		if !seen(now, in.Regions[region]) {
			r.Reason = "nothing is heard of " + region
			return time.Time{} // missing data never passes
		}
	}
	end := r.Since.Add(step.Hold)
	if now.Before(end) {
		return end
	}
	if step.Requests > 0 {
		for _, region := range r.current() {
			if got := in.Regions[region].Requests[r.New] - r.Base[region]; got < step.Requests {
				return r.tooFew(now, in, step, fmt.Sprintf("%d of %d requests in %s", max(got, 0), step.Requests, region))
			}
		}
	}
	if step.Analyse && in.Verdict != analysis.Pass {
		return r.undecided(now, in, step)
	}
	if r.Paused {
		r.Reason = "paused"
		return time.Time{}
	}
	if step.Manual && !r.Approved {
		r.Reason = "waits for a person to go on"
		return time.Time{}
	}
	if r.Step+1 < len(r.steps()) && r.closed(in) {
		return time.Time{}
	}
	return r.leave(now)
}

// tooFew waits for requests, and takes the step for inconclusive when they have had their time.
func (r *Rollout) tooFew(now time.Time, in Input, step Step, what string) time.Time {
	if end := r.Since.Add(step.Within); step.Within == 0 || now.Before(end) {
		if !r.Doubt {
			r.Reason = what
		}
		if step.Within == 0 {
			return time.Time{}
		}
		return end
	}
	in.Verdict, in.Reason = analysis.Inconclusive, fmt.Sprintf("%s within %v", what, step.Within)
	return r.undecided(now, in, step)
}

// undecided extends a step without a verdict, and then does what the strategy says.
func (r *Rollout) undecided(now time.Time, in Input, step Step) time.Time {
	if in.Verdict == Unjudged {
		r.Reason = "waits for the verdict"
		return time.Time{}
	}
	if r.Extended < r.Strategy.Extend {
		r.Extended++
		r.Since = now
		r.Reason = fmt.Sprintf("watched again (%d of %d), since the analysis is %s: %s", r.Extended, r.Strategy.Extend, in.Verdict, in.Reason)
		return later(now, now.Add(step.Hold))
	}
	if r.Strategy.Undecided == GoBack {
		return r.back(now, "the analysis is %s: %s", in.Verdict, in.Reason)
	}
	if !r.Paused {
		r.Paused, r.Doubt = true, true
		r.Reason = fmt.Sprintf("waits for a person, since the analysis is %s: %s", in.Verdict, in.Reason)
	}
	return time.Time{}
}

// leave goes on from a step that has been watched.
func (r *Rollout) leave(now time.Time) time.Time {
	switch {
	case r.Step+1 < len(r.steps()):
		r.Step++
		return r.place(now)
	case r.Wave+1 < len(r.Waves):
		return r.to(Soaking, now, "the regions of wave %d are watched before the next wave", r.Wave+1)
	}
	if r.Old.IsZero() && !r.Contract {
		return r.to(Succeeded, now, "through")
	}
	return r.to(Warm, now, "the old version is kept running for %v", r.Strategy.Warm)
}

// returning waits until the old version has all of the traffic again in the regions that are heard of.
func (r *Rollout) returning(now time.Time, in Input) time.Time {
	r.Reason = r.Cause
	if r.Back > 0 {
		if r.makeRoom(now, in); r.Back > 0 {
			r.Reason = r.Cause + "; old instances are started before they take all of the traffic"
			return time.Time{}
		}
		return now
	}
	for wave, regions := range r.Waves {
		if wave > r.Wave {
			break
		}
		for _, region := range regions {
			o := in.Regions[region]
			switch {
			case !seen(now, o):
				r.Reason = r.Cause + "; nothing is heard of " + region
				return time.Time{}
			case o.Weights[r.New] != 0:
				r.Reason = r.Cause + "; the traffic of " + region + " goes back"
				return time.Time{}
			}
		}
	}
	return r.to(Removing, now, "%s", r.Cause)
}

// ending waits until no instance of a version is left.
func (r *Rollout) ending(now time.Time, in Input, of Candidate, end Phase, reason string) time.Time {
	for _, region := range r.Regions() {
		o := in.Regions[region]
		if !seen(now, o) {
			r.Reason = reason + "; nothing is heard of " + region
			return time.Time{}
		}
		if !of.IsZero() && o.Running[of] > 0 {
			return time.Time{}
		}
	}
	return r.to(end, now, "%s", reason)
}
