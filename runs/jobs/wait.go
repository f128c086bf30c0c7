package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/runner"
)

// waits are who waits for jobs to end. What this server commits is told at once; one goroutine, which is there while anybody waits, looks
// once a poll for what others have committed.
type waits struct {
	s  *Service
	mu sync.Mutex
	by map[string]*awaited
	on bool
}

// awaited is a job that somebody waits for.
type awaited struct {
	waiters int
	ended   chan struct{} // closed when outcome is set
	over    bool
	outcome runner.Outcome
}

// Wait returns when the job has ended, with its recorded outcome, or when ctx ends. What other servers do is seen within a second.
func (s *Service) Wait(ctx context.Context, id string) (runner.Outcome, error) {
	w := s.waits.enter(id)
	defer s.waits.leave(id, w)
	// What has ended before is told by nobody.
	r := &jobRow{}
	if err := find1(ctx, s.o.DB.NewSelect().Column("id", "status", "reason", "outcome"), id, r); err != nil {
		return runner.Outcome{}, fmt.Errorf("wait: %w", err)
	}
	if r.Status.Ended() {
		return r.outcome(), nil
	}
	select {
	case <-w.ended:
		return w.outcome, nil
	case <-ctx.Done():
		return runner.Outcome{}, ctx.Err()
	}
}

// outcome is how a job that has ended did so.
func (r *jobRow) outcome() runner.Outcome {
	if r.Outcome.V != nil {
		return *r.Outcome.V
	}
	return runner.Outcome{Status: pipelineStatus(r.Status), Reason: r.Reason}
}

func (w *waits) enter(id string) *awaited {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[string]*awaited{}
	}
	a := w.by[id]
	if a == nil {
		a = &awaited{ended: make(chan struct{})}
		w.by[id] = a
	}
	a.waiters++
	if !w.on {
		w.on = true
		go w.look()
	}
	return a
}

func (w *waits) leave(id string, a *awaited) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.waiters--; a.waiters == 0 && w.by[id] == a {
		delete(w.by, id)
	}
}

// ended tells those who wait for a job.
func (w *waits) ended(id string, o runner.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.by[id]; a != nil && !a.over {
		a.over, a.outcome = true, o
		close(a.ended)
		delete(w.by, id)
	}
}

// look asks the database for the jobs that are waited for, as long as there are any.
func (w *waits) look() {
	const at = 500 // IDs in one question
	for {
		time.Sleep(poll)
		w.mu.Lock()
		if len(w.by) == 0 {
			w.on = false
			w.mu.Unlock()
			return
		}
		ids := make([]string, 0, len(w.by))
		for id := range w.by {
			ids = append(ids, id)
		}
		w.mu.Unlock()
		for len(ids) > 0 {
			n := min(len(ids), at)
			if err := w.ask(ids[:n]); err != nil {
				break // the next look will tell
			}
			ids = ids[n:]
		}
	}
}

func (w *waits) ask(ids []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var rows []jobRow
	err := w.s.o.DB.NewSelect().Model(&rows).Column("id", "status", "reason", "outcome").
		Where("id IN (?) AND status IN (?)", in(ids), in([]Status{Success, Failure, Cancelled, Skipped})).Scan(ctx)
	for i := range rows {
		w.ended(rows[i].ID, rows[i].outcome())
	}
	return err
}
