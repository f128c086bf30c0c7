package jobs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

// Sweep ends all jobs of an attempt that have not: pending ones are skipped with the reason, one that a worker still has is cancelled, and
// the worker fenced. It is called when a run has ended, and also marks the critical path.
func (s *Service) Sweep(ctx context.Context, tx *store.Tx, run string, attempt int, reason string) error {
	fail := func(err error) error { return fmt.Errorf("end the jobs of the run %s: %w", run, err) }
	var rows []jobRow
	q := tx.NewSelect().Model(&rows).Where("run = ? AND attempt = ?", run, attempt).Order("place", "number")
	if err := forUpdate(tx, q).Scan(ctx); err != nil {
		return fail(err)
	}
	for i := range rows {
		if err := s.sweep(ctx, tx, &rows[i], reason); err != nil {
			return fail(err)
		}
	}
	critical := criticalPath(rows)
	if len(critical) == 0 {
		return nil
	}
	if _, err := tx.NewUpdate().Table("jobs").Set("critical = ?", true).Where("id IN (?)", in(critical)).Exec(ctx); err != nil {
		return fail(err)
	}
	return nil
}

// sweep ends a job of a run that has ended.
func (s *Service) sweep(ctx context.Context, tx *store.Tx, r *jobRow, reason string) error {
	switch {
	case r.Status.Ended():
		return nil
	case r.Status == Running:
		r.Token++ // its worker's word counts no more
		return s.end(ctx, tx, r, runner.Outcome{Status: pipeline.Cancelled, Reason: reason}, "gantry")
	}
	return s.end(ctx, tx, r, runner.Outcome{Status: pipeline.Skipped, Reason: reason}, "gantry")
}

// criticalPath returns the IDs of the jobs on the longest chain of durations through the graph. Those that did not run in this attempt take
// no time, and do not lie on it.
func criticalPath(rows []jobRow) []string {
	needs := resolver(rows)
	byID := make(map[string]*jobRow, len(rows))
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
	}
	type chain struct {
		length time.Duration
		before string
		open   bool // it is being computed: a circle is cut there
	}
	chains := map[string]*chain{}
	var measure func(r *jobRow) *chain
	measure = func(r *jobRow) *chain {
		if c := chains[r.ID]; c != nil {
			return c
		}
		c := &chain{open: true}
		chains[r.ID] = c
		var longest time.Duration
		for _, id := range needs(r) {
			if b := measure(byID[id]); !b.open && b.length > longest {
				longest, c.before = b.length, id
			}
		}
		c.length, c.open = longest+r.duration(), false
		return c
	}
	last, longest := "", time.Duration(0)
	for i := range rows {
		if c := measure(&rows[i]); c.length > longest {
			last, longest = rows[i].ID, c.length
		}
	}
	var path []string
	for id := last; id != ""; id = chains[id].before {
		if byID[id].duration() > 0 {
			path = append(path, id)
		}
	}
	slices.Reverse(path)
	return path
}

// duration is how long a job ran in this attempt.
func (r *jobRow) duration() time.Duration {
	if r.Reused || r.StartedAt.IsZero() || r.FinishedAt.IsZero() {
		return 0
	}
	return max(r.FinishedAt.Sub(r.StartedAt.Time), 0)
}
