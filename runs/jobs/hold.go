package jobs

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

// find1 reads one job by its ID.
func find1(ctx context.Context, q *bun.SelectQuery, id string, r *jobRow) error {
	err := q.Model(r).Where("id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("the job %q: %w", clean(id, 200), ErrNotFound)
	}
	return err
}

// held returns the job that a worker proves its right to, locked; ErrFenced where it has none any longer.
// Where columns are named only those are read.
func held(ctx context.Context, tx *store.Tx, ref TaskRef, columns ...string) (*jobRow, error) {
	r := &jobRow{}
	if err := find1(ctx, forUpdate(tx, tx.NewSelect().Column(columns...)), ref.Job, r); err != nil {
		return nil, err
	}
	return r, r.check(ref)
}

func (r *jobRow) check(ref TaskRef) error {
	if r.Status != Running || r.Token != ref.Token {
		return fmt.Errorf("the job %s: %w", r.ID, ErrFenced)
	}
	return nil
}

// Held returns the job that a worker holds; ErrFenced where it does not. It is for what a worker may only do while it holds a job.
func (s *Service) Held(ctx context.Context, ref TaskRef) (*Job, error) {
	r := &jobRow{}
	if err := find1(ctx, s.o.DB.NewSelect(), ref.Job, r); err != nil {
		return nil, err
	}
	return r.job(), r.check(ref)
}

// HeldBy returns nil where a runner holds the job, and ErrFenced where it does not or another one does.
func (s *Service) HeldBy(ctx context.Context, ref TaskRef, runner string) error {
	r := &jobRow{}
	if err := find1(ctx, s.o.DB.NewSelect().Column("id", "status", "token", "worker"), ref.Job, r); err != nil {
		return err
	}
	if r.Worker != runner {
		return fmt.Errorf("the job %s: %w", r.ID, ErrFenced)
	}
	return r.check(ref)
}

// Renew implements [Queue].
func (s *Service) Renew(ctx context.Context, ref TaskRef) (Control, error) {
	var c Control
	var worker string
	err := s.writes.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := held(ctx, tx, ref, "id", "status", "token", "worker", "embedded", "cancel", "cancel_reason")
		if err != nil {
			return err
		}
		c, worker = Control{Cancel: r.Cancel > 0, Kill: r.Cancel > 1, Reason: r.CancelReason}, r.Worker
		r.Expires = store.At(s.now().Add(s.ttl(r.Embedded)))
		_, err = tx.NewUpdate().Model(r).WherePK().Column("expires").Exec(ctx)
		return err
	})
	if err != nil {
		return Control{}, fmt.Errorf("renew: %w", err)
	}
	s.sign(ctx, worker)
	return c, nil
}

// Finish implements [Queue]. An outcome whose outputs are over MaxOutputs counts as a failure that says so.
func (s *Service) Finish(ctx context.Context, ref TaskRef, end TaskEnd) error {
	o := end.Outcome
	if err := checkOutcome(&o, end.Interrupted); err != nil {
		return err
	}
	err := s.writes.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		r := &jobRow{}
		if err := find1(ctx, forUpdate(tx, tx.NewSelect()), ref.Job, r); err != nil {
			return err
		}
		if r.Status.Ended() && r.Token == ref.Token {
			return nil // it comes twice
		}
		if err := r.check(ref); err != nil {
			return err
		}
		if end.Batches != r.Batch {
			return fmt.Errorf("the job %s ends after batch %d, and %d have come: %w", r.ID, end.Batches, r.Batch, ErrConflict)
		}
		if end.Interrupted {
			return s.again(ctx, tx, r, cmp.Or(clean(o.Reason, maxReason), fmt.Sprintf("the runner %s was stopped", r.WorkerName)), 0)
		}
		return s.end(ctx, tx, r, o, "runner:"+r.Worker)
	})
	if err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	return nil
}

// again takes a job from its worker and queues it again, to be claimed after a delay; why, where not empty, is said in its log. What the
// try has left goes, but for its log lines. A job that was cancelled is not tried again, nor one whose tries are used up.
func (s *Service) again(ctx context.Context, tx *store.Tx, r *jobRow, why string, delay time.Duration) error {
	// Nothing that its worker still sends counts, also where the job ends here.
	r.Token++
	if err := s.forget(ctx, tx, r); err != nil {
		return err
	}
	if r.Cancel > 0 {
		return s.end(ctx, tx, r, runner.Outcome{Status: pipeline.Cancelled, Reason: r.CancelReason}, "gantry")
	}
	if r.Try >= MaxTries {
		if err := s.note(ctx, tx, r, why); err != nil {
			return err
		}
		return s.end(ctx, tx, r, runner.Outcome{Status: pipeline.Failure, Reason: fmt.Sprintf("its workers vanished %d times; the last time: %s", r.Try, why)}, "gantry")
	}
	now := s.now()
	if why != "" {
		if err := s.note(ctx, tx, r, fmt.Sprintf("%s; the job is queued again after try %d of %d", why, r.Try, MaxTries)); err != nil {
			return err
		}
	}
	r.Status, r.Reason, r.Worker, r.WorkerName, r.Session = Queued, why, "", "", ""
	r.QueuedAt, r.StartedAt, r.Expires, r.NotBefore = now, store.Time{}, store.Time{}, store.At(now.Add(delay))
	if err := save(ctx, tx, r, false); err != nil {
		return err
	}
	s.wakeAfter(tx, r.Wants)
	return r.tell(tx, "job.queued", "gantry", nil)
}

