package ship

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// Rollback begins a release that brings back what each place had before another one, by exactly the candidates and configurations of then. Environments go
// back in the order against that of the file, and services against their needs; no gate and no freeze holds them.
//
// It is refused, with [ErrRefused] and the reason, where a contract migration has run since, where something newer has come after the release, and where
// nothing was there before; and with [ErrNotNow] while the release has not ended. Where the version before still runs, it takes back the traffic at once
// and nothing is started.
func (s *Service) Rollback(ctx context.Context, by By, id, reason string) (Release, error) {
	if by.Actor == "" {
		return Release{}, &InvalidError{"actor", "", "is required"}
	}
	n, err := number(id)
	if err != nil {
		return Release{}, err
	}
	old, err := s.read(ctx, s.o.DB, n)
	if err != nil {
		return Release{}, err
	}
	if !old.Release.Status.Ended() {
		return Release{}, old.notNow(string(Rollback), "abort it")
	}
	if old.Taken != "" {
		return Release{}, fmt.Errorf("roll back release %d: %w: the release %s has taken it back already", old.Release.Number, ErrRefused, old.Taken)
	}
	p, err := s.planBack(ctx, old)
	if err != nil {
		return Release{}, fmt.Errorf("roll back release %d: %w", old.Release.Number, err)
	}
	r := &record{plan: p, state: state{Account: by.person(), Parts: map[string]*part{}, Release: Release{
		Project: old.Release.Project, Kind: Rollback, Of: old.key(), Ref: old.Release.Ref, Commit: old.Release.Commit,
		Title:  fmt.Sprintf("Roll back release %d: %s", old.Release.Number, old.Release.Title),
		Status: Running, Reason: reason, Actor: by.Actor, ActorName: by.Name, Notes: []string{}, Builds: []Build{}, Candidates: []Candidate{},
	}}}
	if reason != "" {
		r.Release.Notes = append(r.Release.Notes, reason)
	}
	r.Release.Environments = environments(p)
	for _, e := range p.Environments {
		for _, ps := range e.Services {
			r.part(e.Name).share(ps.Service).Undo = ps.Undo
		}
	}
	return s.insert(ctx, r, "", nil)
}

// planBack says what takes a release back.
func (s *Service) planBack(ctx context.Context, old *record) (*plan, error) {
	w, err := s.world(ctx, old)
	if err != nil {
		return nil, err
	}
	p := &plan{}
	var first []string // services that nothing was there of before
	for i := len(old.Release.Environments) - 1; i >= 0; i-- {
		e := &old.Release.Environments[i]
		if e.Status != Succeeded && e.Status != Failed {
			continue
		}
		pe := planEnvironment{Name: e.Name}
		was := old.plan.environment(e.Name)
		for _, c := range e.Services {
			one, ok := w.rollouts[c.Rollout]
			if !ok || one.State.Old == one.State.New || one.State.Phase == release.RolledBack || one.State.Phase == release.Cancelled {
				continue
			}
			if one.State.Old.IsZero() {
				first = append(first, c.Service+" in "+e.Name)
				continue
			}
			ps, err := s.planServiceBack(ctx, one)
			if err != nil {
				return nil, err
			}
			ps.Needs = was.dependents(c.Service)
			pe.Services = append(pe.Services, ps)
		}
		for j := range pe.Services {
			pe.Services[j].Needs = slices.DeleteFunc(append([]string{}, pe.Services[j].Needs...), func(n string) bool { return !pe.has(n) })
		}
		if len(pe.Services) > 0 {
			p.Environments = append(p.Environments, pe)
		}
	}
	if len(p.Environments) == 0 {
		if len(first) > 0 {
			return nil, fmt.Errorf("%w: nothing was there before %s", ErrRefused, first[0])
		}
		return nil, fmt.Errorf("%w: it has changed nothing that could be taken back", ErrRefused)
	}
	return p, nil
}

