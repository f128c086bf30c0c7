package ship

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// soon bounds how often a release looks again because of events: they tell of anything that happens on the server.
const soon = 200 * time.Millisecond

// reconcile brings a release to its end, and then watches its rollouts until theirs.
func (s *Service) reconcile(ctx context.Context, l *engine.Lease) (time.Duration, error) {
	id, err := strconv.ParseInt(l.ID, 10, 64)
	if err != nil {
		return engine.Done, nil
	}
	woken, stop := s.o.DB.Watch()
	defer stop()
	// The lease is kept: to give it back and take it again would write to the database with each look.
	for {
		again, err := s.look(ctx, l, id)
		if err != nil || again == engine.Done {
			return engine.Done, err
		}
		if again == 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(again):
			continue
		case <-woken:
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(min(soon, again)):
		}
	}
}

// look sees what has become of a release's rollouts, decides, stores what was decided, and acts on it. It returns when to look again: 0 is at once.
func (s *Service) look(ctx context.Context, l *engine.Lease, id int64) (time.Duration, error) {
	r, err := s.read(ctx, s.o.DB, id)
	if errors.Is(err, ErrNotFound) || err == nil && r.settled {
		s.forget(id)
		return engine.Done, nil
	}
	if err != nil {
		return 0, err
	}
	before, err := s.read(ctx, s.o.DB, id) // a second one, of which nothing is shared with the first
	if err != nil || before.version != r.version {
		return 0, err
	}
	w, err := s.world(ctx, r)
	if err != nil {
		return 0, err
	}
	s.show(r, w)
	var enter string
	switch {
	case r.Stop != "":
		r.stop()
	case r.Release.Status == Building && !r.built():
		err = s.build(ctx, l, r)
	}
	if err == nil && !r.Release.Status.Ended() && (r.Stop != "" || r.built()) {
		enter, err = s.environments(ctx, r, w)
	}
	if err == nil {
		err = s.back(ctx, r, w)
	}
	if err != nil {
		return 0, err
	}
	r.summarize(s.o.Now(), w)
	if enter != "" || r.settled != before.settled || !reflect.DeepEqual(r.state, before.state) {
		err := s.store(ctx, l, r, before, enter, w)
		var busy *busyError
		switch {
		case errors.As(err, &busy):
			return s.wait(ctx, l, before, enter, busy)
		case errors.Is(err, errChanged):
			return 0, nil // a person was faster: again, from what it is now
		case err != nil:
			return 0, err
		}
		_, err = s.act(ctx, l, r, w)
		return 0, err
	}
	acted, err := s.act(ctx, l, r, w)
	if err != nil || acted {
		return 0, err
	}
	return s.o.Poll, nil
}

// built says whether all candidates are there.
func (r *record) built() bool {
	if r.Release.Kind == Rollback {
		return true
	}
	return len(r.Release.Candidates) == len(r.plan.Services)
}

// world is what is seen of a release's rollouts.
type world struct {
	rollouts map[int64]release.Record
}

