package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
)

// absence knows for how long nobody is punished for not having reached a server.
type absence struct {
	mu     sync.Mutex
	looked bool
	// remote and embedded are until when no job of such workers is taken from them.
	remote, embedded time.Time
}

// look notes a look, which was due before late, and returns whose jobs may be taken.
func (a *absence) look(now time.Time, late time.Duration, s *Service) (remote, embedded bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.looked {
		// There may have been no server for any time, and runners could not renew then. An embedded worker would have died with its
		// server; those of other servers have gone on renewing.
		a.looked, a.remote = true, now.Add(s.o.RemoteTTL)
	}
	if late > s.o.TTL {
		// No server has looked, so perhaps none could reach the database.
		a.remote, a.embedded = now.Add(s.o.RemoteTTL), now.Add(s.o.TTL)
	}
	return !now.Before(a.remote), !now.Before(a.embedded)
}

// reclaim takes jobs from workers that were not heard of for their TTL.
func (s *Service) reclaim(ctx context.Context, l *engine.Lease) (time.Duration, error) {
	every := max(s.o.TTL/4, 10*time.Millisecond)
	now := s.now()
	var rows []jobRow
	err := s.o.DB.NewSelect().Model(&rows).Column("id", "token", "embedded").Where("status = 'running' AND expires < ?", now).Limit(500).Scan(ctx)
	if err != nil {
		return 0, fmt.Errorf("look for lost jobs: %w", err)
	}
	remote, embedded := s.absence.look(now.Time, now.Sub(l.Due), s)
	for _, lost := range rows {
		if lost.Embedded && !embedded || !lost.Embedded && !remote {
			continue
		}
		err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := l.Guard(ctx, tx); err != nil {
				return err
			}
			r, err := held(ctx, tx, TaskRef{Job: lost.ID, Token: lost.Token})
			if err != nil {
				return err
			}
			if !r.Expires.Before(now.Time) {
				return nil // it was heard of after all
			}
			return s.again(ctx, tx, r, fmt.Sprintf("the runner %s was not heard of for %v", r.WorkerName, s.ttl(r.Embedded)), 0)
		})
		if err != nil && !refusal(err) {
			return 0, fmt.Errorf("take the job %s from its worker: %w", lost.ID, err)
		}
	}
	return every, nil
}

// disown takes the jobs of a runner's former sessions from it; those of all its sessions where session is empty.
func (s *Service) disown(ctx context.Context, tx *store.Tx, runner, session, why string) error {
	var rows []jobRow
	q := tx.NewSelect().Model(&rows).Where("worker = ? AND status = 'running' AND session <> ?", runner, session).Order("run_order", "number")
	if err := forUpdate(tx, q).Scan(ctx); err != nil {
		return err
	}
	for i := range rows {
		if err := s.again(ctx, tx, &rows[i], why, 0); err != nil {
			return err
		}
	}
	return nil
}