// planServiceBack says what takes back what one rollout brought.
func (s *Service) planServiceBack(ctx context.Context, one release.Record) (planRollouts, error) {
	since, err := s.since(ctx, one)
	if err != nil {
		return planRollouts{}, err
	}
	for _, later := range since {
		if later.State.Contracted {
			return planRollouts{}, fmt.Errorf("%w: a contract migration of %s has run since; release a version that mends what is wrong", ErrRefused, one.Place)
		}
	}
	has, sure, err := s.placed(ctx, one.Place)
	switch {
	case err != nil:
		return planRollouts{}, err
	case !sure:
		return planRollouts{}, fmt.Errorf("%w: another rollout of %s is under way; wait for its end, or abort it", ErrNotNow, one.Place)
	case has != one.State.New && len(since) > 1:
		newest := since[len(since)-1]
		return planRollouts{}, fmt.Errorf("%w: the release %s has brought something newer of %s; roll that back first", ErrRefused, newest.Release, one.Place)
	case has != one.State.New:
		return planRollouts{}, fmt.Errorf("%w: %s does not have what it brought any more", ErrRefused, one.Place)
	}
	to := one.State.Old
	how, waves, err := s.quickly(ctx, to)
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("%w: the configuration that %s had before is not kept any more", ErrRefused, one.Place)
	}
	if err != nil {
		return planRollouts{}, err
	}
	kept, err := s.o.DB.NewSelect().Table("candidates").Where("digest = ?", to.Artifact).Exists(ctx)
	if err != nil {
		return planRollouts{}, fmt.Errorf("look for the candidate %s: %w", to.Artifact, err)
	}
	ps := planRollouts{Service: one.Service, Config: to.Config, Candidate: to, Strategy: how, Waves: waves}
	if !one.State.Phase.Ended() {
		ps.Undo = one.ID
	} else if !kept {
		return planRollouts{}, fmt.Errorf("%w: the candidate that %s had before is not kept any more", ErrRefused, one.Place)
	}
	return ps, nil
}

// since are the rollouts at a place from one on, the oldest first.
func (s *Service) since(ctx context.Context, one release.Record) ([]release.Record, error) {
	const page = 200
	q := release.Query{Project: one.Project, Environment: one.Environment, Service: one.Service, Limit: page}
	var all []release.Record
	for {
		part, err := s.o.Rollouts.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range part {
			if r.ID < one.ID {
				slices.Reverse(all)
				return all, nil
			}
			all = append(all, r)
		}
		if len(part) < page {
			slices.Reverse(all)
			return all, nil
		}
		q.Before = part[len(part)-1].ID
	}
}

// takeOver has a release leave its rollouts to the rollback of it, and keeps the candidates that this one is about.
func (s *Service) takeOver(ctx context.Context, tx *store.Tx, r *record, id int64, n int64) error {
	if r.Release.Kind != Rollback {
		return nil
	}
	of, err := number(r.Release.Of)
	if err != nil {
		return err
	}
	old, err := s.read(ctx, tx, of)
	if err != nil {
		return err
	}
	if old.Taken != "" || !old.Release.Status.Ended() {
		return fmt.Errorf("roll back release %d: %w: it is %s", old.Release.Number, ErrNotNow, old.Release.Status)
	}
	old.Taken = fmt.Sprint(id)
	old.Release.Reason = fmt.Sprintf("taken back by release %d", n)
	if err := s.write(ctx, tx, old); err != nil {
		return err
	}
	if err := s.o.Engine.Put(ctx, tx, kindRelease, old.key(), s.o.Now()); err != nil {
		return err
	}
	for _, e := range r.plan.Environments {
		for _, ps := range e.Services {
			_, err := tx.ExecContext(ctx, "INSERT INTO candidate_uses (digest, project, service, release) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", ps.Candidate.Artifact, r.Release.Project, ps.Service, id)
			if err != nil {
				return err
			}
		}
	}
	return nil
}
