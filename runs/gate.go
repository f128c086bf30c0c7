package runs

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

// admit waits until a job may run by the rules of its environment and, where the file has a person start it, by a person. It finds again
// what an earlier life of the run has asked for.
func (c *coordinator) admit(ctx context.Context, a runner.Assignment) error {
	if a.Environment == "" && !a.Manual {
		return nil
	}
	held, err := c.held(a.ID)
	if err != nil {
		return err
	}
	if held == nil {
		if held, err = c.hold(a); held == nil {
			return err
		}
	}
	defer c.holding()()
	if held.Status == Waiting {
		err := c.idle(ctx, a.ID, time.Time{}, func() (bool, error) {
			if held, err = c.held(a.ID); err != nil || held == nil {
				return true, err
			}
			return held.Status != Waiting, nil
		})
		if err != nil {
			return err
		}
	}
	switch {
	case held == nil:
		return fmt.Errorf("%w: the approval of %s is no longer there", ErrNotFound, a.Name)
	case held.Status == Failure:
		return &refusedError{held.Reason}
	case held.Status == Cancelled:
		return &CancelledError{By: c.row.CancelledBy}
	}
	until := held.until()
	reached := func() (bool, error) { return !c.s.now().Before(until), nil }
	if ok, _ := reached(); ok {
		return nil
	}
	return c.idle(ctx, a.ID, until, reached)
}

// holding counts a job that waits for people or a time.
func (c *coordinator) holding() (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holds++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.holds--
	}
}

// held reads what a job waits for; nil where nothing was asked for yet.
func (c *coordinator) held(path string) (*approvalRow, error) {
	var rows []approvalRow
	err := c.s.o.DB.NewSelect().Model(&rows).Where("run = ? AND attempt = ? AND path = ?", c.row.ID, c.row.Attempt, path).Scan(c.ctx)
	if err != nil {
		return nil, fmt.Errorf("read the approval of %s: %w", path, err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	return &rows[0], nil
}

// hold has a job wait by the rules of its environment; nil where it need not.
func (c *coordinator) hold(a runner.Assignment) (*approvalRow, error) {
	env := &Environment{Name: a.Environment}
	if a.Environment != "" {
		rules, err := c.s.environment(c.ctx, c.row.Project, a.Environment)
		if err != nil {
			return nil, err
		}
		if rules != nil {
			env = rules
		}
	}
	if !env.allowsRef(c.row.Ref) {
		return nil, &refusedError{fmt.Sprintf("%s may not deploy to the environment %s, which lets only these refs: %q", c.row.Ref, env.Name, env.Refs)}
	}
	required := env.Approvals
	if a.Manual {
		required = max(required, 1)
	}
	if required == 0 && env.Wait == 0 {
		return nil, nil
	}
	var held *approvalRow
	err := c.write(func(ctx context.Context, tx *store.Tx, r *runRow) error {
		if r.Cancelling {
			return &CancelledError{By: r.CancelledBy}
		}
		var err error
		if held, err = c.ask(ctx, tx, r, a, env, required); err != nil {
			return err
		}
		c.mu.Lock()
		only := c.flying-1 == c.waiting
		c.mu.Unlock()
		if only {
			return c.nowWaits(ctx, tx, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

// ask writes what a job waits for.
func (c *coordinator) ask(ctx context.Context, tx *store.Tx, r *runRow, a runner.Assignment, env *Environment, required int) (*approvalRow, error) {
	now := store.At(tx.Now())
	expire := DefaultExpire
	if env.Expire > 0 {
		expire = time.Duration(env.Expire) * time.Hour
	}
	h := &approvalRow{
		Project: r.Project, Run: r.ID, Attempt: r.Attempt, Path: a.ID, JobName: a.Name, RunTitle: r.Title, SHA: r.SHA, Environment: env.Name,
		Manual: a.Manual, Status: Waiting, Required: required, WaitMinutes: env.Wait, Approvers: doc(env.Approvers), StartedBy: r.StartedBy,
		Starters: doc(starters(r)), NotStarter: env.NotStarter, CreatedAt: now, ExpiresAt: store.At(now.Add(expire)),
	}
	reason := fmt.Sprintf("waits for %d to approve", required)
	if a.Manual && env.Approvals == 0 {
		reason = "waits for a person to start it"
	}
	if required == 0 {
		h.Status, h.DecidedAt = Success, now
		reason = "waits until " + h.until().UTC().Format(time.RFC3339)
	}
	var err error
	if h.Job, err = c.s.Service.Hold(ctx, tx, r.Project, c.run, r.Attempt, a, reason); err != nil {
		return nil, err
	}
	if h.ID, err = newID(ctx, tx); err != nil {
		return nil, err
	}
	if _, err := tx.NewInsert().Model(h).Exec(ctx); err != nil {
		return nil, err
	}
	if required == 0 {
		return h, nil
	}
	if err := h.tell(tx, "approval.requested", byGantry, nil); err != nil {
		return nil, err
	}
	return h, c.s.o.Engine.Put(ctx, tx, kindApproval, text(h.ID), h.ExpiresAt.Time)
}

// starters are all names of who has started the run, or this attempt of it.
func starters(r *runRow) []string {
	out := []string{person(By{Actor: r.Actor, Account: r.Account})}
	for _, name := range []string{r.StartedBy, r.AttemptBy} {
		if name != "" && name != out[0] {
			out = append(out, name)
		}
	}
	return out
}

// cancelApproval ends what a job waits for, because the job will not run.
func (s *Service) cancelApproval(ctx context.Context, tx *store.Tx, r *runRow, path, reason string) error {
	return s.endApprovals(ctx, tx, reason, func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("run = ? AND attempt = ? AND path = ?", r.ID, r.Attempt, path)
	})
}

// closeApprovals ends all that an ended attempt still waits for.
func (s *Service) closeApprovals(ctx context.Context, tx *store.Tx, r *runRow) error {
	return s.endApprovals(ctx, tx, "the run has ended", func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("run = ? AND attempt = ?", r.ID, r.Attempt)
	})
}

func (s *Service) endApprovals(ctx context.Context, tx *store.Tx, reason string, which func(*bun.SelectQuery) *bun.SelectQuery) error {
	var rows []approvalRow
	if err := lock(tx, which(tx.NewSelect().Model(&rows).Where("status = ?", Waiting))).Scan(ctx); err != nil {
		return err
	}
	for i := range rows {
		a := &rows[i]
		a.Status, a.Reason, a.DecidedAt = Cancelled, cut(reason, maxReason), store.At(tx.Now())
		if _, err := tx.NewUpdate().Model(a).Column("status", "reason", "decided_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		if err := a.tell(tx, "approval.decided", byGantry, nil); err != nil {
			return err
		}
		if err := s.o.Engine.Remove(ctx, tx, kindApproval, text(a.ID)); err != nil {
			return err
		}
	}
	return nil
}
