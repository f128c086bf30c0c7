package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/uptrace/bun"
)

// Event is one thing that happened, written with the change that it tells of. It is never changed and holds no secret.
type Event struct {
	bun.BaseModel `bun:"table:events" json:"-"`

	// Seq numbers events in the order in which they became visible, from 1; there may be gaps.
	Seq  int64 `bun:",pk,autoincrement" json:"seq"`
	Time Time  `json:"time"`
	// Type is what happened: "run.finished", "login.refused". The part before the first dot is what it happened to.
	Type string `json:"type"`
	// Project and Run are the IDs of what it belongs to; empty where it belongs to none.
	Project string `json:"project,omitempty"`
	Run     string `json:"run,omitempty"`
	// Subject is the ID of what it is about, in its type's words: a job, an account, a secret's name.
	Subject string `json:"subject,omitempty"`
	// Actor is who did it: "account:NAME", "token:ID", "runner:NAME", "forge:github", or "gantry" for the server itself.
	Actor string `json:"actor"`
	// Data is a JSON object with what else there is to tell.
	Data json.RawMessage `bun:"type:text" json:"data,omitempty"`
}

var migrations = []Migration{{
	Name: "0001 events",
	SQL: `
CREATE TABLE events (
	seq $SERIAL,
	time BIGINT NOT NULL,
	type TEXT NOT NULL,
	project TEXT NOT NULL,
	run TEXT NOT NULL,
	subject TEXT NOT NULL,
	actor TEXT NOT NULL,
	data $JSON
);
CREATE INDEX events_by_project ON events (project, seq);
CREATE INDEX events_by_run ON events (run, seq);
CREATE INDEX events_by_type ON events (type, seq);
`,
}}

// Append adds an event to the transaction. Its number and time are set when the transaction commits. data, which may be nil,
// becomes a JSON object.
func (tx *Tx) Append(e Event, data any) error {
	if e.Type == "" || e.Actor == "" {
		return fmt.Errorf("append an event: a type and an actor are required, got %q by %q", e.Type, e.Actor)
	}
	if data != nil {
		b, err := json.Marshal(data)
		if err != nil {
			return fmt.Errorf("append the event %s: %w", e.Type, err)
		}
		e.Data = b
	}
	tx.events = append(tx.events, e)
	return nil
}

// insertEvents writes the transaction's events as its last act, so that numbers are handed out in the order of commits.
func (db *DB) insertEvents(ctx context.Context, tx *Tx) error {
	if len(tx.events) == 0 {
		return nil
	}
	if db.Kind == PostgreSQL {
		if err := db.lock(ctx, tx.Tx, "events"); err != nil {
			return err
		}
	}
	now := At(db.now())
	for i := range tx.events {
		tx.events[i].Seq, tx.events[i].Time = 0, now
	}
	_, err := tx.NewInsert().Model(&tx.events).Returning("NULL").Exec(ctx)
	return err
}

// EventQuery says which events to read. Empty fields do not restrict.
type EventQuery struct {
	// After is the number of the last event seen already; with Descending the number before which to begin, 0 for the newest.
	After      int64
	Descending bool
	// Limit is how many to return at most; 0: 100.
	Limit int
	// Projects restricts to these; nil: all. An empty, non-nil list has no events.
	Projects []string
	Run      string
	// Types are types or their first parts: "run", "run.finished".
	Types []string
	Actor string
	// Subject restricts to events about one thing.
	Subject string
	// Since and Until bound the time; Until is not included.
	Since, Until Time
}

// Events reads events in the order of their numbers.
func (db *DB) Events(ctx context.Context, q EventQuery) ([]Event, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	var out []Event
	s := db.NewSelect().Model(&out).Limit(int64(q.Limit))
	if q.Descending {
		s = s.Order("seq DESC")
		if q.After > 0 {
			s = s.Where("seq < ?", q.After)
		}
	} else {
		s = s.Order("seq ASC").Where("seq > ?", q.After)
	}
	if q.Projects != nil {
		if len(q.Projects) == 0 {
			return nil, nil
		}
		s = s.Where("project IN (?)", bun.In(q.Projects))
	}
	if q.Run != "" {
		s = s.Where("run = ?", q.Run)
	}
	if q.Actor != "" {
		s = s.Where("actor = ?", q.Actor)
	}
	if q.Subject != "" {
		s = s.Where("subject = ?", q.Subject)
	}
	if !q.Since.IsZero() {
		s = s.Where("time >= ?", q.Since)
	}
	if !q.Until.IsZero() {
		s = s.Where("time < ?", q.Until)
	}
	if len(q.Types) > 0 {
		s = s.WhereGroup(" AND ", func(s *bun.SelectQuery) *bun.SelectQuery {
			for _, t := range q.Types {
				// A dot sorts before a slash, so this is all that begins with "TYPE.".
				s = s.WhereOr("type = ?", t).WhereOr("type >= ? AND type < ?", t+".", t+"/")
			}
			return s
		})
	}
	if err := s.Scan(ctx); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return out, nil
}

// LastEvent returns the number of the newest event, 0 where there is none.
func (db *DB) LastEvent(ctx context.Context) (int64, error) {
	var n int64
	if err := db.NewRaw("SELECT COALESCE(MAX(seq), 0) FROM events").Scan(ctx, &n); err != nil {
		return 0, fmt.Errorf("read the newest event: %w", err)
	}
	return n, nil
}

// Watch returns a channel that gets a value when this process has committed events since the last one was taken, and what ends it.
// Events of other servers are not told of: who needs them reads again after a while.
func (db *DB) Watch() (woken <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	db.mu.Lock()
	defer db.mu.Unlock()
	db.watchers[ch] = struct{}{}
	return ch, func() {
		db.mu.Lock()
		defer db.mu.Unlock()
		delete(db.watchers, ch)
	}
}

func (db *DB) notify() {
	db.mu.Lock()
	defer db.mu.Unlock()
	for ch := range db.watchers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
