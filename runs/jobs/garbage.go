package jobs

import (
	"context"
	"fmt"
	"time"

	"gocloud.dev/gcerrors"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
)

// collectEvery is how often blobs that nothing refers to are looked for, and collectAtMost how many go at a time.
const (
	collectEvery  = 15 * time.Second
	collectAtMost = 500
)

// discard has blobs thrown away at a time. No row may refer to them then.
func (s *Service) discard(ctx context.Context, tx *store.Tx, due time.Time, keys ...string) error {
	for _, key := range keys {
		_, err := tx.NewRaw("INSERT INTO job_garbage (blob, due) VALUES (?, ?) ON CONFLICT (blob) DO UPDATE SET due = excluded.due", key, store.At(due)).Exec(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

// dropArtifacts removes the artifacts for which a condition holds; their blobs go after the transaction has committed.
func (s *Service) dropArtifacts(ctx context.Context, tx *store.Tx, where string, args ...any) error {
	var keys []string
	if err := tx.NewSelect().Table("job_artifacts").Column("blob").Where(where, args...).Scan(ctx, &keys); err != nil || len(keys) == 0 {
		return err
	}
	if _, err := tx.NewDelete().Table("job_artifacts").Where(where, args...).Exec(ctx); err != nil {
		return err
	}
	return s.discard(ctx, tx, s.o.Now(), keys...)
}

// collect throws away what is due. The row goes after its blob, so that a crash leaves none; an upload no longer takes its row once that is
// nearly due.
func (s *Service) collect(ctx context.Context, l *engine.Lease) (time.Duration, error) {
	var due []string
	err := s.o.DB.NewSelect().Table("job_garbage").Column("blob").Where("due <= ?", s.now()).Order("due").Limit(collectAtMost).Scan(ctx, &due)
	if err != nil {
		return 0, fmt.Errorf("look for blobs to throw away: %w", err)
	}
	for _, key := range due {
		if err := s.o.Blobs.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return 0, fmt.Errorf("throw away the blob %s: %w", key, err)
		}
	}
	if len(due) == 0 {
		return collectEvery, nil
	}
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		_, err := tx.NewDelete().Table("job_garbage").Where("blob IN (?)", in(due)).Exec(ctx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("throw blobs away: %w", err)
	}
	if len(due) == collectAtMost {
		return 0, nil
	}
	return collectEvery, nil
}

// Delete removes all that is kept of a run; blobs go after the transaction has committed. A worker that has a job of it is fenced.
func (s *Service) Delete(ctx context.Context, tx *store.Tx, run string) error {
	fail := func(err error) error { return fmt.Errorf("delete the jobs of the run %s: %w", run, err) }
	if err := s.DeleteLogs(ctx, tx, run); err != nil {
		return err
	}
	if err := s.DeleteArtifacts(ctx, tx, run); err != nil {
		return err
	}
	for _, table := range []string{"job_steps", "job_annotations", "job_tests"} {
		if _, err := tx.NewDelete().Table(table).Where("job IN (SELECT id FROM jobs WHERE run = ?)", run).Exec(ctx); err != nil {
			return fail(err)
		}
	}
	if _, err := tx.NewDelete().Table("jobs").Where("run = ?", run).Exec(ctx); err != nil {
		return fail(err)
	}
	return nil
}

// DeleteLogs removes the logs of a run's jobs.
func (s *Service) DeleteLogs(ctx context.Context, tx *store.Tx, run string) error {
	var ids []string
	if err := tx.NewSelect().Table("jobs").Column("id").Where("run = ?", run).Scan(ctx, &ids); err != nil {
		return fmt.Errorf("delete the logs of the run %s: %w", run, err)
	}
	if len(ids) == 0 {
		return nil
	}
	if err := s.logs.Delete(ctx, tx, ids...); err != nil {
		return fmt.Errorf("delete the logs of the run %s: %w", run, err)
	}
	if _, err := tx.NewUpdate().Table("jobs").Set("lines = 0").Where("run = ?", run).Exec(ctx); err != nil {
		return fmt.Errorf("delete the logs of the run %s: %w", run, err)
	}
	return nil
}

// DeleteArtifacts removes the artifacts of a run.
func (s *Service) DeleteArtifacts(ctx context.Context, tx *store.Tx, run string) error {
	if err := s.dropArtifacts(ctx, tx, "run = ?", run); err != nil {
		return fmt.Errorf("delete the artifacts of the run %s: %w", run, err)
	}
	return nil
}
