package jobs

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

const (
	// maxLabels bounds the labels of a runner.
	maxLabels = 100
	// signEvery is how often it is written down that a runner was heard of, and offline after how long it counts as gone.
	signEvery = 10 * time.Second
	offline   = 45 * time.Second
)

// seen remembers when it was written down that a runner was heard of, so that not each of its calls writes.
type seen struct {
	mu sync.Mutex
	by map[string]sight
}

type sight struct {
	at     time.Time
	worker string // what it said of itself
	labels []string
}

func (s *seen) get(id string) (sight, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.by[id]
	return v, ok
}

func (s *seen) set(id string, v sight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by == nil {
		s.by = map[string]sight{}
	}
	s.by[id] = v
}

func (s *seen) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, id)
}

// greet writes down who asks for jobs, and returns the runner's folded labels.
func (s *Service) greet(ctx context.Context, w *Worker) ([]string, error) {
	said := fmt.Sprintf("%q", []string{w.Session, w.Name, strings.Join(w.Labels, "\n"), w.OS, w.Arch, w.Version, fmt.Sprint(w.Places, w.Embedded)})
	now := s.now()
	if v, ok := s.seen.get(w.ID); ok && v.worker == said && now.Sub(v.at) < signEvery && now.Sub(v.at) >= 0 {
		return v.labels, nil
	}
	var labels []string
	err := s.writes.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		r := &runnerRow{}
		err := tx.NewSelect().Model(r).Where("id = ?", w.ID).Scan(ctx)
		switch {
		case errors.Is(err, sql.ErrNoRows) && !w.Embedded:
			return fmt.Errorf("the runner %q is not registered, or was removed: %w", w.ID, ErrNotFound)
		case errors.Is(err, sql.ErrNoRows):
			r = &runnerRow{ID: w.ID, CreatedAt: now, Embedded: true, Labels: w.Labels}
		case err != nil:
			return err
		case r.Embedded != w.Embedded:
			return fmt.Errorf("the runner %q is another: one of the two is part of a server: %w", w.ID, ErrConflict)
		}
		if r.Embedded || len(r.Labels) == 0 {
			r.Labels = w.Labels
		}
		if r.Embedded && r.Session != w.Session {
			if err := s.disown(ctx, tx, w.ID, w.Session, "its server has died"); err != nil {
				return err
			}
		}
		if r.Embedded || r.Name == "" {
			r.Name = w.Name
		}
		r.OS, r.Arch, r.Version, r.Places, r.Session, r.LastSeen = w.OS, w.Arch, w.Version, w.Places, w.Session, now
		labels = fold(r.Labels)
		_, err = tx.NewInsert().Model(r).On("CONFLICT (id) DO UPDATE").
			Set("name = excluded.name, labels = excluded.labels, os = excluded.os, arch = excluded.arch, version = excluded.version").
			Set("places = excluded.places, session = excluded.session, last_seen = excluded.last_seen").Exec(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.seen.set(w.ID, sight{at: now.Time, worker: said, labels: labels})
	return labels, nil
}

// sign notes that a runner was heard of by other than a claim. It is no error where that cannot be written: the call has done its part.
func (s *Service) sign(ctx context.Context, id string) {
	v, ok := s.seen.get(id)
	now := s.now()
	if !ok || now.Sub(v.at) < signEvery && now.Sub(v.at) >= 0 {
		return
	}
	v.at = now.Time
	s.seen.set(id, v)
	err := s.writes.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.NewUpdate().Model((*runnerRow)(nil)).Set("last_seen = ?", now).Where("id = ? AND last_seen < ?", id, now).Exec(ctx)
		return err
	})
	if err != nil && ctx.Err() == nil {
		s.o.Log.Warn("it could not be noted that a runner was heard of", "runner", id, "error", err)
	}
}

// Runners returns those that were ever seen or registered, by name. One that was not heard of for 45 s is offline.
func (s *Service) Runners(ctx context.Context) ([]Runner, error) {
	var rows []runnerRow
	if err := s.o.DB.NewSelect().Model(&rows).Order("name", "id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list the runners: %w", err)
	}
	var busy []jobRow
	err := s.o.DB.NewSelect().Model(&busy).Column("id", "worker").Where("status = 'running'").Order("run_order", "number").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the runners: %w", err)
	}
	list := make([]Runner, 0, len(rows))
	for _, r := range rows {
		one := r.runner(s.now())
		for _, j := range busy {
			if j.Worker == r.ID {
				one.Jobs = append(one.Jobs, j.ID)
			}
		}
		list = append(list, one)
	}
	return list, nil
}

