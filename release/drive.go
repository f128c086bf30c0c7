package release

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store"
)

const (
	// queueLook is how often a rollout that waits for another looks by itself.
	queueLook = time.Minute
	// mostSteps bounds how often a rollout may advance at once; more is a mistake of ours.
	mostSteps = 50
)

// reconcile brings a rollout further. What it becomes is stored, guarded by the lease, before anything is asked of the target; so whoever comes next
// asks for the same.
func (s *Service) reconcile(ctx context.Context, l *engine.Lease) (time.Duration, error) {
	id, err := strconv.ParseInt(l.ID, 10, 64)
	if err != nil {
		return engine.Done, nil
	}
	r, err := s.Get(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return engine.Done, nil
	}
	if err != nil {
		return 0, err
	}
	if r.State.Phase.Ended() {
		// Its end asks for nothing that was not asked for before; and by now the next one may be under way.
		return engine.Done, nil
	}
	if r.Queued {
		if r, err = s.begin(ctx, l, r); err != nil || r.Queued {
			return queueLook, err
		}
		if r.State.Phase.Ended() {
			return engine.Done, nil
		}
	}
	// The lease is kept until the end: to give it back and take it again would write to the database with each look.
	for {
		r, wait, err := s.look(ctx, l, r)
		if err != nil {
			return engine.Done, err
		}
		if r.State.Phase.Ended() {
			s.forget(ctx, r.ID)
			return engine.Done, nil
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// look asks the target for what is stored, sees what it is like, and advances as far as that leads.
func (s *Service) look(ctx context.Context, l *engine.Lease, r Record) (Record, time.Duration, error) {
	// A person may have told it something meanwhile.
	r, err := s.Get(ctx, r.ID)
	if err != nil || r.State.Phase.Ended() {
		return r, 0, err
	}
	if err := s.apply(ctx, r); err != nil {
		return r, 0, err
	}
	in, err := s.input(ctx, r)
	if err != nil {
		return r, 0, err
	}
	now := s.o.Now()
	for range mostSteps {
		next, wake := r.State.Advance(now, in)
		if reflect.DeepEqual(next, r.State) {
			return r, s.wait(now, wake), nil
		}
		moved := next.Phase != r.State.Phase || next.Step != r.State.Step || next.Wave != r.State.Wave
		before := r.State
		r.State = next
		err := s.store(ctx, l, &r, before)
		if errors.Is(err, errChanged) {
			return r, 0, nil // a person was faster: again, from what it is now
		}
		if err != nil || next.Phase.Ended() {
			return r, 0, err
		}
		if err := s.apply(ctx, r); err != nil {
			return r, 0, err
		}
		if moved {
			// What was judged and done was for where it was.
			in.Verdict, in.Early, in.Reason = Unjudged, false, ""
			in.Expand, in.Contract, in.Smoke = Outcome{}, Outcome{}, Outcome{}
		}
	}
	return r, 0, fmt.Errorf("the rollout %d has advanced %d times without coming to rest", r.ID, mostSteps)
}

// wait is until when there is nothing to do but to look.
func (s *Service) wait(now, wake time.Time) time.Duration {
	if d := wake.Sub(now); !wake.IsZero() && d > 0 && d < s.o.Poll {
		return d
	}
	return s.o.Poll
}

func (s *Service) apply(ctx context.Context, r Record) error {
	if err := s.o.Target.Apply(ctx, r, r.State.Desired()); err != nil {
		return fmt.Errorf("ask the target of the rollout %d: %w", r.ID, err)
	}
	return nil
}

// begin takes a rollout out of the queue when its turn has come: then what it replaces is known.
func (s *Service) begin(ctx context.Context, l *engine.Lease, r Record) (Record, error) {
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		now, err := read(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		before, err := tx.NewSelect().Table("rollouts").Where("project = ? AND service = ? AND environment = ? AND NOT ended AND id < ?", r.Project, r.Service, r.Environment, r.ID).Exists(ctx)
		if err != nil || before {
			return err
		}
		if now.State.Old, err = released(ctx, tx, r.Place); err != nil {
			return err
		}
		now.Queued = false
		now.State.Since = s.o.Now()
		if now.State.Old == now.State.New {
			now.State.to(Succeeded, s.o.Now(), "it is there already")
		}
		if err := write(ctx, tx, &now); err != nil {
			return err
		}
		now.Version++
		r = now
		if r.State.Phase.Ended() {
			if err := s.next(ctx, tx, r); err != nil {
				return err
			}
		}
		return s.tell(tx, r, "gantry", "rollout.begun")
	})
	if errors.Is(err, errChanged) {
		return r, nil
	}
	return r, err
}

// store keeps what a rollout has become, with the event of it.
func (s *Service) store(ctx context.Context, l *engine.Lease, r *Record, before Rollout) error {
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		if err := write(ctx, tx, r); err != nil {
			return err
		}
		if r.State.Phase == Succeeded {
			if err := setReleased(ctx, tx, r); err != nil {
				return err
			}
		}
		if r.State.Phase.Ended() {
			if err := s.next(ctx, tx, *r); err != nil {
				return err
			}
		}
		if r.State.Phase != before.Phase || r.State.Step != before.Step || r.State.Wave != before.Wave || r.State.Paused != before.Paused {
			return s.tell(tx, *r, "gantry", "rollout."+string(r.State.Phase))
		}
		return nil
	})
	if err == nil {
		r.Version++
	}
	return err
}

