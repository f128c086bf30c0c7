package runs

import (
	"context"
	"fmt"

	"github.com/gantry-ops/gantry/store"
)

// CancelledError is the cause of a run's cancel by somebody.
type CancelledError struct {
	// By is who asked for it, for people.
	By string
}

func (e *CancelledError) Error() string {
	if e.By == "" {
		return "the run was cancelled"
	}
	return "the run was cancelled by " + e.By
}

// Cancel asks a run to stop; steps that clean up still run. kill: nothing does. A run that has ended is ErrConflict. To ask again
// changes nothing, except that a kill may follow a cancel.
func (s *Service) Cancel(ctx context.Context, by By, run string, kill bool) (*Run, error) {
	id, err := number(run)
	if err != nil {
		return nil, err
	}
	view := make([]Run, 1)
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := lockRun(ctx, tx, id)
		if err != nil {
			return err
		}
		if r.Status.Ended() {
			return fmt.Errorf("%w: the run has ended already (%s)", ErrConflict, r.Status)
		}
		if r.Cancelling && (r.Killing || !kill) {
			view[0] = r.view()
			return nil
		}
		if r.CancelledBy == "" {
			if r.CancelledBy = by.Name; r.CancelledBy == "" {
				r.CancelledBy = by.Actor
			}
		}
		r.Cancelling, r.Killing = true, r.Killing || kill
		view[0] = r.view()
		if err := updateRun(ctx, tx, r, "cancelling", "killing", "cancelled_by"); err != nil {
			return err
		}
		e, data := r.eventOf("run.cancel_requested", by.Actor)
		data.Kill = kill
		if err := tx.Append(e, data); err != nil {
			return err
		}
		return s.wake(ctx, tx, id)
	})
	if err != nil {
		return nil, fmt.Errorf("cancel the run %s: %w", run, err)
	}
	return &view[0], s.counted(ctx, view)
}

// wake has a run looked at again: by its coordinator, or by a new one where it was put aside to wait.
func (s *Service) wake(ctx context.Context, tx *store.Tx, run int64) error {
	tx.AfterCommit(func() { s.signals.tell(run) })
	return s.o.Engine.Put(ctx, tx, kindRun, text(run), s.now())
}

// DeleteRun removes an ended run with its logs and artifacts.
func (s *Service) DeleteRun(ctx context.Context, by By, run string) error {
	id, err := number(run)
	if err != nil {
		return err
	}
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := lockRun(ctx, tx, id)
		if err != nil {
			return err
		}
		if !r.Status.Ended() {
			return fmt.Errorf("%w: the run has not ended; cancel it first", ErrConflict)
		}
		if err := s.forget(ctx, tx, id); err != nil {
			return err
		}
		return r.tell(tx, "run.deleted", by.Actor)
	})
	if err != nil {
		return fmt.Errorf("delete the run %s: %w", run, err)
	}
	return nil
}

// forget removes all that is kept of a run, in whatever state it is.
func (s *Service) forget(ctx context.Context, tx *store.Tx, id int64) error {
	for _, kind := range []string{kindRun, kindReport} {
		if err := s.o.Engine.Remove(ctx, tx, kind, text(id)); err != nil {
			return err
		}
	}
	var approvals []int64
	if err := tx.NewSelect().Model((*approvalRow)(nil)).Column("id").Where("run = ?", id).Scan(ctx, &approvals); err != nil {
		return err
	}
	for _, a := range approvals {
		if err := s.o.Engine.Remove(ctx, tx, kindApproval, text(a)); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*decisionRow)(nil)).Where("approval = ?", a).Exec(ctx); err != nil {
			return err
		}
	}
	if err := s.Service.Delete(ctx, tx, text(id)); err != nil {
		return err
	}
	if err := s.leaveAll(ctx, tx, id); err != nil {
		return err
	}
	for _, table := range []string{"approvals", "run_attempts", "run_cleanups"} {
		if _, err := tx.NewDelete().Table(table).Where("run = ?", id).Exec(ctx); err != nil {
			return err
		}
	}
	_, err := tx.NewDelete().Model((*runRow)(nil)).Where("id = ?", id).Exec(ctx)
	return err
}
