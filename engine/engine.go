package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gantry-ops/gantry/store"
)

// Defaults of Options.
const (
	DefaultTTL       = 4 * time.Second
	DefaultHeartbeat = time.Second
	DefaultPoll      = 500 * time.Millisecond
)

// Done, returned by a reconciler in place of a delay, removes the row: there is nothing more to do.
const Done time.Duration = -1

// ErrLost: somebody else has, or may have, the lease. It is also the cause of the reconciler's context then.
var ErrLost = errors.New("the lease was lost")

// Reconciler brings what a row stands for a step further, or to its end; it may take as long as that takes. It is called again
// after the delay returned, earlier when [Engine.Put] says so, or never with [Done]. The context ends when the lease is lost (cause
// ErrLost) or the server stops; then it returns soon, whatever it returns counts as "again at once". A panic counts as an error.
type Reconciler func(ctx context.Context, l *Lease) (again time.Duration, err error)

// Options are what an Engine is made of.
type Options struct {
	// Owner names this server; it is unique among those that share the database and different after each start. Empty: random.
	Owner string
	// TTL is how long a lease lasts without a heartbeat, Heartbeat how often it is renewed, Poll how often rows that are due are
	// looked for when nothing says that there are any. Zero: the defaults. TTL is at least twice Heartbeat.
	TTL, Heartbeat, Poll time.Duration
	// Now is the clock of due times; nil: time.Now. Leases do not go by it.
	Now func() time.Time
	Log *slog.Logger
}

// Engine takes up work that is due. It is safe for concurrent use.
type Engine struct {
	db *store.DB
	o  Options
	// wake has a value when there may be something to do for the dispatcher.
	wake chan struct{}

	mu    sync.Mutex
	kinds map[string]*kind
	// order has the names of the kinds as they were registered.
	order   []string
	running bool
	// held are the rows whose reconcilers run, by their number; ended are those to be given back.
	held  map[int64]*holding
	ended []ending
	// claims counts the beginnings and ends of transactions that may take leases; it is odd within one.
	claims int
	// unsure says that a transaction has failed that may have taken leases nevertheless.
	unsure bool
	// beats counts the heartbeats of this process; its value is what others look at.
	beats int64
}

// kind is a sort of work that this server does.
type kind struct {
	places, busy int
	reconcile    Reconciler
}

// New makes the engine's tables where they are missing.
func New(ctx context.Context, db *store.DB, o Options) (*Engine, error) {
	if o.Owner == "" {
		o.Owner = rand.Text()
	}
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = min(DefaultHeartbeat, o.TTL/4)
	}
	if o.Poll == 0 {
		o.Poll = DefaultPoll
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Heartbeat < time.Millisecond || o.Poll < time.Millisecond || o.TTL < 2*o.Heartbeat {
		return nil, fmt.Errorf("open the engine: a TTL of %v, a heartbeat of %v and a poll of %v: none may be below 1ms, and the TTL not below two heartbeats", o.TTL, o.Heartbeat, o.Poll)
	}
	if err := db.Migrate(ctx, "engine", migrations); err != nil {
		return nil, fmt.Errorf("open the engine: %w", err)
	}
	return &Engine{db: db, o: o, wake: make(chan struct{}, 1), kinds: map[string]*kind{}, held: map[int64]*holding{}}, nil
}

// Owner is the name that this server's leases carry.
func (e *Engine) Owner() string { return e.o.Owner }

// Handle registers the reconciler of a kind, and how many rows of the kind this server works on at a time. It is called before Run,
// once for a kind, with at least one place; otherwise it panics, as the program is wrong then.
func (e *Engine) Handle(name string, places int, r Reconciler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running || e.kinds[name] != nil || places < 1 || r == nil || checkKey(name, "x") != nil {
		panic(fmt.Sprintf("engine: Handle(%q, %d) after Run, twice, without places or without a reconciler", name, places))
	}
	e.kinds[name] = &kind{places: places, reconcile: r}
	e.order = append(e.order, name)
}

// Put makes a row due at a time, or earlier than it was; a row that is being reconciled will be due again. The engine of this process
// hears of it when the transaction commits.
func (e *Engine) Put(ctx context.Context, tx *store.Tx, kind, id string, due time.Time) error {
	if err := checkKey(kind, id); err != nil {
		return fmt.Errorf("put work: %w", err)
	}
	now := e.o.Now()
	if due.Before(now) {
		due = now // it waits behind what was put for now before
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO engine_work (kind, id, due, asked, lease_due, owner, token, failures, error)
		VALUES (?, ?, ?, ?, 0, '', 0, 0, '')
		ON CONFLICT (kind, id) DO UPDATE SET
			due = CASE WHEN excluded.due < engine_work.due THEN excluded.due ELSE engine_work.due END,
			asked = CASE WHEN excluded.due < engine_work.due THEN excluded.asked ELSE engine_work.asked END`,
		kind, id, due.UnixMicro(), now.UnixMicro())
	if err != nil {
		return fmt.Errorf("put work %s %s: %w", kind, id, err)
	}
	tx.AfterCommit(func() {
		if due.Sub(now) < e.o.Poll {
			e.poke()
		}
	})
	return nil
}

// Remove takes a row out, if it is there; a reconciler that works on it loses its lease.
func (e *Engine) Remove(ctx context.Context, tx *store.Tx, kind, id string) error {
	if err := checkKey(kind, id); err != nil {
		return fmt.Errorf("remove work: %w", err)
	}
	var rows []int64
	if err := tx.NewRaw("DELETE FROM engine_work WHERE kind = ? AND id = ? RETURNING seq", kind, id).Scan(ctx, &rows); err != nil {
		return fmt.Errorf("remove work %s %s: %w", kind, id, err)
	}
	tx.AfterCommit(func() {
		for _, row := range rows {
			e.lose(row, 0)
		}
	})
	return nil
}

// Disown gives up all leases of an owner that is known to be dead (the server that had this data folder before), so that their rows
// are taken up at once.
func (e *Engine) Disown(ctx context.Context, owner string) error {
	if owner == "" || owner == e.o.Owner {
		return fmt.Errorf("disown %q: that is no former server", owner)
	}
	if _, err := e.bury(ctx, owner, nil); err != nil {
		return fmt.Errorf("disown %s: %w", owner, err)
	}
	return nil
}

// poke has the dispatcher look for work.
func (e *Engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// checkKey refuses what a database would refuse, or cut, later and elsewhere.
func checkKey(kind, id string) error {
	for _, s := range []string{kind, id} {
		if s == "" || len(s) > 512 || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return fmt.Errorf("kind %q, ID %q: each must be a text of 1 to 512 bytes", kind, id)
		}
	}
	return nil
}
