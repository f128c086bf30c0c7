package release

import (
	"errors"
	"fmt"
	"time"
)

// Command is what a person tells a rollout.
type Command string

const (
	// Pause holds it where it is. The way back is never held.
	Pause Command = "pause"
	// Resume goes on. Where it paused because no verdict could be had, the step is watched again.
	Resume Command = "resume"
	// Approve lets a manual step be left when it is over.
	Approve Command = "approve"
	// Promote leaves what is watched now, without its time, its requests and its verdict.
	Promote Command = "promote"
	// Abort takes the new version back.
	Abort Command = "abort"
)

// Errors of Tell.
var (
	ErrEnded      = errors.New("the rollout has ended")
	ErrContracted = errors.New("a contract migration has begun, and the earlier version cannot live with it: there is no way back")
	ErrNotNow     = errors.New("the rollout is not where that can be done")
)

// Tell applies a person's command. Its errors are [ErrEnded], [ErrContracted] and [ErrNotNow], with what to do instead; nothing has changed then.
func (r Rollout) Tell(now time.Time, c Command, who string) (Rollout, error) {
	next := r.clone()
	if r.Phase.Ended() {
		hint := "roll back by a rollout of the earlier candidate"
		return r, fmt.Errorf("%s: %w as %s; %s", c, ErrEnded, r.Phase, hint)
	}
	notNow := func(hint string) (Rollout, error) {
		return r, fmt.Errorf("%s: %w (%s); %s", c, ErrNotNow, r.Phase, hint)
	}
	switch c {
	case Pause:
		switch r.Phase {
		case Waiting, Placing, Checking, Routing, Holding, Soaking, Warm:
			next.Paused = true
			return next, nil
		}
		return notNow("what is under way now is not interrupted")
	case Resume:
		if !r.Paused {
			return notNow("it is not paused")
		}
		next.Paused = false
		next.Reason = "resumed by " + who
		if r.Doubt {
			next.Doubt, next.Extended = false, 0
			next.Since = now
		}
		return next, nil
	case Approve:
		steps := r.steps()
		if r.Step >= len(steps) || !steps[r.Step].Manual {
			return notNow("the step waits for nobody")
		}
		switch r.Phase {
		case Placing, Checking, Routing, Holding:
			next.Approved = true
			return next, nil
		}
		return notNow("the step is over")
	case Promote:
		next.Paused, next.Doubt = false, false
		switch r.Phase {
		case Holding:
			next.leave(now)
		case Soaking:
			next.Wave, next.Step = r.Wave+1, 0
			next.place(now)
		case Warm:
			next.Since = now.Add(-r.Strategy.Warm)
		default:
			return notNow("there is nothing to wait for less long; pause, resume or abort it")
		}
		next.Reason = "promoted by " + who
		return next, nil
	case Abort:
		switch {
		case r.Contracted:
			return r, fmt.Errorf("%s: %w; release a version that mends what is wrong", c, ErrContracted)
		case r.Phase.Reverting():
			return notNow("it is on its way back")
		case r.Phase == Retiring:
			return notNow("the old version is being ended; roll back by a rollout of the earlier candidate")
		case r.Phase == Waiting:
			next.Cause = "aborted by " + who
			next.to(Cancelled, now, "%s", next.Cause)
		case r.Phase == Expanding:
			// What was expanded is harmless to the earlier version.
			next.Cause = "aborted by " + who
			next.to(RolledBack, now, "%s", next.Cause)
		default:
			next.back(now, "aborted by %s", who)
		}
		return next, nil
	}
	return r, fmt.Errorf("the command %q is none of %s, %s, %s, %s, %s", c, Pause, Resume, Approve, Promote, Abort)
}
