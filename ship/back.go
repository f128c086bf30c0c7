package ship

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

const contracted = "it stays: a contract migration has begun, and the version before it cannot live with that"

// kindBack is the kind of the rollouts that take a service back because another one of its release went back.
const kindBack = "back"

// back brings the environments back that a service has gone back in.
func (s *Service) back(ctx context.Context, r *record, w world) error {
	if r.Release.Kind != Ship || r.Taken != "" {
		return nil
	}
	gone := "" // the first environment that goes back
	for i := range r.Release.Environments {
		e := &r.Release.Environments[i]
		p := r.part(e.Name)
		if e.Status == Succeeded && p.Back == "" {
			p.Back = leaves(e, p, w)
		}
		if gone != "" && p.Begun && p.Back == "" && !e.Status.Ended() {
			p.Back = gone
		}
		if p.Back == "" {
			continue
		}
		gone = e.Name + " goes back: " + p.Back
		if e.Status == RolledBack || e.Status == Cancelled {
			continue
		}
		if err := s.takeBack(ctx, r, e, w); err != nil {
			return err
		}
	}
	return nil
}

// leaves says why an environment that was through is so no longer: a rollout went back while the version before it still ran.
func leaves(e *Environment, p *part, w world) string {
	for i := range e.Services {
		c := &e.Services[i]
		if one, ok := w.rollouts[c.Rollout]; ok && p.share(c.Service).Undo == 0 && (one.State.Phase.Reverting() || one.State.Phase == release.RolledBack) {
			return c.Service + ": " + one.State.Cause
		}
	}
	return ""
}

// takeBack brings an environment back, service by service: what is under way at once, what is through in the order against needs.
func (s *Service) takeBack(ctx context.Context, r *record, e *Environment, w world) error {
	p, pe := r.part(e.Name), r.plan.environment(e.Name)
	e.Status, e.Reason = Returning, p.Back
	home := map[string]bool{}
	for i := range e.Services {
		home[e.Services[i].Service] = atHome(&e.Services[i], p.share(e.Services[i].Service), w)
	}
	all := true
	for i := range e.Services {
		c := &e.Services[i]
		if home[c.Service] {
			continue
		}
		all = false
		first := !slices.ContainsFunc(pe.dependents(c.Service), func(name string) bool { return !home[name] })
		if err := s.takeServiceBack(ctx, r, e, c, w, first); err != nil {
			return err
		}
	}
	if !all {
		return nil
	}
	e.Status = Cancelled
	var stays []string
	for i := range e.Services {
		c := &e.Services[i]
		sh := p.share(c.Service)
		if one, ok := w.rollouts[c.Rollout]; ok && one.State.Phase != release.Cancelled && one.State.Old != one.State.New {
			e.Status = RolledBack
		}
		if sh.Stays != "" {
			c.Reason = sh.Stays
			stays = append(stays, c.Service+": "+sh.Stays)
		}
		if c.Rollout == 0 && c.Status == Pending {
			c.Status = Cancelled
		}
	}
	if len(stays) > 0 {
		e.Reason += "; " + strings.Join(stays, "; ")
	}
	return nil
}

// atHome says whether nothing is left to do to take a service back.
func atHome(c *Member, sh *share, w world) bool {
	switch {
	case sh.Stays != "":
		return true
	case c.Rollout == 0:
		return !sh.Begin
	}
	one := w.rollouts[c.Rollout].State
	switch one.Phase {
	case release.Cancelled, release.RolledBack:
		return true
	case release.Succeeded:
		if one.Old == one.New {
			return true
		}
		back, ok := w.rollouts[c.Back]
		if ok && back.State.Phase.Ended() && back.State.Phase != release.Succeeded {
			sh.Stays = "it could not be taken back: " + back.State.Cause
		}
		return ok && back.State.Phase.Ended()
	}
	return false
}

// takeServiceBack decides what takes a service back that is not. first says that nothing is left which needs it.
func (s *Service) takeServiceBack(ctx context.Context, r *record, e *Environment, c *Member, w world, first bool) error {
	sh := r.part(e.Name).share(c.Service)
	if c.Rollout == 0 || c.Back > 0 || sh.Return {
		return nil // it is on its way
	}
	one := w.rollouts[c.Rollout].State
	switch {
	case one.Phase.Reverting():
	case one.Contracted:
		sh.Stays = contracted
	case !slices.Contains([]release.Phase{release.Warm, release.Contracting, release.Retiring, release.Succeeded}, one.Phase):
		sh.Abort = true
	case !first:
	case one.Phase == release.Warm:
		sh.Abort = true
	case one.Phase == release.Succeeded && one.Old.IsZero():
		sh.Stays = "it stays: nothing was there before it"
	case one.Phase == release.Succeeded:
		has, sure, err := s.placed(ctx, release.Place{Project: r.Release.Project, Service: c.Service, Environment: e.Name})
		if err != nil {
			return err
		}
		if !sure || has != one.New {
			sh.Stays = "it stays: a newer rollout has come after it"
			return nil
		}
		sh.Return = true
	}
	return nil
}

