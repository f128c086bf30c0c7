package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"
	"modernc.org/sqlite"
)

// Tx is a transaction that writes.
type Tx struct {
	bun.Tx
	db     *DB
	events []Event
	after  []func()
}

// Kind is the database that the transaction is on.
func (tx *Tx) Kind() Kind { return tx.db.Kind }

// Now returns the time by the database's clock of events.
func (tx *Tx) Now() time.Time { return tx.db.now() }

// ForUpdate is the clause that keeps a row that was read from being changed by another transaction; empty where one writer works at
// a time anyway.
func (tx *Tx) ForUpdate() string {
	if tx.db.Kind == PostgreSQL {
		return "UPDATE"
	}
	return ""
}

// AfterCommit registers what to do once the transaction has committed.
func (tx *Tx) AfterCommit(f func()) { tx.after = append(tx.after, f) }

const (
	// attempts bounds how often a transaction that loses races is repeated.
	attempts = 10
	// commitTimeout bounds how long the answer to a commit is waited for, once it was asked for.
	commitTimeout = 30 * time.Second
)

// inside is the key of the database in the context of a transaction.
type inside struct{ db *DB }

// Write runs fn in a transaction and commits it when fn returns nil; its events become visible with it. fn is called again when the
// database reports that the transaction lost a race (a serialisation failure, a deadlock, a busy file), or when the connection was lost
// before the commit, so it must not change anything outside of the transaction. fn's own error is returned as it is.
//
// When ctx ends before the commit, nothing has happened. From then on the commit is not interrupted any more; an error says then that
// the connection was lost, and only looking again tells whether the transaction has happened.
func (db *DB) Write(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	if ctx.Value(inside{db}) != nil {
		return errors.New("a transaction was begun within another one, which it would wait for forever")
	}
	for n := 1; ; n++ {
		done, err := db.once(ctx, fn)
		if err == nil {
			for _, f := range done.after {
				f()
			}
			if len(done.events) > 0 {
				db.notify()
			}
			return nil
		}
		again := lostRace(err) || db.lostConnection(err)
		if !again || n == attempts || ctx.Err() != nil {
			if n > 1 && again {
				return fmt.Errorf("after %d attempts: %w", n, err)
			}
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(rand.IntN(10*n)) * time.Millisecond):
		}
	}
}

// once tries a transaction.
func (db *DB) once(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) (*Tx, error) {
	// The drivers roll back, or cut the connection, when a transaction's context ends, and that at any point of a commit: what is said
	// to have failed might have happened. So its context ends with ctx only until then.
	own, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), inside{db}, true))
	defer cancel()
	detach := context.AfterFunc(ctx, cancel)
	defer detach()
	// Only the context of the call has its deadline and its cause.
	cause := func(err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	inner, err := db.write.BeginTx(own, nil)
	if err != nil {
		return nil, cause(err)
	}
	tx := &Tx{Tx: inner, db: db}
	committed := false
	defer func() {
		if !committed {
			_ = inner.Rollback() // also when fn panics; it has nothing to say that the caller does not know
		}
	}()
	if err := fn(own, tx); err != nil {
		return nil, err
	}
	if err := db.insertEvents(own, tx); err != nil {
		return nil, cause(err)
	}
	if !detach() {
		return nil, context.Cause(ctx)
	}
	timer := time.AfterFunc(commitTimeout, cancel)
	defer timer.Stop()
	committed = true
	if err := inner.Commit(); err != nil {
		return nil, &commitError{err}
	}
	return tx, nil
}

// commitError is the error of a commit: the transaction may have happened nevertheless.
type commitError struct{ err error }

func (e *commitError) Error() string { return "commit: " + e.err.Error() }
func (e *commitError) Unwrap() error { return e.err }

// lostConnection reports whether a transaction ended, before its commit, with the connection to the server. A pool does not know of a
// connection's end before it is used: after a restart of the server the next one is there at once.
func (db *DB) lostConnection(err error) bool {
	var late *commitError
	if db.Kind != PostgreSQL || errors.As(err, &late) {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// Class 08: connection exception; 57P01 and 57P02: the server ends, 25P03: it found the transaction idle for too long.
		return strings.HasPrefix(pg.Code, "08") || pg.Code == "57P01" || pg.Code == "57P02" || pg.Code == "25P03"
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// lostRace reports whether repeating a transaction may help.
func lostRace(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// Class 40: transaction rollback (https://www.postgresql.org/docs/15/errcodes-appendix.html).
		return len(pg.Code) == 5 && pg.Code[:2] == "40"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		const busy, locked = 5, 6 // https://www.sqlite.org/rescode.html, without the extended part
		return lite.Code()&0xff == busy || lite.Code()&0xff == locked
	}
	return false
}

// IsDuplicate reports whether an error says that a row with the same key is there already.
func IsDuplicate(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		const unique, primaryKey = 2067, 1555
		return lite.Code() == unique || lite.Code() == primaryKey
	}
	return false
}
