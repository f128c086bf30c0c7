package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Phase says when a step may run during a release.
type Phase string

// The phases. An expand step adds what versions before do not mind, and runs before a version that needs it starts. A
// contract step takes away what only versions before need, and runs when they are gone for good.
const (
	Expand   Phase = "expand"
	Contract Phase = "contract"
)

// step is one change of the schema. Its name is in every database where it has run, so it never changes.
type step struct {
	name  string
	phase Phase
	sql   string
}

var steps = []step{
	{"base", Expand, `
CREATE TABLE trades (
	seq         INTEGER PRIMARY KEY AUTOINCREMENT,
	id          TEXT NOT NULL UNIQUE,
	key         TEXT NOT NULL UNIQUE,
	account     TEXT NOT NULL,
	symbol      TEXT NOT NULL,
	side        TEXT NOT NULL CHECK (side IN ('buy', 'sell')),
	quantity    INTEGER NOT NULL CHECK (quantity > 0),
	price_ticks INTEGER NOT NULL CHECK (price_ticks > 0),
	note        TEXT,
	posted      INTEGER NOT NULL,
	reversed    INTEGER
) STRICT;
CREATE INDEX trades_account ON trades (account, seq);
CREATE TABLE entries (
	trade    INTEGER NOT NULL REFERENCES trades (seq),
	reversal INTEGER NOT NULL CHECK (reversal IN (0, 1)),
	leg      INTEGER NOT NULL,
	account  TEXT NOT NULL,
	asset    TEXT NOT NULL,
	amount   INTEGER NOT NULL CHECK (amount <> 0),
	PRIMARY KEY (trade, reversal, leg)
) STRICT, WITHOUT ROWID;
CREATE TABLE balances (
	account TEXT NOT NULL,
	asset   TEXT NOT NULL,
	amount  INTEGER NOT NULL,
	PRIMARY KEY (account, asset)
) STRICT, WITHOUT ROWID;
CREATE TABLE exposures (
	account    TEXT NOT NULL PRIMARY KEY,
	open_ticks INTEGER NOT NULL CHECK (open_ticks >= 0)
) STRICT, WITHOUT ROWID;`},
	// Versions before this step do not name the column when they insert, and get the only currency they know.
	{"add-currency", Expand, `ALTER TABLE trades ADD COLUMN currency TEXT NOT NULL DEFAULT 'USD';`},
	// Only versions before 2 wrote notes; nobody reads them.
	{"drop-note", Contract, `ALTER TABLE trades DROP COLUMN note;`},
}

// ErrSchema: the database is not one that this version can work with.
var ErrSchema = errors.New("the database's schema does not fit this version")

// applied returns the steps that a database has seen, with their phases.
func applied(ctx context.Context, db *sql.DB) (map[string]Phase, error) {
	done := map[string]Phase{}
	rows, err := db.QueryContext(ctx, `SELECT name, phase FROM steps`)
	if err != nil {
		if strings.Contains(err.Error(), "no such table") {
			return done, nil // a new database
		}
		return nil, fmt.Errorf("read the schema's steps: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var phase Phase
		if err := rows.Scan(&name, &phase); err != nil {
			return nil, fmt.Errorf("read the schema's steps: %w", err)
		}
		done[name] = phase
	}
	return done, rows.Err()
}

// fits says why this version cannot work with a database that has seen these steps: one of its own expand steps is
// missing, or a contract step of a later version has taken something away. An expand step of a later version does no harm.
func fits(done map[string]Phase) error {
	for _, s := range steps {
		if _, ok := done[s.name]; s.phase == Expand && !ok {
			return fmt.Errorf("%w: the step %s is missing; run ledger migrate expand", ErrSchema, s.name)
		}
	}
	for name, phase := range done {
		if phase == Contract && !slices.ContainsFunc(steps, func(s step) bool { return s.name == name }) {
			return fmt.Errorf("%w: a later version has taken the step %s back, which this one may depend on; run a later version", ErrSchema, name)
		}
	}
	return nil
}

// Migrate runs the steps of a phase that the database has not seen, each in a transaction of its own, and returns their
// names. It may be run again, and by several processes at a time. A contract needs all expand steps.
func Migrate(ctx context.Context, path string, phase Phase) (ran []string, err error) {
	if phase != Expand && phase != Contract {
		return nil, fmt.Errorf("the phase %q is neither %s nor %s", phase, Expand, Contract)
	}
	db, err := open(path, "immediate")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	// The first statement also switches a new database to its write-ahead log, and for that SQLite does not wait for others that do the same.
	for deadline := time.Now().Add(busy); ; {
		_, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS steps (name TEXT NOT NULL PRIMARY KEY, phase TEXT NOT NULL) STRICT`)
		if err == nil {
			break
		}
		if !isBusy(err) || time.Now().After(deadline) {
			return nil, fmt.Errorf("prepare the database %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	if phase == Contract {
		done, err := applied(ctx, db)
		if err != nil {
			return nil, err
		}
		if err := fits(done); err != nil {
			return nil, err
		}
	}
	for _, s := range steps {
		if s.phase != phase {
			continue
		}
		did, err := s.run(ctx, db)
		if err != nil {
			return ran, fmt.Errorf("the step %s: %w", s.name, err)
		}
		if did {
			ran = append(ran, s.name)
		}
	}
	return ran, nil
}

// run does a step where it was not done yet.
func (s step) run(ctx context.Context, db *sql.DB) (did bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	res, err := tx.ExecContext(ctx, `INSERT INTO steps (name, phase) VALUES (?, ?) ON CONFLICT DO NOTHING`, s.name, s.phase)
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, s.sql); err != nil {
		return false, err
	}
	return true, tx.Commit()
}
