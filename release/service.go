package release

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store"
)

// Target is where a rollout happens. It is asked for the same again and again; asked for something else it leaves what it was doing.
type Target interface {
	// Apply has each region become what is desired. It returns when that is on its way, not when it is reached; a region that cannot be reached
	// hears of it later. At a place it refuses a rollout before the one that it knows, and an older version of the same: without an error, since who asks
	// for it is gone soon.
	Apply(ctx context.Context, r Record, desired map[string]Desired) error
	// Observe says what is seen of each region. What is not known is left out.
	Observe(ctx context.Context, r Record) (map[string]Observed, error)
}

// Opinion is what a judge says.
type Opinion struct {
	Verdict analysis.Verdict
	// Early says that it does not wait for the step's end.
	Early  bool
	Reason string
}

// Judge judges the time since a rollout's step began to be watched. It is asked often, also before the new version has any traffic so that it learns what
// the old one is like, and remembers what it needs by itself.
type Judge interface {
	Judge(ctx context.Context, r Record) (Opinion, error)
}

// Task is something that is done beside a rollout, once: the same is not begun a second time, however often and by whomever it is asked for.
type Task interface {
	Run(ctx context.Context, r Record, what string) (Outcome, error)
}

// Names of tasks. Those for a wave of regions have its number after them.
const (
	TaskExpand   = "expand"
	TaskContract = "contract"
	TaskSmoke    = "smoke"
)

// Gate says why a rollout may not begin now, nor go on to a larger share of the traffic or to another wave; empty is that it may. It is asked before each
// of these, and never on the way back.
type Gate interface {
	Closed(ctx context.Context, r Record, now time.Time) (reason string, err error)
}

// Options of the service. Target is required; without the others nothing is judged, done or closed.
type Options struct {
	DB     *store.DB
	Engine *engine.Engine
	Target Target
	Judge  Judge
	Task   Task
	Gate   Gate
	// Poll is how often targets are looked at; 0 is a second.
	Poll time.Duration
	Now  func() time.Time
	Log  *slog.Logger
}

// Service keeps rollouts and drives them.
type Service struct {
	o     Options
	looks looks
}

const kindRollout = "rollout"

// rollouts is how many a server works on at a time.
const rollouts = 256

// NewService makes the room's tables where they are missing, and registers its work with the engine.
func NewService(ctx context.Context, o Options) (*Service, error) {
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.DB.Migrate(ctx, "release", migrations); err != nil {
		return nil, fmt.Errorf("open the rollouts: %w", err)
	}
	s := &Service{o: o, looks: looks{all: map[int64]look{}}}
	o.Engine.Handle(kindRollout, rollouts, s.reconcile)
	return s, nil
}

// Request asks for a rollout.
type Request struct {
	// Actor is who asks, as events name it: "account:NAME", "gantry".
	Actor string
	Place
	// Release is what the rollout belongs to, in the caller's words, and Kind what it is in there: "" for the first of a release at a place. With a
	// release, what is asked for twice is begun once: its release, place and kind are its key.
	Release string
	Kind    string
	// Candidate is what the place shall have, in waves of regions, by a strategy.
	Candidate Candidate
	Waves     [][]string
	Strategy  Strategy
	// Expand and Contract say whether there are migrations of that kind to run.
	Expand, Contract bool
}

