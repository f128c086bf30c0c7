package runs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

const (
	retentionPeriod = time.Hour
	// retainBatch is how many runs are dealt with before others have a turn.
	retainBatch = 200
	// keepDeliveries is how long deliveries are remembered. A forge redelivers for days, never for months.
	keepDeliveries = 90 * 24 * time.Hour
)

// retain throws away what is older than the projects say, of runs that have ended.
func (s *Service) retain(ctx context.Context, _ string) (time.Duration, error) {
	var rows []projectRow
	if err := s.o.DB.NewSelect().Model(&rows).Where("deleting = ?", false).Scan(ctx); err != nil {
		return 0, fmt.Errorf("list projects: %w", err)
	}
	more := false
	for i := range rows {
		full, err := s.retainProject(ctx, rows[i].view())
		if err != nil {
			return 0, fmt.Errorf("throw away what is old of %s: %w", rows[i].ID, err)
		}
		more = more || full
	}
	before := store.At(s.now().Add(-keepDeliveries))
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, table := range []string{"deliveries", "triggers_taken"} {
			if _, err := tx.NewDelete().Table(table).Where("at < ?", before).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("forget old deliveries: %w", err)
	}
	if more {
		return time.Second, nil
	}
	return retentionPeriod, nil
}

// retainProject reports whether there may be more than it has dealt with.
func (s *Service) retainProject(ctx context.Context, p *Project) (more bool, err error) {
	for _, rule := range []struct {
		days int
		left string // the column that says that it was done
		do   func(context.Context, *store.Tx, *runRow) error
	}{
		{p.Retention.Runs, "", func(ctx context.Context, tx *store.Tx, r *runRow) error {
			if err := s.forget(ctx, tx, r.ID); err != nil {
				return err
			}
			return r.tell(tx, "run.deleted", byGantry)
		}},
		{p.Retention.Logs, "logs_gone", func(ctx context.Context, tx *store.Tx, r *runRow) error {
			r.LogsGone = true
			if err := s.Service.DeleteLogs(ctx, tx, text(r.ID)); err != nil {
				return err
			}
			return updateRun(ctx, tx, r, "logs_gone")
		}},
		{p.Retention.Artifacts, "artifacts_gone", func(ctx context.Context, tx *store.Tx, r *runRow) error {
			r.ArtifactsGone = true
			if err := s.Service.DeleteArtifacts(ctx, tx, text(r.ID)); err != nil {
				return err
			}
			return updateRun(ctx, tx, r, "artifacts_gone")
		}},
	} {
		if rule.days <= 0 {
			continue
		}
		var ids []int64
		q := s.o.DB.NewSelect().Model((*runRow)(nil)).Column("id").Where("project = ?", p.ID).Where("status IN (?)", bun.In(ends)).
			Where("finished_at < ?", store.At(s.now().AddDate(0, 0, -rule.days))).Order("id").Limit(retainBatch)
		if rule.left != "" {
			q = q.Where("? = ?", bun.Ident(rule.left), false)
		}
		if err := q.Scan(ctx, &ids); err != nil {
			return false, err
		}
		more = more || len(ids) == retainBatch
		for _, id := range ids {
			err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
				r, err := lockRun(ctx, tx, id)
				if errors.Is(err, ErrNotFound) || err == nil && !r.Status.Ended() {
					return nil // somebody was faster
				}
				if err != nil {
					return err
				}
				return rule.do(ctx, tx, r)
			})
			if err != nil {
				return false, err
			}
		}
	}
	return more, nil
}

// ends are the statuses after which nothing changes.
var ends = []Status{Success, Failure, Cancelled, Skipped}
