package runs

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// RerunMode says which jobs of an ended run are run again.
type RerunMode string

// All of them; those that did not succeed with all that depend on them; one job (by its ID, path or key) with all that depend on it.
const (
	RerunAll    RerunMode = "all"
	RerunFailed RerunMode = "failed"
	RerunJob    RerunMode = "job"
)

// attemptRow is an attempt that another one has followed.
type attemptRow struct {
	bun.BaseModel `bun:"table:run_attempts,alias:a"`

	Run        int64 `bun:",pk"`
	Attempt    int   `bun:",pk"`
	Status     Status
	Reason     string
	StartedAt  store.Time
	FinishedAt store.Time
}

// Rerun starts a new attempt. Jobs that are not run again stand with their results, artifacts and logs. A run that has not ended is
// ErrConflict.
func (s *Service) Rerun(ctx context.Context, by By, run string, mode RerunMode, job string) (*Run, error) {
	before, err := s.readRun(ctx, run)
	if err != nil {
		return nil, err
	}
	again, err := s.runAgain(ctx, before, mode, job)
	if err != nil {
		return nil, err
	}
	view := make([]Run, 1)
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := lockRun(ctx, tx, before.ID)
		if err != nil {
			return err
		}
		if !r.Status.Ended() || r.Attempt != before.Attempt {
			return fmt.Errorf("%w: the run has not ended", ErrConflict)
		}
		past := &attemptRow{Run: r.ID, Attempt: r.Attempt, Status: r.Status, Reason: r.Reason, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt}
		if _, err := tx.NewInsert().Model(past).Exec(ctx); err != nil {
			return err
		}
		if mode != RerunAll {
			if err := s.Service.Reuse(ctx, tx, run, r.Attempt, r.Attempt+1, func(j *Job) bool { return !again[j.ID] }); err != nil {
				return err
			}
		}
		r.Attempt++
		r.Status, r.Reason, r.Cancelling, r.Killing, r.CancelledBy, r.AttemptBy = Queued, "", false, false, "", person(by)
		r.StartedAt, r.FinishedAt, r.Counts = store.Time{}, store.Time{}, doc[map[Status]int](nil)
		if err := updateRun(ctx, tx, r, "attempt", "status", "reason", "cancelling", "killing", "cancelled_by", "attempt_by", "started_at", "finished_at", "counts"); err != nil {
			return err
		}
		view[0] = r.view()
		e, data := r.eventOf("run.rerun", by.Actor)
		data.Mode, data.Job = mode, job
		if err := tx.Append(e, data); err != nil {
			return err
		}
		p, err := lockProject(ctx, tx, r.Project)
		if err != nil {
			return err
		}
		if err := s.reportLater(ctx, tx, p.view(), r.ID); err != nil {
			return err
		}
		return s.wake(ctx, tx, r.ID)
	})
	if err != nil {
		return nil, fmt.Errorf("run %s again: %w", run, err)
	}
	return &view[0], s.counted(ctx, view)
}

// runAgain returns the IDs of the jobs that a mode runs again.
func (s *Service) runAgain(ctx context.Context, r *runRow, mode RerunMode, job string) (map[string]bool, error) {
	if !r.Status.Ended() {
		return nil, fmt.Errorf("%w: the run has not ended", ErrConflict)
	}
	again := map[string]bool{}
	if mode == RerunAll {
		return again, nil
	}
	if mode != RerunFailed && mode != RerunJob {
		return nil, invalid("mode", mode, "must be all, failed or job")
	}
	if mode == RerunJob && job == "" {
		return nil, invalid("job", job, "is required: the ID, path or key of a job")
	}
	list, err := s.Service.List(ctx, text(r.ID), r.Attempt)
	if err != nil {
		return nil, err
	}
	named := false
	for _, j := range list {
		switch {
		case mode == RerunFailed && j.Status != Success:
			again[j.ID] = true
			// What was skipped is only looked at again: there has to be something that went wrong.
			named = named || j.Status != Skipped
		case mode == RerunJob && (j.ID == job || strings.EqualFold(j.Path, job) || strings.EqualFold(j.Key, job)):
			again[j.ID], named = true, true
		}
	}
	switch {
	case !named && mode == RerunFailed && r.Status == Success:
		return nil, fmt.Errorf("%w: no job of the run has failed", ErrConflict)
	case !named && mode == RerunJob:
		return nil, invalid("job", job, "is no job of the run's newest attempt")
	}
	// Needs come before what needs them in no particular order, so look until nothing is added.
	for more := true; more; {
		more = false
		for _, j := range list {
			if again[j.ID] {
				continue
			}
			for _, need := range j.Needs {
				if again[need] {
					again[j.ID], more = true, true
					break
				}
			}
		}
	}
	return again, nil
}