// awaited says whether another rollout waits for one at its place.
func (s *Service) awaited(ctx context.Context, r Record) (bool, error) {
	waits, err := s.o.DB.NewSelect().Table("rollouts").Where("project = ? AND service = ? AND environment = ? AND queued AND NOT ended AND id > ?", r.Project, r.Service, r.Environment, r.ID).Exists(ctx)
	if err != nil {
		return false, fmt.Errorf("look for the next rollout of %s: %w", r.Place, err)
	}
	return waits, nil
}

// input gathers what a rollout has to know where it is.
func (s *Service) input(ctx context.Context, r Record) (in Input, err error) {
	if in.Regions, err = s.o.Target.Observe(ctx, r); err != nil {
		return in, fmt.Errorf("look at the target of the rollout %d: %w", r.ID, err)
	}
	task := func(name string, to *Outcome) {
		if err != nil {
			return
		}
		if s.o.Task == nil {
			*to = Outcome{Done: true}
			return
		}
		if *to, err = s.o.Task.Run(ctx, r, name); err != nil {
			err = fmt.Errorf("%s for the rollout %d: %w", name, r.ID, err)
		}
	}
	s.saw(ctx, r, in.Regions)
	switch r.State.Phase {
	case Waiting, Expanding, Placing, Checking, Routing, Holding, Soaking:
		// It may grow within this look, also from where it would not.
		if s.o.Gate != nil {
			if in.Closed, err = s.o.Gate.Closed(ctx, r, s.o.Now()); err != nil {
				return in, fmt.Errorf("ask the gate of the rollout %d: %w", r.ID, err)
			}
		}
	case Warm:
		if in.Next, err = s.awaited(ctx, r); err != nil {
			return in, err
		}
	}
	switch r.State.Phase {
	case Expanding:
		task(TaskExpand, &in.Expand)
	case Checking:
		task(TaskSmoke+"-"+strconv.Itoa(r.State.Wave), &in.Smoke)
	case Contracting:
		task(TaskContract, &in.Contract)
	}
	switch r.State.Phase {
	case Placing, Checking, Routing, Holding, Soaking, Warm:
		// Before the new version has traffic a judge learns what the old one is like; between two steps it goes on watching.
		if s.o.Judge == nil {
			break
		}
		o, why := s.o.Judge.Judge(ctx, r)
		if why != nil {
			o = Opinion{Verdict: analysis.Error, Reason: why.Error()} // never a pass, and nothing to stop the rollout's other checks for
		}
		in.Verdict, in.Early, in.Reason = o.Verdict, o.Early, o.Reason
	}
	return in, err
}
