package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// leap bounds by how much a fencing token grows at a claim. It grows by a random amount, so that a runner cannot guess the token of
// another's job.
const leap = 1 << 45

// longest bounds how long a claim waits.
const longest = 5 * time.Minute

// Claim implements [Queue].
//
// A runner elsewhere must be registered, and what it was registered with are its labels where there are any; an embedded one registers
// itself. When an embedded runner comes with a new session, the process of the old one is dead, and its jobs are queued again at once.
func (s *Service) Claim(ctx context.Context, w Worker, wait time.Duration) (*Task, error) {
	if err := checkWorker(&w); err != nil {
		return nil, err
	}
	labels, err := s.greet(ctx, &w)
	if err != nil {
		return nil, fmt.Errorf("claim a job: %w", err)
	}
	deadline := time.NewTimer(max(min(wait, longest), 0))
	defer deadline.Stop()
	for {
		c := s.idle.enter(labels)
		task, err := s.attemptClaim(ctx, &w, labels, c)
		if task != nil || err != nil || wait <= 0 {
			if s.idle.leave(c) {
				s.idle.wake(c.wants) // what woke this claim is for another
			}
			return task, err
		}
		tick := time.NewTimer(poll/2 + rand.N(poll/2))
		over := false
		select {
		case <-c.woken:
		case <-tick.C:
		case <-deadline.C:
			over = true
		case <-ctx.Done():
			over = true
		}
		tick.Stop()
		if woken := s.idle.leave(c); over {
			if woken {
				s.idle.wake(c.wants)
			}
			return nil, ctx.Err()
		}
		if _, err := s.greet(ctx, &w); err != nil {
			return nil, fmt.Errorf("claim a job: %w", err)
		}
	}
}

// attemptClaim takes a job if there is one, and fills its task.
func (s *Service) attemptClaim(ctx context.Context, w *Worker, labels []string, c *claim) (*Task, error) {
	// Most looks find nothing: they do not write.
	some, err := s.o.DB.NewSelect().Table("jobs").Where("status = 'queued'").Limit(1).Exists(ctx)
	if err != nil {
		return nil, fmt.Errorf("claim a job: %w", err)
	}
	if !some {
		return nil, nil
	}
	var r *jobRow
	err = s.writes.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		r = nil
		next, err := s.next(ctx, tx, w, labels)
		if err != nil || next == nil {
			return err
		}
		now := s.now()
		next.Status, next.Reason, next.Worker, next.WorkerName, next.Session, next.Embedded = Running, "", w.ID, w.Name, w.Session, w.Embedded
		next.Try, next.Token, next.Batch, next.StartedAt = next.Try+1, next.Token+1+rand.Int64N(leap), 0, now
		next.Expires = store.At(now.Add(s.ttl(w.Embedded)))
		_, err = tx.NewUpdate().Model(next).WherePK().
			Column("status", "reason", "worker", "worker_name", "session", "embedded", "try", "token", "batch", "started_at", "expires").Exec(ctx)
		if err != nil {
			return err
		}
		r = next
		return r.tell(tx, "job.started", "runner:"+w.ID, map[string]any{"runner": w.Name})
	})
	if err != nil {
		return nil, fmt.Errorf("claim a job: %w", err)
	}
	if r == nil {
		return nil, nil
	}
	t := &Task{
		TaskRef: TaskRef{Job: r.ID, Token: r.Token}, Try: r.Try, TTL: s.ttl(w.Embedded).Seconds(), Project: r.Project,
	}
	if r.Assignment.V == nil {
		err = errors.New("it has no assignment")
	} else if t.Assignment = *r.Assignment.V; s.o.Filler != nil {
		err = s.o.Fill(ctx, r.job(), t)
	}
	if err == nil && ctx.Err() == nil {
		return t, nil
	}
	// Nobody will work on it: it need not wait for the TTL.
	gone := ctx.Err() != nil
	back := s.writes.do(context.WithoutCancel(ctx), func(ctx context.Context, tx *store.Tx) error {
		held, err2 := held(ctx, tx, t.TaskRef)
		if err2 != nil {
			return err2
		}
		if gone {
			held.Try-- // nobody has seen it
			return s.again(ctx, tx, held, "", 0)
		}
		return s.again(ctx, tx, held, "the job could not be prepared: "+err.Error(), time.Duration(held.Try)*time.Second)
	})
	switch {
	case gone:
		return nil, ctx.Err()
	case back != nil:
		return nil, fmt.Errorf("claim the job %s: %w", r.ID, errors.Join(err, back))
	}
	s.o.Log.Warn("a job could not be prepared", "job", r.ID, "error", err)
	return nil, nil
}

