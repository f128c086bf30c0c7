package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"modernc.org/sqlite"

	"meridian.example/ledger/trade"
)

const (
	// maxBatch bounds how many changes are committed at once.
	maxBatch = 256
	// look is the mean time between two attempts to begin a transaction while another process has one, and courtesy the
	// pause before each for as long as sharing after one had to wait. It is longer than a look, so that the other gets in.
	look, courtesy, sharing = 300 * time.Microsecond, 700 * time.Microsecond, time.Second
)

// change is something to be written, by the one goroutine that writes.
type change struct {
	ctx context.Context
	// do makes the change in a batch. Where it refuses it has written nothing.
	do   func(context.Context, *batch) error
	done chan error
}

// refused marks errors that are answers: the batch they are in goes on.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// apply hands a change to the writer and waits until it is on disk or refused.
func (s *Store) apply(ctx context.Context, do func(context.Context, *batch) error) error {
	c := &change{ctx: ctx, do: do, done: make(chan error, 1)}
	select {
	case s.changes <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return ErrClosed
	}
	// From here on it may be done, so what came of it is waited for whatever ctx says: the writer does not take long.
	select {
	case err := <-c.done:
		return err
	case <-s.closed:
		// The last batch may have had it.
		select {
		case err := <-c.done:
			return err
		default:
			return ErrClosed
		}
	}
}

// commitAll commits changes until the store is closed. What has gathered while a commit was under way is one transaction:
// the sync of the disk is by far the dearest part of each.
func (s *Store) commitAll() {
	defer close(s.closed)
	for {
		var first *change
		select {
		case first = <-s.changes:
		case <-s.closing:
			return
		}
		batch := []*change{first}
	gather:
		for len(batch) < maxBatch {
			select {
			case c := <-s.changes:
				batch = append(batch, c)
			default:
				break gather
			}
		}
		begin := time.Now()
		errs := make([]error, len(batch))
		err := s.commit(batch, errs)
		if s.options.Committed != nil && err == nil {
			s.options.Committed(time.Since(begin), len(batch))
		}
		for i, c := range batch {
			if err != nil {
				errs[i] = err // nothing of the batch was written
			}
			c.done <- errs[i]
		}
	}
}

// commit makes a batch of changes in one transaction. errs gets the refusals; an error means that nothing was written.
func (s *Store) commit(changes []*change, errs []error) error {
	ctx := context.Background() // a client that goes away must not take the others' changes along
	if err := s.begin(ctx); err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	err := s.make(ctx, changes, errs)
	if err == nil {
		if _, err = s.writer.exec(ctx, `COMMIT`); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// SQLite has rolled back by itself after some errors, and says then that there is no transaction.
	_, _ = s.writer.exec(ctx, `ROLLBACK`)
	return err
}

// begin begins a transaction when no other process has one. SQLite's own way to wait sleeps for up to a tenth of a second
// at a time, which the requests of the last batch would feel; and one of two busy processes, who never waits between two
// transactions, would hardly let the other in. So we look often, and step back for a moment as long as there is another.
func (s *Store) begin(ctx context.Context) error {
	if now := time.Now(); now.Before(s.writer.shared) {
		time.Sleep(courtesy)
	}
	for deadline := time.Now().Add(busy); ; {
		_, err := s.writer.exec(ctx, `BEGIN IMMEDIATE`)
		if !isBusy(err) || time.Now().After(deadline) {
			return err
		}
		s.writer.shared = time.Now().Add(sharing)
		time.Sleep(look/2 + rand.N(look))
	}
}

// isBusy says whether another process was in the way (https://www.sqlite.org/rescode.html#busy).
func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == 5
}

// make makes the changes of a batch.
func (s *Store) make(ctx context.Context, changes []*change, errs []error) error {
	b := &batch{writer: s.writer, now: s.options.Now().UTC().Truncate(time.Microsecond), balances: map[[2]string]*amount{}, exposures: map[string]*amount{}}
	for i, c := range changes {
		if errs[i] = c.ctx.Err(); errs[i] != nil {
			continue
		}
		errs[i] = c.do(ctx, b)
		if r := (refused{}); errs[i] != nil && !errors.As(errs[i], &r) {
			return errs[i]
		}
	}
	return b.flush(ctx)
}

