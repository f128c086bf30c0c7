package ship

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// Command is what a person tells a release.
type Command struct {
	// Do is pause, resume, promote, abort or rollback.
	Do string
	// Service and Environment narrow it to rollouts; empty is all. A rollback is of the whole release.
	Service, Environment string
	// Reason is told with it; at most 2,000 bytes.
	Reason string
}

// The commands.
const (
	Pause   = "pause"
	Resume  = "resume"
	Promote = "promote"
	Abort   = "abort"
)

// Tell passes a person's command on, and returns the release as it is then; for a rollback, the release that does it. [ErrNotNow] says that nothing of it
// is where that can be done, and why.
//
// A release that is paused begins nothing and goes on to no larger share; what goes back is not held. Resuming also lets rollouts go on that have paused
// in doubt, and steps that wait for a person. Promoting leaves what is watched now, unless the environment is frozen. Aborting takes everything back that
// is under way, and ends what has not begun; environments that were through before stay. Narrowed to services or an environment that is under way, it
// takes their rollouts back, which the others of the environment follow.
func (s *Service) Tell(ctx context.Context, by By, id string, c Command) (Release, error) {
	if len(c.Reason) > maxComment {
		return Release{}, &InvalidError{"reason", nil, fmt.Sprintf("must have at most %d bytes", maxComment)}
	}
	n, err := number(id)
	if err != nil {
		return Release{}, err
	}
	r, err := s.read(ctx, s.o.DB, n)
	if err != nil {
		return Release{}, err
	}
	if err := r.narrows(c); err != nil {
		return Release{}, err
	}
	whole := c.Service == "" && c.Environment == ""
	switch c.Do {
	case Pause:
		return s.pause(ctx, by, r, c, whole)
	case Resume:
		return s.resume(ctx, by, r, c, whole)
	case Promote:
		return s.pass(ctx, by, r, c, release.Promote)
	case Abort:
		return s.abort(ctx, by, r, c, whole)
	case string(Rollback):
		if !whole {
			return Release{}, &InvalidError{"environment", c.Environment, "cannot narrow a rollback: an environment goes back as a whole, with those after it"}
		}
		return s.Rollback(ctx, by, id, c.Reason)
	}
	return Release{}, &InvalidError{"command", c.Do, "must be pause, resume, promote, abort or rollback"}
}

// narrows says what is wrong with the names in a command.
func (r *record) narrows(c Command) error {
	if c.Environment != "" && r.Release.Environment(c.Environment) == nil {
		return &UnknownError{What: "environment", Name: c.Environment, Known: r.names()}
	}
	var services []string
	for _, e := range r.Release.Environments {
		for _, one := range e.Services {
			if !slices.Contains(services, one.Service) {
				services = append(services, one.Service)
			}
		}
	}
	if c.Service != "" && !slices.Contains(services, c.Service) {
		return &UnknownError{What: "service", Name: c.Service, Known: services}
	}
	return nil
}

func (r *record) notNow(do, hint string) error {
	return fmt.Errorf("%s: %w (%s); %s", do, ErrNotNow, r.Release.Status, hint)
}

func (s *Service) pause(ctx context.Context, by By, r *record, c Command, whole bool) (Release, error) {
	if !whole {
		return s.pass(ctx, by, r, c, release.Pause)
	}
	// The gate of its rollouts is closed by this; nothing need be told to them.
	return s.change(ctx, by, r.key(), func(r *record, tx *store.Tx) error {
		switch {
		case r.Release.Status.Ended():
			return r.notNow(c.Do, "it has ended")
		case r.Release.Status == Returning:
			return r.notNow(c.Do, "the way back is not held")
		}
		r.Held = true
		return tell(tx, r, by.Actor, "release.pause", map[string]any{"comment": c.Reason})
	})
}

