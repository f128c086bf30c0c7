package ship

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// environments brings a release further in the first environment that it is not through yet. It returns the one that is to be entered now.
func (s *Service) environments(ctx context.Context, r *record, w world) (enter string, err error) {
	for i := range r.Release.Environments {
		e := &r.Release.Environments[i]
		p, pe := r.part(e.Name), r.plan.environment(e.Name)
		switch {
		case e.Status == Succeeded:
			continue
		case e.Status.Ended():
			r.skip(i+1, e)
			return "", nil
		case p.Back != "":
			return "", nil
		case p.Begun:
			return "", s.run(ctx, r, e, w)
		}
		if r.Stop != "" {
			return "", nil
		}
		var closed string
		if e.Gate, closed, err = s.gates(ctx, r, pe); err != nil {
			return "", err
		}
		switch {
		case closed != "":
			e.Status, e.Reason = Gated, closed
			return "", nil
		case r.Held:
			e.Status, e.Reason = Pending, "the release is paused"
			return "", nil
		}
		p.Begun = true
		e.Status, e.Reason = Running, ""
		return e.Name, nil
	}
	return "", nil
}

// skip passes over the environments that a release does not come to, since it did not get through another.
func (r *record) skip(from int, after *Environment) {
	for i := from; i < len(r.Release.Environments); i++ {
		e := &r.Release.Environments[i]
		if !e.Status.Ended() && !r.part(e.Name).Begun {
			e.Status, e.Reason = Skipped, fmt.Sprintf("%s is %s", after.Name, after.Status)
		}
	}
}

// through says whether a service has all that the release brings it.
func through(c *Member, sh *share) bool {
	switch c.Status {
	case Unchanged:
		return true
	case RolledBack:
		return sh.Undo > 0
	}
	return slices.Contains([]release.Phase{release.Warm, release.Contracting, release.Retiring, release.Succeeded}, release.Phase(c.Status))
}

// lost says whether a service's rollout does not bring it there.
func lost(c *Member, sh *share) bool {
	return sh.Undo == 0 && slices.Contains([]release.Phase{release.Returning, release.Removing, release.RolledBack, release.Cancelled}, release.Phase(c.Status))
}

// run begins what may begin in an environment, and sees whether it is through.
func (s *Service) run(ctx context.Context, r *record, e *Environment, w world) error {
	pe, p := r.plan.environment(e.Name), r.part(e.Name)
	all, failed := true, ""
	paused, now := "", ""
	for i := range e.Services {
		c := &e.Services[i]
		sh, ps := p.share(c.Service), pe.service(c.Service)
		if sh.Undo > 0 {
			s.undo(r, c, sh, w)
		}
		if c.Rollout == 0 && sh.Undo == 0 && !sh.Begin && sh.Stays == "" && c.Status != Unchanged && !r.Held && ready(e, p, c) {
			if err := s.propose(ctx, r, e, c, sh, ps); err != nil {
				return err
			}
		}
		one, begun := w.rollouts[c.Rollout]
		switch {
		case sh.Stays != "":
			failed = c.Service + ": " + sh.Stays
		case lost(c, sh) && r.Release.Kind == Rollback:
			all = all && one.State.Phase.Ended()
			failed = c.Service + " did not come back: " + one.State.Cause
		case lost(c, sh):
			p.Back = c.Service + ": " + one.State.Cause
			return nil
		case !through(c, sh):
			all = false
			if begun && asksForAPerson(one) && paused == "" {
				paused = c.Service + ": " + c.Reason
			}
			if now == "" && c.Status != Pending {
				now = c.Service + ": " + c.Reason
			}
		}
	}
	switch {
	case all && failed != "":
		e.Status, e.Reason = Failed, failed
	case all:
		e.Status, e.Reason = Succeeded, ""
	case paused != "":
		e.Status, e.Reason = Paused, paused
	case r.Held:
		e.Status, e.Reason = Paused, "the release is paused"
	default:
		e.Status, e.Reason = Running, now
	}
	return nil
}

// asksForAPerson says whether a rollout does not go on by itself.
func asksForAPerson(one release.Record) bool {
	r := one.State
	if r.Paused {
		return true
	}
	steps := r.Strategy.Plan(!r.Old.IsZero())
	return r.Phase == release.Holding && r.Step < len(steps) && steps[r.Step].Manual && !r.Approved && r.Reason == "waits for a person to go on"
}

// ready says whether what a service needs is through.
func ready(e *Environment, p *part, c *Member) bool {
	for _, need := range c.Needs {
		if n := e.Service(need); n == nil || !through(n, p.share(need)) {
			return false
		}
	}
	return true
}

