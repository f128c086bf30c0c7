package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

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

// Lease is the right to work on one row.
type Lease struct {
	Kind, ID string
	// Owner is the server that has it.
	Owner string
	// Token grows each time that the row's lease is taken.
	Token int64
	// Due is when the row was due.
	Due time.Time
	// Failures is how many attempts in a row have ended with an error.
	Failures int
}

// Guard makes the transaction fail with ErrLost unless the lease still stands, and keeps it standing until the transaction ends.
func (l *Lease) Guard(ctx context.Context, tx *store.Tx) error { panic("to be written") }

// Reconciler brings what a row stands for a step further, or to its end; it may take as long as that takes. It is called again
// after the delay returned, earlier when [Put] says so, or never with [Done]. The context ends when the lease is lost (cause ErrLost)
// or the server stops; then it returns soon, whatever it returns counts as "again at once".
type Reconciler func(ctx context.Context, l *Lease) (again time.Duration, err error)

// Options are what an Engine is made of.
type Options struct {
	// Owner names this server; it is unique among those that share the database and different after each start.
	Owner string
	// TTL is how long a lease lasts without a heartbeat, Heartbeat how often it is renewed, Poll how often rows that are due are
	// looked for when nothing says that there are any. Zero: the defaults.
	TTL, Heartbeat, Poll time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	Log *slog.Logger
}

// Engine takes up work that is due. It is safe for concurrent use.
type Engine struct {
	db *store.DB
	o  Options
}

// New makes the engine's tables where they are missing.
func New(ctx context.Context, db *store.DB, o Options) (*Engine, error) { panic("to be written") }

// Handle registers the reconciler of a kind, and how many rows of the kind this server works on at a time. It is called before Run.
func (e *Engine) Handle(kind string, places int, r Reconciler) { panic("to be written") }

// Run takes up work until ctx ends, then waits for the reconcilers to return and gives their leases back, so that another server
// need not wait for them to expire. While the database is away it keeps trying. The error is only for what makes further work
// impossible.
func (e *Engine) Run(ctx context.Context) error { panic("to be written") }

// Put makes a row due at a time, or earlier than it was; a row that is being reconciled will be due again. The engine of this process
// hears of it when the transaction commits.
func (e *Engine) Put(ctx context.Context, tx *store.Tx, kind, id string, due time.Time) error {
	panic("to be written")
}

// Remove takes a row out; a reconciler that works on it loses its lease.
func (e *Engine) Remove(ctx context.Context, tx *store.Tx, kind, id string) error {
	panic("to be written")
}

// Disown gives up all leases of an owner that is known to be dead (the server that had this data folder before), so that their rows
// are taken up at once.
func (e *Engine) Disown(ctx context.Context, owner string) error { panic("to be written") }

// Next returns the first time after a time at which a cron line of five fields is due, in an IANA time zone ("" is UTC). A time that a
// change of clocks skips is due at the first instant after the gap; one that comes twice is due once.
func Next(cron, zone string, after time.Time) (time.Time, error) { panic("to be written") }
