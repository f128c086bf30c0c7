package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/gantry-ops/gantry/store"
)

// beat tells the other servers, in a transaction, that this one lives. It also keeps them from burying it before the transaction has
// ended, so that no lease is taken in the name of a server that nobody watches.
func (e *Engine) beat(ctx context.Context, tx *store.Tx) error {
	e.mu.Lock()
	e.beats++
	n := e.beats
	e.mu.Unlock()
	_, err := tx.ExecContext(ctx, `
		INSERT INTO engine_servers (owner, beat) VALUES (?, ?)
		ON CONFLICT (owner) DO UPDATE SET beat = excluded.beat`, e.o.Owner, n)
	return err
}

// sighting is the last change of another server's row that this one has noticed.
type sighting struct {
	beat int64
	at   time.Time
}

// heart beats while there are leases, looks after the other servers, and notices leases that were lost, until ctx ends.
func (e *Engine) heart(ctx context.Context) {
	ticker := time.NewTicker(e.o.Heartbeat)
	defer ticker.Stop()
	seen := map[string]sighting{}
	last := time.Now() // of a heartbeat that has arrived
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		start := time.Now()
		e.mu.Lock()
		idle, sure := len(e.held) == 0, !e.unsure
		e.mu.Unlock()
		// Who has no lease has nothing to keep, and writes nothing.
		err := error(nil)
		if !idle {
			err = limited(ctx, e.o.TTL, func(ctx context.Context) error { return e.db.Write(ctx, e.beat) })
		}
		if err == nil {
			last = start
		} else if time.Since(last) >= e.o.TTL && e.db.Kind == store.PostgreSQL {
			// The others may have buried this server. On SQLite there are none: silence is load there, not loss.
			e.loseAll()
		}
		err = nil
		if !idle || !sure {
			err = limited(ctx, e.o.TTL, e.compare)
		}
		if err == nil {
			err = limited(ctx, e.o.TTL, func(ctx context.Context) error { return e.watch(ctx, seen) })
		}
		if err != nil && ctx.Err() == nil {
			// What was not seen is no sign of death.
			clear(seen)
			e.o.Log.Debug("heartbeat", "error", err)
		}
	}
}

// limited calls f with a context that ends after a while.
func limited(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx)
}

// watch looks at the other servers and buries those that have not changed for TTL.
func (e *Engine) watch(ctx context.Context, seen map[string]sighting) error {
	var rows []struct {
		Owner string
		Beat  int64
	}
	if err := e.db.NewRaw("SELECT owner, beat FROM engine_servers WHERE owner <> ?", e.o.Owner).Scan(ctx, &rows); err != nil {
		return err
	}
	now := time.Now()
	there := map[string]bool{}
	for _, r := range rows {
		there[r.Owner] = true
		s, known := seen[r.Owner]
		if !known || s.beat != r.Beat {
			seen[r.Owner] = sighting{r.Beat, now}
			continue
		}
		if now.Sub(s.at) < e.o.TTL {
			continue
		}
		buried, err := e.bury(ctx, r.Owner, &r.Beat)
		if err != nil {
			return err
		}
		delete(seen, r.Owner)
		if buried > 0 {
			e.o.Log.Warn("a server has died; its work is taken up by others", "server", r.Owner, "rows", buried)
		}
	}
	for owner := range seen {
		if !there[owner] {
			delete(seen, owner)
		}
	}
	return nil
}

// bury gives up all leases of a server, unless its beat has changed, and returns how many there were.
func (e *Engine) bury(ctx context.Context, owner string, beat *int64) (rows int64, err error) {
	err = e.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		rows = 0
		q := tx.NewDelete().Table("engine_servers").Where("owner = ?", owner)
		if beat != nil {
			q = q.Where("beat = ?", *beat)
		}
		deleted, err := q.Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := deleted.RowsAffected(); err != nil || n == 0 && beat != nil {
			return err
		}
		updated, err := tx.ExecContext(ctx, `
			UPDATE engine_work SET owner = '', due = CASE WHEN lease_due < due THEN lease_due ELSE due END WHERE owner = ?`, owner)
		if err != nil {
			return err
		}
		rows, err = updated.RowsAffected()
		return err
	})
	if err == nil && rows > 0 {
		e.poke()
	}
	return rows, err
}

// compare finds leases that this server believes in and does not have (they were lost), and those that it has and knows nothing of
// (the answer to a commit got lost): they are given back.
func (e *Engine) compare(ctx context.Context) error {
	e.mu.Lock()
	claims := e.claims
	held := map[int64]int64{}
	for row, h := range e.held {
		held[row] = h.lease.Token
	}
	known := map[int64]bool{}
	for _, x := range e.ended {
		known[x.seq] = true
	}
	e.mu.Unlock()
	var rows []struct {
		Seq, Token int64
	}
	if err := e.db.NewRaw("SELECT seq, token FROM engine_work WHERE owner = ?", e.o.Owner).Scan(ctx, &rows); err != nil {
		return err
	}
	var strays []ending
	for _, r := range rows {
		if token, ok := held[r.Seq]; ok && token == r.Token {
			delete(held, r.Seq)
		} else if !known[r.Seq] {
			strays = append(strays, ending{seq: r.Seq, token: r.Token})
		}
	}
	for row, token := range held {
		e.lose(row, token)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if claims%2 == 0 && claims == e.claims {
		e.unsure = false
		if len(strays) > 0 {
			e.ended = append(e.ended, strays...)
			e.poke()
		}
	}
	return nil
}

// lose tells the reconciler of a row, if there is one, that it has lost the lease with this token; 0 is any.
func (e *Engine) lose(row, token int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if h := e.held[row]; h != nil && (token == 0 || token == h.lease.Token) {
		h.cancel(ErrLost)
	}
}

func (e *Engine) loseAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.held) > 0 {
		e.o.Log.Warn("no heartbeat has arrived for too long; all leases count as lost", "leases", len(e.held))
	}
	for _, h := range e.held {
		h.cancel(ErrLost)
	}
}

// leave gives up what this server still has, and takes it out of the others' sight.
func (e *Engine) leave(ctx context.Context) error {
	rows, err := e.bury(ctx, e.o.Owner, nil)
	if err != nil {
		return fmt.Errorf("give leases back: %w", err)
	}
	if rows > 0 {
		e.o.Log.Info("leases given back", "rows", rows)
	}
	return nil
}

// clockSetBack moves what was put for now, and short delays, along with a clock that was set back: rows that were asked for in what is
// the future now, for no more than maxDelay from then. Later times are taken for points in time, as those of schedules are.
// Less than a second is a difference that servers' clocks have.
func (e *Engine) clockSetBack(ctx context.Context, when string) {
	now := e.o.Now().UnixMicro()
	future := now + time.Second.Microseconds()
	var n int64
	err := limited(context.WithoutCancel(ctx), farewell, func(ctx context.Context) error {
		return e.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			moved, err := tx.ExecContext(ctx, `
				UPDATE engine_work SET due = due - asked + ?, asked = ?
				WHERE owner = '' AND asked > ? AND due >= asked AND due - asked <= ?`, now, now, future, maxDelay.Microseconds())
			if err != nil {
				return err
			}
			n, err = moved.RowsAffected()
			return err
		})
	})
	if err != nil {
		e.o.Log.Warn("work asked for by a clock that was set back since may be late", "when", when, "error", err)
	} else if n > 0 {
		e.o.Log.Info("a clock was set back; work moved along", "when", when, "rows", n)
	}
}
