// Package store keeps trades, their entries and the balances in SQLite. It promises that what it has answered for is on
// disk and stays there whatever is killed, that a trade is posted once however often it is sent, and that the books add
// up at any time (see Check). Several processes may have the same file open, also of two versions (see Migrate). It knows
// nothing of HTTP.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"meridian.example/ledger/trade"
)

// Errors that a client can act on.
var (
	// ErrNotFound: there is no such trade.
	ErrNotFound = errors.New("no such trade")
	// ErrKeyReused: the idempotency key, or the trade's number, was used for another trade.
	ErrKeyReused = errors.New("the idempotency key or the number was used for a different trade")
	// ErrClosed: the store is being closed.
	ErrClosed = errors.New("the store is closed")
)

// OverLimit is the error for a trade that would take its account over its limit.
type OverLimit struct {
	Account string
	// Open, Trade and Limit are in ticks: what is open already, what the trade would add, what is allowed.
	Open, Trade, Limit int64
}

// Error gives the figures.
func (e *OverLimit) Error() string {
	return fmt.Sprintf("account %s: %d ticks are open, the trade adds %d, the limit is %d", e.Account, e.Open, e.Trade, e.Limit)
}

// TooLarge is the error for a trade after which a balance could not be kept exactly.
type TooLarge struct{ Account, Asset string }

// Error names the balance.
func (e *TooLarge) Error() string {
	return fmt.Sprintf("the balance of %s in %s would be larger than can be kept", e.Account, e.Asset)
}

const (
	// maxBalance keeps sums of two balances within 64 bits.
	maxBalance = 1 << 62
	// busy is how long a statement waits for another process.
	busy = 5 * time.Second
	// readers is how many questions are answered at a time.
	readers = 4
)

// Options of a Store.
type Options struct {
	// Now tells the time of postings.
	Now func() time.Time
	// Committed, where it is set, is told how long a commit took and how many changes were in it.
	Committed func(took time.Duration, changes int)
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	options Options
	read    *sql.DB
	write   *sql.DB
	writer  *writer // on the only connection of write
	get     *sql.Stmt

	changes chan *change
	closing chan struct{}
	closed  chan struct{}
}

// open opens a database with the settings that all of ours have: a write-ahead log, synced at each commit, so that a
// commit outlives a loss of power (https://www.sqlite.org/pragma.html#pragma_synchronous), and patience with other processes.
func open(path, lock string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {lock}, "_pragma": append([]string{
		// The timeout comes first: the change to the log needs it where two processes start at once.
		fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "cache_size(-2000)"}, pragmas...)}
	// A path may have characters that mean something in a URI.
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("open the database %s: %w", path, err)
	}
	return db, nil
}

// Open opens the database of a file for this version, or says why not: errors.Is(err, ErrSchema) where it has to be migrated.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	s := &Store{options: o, changes: make(chan *change, maxBatch), closing: make(chan struct{}), closed: make(chan struct{})}
	var err error
	if s.write, err = open(path, "immediate"); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	done, err := applied(ctx, s.write)
	if err == nil {
		err = fits(done)
	}
	if err == nil {
		s.writer = &writer{prepared: map[string]*sql.Stmt{}}
		s.writer.conn, err = s.write.Conn(ctx)
	}
	if err == nil {
		// It waits by itself, see begin. Nothing else can be in its way: a transaction that has begun has the lock.
		_, err = s.writer.conn.ExecContext(ctx, `PRAGMA busy_timeout = 0`)
	}
	if err == nil {
		s.read, err = open(path, "deferred", "query_only(ON)")
	}
	if err == nil {
		s.read.SetMaxOpenConns(readers)
		s.read.SetMaxIdleConns(readers)
		s.get, err = s.read.PrepareContext(ctx, `SELECT `+columns+` FROM trades WHERE id = ?`)
	}
	if err != nil {
		if s.read != nil {
			err = errors.Join(err, s.read.Close())
		}
		return nil, errors.Join(err, s.write.Close())
	}
	go s.commitAll()
	return s, nil
}

// Close finishes the changes under way and closes the database.
func (s *Store) Close() error {
	close(s.closing)
	<-s.closed
	return errors.Join(s.writer.close(), s.get.Close(), s.write.Close(), s.read.Close())
}

const columns = `seq, id, account, symbol, side, quantity, price_ticks, currency, posted, reversed`

// scan reads the columns of a trade.
func scan(row scanner) (t trade.Trade, err error) {
	var posted int64
	var reversed sql.NullInt64
	err = row.Scan(&t.Sequence, &t.ID, &t.Account, &t.Symbol, &t.Side, &t.Quantity, &t.PriceTicks, &t.Currency, &posted, &reversed)
	if errors.Is(err, sql.ErrNoRows) {
		return t, ErrNotFound
	}
	t.Status, t.Posted = trade.Open, time.UnixMicro(posted).UTC()
	if reversed.Valid {
		t.Status, t.Reversed = trade.Reversed, time.UnixMicro(reversed.Int64).UTC()
	}
	return t, err
}

// Get returns a trade, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id string) (trade.Trade, error) {
	return scan(s.get.QueryRowContext(ctx, id))
}

// List returns up to n trades of an account behind a sequence number, in their order.
func (s *Store) List(ctx context.Context, account string, after int64, n int) ([]trade.Trade, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+columns+` FROM trades WHERE account = ? AND seq > ? ORDER BY seq LIMIT ?`, account, after, n)
	if err != nil {
		return nil, fmt.Errorf("list trades: %w", err)
	}
	defer rows.Close()
	var ts []trade.Trade
	for rows.Next() {
		t, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list trades: %w", err)
		}
		ts = append(ts, t)
	}
	return ts, rows.Err()
}

// Account is what an account has.
type Account struct {
	Account string `json:"account"`
	// CashTicks is below zero for one that has bought more than it sold.
	CashTicks int64 `json:"cash_ticks"`
	// OpenTicks is the notional of the trades that stand.
	OpenTicks int64 `json:"open_ticks"`
	// Positions are shares by symbol; those that are zero by now are among them.
	Positions map[string]int64 `json:"positions"`
}

// Account returns what an account has. One that never traded has nothing.
func (s *Store) Account(ctx context.Context, account string) (Account, error) {
	a := Account{Account: account, Positions: map[string]int64{}}
	rows, err := s.read.QueryContext(ctx, `SELECT asset, amount FROM balances WHERE account = ?1
		UNION ALL SELECT '', open_ticks FROM exposures WHERE account = ?1`, account)
	if err != nil {
		return a, fmt.Errorf("read balances: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var asset string
		var amount int64
		if err := rows.Scan(&asset, &amount); err != nil {
			return a, fmt.Errorf("read balances: %w", err)
		}
		switch asset {
		case "":
			a.OpenTicks = amount
		case trade.Cash:
			a.CashTicks = amount
		default:
			a.Positions[asset] = amount
		}
	}
	return a, rows.Err()
}
