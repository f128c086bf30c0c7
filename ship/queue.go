package ship

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
)

// busyError says that an environment cannot be entered now, or not any more.
type busyError struct {
	reason string
	// never says that it will not be entered later either.
	never bool
}

func (e *busyError) Error() string { return e.reason }

// enter holds a release against the others of its project, as it enters an environment. It is called within the transaction that stores it, and lets no
// two of a project do so at a time.
func (s *Service) enter(ctx context.Context, tx *store.Tx, r *record, environment string) error {
	if _, err := tx.ExecContext(ctx, "UPDATE release_numbers SET last = last WHERE project = ?", r.Release.Project); err != nil {
		return fmt.Errorf("enter %s: %w", environment, err)
	}
	var services []string
	for _, c := range r.Release.Environment(environment).Services {
		services = append(services, c.Service)
	}
	var others []struct {
		Number  int
		Release int64
		Done    bool
	}
	err := tx.NewSelect().TableExpr("release_parts AS p").Join("JOIN releases AS r ON r.id = p.release").ColumnExpr("DISTINCT r.number AS number, p.release AS release, p.done AS done").
		Where("p.project = ? AND p.environment = ? AND p.begun AND p.release <> ? AND p.service IN (?)", r.Release.Project, environment, r.id, bun.In(services)).
		Where("p.release > ? OR NOT p.done", r.id).Order("number").Scan(ctx, &others)
	if err != nil {
		return fmt.Errorf("enter %s: %w", environment, err)
	}
	for _, o := range others {
		if o.Release > r.id && r.Release.Kind == Ship {
			return &busyError{reason: fmt.Sprintf("superseded by release %d, which has come to %s before it", o.Number, environment), never: true}
		}
	}
	for _, o := range others {
		if !o.Done {
			return &busyError{reason: fmt.Sprintf("waits for release %d, which is under way there", o.Number)}
		}
	}
	return nil
}

// wait keeps in a release why it does not enter an environment yet.
func (s *Service) wait(ctx context.Context, l *engine.Lease, r *record, environment string, why *busyError) (time.Duration, error) {
	e := r.Release.Environment(environment)
	if why.never {
		r.Stop, r.StopBy = why.reason, "gantry"
	} else if e.Status == Pending && e.Reason == why.reason {
		return s.o.Poll, nil
	}
	was := r.Release.Status
	e.Status, e.Reason = Pending, why.reason
	if r.Release.Status != Paused {
		r.Release.Status, r.Release.Reason = Waiting, environment+": "+why.reason
	}
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		if err := s.write(ctx, tx, r); err != nil {
			return err
		}
		if r.Release.Status != was {
			return tell(tx, r, "gantry", "release."+string(r.Release.Status), nil)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errChanged) {
		return 0, err
	}
	if why.never || err != nil {
		return 0, nil
	}
	return s.o.Poll, nil
}

// supersede ends the releases that still wait at gates which a new one will come to with newer candidates of the same services.
func (s *Service) supersede(ctx context.Context, tx *store.Tx, r *record, number int64) error {
	if r.Release.Kind != Ship {
		return nil
	}
	var rows []row
	if err := tx.NewSelect().Model(&rows).Where("project = ? AND NOT settled AND status IN (?)", r.Release.Project, bun.In([]Status{Waiting, Paused})).Order("id").Scan(ctx); err != nil {
		return fmt.Errorf("look for releases that wait: %w", err)
	}
	for i := range rows {
		old := rows[i].record(rows[i].Plan.V)
		gate := old.waitsAt()
		if old.Stop != "" || gate == "" || !old.leftIn(r.plan) {
			continue
		}
		old.Stop, old.StopBy = fmt.Sprintf("superseded by release %d", number), r.Release.Actor
		if err := s.write(ctx, tx, old); err != nil {
			return err
		}
		if err := s.o.Engine.Put(ctx, tx, kindRelease, old.key(), s.o.Now()); err != nil {
			return err
		}
		r.Release.Notes = append(r.Release.Notes, fmt.Sprintf("release %d, which waited at the gates of %s, is superseded", old.Release.Number, gate))
	}
	return nil
}

// waitsAt is the environment at whose gates a release waits; empty is none.
func (r *record) waitsAt() string {
	for _, e := range r.Release.Environments {
		switch {
		case e.Status == Gated:
			return e.Name
		case !e.Status.Ended():
			return ""
		}
	}
	return ""
}

// leftIn says whether everything that a release has still to do is in a plan.
func (r *record) leftIn(p *plan) bool {
	for _, e := range r.Release.Environments {
		if e.Status.Ended() {
			continue
		}
		pe := p.environment(e.Name)
		if pe == nil || slices.ContainsFunc(e.Services, func(c Member) bool { return !pe.has(c.Service) }) {
			return false
		}
	}
	return true
}

// stop ends a release before its time: what has not begun does not begin, and what is under way goes back.
func (r *record) stop() {
	first := true
	for i := range r.Release.Environments {
		e := &r.Release.Environments[i]
		if e.Status.Ended() {
			continue
		}
		p := r.part(e.Name)
		switch {
		case p.Begun && p.Back == "":
			p.Back = r.Stop
		case p.Begun:
		case first:
			e.Status, e.Reason = Cancelled, r.Stop
		default:
			e.Status, e.Reason = Skipped, r.Stop
		}
		first = false
	}
}