// forget removes what a try has left.
func (s *Service) forget(ctx context.Context, tx *store.Tx, r *jobRow) error {
	for _, table := range []string{"job_steps", "job_annotations", "job_tests"} {
		if _, err := tx.NewDelete().Table(table).Where("job = ?", r.ID).Exec(ctx); err != nil {
			return err
		}
	}
	if err := s.dropArtifacts(ctx, tx, "job = ?", r.ID); err != nil {
		return err
	}
	r.Annotated, r.Summary, r.EnvironmentURL, r.Batch = 0, "", "", 0
	return nil
}

// note appends a line of the server's own to a job's log.
func (s *Service) note(ctx context.Context, tx *store.Tx, r *jobRow, text string) error {
	first, err := s.logs.Append(ctx, tx, r.ID, []LogLine{{Time: s.now(), Notice: true, Text: text}})
	if err != nil {
		return err
	}
	r.Lines = first
	return nil
}

// end records how a job has ended. It writes what a worker, and what taking it from a worker, may have changed.
func (s *Service) end(ctx context.Context, tx *store.Tx, r *jobRow, o runner.Outcome, actor string) error {
	o.Reason = clean(o.Reason, maxReason)
	r.Status, r.Reason, r.Outcome.V, r.FinishedAt, r.Expires = Status(o.Status), o.Reason, &o, s.now(), store.Time{}
	r.Tolerated = r.Tolerated && r.Status == Failure
	_, err := tx.NewUpdate().Model(r).WherePK().Column("status", "reason", "outcome", "finished_at", "expires", "tolerated", "token", "try", "batch",
		"lines", "annotated", "summary", "environment_url").Exec(ctx)
	if err != nil {
		return err
	}
	if r.Try > 0 {
		// Steps that nothing was heard of any more have ended with their job.
		_, err := tx.NewUpdate().Table("job_steps").Set("status = ?", Cancelled).Set("finished_at = ?", r.FinishedAt).
			Where("job = ? AND status = ?", r.ID, Running).Exec(ctx)
		if err != nil {
			return err
		}
	}
	// Also where there are no lines: who follows the log learns by it.
	if err := s.logs.Complete(ctx, tx, r.ID); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		s.waits.ended(r.ID, o)
		if s.o.Ended != nil {
			s.o.Ended(r.Run, r.ID)
		}
	})
	return r.tell(tx, "job.finished", actor, nil)
}

// tell writes an event about a job.
func (r *jobRow) tell(tx *store.Tx, what, actor string, more map[string]any) error {
	data := map[string]any{"job": r.ID, "name": r.Name, "status": r.Status, "attempt": r.Attempt}
	if r.Reason != "" {
		data["reason"] = r.Reason
	}
	if r.Try > 0 {
		data["try"] = r.Try
	}
	for k, v := range more {
		data[k] = v
	}
	return tx.Append(store.Event{Type: what, Project: r.Project, Run: r.Run, Subject: r.ID, Actor: actor}, data)
}

// Cancel asks the worker of a job to stop; a job that no worker has ends at once. kill: without clean-up.
func (s *Service) Cancel(ctx context.Context, tx *store.Tx, id, reason string, kill bool) error {
	r := &jobRow{}
	if err := find1(ctx, forUpdate(tx, tx.NewSelect()), id, r); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	how := 1
	if kill {
		how = 2
	}
	reason = clean(reason, maxReason)
	switch {
	case r.Status.Ended(), r.Status == Running && r.Cancel >= how:
		return nil
	case r.Status != Running:
		return s.end(ctx, tx, r, runner.Outcome{Status: pipeline.Cancelled, Reason: reason}, "gantry")
	}
	r.Cancel, r.CancelReason = how, reason
	if _, err := tx.NewUpdate().Model(r).WherePK().Column("cancel", "cancel_reason").Exec(ctx); err != nil {
		return fmt.Errorf("cancel the job %s: %w", id, err)
	}
	return r.tell(tx, "job.cancelling", "gantry", map[string]any{"reason": reason, "kill": kill})
}