func (s *Service) resume(ctx context.Context, by By, r *record, c Command, whole bool) (Release, error) {
	if !r.Held || !whole {
		return s.pass(ctx, by, r, c, release.Resume)
	}
	// First those of its rollouts that have paused by themselves: a person who saw an error resumes once more.
	if _, err := s.pass(ctx, by, r, c, release.Resume); err != nil && !errors.Is(err, ErrNotNow) {
		return Release{}, err
	}
	return s.change(ctx, by, r.key(), func(r *record, tx *store.Tx) error {
		r.Held = false
		return tell(tx, r, by.Actor, "release.resume", map[string]any{"comment": c.Reason})
	})
}

func (s *Service) abort(ctx context.Context, by By, r *record, c Command, whole bool) (Release, error) {
	e := r.Release.Environment(c.Environment)
	if !whole && (e == nil || r.part(e.Name).Begun) {
		return s.pass(ctx, by, r, c, release.Abort)
	}
	if c.Service != "" {
		return Release{}, r.notNow(c.Do, "the service has not begun there; abort the release, or begin one without it")
	}
	return s.change(ctx, by, r.key(), func(r *record, tx *store.Tx) error {
		switch {
		case r.Release.Status.Ended():
			return r.notNow(c.Do, "it has ended; roll it back")
		case r.Release.Status == Returning:
			return r.notNow(c.Do, "it is on its way back")
		case r.Release.Kind == Rollback && slices.ContainsFunc(r.names(), func(name string) bool { return r.part(name).Begun }):
			return r.notNow(c.Do, "a rollback that has begun is let go through; release the version that is wanted")
		case e != nil && slices.ContainsFunc(r.before(e.Name), func(e Environment) bool { return !e.Status.Ended() }):
			return r.notNow(c.Do, "it has not come to "+e.Name+"; abort it where it is")
		}
		r.StopBy = by.Actor
		r.Stop = "aborted by " + by.Actor
		if by.Name != "" {
			r.Stop = "aborted by " + by.Name
		}
		if c.Reason != "" {
			r.Stop += ": " + c.Reason
		}
		return tell(tx, r, by.Actor, "release.abort", map[string]any{"comment": c.Reason})
	})
}

// before are the environments before one.
func (r *record) before(name string) []Environment {
	i := slices.IndexFunc(r.Release.Environments, func(e Environment) bool { return e.Name == name })
	return r.Release.Environments[:max(i, 0)]
}

// pass tells the rollouts of a release something, as many of them as it is for. It is an error when there is none.
func (s *Service) pass(ctx context.Context, by By, r *record, c Command, what release.Command) (Release, error) {
	if by.Actor == "" {
		return Release{}, &InvalidError{"actor", "", "is required"}
	}
	w, err := s.world(ctx, r)
	if err != nil {
		return Release{}, err
	}
	told, reasons := 0, []error{}
	for _, e := range r.Release.Environments {
		for i := range e.Services {
			one := &e.Services[i]
			id := shownOf(one)
			if id == 0 || c.Environment != "" && e.Name != c.Environment || c.Service != "" && one.Service != c.Service {
				continue
			}
			if w.rollouts[id].State.Phase.Ended() {
				continue
			}
			_, err := s.o.Rollouts.Tell(ctx, by.Actor, id, understood(what, w.rollouts[id]))
			switch {
			case err == nil:
				told++
			case refused(err):
				reasons = append(reasons, fmt.Errorf("%s in %s: %w", one.Service, e.Name, err))
			default:
				return Release{}, err
			}
		}
	}
	if told == 0 {
		if len(reasons) == 0 {
			return Release{}, r.notNow(c.Do, "no rollout of it is under way there")
		}
		return Release{}, fmt.Errorf("%s: %w: %w", c.Do, ErrNotNow, errors.Join(reasons...))
	}
	return s.release(ctx, r.id)
}

// understood is what a command means to a rollout: to resume one that waits for a person at the end of a step is to approve the step.
func understood(c release.Command, one release.Record) release.Command {
	if c == release.Resume && !one.State.Paused {
		return release.Approve
	}
	return c
}