// Begin asks for a rollout. It waits for the one before it at its place, and replaces what that leaves there. What is wrong with it is said at once. Of
// one that was asked for already, the same is returned, as it is now.
func (s *Service) Begin(ctx context.Context, q Request) (Record, error) {
	now := s.o.Now()
	state, err := New(now, q.Candidate, Candidate{}, q.Waves, q.Strategy)
	if err == nil && (q.Project == "" || q.Service == "" || q.Environment == "" || q.Actor == "") {
		err = errors.New("a rollout needs a project, a service, an environment and somebody who asks for it")
	}
	if err != nil {
		return Record{}, fmt.Errorf("begin a rollout of %s: %w", q.Place, err)
	}
	state.Expand, state.Contract = q.Expand, q.Contract
	made := make([]Record, 1)
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if before, ok, err := asked(ctx, tx, q); err != nil || ok {
			made[0] = before
			return err
		}
		at := store.At(tx.Now())
		r := &row{Project: q.Project, Service: q.Service, Environment: q.Environment, Release: q.Release, Kind: q.Kind, Actor: q.Actor, Queued: true,
			State: store.AsJSON(state), CreatedAt: at, UpdatedAt: at}
		if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
			return err
		}
		made[0] = r.record()
		if err := s.tell(tx, made[0], q.Actor, "rollout.asked"); err != nil {
			return err
		}
		return s.o.Engine.Put(ctx, tx, kindRollout, strconv.FormatInt(r.ID, 10), now)
	})
	if store.IsDuplicate(err) {
		// Another server was faster between the look and the insert.
		if before, ok, why := asked(ctx, s.o.DB, q); why == nil && ok {
			return before, nil
		}
	}
	if err != nil {
		return Record{}, fmt.Errorf("begin a rollout of %s: %w", q.Place, err)
	}
	return made[0], nil
}

// Tell passes a person's command on; its errors are those of [Rollout.Tell], and [ErrNotFound].
func (s *Service) Tell(ctx context.Context, actor string, id int64, c Command) (Record, error) {
	told := make([]Record, 1)
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := read(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := s.mayGrow(ctx, r, c); err != nil {
			return err
		}
		if r.State, err = r.State.Tell(s.o.Now(), c, actor); err != nil {
			return err
		}
		if err := write(ctx, tx, &r); err != nil {
			return err
		}
		told[0] = r
		if err := s.tell(tx, r, actor, "rollout."+string(c)); err != nil {
			return err
		}
		if r.State.Phase.Ended() {
			if err := s.next(ctx, tx, r); err != nil {
				return err
			}
		}
		return s.o.Engine.Put(ctx, tx, kindRollout, strconv.FormatInt(id, 10), s.o.Now())
	})
	if errors.Is(err, errChanged) {
		return s.Tell(ctx, actor, id, c) // on what it is now
	}
	return told[0], err
}

// mayGrow refuses to promote what a gate holds: a person is not above a freeze.
func (s *Service) mayGrow(ctx context.Context, r Record, c Command) error {
	if c != Promote || s.o.Gate == nil || r.State.Phase != Holding && r.State.Phase != Soaking {
		return nil
	}
	closed, err := s.o.Gate.Closed(ctx, r, s.o.Now())
	if err != nil {
		return fmt.Errorf("ask the gate of the rollout %d: %w", r.ID, err)
	}
	if closed != "" {
		return fmt.Errorf("%s: %w: %s", c, ErrNotNow, closed)
	}
	return nil
}

// Get reads a rollout.
func (s *Service) Get(ctx context.Context, id int64) (Record, error) { return read(ctx, s.o.DB, id) }

// Released is what a place has now; zero where nothing was released yet.
func (s *Service) Released(ctx context.Context, p Place) (Candidate, error) {
	return released(ctx, s.o.DB, p)
}

// tell appends an event.
func (s *Service) tell(tx *store.Tx, r Record, actor, kind string) error {
	return tx.Append(store.Event{Type: kind, Project: r.Project, Subject: strconv.FormatInt(r.ID, 10), Actor: actor}, map[string]any{
		"service": r.Service, "environment": r.Environment, "release": r.Release, "phase": r.State.Phase, "wave": r.State.Wave, "step": r.State.Step,
		"reason": r.State.Reason, "new": r.State.New, "old": r.State.Old,
	})
}

// next wakes the rollout that waits for one that has ended.
func (s *Service) next(ctx context.Context, tx *store.Tx, r Record) error {
	var ids []int64
	err := tx.NewSelect().Table("rollouts").Column("id").Where("project = ? AND service = ? AND environment = ? AND queued AND NOT ended", r.Project, r.Service, r.Environment).
		Order("id").Limit(1).Scan(ctx, &ids)
	if err != nil {
		return fmt.Errorf("look for the next rollout of %s: %w", r.Place, err)
	}
	for _, id := range ids {
		if err := s.o.Engine.Put(ctx, tx, kindRollout, strconv.FormatInt(id, 10), s.o.Now()); err != nil {
			return err
		}
	}
	return nil
}