// next returns the job that a runner is to have, locked: of the oldest run, and there of the highest rank; nil: there is none for it.
func (s *Service) next(ctx context.Context, tx *store.Tx, w *Worker, labels []string) (*jobRow, error) {
	// One look at the index for each set of labels that is wanted, however many jobs want it.
	var wanted []string
	err := tx.NewRaw(`
		WITH RECURSIVE w (wants) AS (
			SELECT MIN(wants) FROM jobs WHERE status = 'queued'
			UNION ALL
			SELECT (SELECT MIN(wants) FROM jobs WHERE status = 'queued' AND wants > w.wants) FROM w WHERE w.wants IS NOT NULL
		)
		SELECT wants FROM w WHERE wants IS NOT NULL`).Scan(ctx, &wanted)
	if err != nil {
		return nil, err
	}
	var sets [][]string
	others := func() ([][]string, error) {
		if sets != nil {
			return sets, nil
		}
		var rows []runnerRow
		if err := tx.NewSelect().Model(&rows).Column("labels").Where("id <> ?", w.ID).Scan(ctx); err != nil {
			return nil, err
		}
		sets = [][]string{}
		for _, r := range rows {
			sets = append(sets, fold(r.Labels))
		}
		return sets, nil
	}
	var best *jobRow
	for _, wants := range wanted {
		ok, err := takes(labels, wants, others)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		var rows []jobRow
		q := tx.NewSelect().Model(&rows).Where("status = 'queued' AND wants = ? AND not_before <= ?", wants, s.now()).
			OrderExpr("run_order, rank DESC, place, number").Limit(1)
		if lock := tx.ForUpdate(); lock != "" {
			q = q.For(lock + " SKIP LOCKED")
		}
		if err := q.Scan(ctx); err != nil {
			return nil, err
		}
		if len(rows) > 0 && (best == nil || before(&rows[0], best)) {
			best = &rows[0]
		}
	}
	return best, nil
}

// before reports whether a job's turn is before another's.
func before(a, b *jobRow) bool {
	return cmp.Or(cmp.Compare(a.RunOrder, b.RunOrder), cmp.Compare(b.Rank, a.Rank), cmp.Compare(a.Place, b.Place), cmp.Compare(a.Number, b.Number)) < 0
}

func forUpdate(tx *store.Tx, q *bun.SelectQuery) *bun.SelectQuery {
	if lock := tx.ForUpdate(); lock != "" {
		return q.For(lock)
	}
	return q
}

// checkWorker refuses what no runner says, and makes its texts fit.
func checkWorker(w *Worker) error {
	switch {
	case w.ID == "" || len(w.ID) > 255:
		return &InvalidError{Field: "worker.id", Message: "must have 1 to 255 bytes"}
	case w.Session == "" || len(w.Session) > 255:
		return &InvalidError{Field: "worker.session", Message: "must have 1 to 255 bytes, and differ for each process"}
	case len(w.Labels) > maxLabels:
		return &InvalidError{Field: "worker.labels", Value: len(w.Labels), Message: fmt.Sprintf("must be at most %d", maxLabels)}
	case w.Places < 0 || w.Places > 10_000:
		return &InvalidError{Field: "worker.places", Value: w.Places, Message: "must be from 0 to 10000"}
	}
	w.Labels = slices.Clone(w.Labels)
	for i := range w.Labels {
		w.Labels[i] = clean(w.Labels[i], 255)
	}
	w.ID, w.Session = clean(w.ID, 255), clean(w.Session, 255)
	w.Name, w.OS, w.Arch, w.Version = clean(cmp.Or(w.Name, w.ID), 255), clean(w.OS, 64), clean(w.Arch, 64), clean(w.Version, 128)
	return nil
}
