package runs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

// memberRow is a run, job or call in a concurrency group of its project: one is running, the others wait in the order in which they came.
type memberRow struct {
	bun.BaseModel `bun:"table:concurrency_members,alias:m"`

	Project string `bun:",pk"`
	Folded  string `bun:",pk"`
	Run     int64  `bun:",pk"`
	Path    string `bun:",pk"`
	Arrival int64
	Running bool
	// Superseded: a newer member takes its place. One that waits leaves, one that runs is cancelled.
	Superseded bool
}

// turn names a member among those of its run.
type turn struct{ folded, path string }

// maxGroup is the length from which on a group is kept by a digest of its name; PostgreSQL's indexes bound what they hold.
const maxGroup = 400

// Enter implements [runner.Groups]: across runs and servers, and found again by a later life of the run.
func (c *coordinator) Enter(ctx context.Context, m runner.GroupMember) (inner context.Context, leave func(), err error) {
	if c.ctx.Err() != nil {
		return nil, nil, errDropped
	}
	defer c.fly()()
	t := turn{fold(valid(m.Group)), m.ID}
	if len(t.folded) > maxGroup {
		t.folded = digest("group", t.folded)
	}
	has := false
	if err := c.write(func(ctx context.Context, tx *store.Tx, r *runRow) error {
		has, err = c.join(ctx, tx, r, t, m)
		return err
	}); err != nil {
		return c.turnLost(ctx, t, m, err)
	}
	if !has {
		if err := c.idle(ctx, "group "+t.folded+" "+t.path, time.Time{}, func() (bool, error) { return c.hasTurn(t, m) }); err != nil {
			return c.turnLost(ctx, t, m, err)
		}
		if m.ID == "" {
			if err := c.record(func(ctx context.Context, tx *store.Tx, r *runRow) error { return c.start(ctx, tx, r) }); err != nil {
				return nil, nil, err
			}
		}
	}
	inner, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	c.turns[t] = cancel
	c.mu.Unlock()
	c.yield()
	return inner, func() {
		c.mu.Lock()
		delete(c.turns, t)
		c.mu.Unlock()
		cancel(nil)
		// A run whose walk has been broken off has its turn still.
		if c.ctx.Err() == nil {
			_ = c.record(func(ctx context.Context, tx *store.Tx, r *runRow) error {
				return c.s.leave(ctx, tx, r.Project, t.folded, r.ID, &t.path)
			})
		}
	}, nil
}

// join makes the run a member of the group, where it is none yet, and reports whether it has its turn.
func (c *coordinator) join(ctx context.Context, tx *store.Tx, r *runRow, t turn, m runner.GroupMember) (bool, error) {
	var arrival int64
	err := tx.NewRaw(`
		INSERT INTO concurrency_groups (project, folded, arrivals) VALUES (?, ?, 1)
		ON CONFLICT (project, folded) DO UPDATE SET arrivals = concurrency_groups.arrivals + 1
		RETURNING arrivals`, r.Project, t.folded).Scan(ctx, &arrival)
	if err != nil {
		return false, err
	}
	// From here on the group's row keeps others out.
	var members []memberRow
	if err := tx.NewSelect().Model(&members).Where("project = ? AND folded = ?", r.Project, t.folded).Order("arrival").Scan(ctx); err != nil {
		return false, err
	}
	for _, o := range members {
		if o.Run == r.ID && o.Path == t.path {
			if o.Superseded && !o.Running {
				return false, &runner.SupersededError{Group: m.Group}
			}
			if o.Running && t.path == "" {
				return true, c.start(ctx, tx, r)
			}
			return o.Running, nil
		}
	}
	me := &memberRow{Project: r.Project, Folded: t.folded, Run: r.ID, Path: t.path, Arrival: arrival, Running: len(members) == 0}
	if _, err := tx.NewInsert().Model(me).Exec(ctx); err != nil {
		return false, err
	}
	for i := range members {
		o := &members[i]
		if o.Superseded || o.Running && !m.CancelRunning || !o.Running && m.QueueAll && !m.CancelRunning {
			continue
		}
		o.Superseded = true
		if _, err := tx.NewUpdate().Model(o).Column("superseded").WherePK().Exec(ctx); err != nil {
			return false, err
		}
		if err := c.s.wake(ctx, tx, o.Run); err != nil {
			return false, err
		}
	}
	switch {
	case t.path != "":
		return me.Running, nil
	case me.Running:
		return true, c.start(ctx, tx, r)
	}
	r.Reason = fmt.Sprintf("waits for its turn in the concurrency group %q", cut(m.Group, maxName))
	return false, updateRun(ctx, tx, r, "reason")
}