// writer is the connection that writes. To read a statement's text takes SQLite longer than to run it, so each is
// prepared once. It is used by one goroutine.
type writer struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
	// shared is until when another process is thought to write as well.
	shared time.Time
}

func (w *writer) prepare(ctx context.Context, text string) (*sql.Stmt, error) {
	if stmt := w.prepared[text]; stmt != nil {
		return stmt, nil
	}
	stmt, err := w.conn.PrepareContext(ctx, text)
	if err == nil {
		w.prepared[text] = stmt
	}
	return stmt, err
}

func (w *writer) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	stmt, err := w.prepare(ctx, text)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

func (w *writer) row(ctx context.Context, text string, args ...any) scanner {
	stmt, err := w.prepare(ctx, text)
	if err != nil {
		return failed{err}
	}
	return stmt.QueryRowContext(ctx, args...)
}

func (w *writer) close() error {
	var errs []error
	for _, stmt := range w.prepared {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

// scanner is a row.
type scanner interface{ Scan(...any) error }

// failed is a row that there is no way to.
type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

// amount is a figure as it is in the database with what the batch adds.
type amount struct {
	value   int64
	changed bool
}

// batch is a transaction. Balances that many trades change are written once, at its end.
type batch struct {
	*writer
	now       time.Time
	balances  map[[2]string]*amount // by account and asset
	exposures map[string]*amount    // by account
}

func (b *batch) balance(ctx context.Context, e trade.Entry) (*amount, error) {
	at := [2]string{e.Account, e.Asset}
	if a := b.balances[at]; a != nil {
		return a, nil
	}
	a := &amount{}
	err := b.row(ctx, `SELECT amount FROM balances WHERE account = ? AND asset = ?`, e.Account, e.Asset).Scan(&a.value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read a balance: %w", err)
	}
	b.balances[at] = a
	return a, nil
}

func (b *batch) exposure(ctx context.Context, account string) (*amount, error) {
	if a := b.exposures[account]; a != nil {
		return a, nil
	}
	a := &amount{}
	err := b.row(ctx, `SELECT open_ticks FROM exposures WHERE account = ?`, account).Scan(&a.value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read what is open: %w", err)
	}
	b.exposures[account] = a
	return a, nil
}

// book writes the entries of a trade, or refuses where a balance would grow too large. seq writes the trade itself, once
// nothing else can be refused, and returns its number.
func (b *batch) book(ctx context.Context, seq func() (int64, error), r trade.Request, reversal bool) error {
	entries := r.Entries(reversal)
	var at [len(entries)]*amount
	for i, e := range entries {
		a, err := b.balance(ctx, e)
		if err != nil {
			return err
		}
		if sum := a.value + e.Amount; sum > maxBalance || sum < -maxBalance {
			return refused{&TooLarge{e.Account, e.Asset}}
		}
		at[i] = a
	}
	open, err := b.exposure(ctx, r.Account)
	if err != nil {
		return err
	}
	n, err := seq()
	if err != nil {
		return err
	}
	reverse := 0
	if reversal {
		reverse = 1
	}
	args := make([]any, 0, 6*len(entries))
	for i, e := range entries {
		at[i].value, at[i].changed = at[i].value+e.Amount, true
		args = append(args, n, reverse, i, e.Account, e.Asset, e.Amount)
	}
	if reversal {
		open.value -= r.Notional()
	} else {
		open.value += r.Notional()
	}
	open.changed = true
	if _, err := b.exec(ctx, `INSERT INTO entries (trade, reversal, leg, account, asset, amount)
		VALUES (?,?,?,?,?,?),(?,?,?,?,?,?),(?,?,?,?,?,?),(?,?,?,?,?,?)`, args...); err != nil {
		return fmt.Errorf("write entries: %w", err)
	}
	return nil
}

// flush writes the balances that have changed.
func (b *batch) flush(ctx context.Context) error {
	for at, a := range b.balances {
		if !a.changed {
			continue
		}
		if _, err := b.exec(ctx, `INSERT INTO balances (account, asset, amount) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET amount = excluded.amount`, at[0], at[1], a.value); err != nil {
			return fmt.Errorf("write a balance: %w", err)
		}
	}
	for account, a := range b.exposures {
		if !a.changed {
			continue
		}
		if _, err := b.exec(ctx, `INSERT INTO exposures (account, open_ticks) VALUES (?, ?)
			ON CONFLICT DO UPDATE SET open_ticks = excluded.open_ticks`, account, a.value); err != nil {
			return fmt.Errorf("write what is open: %w", err)
		}
	}
	return nil
}

// Post posts a trade under an idempotency key, or says why not: *trade.Invalid, *OverLimit, *TooLarge or ErrKeyReused. The
// same request under the same key returns the trade that it made then, and replayed is true. limit is how much notional
// the account may have open, in ticks; 0: any.
func (s *Store) Post(ctx context.Context, key string, r trade.Request, limit int64) (t trade.Trade, replayed bool, err error) {
	if err := r.Validate(); err != nil {
		return trade.Trade{}, false, err
	}
	err = s.apply(ctx, func(ctx context.Context, b *batch) error {
		var err error
		t, replayed, err = b.post(ctx, key, r, limit)
		return err
	})
	if err != nil {
		return trade.Trade{}, false, err
	}
	return t, replayed, nil
}

func (b *batch) post(ctx context.Context, key string, r trade.Request, limit int64) (trade.Trade, bool, error) {
	known, err := scan(b.row(ctx, `SELECT `+columns+` FROM trades WHERE key = ?`, key))
	switch {
	case err == nil && known.Request != r:
		return trade.Trade{}, false, refused{ErrKeyReused}
	case err == nil:
		return known, true, nil
	case !errors.Is(err, ErrNotFound):
		return trade.Trade{}, false, fmt.Errorf("look for the key: %w", err)
	}
	open, err := b.exposure(ctx, r.Account)
	if err != nil {
		return trade.Trade{}, false, err
	}
	if add := r.Notional(); limit > 0 && (add > limit || open.value > limit-add) {
		return trade.Trade{}, false, refused{&OverLimit{Account: r.Account, Open: open.value, Trade: add, Limit: limit}}
	}
	t := trade.Trade{Request: r, Status: trade.Open, Posted: b.now}
	err = b.book(ctx, func() (int64, error) {
		err := b.row(ctx, `INSERT INTO trades (id, key, account, symbol, side, quantity, price_ticks, posted) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO NOTHING RETURNING seq, currency`, r.ID, key, r.Account, r.Symbol, r.Side, r.Quantity, r.PriceTicks, b.now.UnixMicro()).Scan(&t.Sequence, &t.Currency)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return 0, refused{ErrKeyReused} // the number is another's
		case err != nil:
			return 0, fmt.Errorf("write a trade: %w", err)
		}
		return t.Sequence, nil
	}, r, false)
	return t, false, err
}

// Reverse takes a trade back, or says ErrNotFound or *TooLarge. Doing it twice is no error; changed tells the first time.
func (s *Store) Reverse(ctx context.Context, id string) (t trade.Trade, changed bool, err error) {
	err = s.apply(ctx, func(ctx context.Context, b *batch) error {
		var err error
		t, err = scan(b.row(ctx, `SELECT `+columns+` FROM trades WHERE id = ?`, id))
		if errors.Is(err, ErrNotFound) {
			return refused{err}
		}
		if err != nil || t.Status == trade.Reversed {
			return err
		}
		err = b.book(ctx, func() (int64, error) {
			if _, err := b.exec(ctx, `UPDATE trades SET reversed = ? WHERE seq = ?`, b.now.UnixMicro(), t.Sequence); err != nil {
				return 0, fmt.Errorf("reverse a trade: %w", err)
			}
			return t.Sequence, nil
		}, t.Request, true)
		changed = err == nil
		t.Status, t.Reversed = trade.Reversed, b.now
		return err
	})
	if err != nil {
		return trade.Trade{}, false, err
	}
	return t, changed, nil
}