// act carries out what was decided and stored. It says whether anything was.
func (s *Service) act(ctx context.Context, l *engine.Lease, r *record, w world) (bool, error) {
	acted := false
	for _, e := range r.Release.Environments {
		p, pe := r.part(e.Name), r.plan.environment(e.Name)
		for _, c := range e.Services {
			sh, ps := p.share(c.Service), pe.service(c.Service)
			place := release.Place{Project: r.Release.Project, Service: c.Service, Environment: e.Name}
			switch {
			case sh.Begin && c.Rollout == 0:
				one, err := s.o.Rollouts.Begin(ctx, release.Request{Actor: r.Release.Actor, Place: place, Release: r.key(), Candidate: r.target(ps), Waves: ps.Waves,
					Strategy: ps.Strategy, Expand: len(sh.Expand) > 0, Contract: len(sh.Contract) > 0, Kind: kindOf(r)})
				if err != nil {
					return acted, err
				}
				acted = true
				if err := s.remember(ctx, l, r.id, e.Name, c.Service, func(c *Member) { c.Rollout = one.ID }); err != nil {
					return acted, err
				}
			case sh.Return && c.Back == 0:
				id, err := s.beginBack(ctx, r, place, w.rollouts[c.Rollout].State.Old)
				if err != nil {
					return acted, err
				}
				acted = true
				if err := s.remember(ctx, l, r.id, e.Name, c.Service, func(c *Member) { c.Back = id }); err != nil {
					return acted, err
				}
			case sh.Abort && c.Rollout > 0:
				one, ok := w.rollouts[c.Rollout]
				if !ok || one.State.Phase.Ended() || one.State.Phase.Reverting() {
					continue
				}
				who := "gantry"
				if r.StopBy != "" {
					who = r.StopBy
				}
				_, err := s.o.Rollouts.Tell(ctx, who, c.Rollout, release.Abort)
				if err != nil && !refused(err) {
					return acted, err
				}
				acted = acted || err == nil
			}
		}
	}
	return acted, nil
}

// refused says that a rollout is not where it could be told so: the next look sees where it is.
func refused(err error) bool {
	return errors.Is(err, release.ErrEnded) || errors.Is(err, release.ErrNotNow) || errors.Is(err, release.ErrContracted)
}

// kindOf is the kind of the rollouts of a release; that of a rollback is held by no gate.
func kindOf(r *record) string {
	if r.Release.Kind == Rollback {
		return string(Rollback)
	}
	return ""
}

// beginBack begins a rollout of what a place had before.
func (s *Service) beginBack(ctx context.Context, r *record, place release.Place, old release.Candidate) (int64, error) {
	how, waves, err := s.quickly(ctx, old)
	if err != nil {
		return 0, err
	}
	one, err := s.o.Rollouts.Begin(ctx, release.Request{Actor: "gantry", Place: place, Release: r.key(), Kind: kindBack, Candidate: old, Waves: waves, Strategy: how})
	return one.ID, err
}

// quickly says how an earlier candidate is brought back, by its own configuration.
func (s *Service) quickly(ctx context.Context, c release.Candidate) (release.Strategy, [][]string, error) {
	config, err := s.Config(ctx, c.Config)
	if err != nil {
		return release.Strategy{}, nil, err
	}
	if len(config.Placements) == 0 {
		return release.Strategy{}, nil, fmt.Errorf("the configuration %s has no region: %w", c.Config, ErrRefused)
	}
	how, diags := strategyOf(config, 0)
	if err := diags.Err(); err != nil {
		return release.Strategy{}, nil, err
	}
	var regions []string
	for _, p := range config.Placements {
		regions = append(regions, p.Region)
	}
	how, waves := quick(how, [][]string{regions})
	return how, waves, nil
}

// remember stores the number of a rollout that was begun.
func (s *Service) remember(ctx context.Context, l *engine.Lease, id int64, environment, service string, f func(c *Member)) error {
	for {
		err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := l.Guard(ctx, tx); err != nil {
				return err
			}
			r, err := s.read(ctx, tx, id)
			if err != nil {
				return err
			}
			f(r.Release.Environment(environment).Service(service))
			return s.write(ctx, tx, r)
		})
		if !errors.Is(err, errChanged) {
			return err
		}
	}
}