func (r *runnerRow) online(now store.Time) bool {
	return !r.LastSeen.IsZero() && now.Sub(r.LastSeen.Time) < offline
}

func (r *runnerRow) runner(now store.Time) Runner {
	return Runner{
		ID: r.ID, Name: r.Name, Labels: r.Labels, OS: r.OS, Arch: r.Arch, Version: r.Version, Places: r.Places, Embedded: r.Embedded,
		Online: r.online(now), Jobs: []string{}, LastSeen: r.LastSeen, CreatedAt: r.CreatedAt,
	}
}

// RegisterRunner makes a runner that may take jobs; who proves to be it is auth's business. The name is 1 to 64 characters without
// control characters, and no other runner's. Labels, where given, are the runner's whatever it says itself.
func (s *Service) RegisterRunner(ctx context.Context, by By, name string, labels []string) (*Runner, error) {
	if n := len([]rune(name)); n < 1 || n > 64 || strings.TrimSpace(name) != name || clean(name, 1<<10) != name || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, &InvalidError{Field: "name", Value: clean(name, 100), Message: "must have 1 to 64 characters, none of them a control character, and no space around them"}
	}
	if len(labels) > maxLabels {
		return nil, &InvalidError{Field: "labels", Value: len(labels), Message: fmt.Sprintf("must be at most %d", maxLabels)}
	}
	for i, l := range labels {
		if l == "" || len(l) > 255 || strings.TrimSpace(l) != l || clean(l, 255) != l || strings.ContainsAny(l, ",\n\r\t") {
			return nil, &InvalidError{Field: fmt.Sprintf("labels[%d]", i), Value: clean(l, 100), Message: "must have 1 to 255 bytes without commas and line ends, and no space around them"}
		}
	}
	r := &runnerRow{ID: strings.ToLower(rand.Text()), Name: name, Labels: slices.Clone(labels), CreatedAt: s.now()}
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		taken, err := tx.NewSelect().Model((*runnerRow)(nil)).Where("LOWER(name) = LOWER(?)", name).Exists(ctx)
		if err != nil {
			return err
		}
		if taken {
			return &InvalidError{Field: "name", Value: name, Message: "is another runner's"}
		}
		if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
			return err
		}
		return tx.Append(store.Event{Type: "runner.registered", Subject: r.ID, Actor: by.Actor}, map[string]any{"name": name, "labels": r.Labels})
	})
	if err != nil {
		return nil, fmt.Errorf("register a runner: %w", err)
	}
	if r.Labels == nil {
		r.Labels = list{}
	}
	one := r.runner(s.now())
	return &one, nil
}

// RemoveRunner takes a runner out; its jobs go back to the queue.
func (s *Service) RemoveRunner(ctx context.Context, by By, id string) error {
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		r := &runnerRow{}
		err := forUpdate(tx, tx.NewSelect().Model(r).Where("id = ?", id)).Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model(r).WherePK().Exec(ctx); err != nil {
			return err
		}
		if err := s.disown(ctx, tx, id, "", fmt.Sprintf("the runner %s was removed", r.Name)); err != nil {
			return err
		}
		return tx.Append(store.Event{Type: "runner.removed", Subject: id, Actor: by.Actor}, map[string]any{"name": r.Name})
	})
	s.seen.drop(id)
	if err != nil {
		return fmt.Errorf("remove the runner %q: %w", clean(id, 100), err)
	}
	return nil
}

// Stats are figures for monitoring and the overview: jobs by status that have not ended, and the online runners' places.
type Stats struct {
	Jobs         map[Status]int
	Places, Busy int
}

// Stats counts.
func (s *Service) Stats(ctx context.Context) (*Stats, error) {
	var counts []struct {
		Status Status
		N      int
	}
	err := s.o.DB.NewRaw("SELECT status, COUNT(*) AS n FROM jobs WHERE status IN ('pending', 'waiting', 'queued', 'running') GROUP BY status").Scan(ctx, &counts)
	if err != nil {
		return nil, fmt.Errorf("count the jobs: %w", err)
	}
	st := &Stats{Jobs: map[Status]int{}}
	for _, c := range counts {
		st.Jobs[c.Status] = c.N
	}
	st.Busy = st.Jobs[Running]
	var places sql.NullInt64
	err = s.o.DB.NewRaw("SELECT SUM(places) FROM runners WHERE last_seen > ?", store.At(s.now().Add(-offline))).Scan(ctx, &places)
	if err != nil {
		return nil, fmt.Errorf("count the runners' places: %w", err)
	}
	st.Places = int(places.Int64)
	return st, nil
}

func in[T any](list []T) any { return bun.In(list) }