// hasTurn reads whether the run's turn has come.
func (c *coordinator) hasTurn(t turn, m runner.GroupMember) (bool, error) {
	var rows []memberRow
	err := c.s.o.DB.NewSelect().Model(&rows).Where("project = ? AND folded = ? AND run = ? AND path = ?", c.row.Project, t.folded, c.row.ID, t.path).Scan(c.ctx)
	switch {
	case err != nil:
		return false, fmt.Errorf("read the concurrency group %s: %w", m.Group, err)
	case len(rows) == 0:
		return false, fmt.Errorf("%w: the run is in the concurrency group %s no longer", ErrNotFound, m.Group)
	case rows[0].Running:
		return true, nil
	case rows[0].Superseded:
		return false, &runner.SupersededError{Group: m.Group}
	}
	return false, nil
}

// turnLost leaves a group in which the run does not get its turn.
func (c *coordinator) turnLost(ctx context.Context, t turn, m runner.GroupMember, err error) (context.Context, func(), error) {
	if c.ctx.Err() != nil {
		return nil, nil, errDropped
	}
	var superseded *runner.SupersededError
	var cancelled *CancelledError
	if !errors.As(err, &superseded) && !errors.As(err, &cancelled) && ctx.Err() == nil {
		c.fail(err)
		return nil, nil, errDropped
	}
	if errors.As(err, &superseded) && m.ID == "" {
		c.mu.Lock()
		c.superseded = err
		c.mu.Unlock()
	}
	if lost := c.record(func(ctx context.Context, tx *store.Tx, r *runRow) error {
		return c.s.leave(ctx, tx, r.Project, t.folded, r.ID, &t.path)
	}); lost != nil {
		return nil, nil, lost
	}
	return nil, nil, err
}

// yield cancels what runs of the run in groups where a newer member takes its place.
func (c *coordinator) yield() {
	c.mu.Lock()
	in := len(c.turns)
	c.mu.Unlock()
	if in == 0 {
		return
	}
	var rows []memberRow
	if err := c.s.o.DB.NewSelect().Model(&rows).Where("run = ? AND superseded = ? AND running = ?", c.row.ID, true, true).Scan(c.ctx); err != nil {
		return // it is looked at again soon
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range rows {
		t := turn{r.Folded, r.Path}
		if cancel := c.turns[t]; cancel != nil {
			err := &runner.SupersededError{Group: r.Folded}
			if r.Path == "" {
				c.superseded = err
			}
			cancel(err)
		}
	}
}

// leave takes a member out of a group, or with path nil all members of the run, and gives the turn to the next.
func (s *Service) leave(ctx context.Context, tx *store.Tx, project, folded string, run int64, path *string) error {
	// The group's row keeps others out; a group without one has no members.
	ok, err := changed(tx.NewRaw("UPDATE concurrency_groups SET arrivals = arrivals WHERE project = ? AND folded = ?", project, folded).Exec(ctx))
	if err != nil || !ok {
		return err
	}
	gone := tx.NewDelete().Model((*memberRow)(nil)).Where("project = ? AND folded = ? AND run = ?", project, folded, run)
	if path != nil {
		gone = gone.Where("path = ?", *path)
	}
	if _, err := gone.Exec(ctx); err != nil {
		return err
	}
	var members []memberRow
	if err := tx.NewSelect().Model(&members).Where("project = ? AND folded = ?", project, folded).Order("running DESC", "arrival").Scan(ctx); err != nil {
		return err
	}
	if len(members) == 0 {
		_, err := tx.NewDelete().Table("concurrency_groups").Where("project = ? AND folded = ?", project, folded).Exec(ctx)
		return err
	}
	if members[0].Running {
		return nil
	}
	for i := range members {
		m := &members[i]
		if m.Superseded {
			continue // it leaves by itself
		}
		m.Running = true
		if _, err := tx.NewUpdate().Model(m).Column("running").WherePK().Exec(ctx); err != nil {
			return err
		}
		return s.wake(ctx, tx, m.Run)
	}
	return nil
}

// leaveAll takes a run out of all groups.
func (s *Service) leaveAll(ctx context.Context, tx *store.Tx, run int64) error {
	var rows []memberRow
	if err := tx.NewSelect().Model(&rows).Where("run = ?", run).Order("project", "folded").Scan(ctx); err != nil {
		return err
	}
	for _, r := range rows {
		if err := s.leave(ctx, tx, r.Project, r.Folded, run, nil); err != nil {
			return err
		}
	}
	return nil
}