func (s *Service) world(ctx context.Context, r *record) (world, error) {
	w := world{rollouts: map[int64]release.Record{}}
	var ids []int64
	for _, e := range r.Release.Environments {
		for _, c := range e.Services {
			for _, id := range []int64{c.Rollout, c.Back, r.part(e.Name).share(c.Service).Undo} {
				if id > 0 && !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
	}
	if len(ids) == 0 {
		return w, nil
	}
	all, err := s.o.Rollouts.Rollouts(ctx, ids...)
	if err != nil {
		return w, err
	}
	for _, one := range all {
		w.rollouts[one.ID] = one
	}
	for _, id := range ids {
		if _, ok := w.rollouts[id]; !ok {
			return w, fmt.Errorf("the rollout %d of the release %s is gone", id, r.key())
		}
	}
	return w, nil
}

// shownOf is the rollout that a service's part is about now: the way back where there is one.
func shownOf(c *Member) int64 {
	if c.Back > 0 {
		return c.Back
	}
	return c.Rollout
}

// show tells in a release what its rollouts are.
func (s *Service) show(r *record, w world) {
	for i := range r.Release.Environments {
		e := &r.Release.Environments[i]
		for j := range e.Services {
			c := &e.Services[j]
			one, ok := w.rollouts[shownOf(c)]
			if !ok {
				continue
			}
			c.Status, c.Reason = Status(one.State.Phase), one.State.Reason
			switch {
			case one.Queued && !one.State.Phase.Ended():
				c.Status, c.Reason = Queued, "waits for the rollout before it"
			case c.Back == 0 && one.State.Phase == release.Succeeded && one.State.Old == one.State.New:
				c.Status = Unchanged
			}
			if stays := r.part(e.Name).share(c.Service).Stays; stays != "" {
				c.Reason = stays
			}
			if c.Back == 0 && !one.Queued {
				c.OldVersion = one.State.Old.Version()
			}
		}
	}
}

// names are the environments of a release.
func (r *record) names() []string {
	var all []string
	for _, e := range r.Release.Environments {
		all = append(all, e.Name)
	}
	return all
}

// summarize says what the release is, of what its environments are.
func (r *record) summarize(now time.Time, w world) {
	var first *Environment // the first that has not ended
	counts := map[Status]int{}
	for i := range r.Release.Environments {
		e := &r.Release.Environments[i]
		counts[e.Status]++
		if first == nil && !e.Status.Ended() {
			first = e
		}
	}
	was := r.Release.Status
	switch {
	case was == Failed:
	case counts[Returning] > 0:
		for _, e := range r.Release.Environments {
			if e.Status == Returning {
				r.Release.Status, r.Release.Reason = Returning, e.Name+": "+e.Reason
			}
		}
	case first == nil:
		r.end(counts)
	case r.Stop == "" && !r.built():
		// The build says what it waits for.
		if r.Held {
			r.Release.Status = Paused
		} else {
			r.Release.Status = Building
		}
	case r.Held || first.Status == Paused:
		r.Release.Status, r.Release.Reason = Paused, first.Name+": "+first.Reason
		if r.Held {
			r.Release.Reason = "paused"
		}
	case first.Status == Running:
		r.Release.Status, r.Release.Reason = Running, first.Name+": "+first.Reason
	default:
		r.Release.Status, r.Release.Reason = Waiting, first.Name+": "+first.Reason
	}
	if !r.Release.Status.Ended() {
		r.Release.EndedAt = store.Time{}
		return
	}
	if r.Release.EndedAt.IsZero() {
		r.Release.EndedAt = store.At(now)
	}
	r.settled = true
	if r.Taken != "" {
		return
	}
	for _, one := range w.rollouts {
		r.settled = r.settled && one.State.Phase.Ended()
	}
}

// end says how a release ended whose environments have.
func (r *record) end(counts map[Status]int) {
	to := Cancelled
	switch {
	case counts[Failed] > 0:
		to = Failed
	case counts[RolledBack] > 0:
		to = RolledBack
	case counts[Cancelled] == 0:
		to = Succeeded
	}
	reason := ""
	for _, e := range r.Release.Environments {
		if e.Status == to && e.Reason != "" && reason == "" {
			reason = e.Name + ": " + e.Reason
		}
	}
	switch {
	case r.Stop != "" && to != Succeeded:
		reason = r.Stop
	case to == Succeeded && r.Taken == "":
		reason = ""
	case to == Succeeded:
		reason = r.Release.Reason
	}
	r.Release.Status, r.Release.Reason = to, reason
}

// store keeps what a release has become, with the events of it.
func (s *Service) store(ctx context.Context, l *engine.Lease, r, before *record, enter string, w world) error {
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		if enter != "" {
			if err := s.enter(ctx, tx, r, enter); err != nil {
				return err
			}
		}
		if err := s.write(ctx, tx, r); err != nil {
			return err
		}
		if err := migrated(ctx, tx, r, w); err != nil {
			return err
		}
		if r.Release.Status != before.Release.Status {
			return tell(tx, r, "gantry", "release."+string(r.Release.Status), nil)
		}
		return nil
	})
	if err == nil {
		r.version++
	}
	return err
}

// change applies what a person asks for to a release.
func (s *Service) change(ctx context.Context, by By, id string, f func(r *record, tx *store.Tx) error) (Release, error) {
	if by.Actor == "" {
		return Release{}, &InvalidError{"actor", "", "is required"}
	}
	n, err := number(id)
	if err != nil {
		return Release{}, err
	}
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := s.read(ctx, tx, n)
		if err != nil {
			return err
		}
		if err := f(r, tx); err != nil {
			return err
		}
		if err := s.write(ctx, tx, r); err != nil {
			return err
		}
		return s.o.Engine.Put(ctx, tx, kindRelease, r.key(), s.o.Now())
	})
	if errors.Is(err, errChanged) {
		return s.change(ctx, by, id, f) // on what it is now
	}
	if err != nil {
		return Release{}, err
	}
	return s.release(ctx, n)
}

// forget lets go of the plan of a release that nothing happens to any more.
func (s *Service) forget(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.plans, id)
}