// target is what a service is to have.
func (r *record) target(ps *planRollouts) release.Candidate {
	if r.Release.Kind == Rollback {
		return ps.Candidate
	}
	c, _ := r.Release.candidate(ps.Service)
	return release.Candidate{Artifact: c.Artifact, Config: ps.Config}
}

// propose decides whether a service needs a rollout.
func (s *Service) propose(ctx context.Context, r *record, e *Environment, c *Member, sh *share, ps *planRollouts) error {
	place := release.Place{Project: r.Release.Project, Service: c.Service, Environment: e.Name}
	has, sure, err := s.placed(ctx, place)
	if err != nil {
		return err
	}
	want := r.target(ps)
	c.Version = want.Version()
	if sure && has == want {
		c.Status, c.OldVersion, c.Reason = Unchanged, has.Version(), "it is there already"
		return nil
	}
	if sure {
		c.OldVersion = has.Version()
	}
	sh.Begin = true
	if r.Release.Kind == Rollback {
		return nil
	}
	if sh.Expand, err = pending(ctx, s.o.DB, r.Release.Project, e.Name, c.Service, ps.Expand); err != nil {
		return err
	}
	sh.Contract, err = pending(ctx, s.o.DB, r.Release.Project, e.Name, c.Service, ps.Contract)
	return err
}

// placed is what a place has: what a rollout has brought that is through, even while the old version is kept, or what was released last. It is not sure
// while another rollout is under way.
func (s *Service) placed(ctx context.Context, p release.Place) (release.Candidate, bool, error) {
	// In this order: a rollout that ends in between is found where it has gone to.
	active, err := s.o.Rollouts.List(ctx, release.Query{Project: p.Project, Environment: p.Environment, Service: p.Service, Active: true, Limit: 1})
	if err != nil {
		return release.Candidate{}, false, err
	}
	if len(active) > 0 {
		one := active[0]
		done := !one.Queued && slices.Contains([]release.Phase{release.Warm, release.Contracting, release.Retiring}, one.State.Phase)
		return one.State.New, done, nil
	}
	c, err := s.o.Rollouts.Released(ctx, p)
	return c, true, err
}

// undo has a rollback abort the rollout that it takes back while the version before it still runs; where that is over, it begins one of its own.
func (s *Service) undo(r *record, c *Member, sh *share, w world) {
	one := w.rollouts[sh.Undo]
	c.Rollout = sh.Undo
	c.Status, c.Reason = Status(one.State.Phase), one.State.Reason
	switch phase := one.State.Phase; {
	case one.State.Contracted:
		sh.Stays = contracted
	case phase == release.Warm:
		sh.Abort = true
		c.Status = Status(release.Returning)
	case phase == release.Succeeded:
		sh.Undo, sh.Abort, c.Rollout = 0, false, 0
		c.Status, c.Reason = Pending, ""
	case phase == release.Retiring:
		c.Status, c.Reason = Pending, "waits until the rollout that it takes back has ended"
	}
}

// pending are the migrations of a service that have not run in an environment.
func pending(ctx context.Context, db bun.IDB, project, environment, service string, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var done []string
	err := db.NewSelect().Table("ship_migrated").Column("name").Where("project = ? AND environment = ? AND service = ?", project, environment, service).Scan(ctx, &done)
	if err != nil {
		return nil, fmt.Errorf("look for the migrations of %s in %s: %w", service, environment, err)
	}
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(done, n) }), nil
}

// migrated remembers the migrations that the rollouts of a release have run.
func migrated(ctx context.Context, tx *store.Tx, r *record, w world) error {
	for _, e := range r.Release.Environments {
		for _, c := range e.Services {
			one, ok := w.rollouts[c.Rollout]
			sh := r.part(e.Name).share(c.Service)
			if !ok || sh.Undo > 0 {
				continue
			}
			var names []string
			if st := one.State; !slices.Contains([]release.Phase{release.Waiting, release.Expanding, release.Cancelled, release.RolledBack}, st.Phase) {
				names = append(names, sh.Expand...)
				if st.Contracted && st.Phase != release.Contracting {
					names = append(names, sh.Contract...)
				}
			}
			for _, name := range names {
				_, err := tx.ExecContext(ctx, "INSERT INTO ship_migrated (project, environment, service, name, rollout) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
					r.Release.Project, e.Name, c.Service, name, c.Rollout)
				if err != nil {
					return fmt.Errorf("remember the migration %s of %s: %w", name, c.Service, err)
				}
			}
		}
	}
	return nil
}
