package engine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/store"
)

const (
	// batch bounds how many rows of a kind are taken, or given back, in one transaction.
	batch = 200
	// firstDelay and maxDelay bound how long a row waits after an error.
	firstDelay = time.Second
	maxDelay   = 5 * time.Minute
	// maxError is how many bytes of an error are kept.
	maxError = 4 << 10
	// farewell is how long a server that stops tries to give its leases back, unless they expire sooner.
	farewell = 5 * time.Second
	// patience is how long one transaction of the dispatcher may take before it is tried again.
	patience = 10 * time.Second
)

// holding is a lease whose reconciler runs.
type holding struct {
	lease  Lease
	kind   *kind
	error  string // of the attempt before
	cancel context.CancelCauseFunc
}

// ending is what becomes of a row whose reconciler has returned.
type ending struct {
	seq, token int64
	done       bool
	// delay is when the row is due again, from now on.
	delay    time.Duration
	failures int
	error    string
}

// Run takes up work until ctx ends, then waits for the reconcilers to return and gives their leases back, so that another server
// need not wait for them to expire. While the database is away it keeps trying. The error is only for what makes further work
// impossible. It is called once.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	if e.running {
		e.mu.Unlock()
		return errors.New("the engine runs already")
	}
	e.running = true
	e.mu.Unlock()

	beating, stopBeating := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		e.heart(beating)
	}()
	e.dispatch(ctx)
	stopBeating()
	<-stopped

	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(farewell, e.o.TTL))
	defer cancel()
	if err := e.leave(bye); err != nil {
		e.o.Log.Warn("this server's leases could not all be given back; they expire", "error", err)
	}
	return nil
}

// dispatch gives leases back and takes new ones until ctx has ended and no reconciler runs any more. All that the engine writes to rows
// goes through here, so that many small changes become few transactions.
func (e *Engine) dispatch(ctx context.Context) {
	e.clockSetBack(ctx, "at start")
	var failed int
	var tried time.Time // when a stopping server has begun to give back without success
	for {
		wall, steady := e.o.Now(), time.Now()
		wait, err := e.pass(ctx)
		switch {
		case err == nil && failed > 0:
			e.o.Log.Info("the database is back", "failed_attempts", failed)
			failed, tried = 0, time.Time{}
		case err != nil:
			if failed++; failed == 1 {
				e.o.Log.Warn("work cannot be taken up or given back; trying again", "error", err)
			}
		}
		if err != nil {
			wait = min(e.o.Poll<<min(max(failed-1, 0), 4), max(e.o.Poll, 2*time.Second))
		}
		e.mu.Lock()
		idle, left := len(e.held) == 0, len(e.ended)
		e.mu.Unlock()
		done := ctx.Done()
		if ctx.Err() != nil {
			done = nil
			if idle && left == 0 {
				return
			}
			if idle && err != nil {
				if tried.IsZero() {
					tried = time.Now()
				}
				if time.Since(tried) > min(farewell, e.o.TTL) {
					return // leave says so
				}
			}
		}
		if wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-e.wake:
				if err != nil {
					// Reconcilers that return must not turn waiting for the database into a storm.
					select {
					case <-timer.C:
					case <-done:
					}
				}
			case <-done:
			}
			timer.Stop()
		}
		if behind := time.Since(steady) - e.o.Now().Sub(wall); behind > time.Second && ctx.Err() == nil {
			e.clockSetBack(ctx, "while running")
		}
	}
}

// pass gives back what has ended and takes up what is due. It returns how long there is nothing to do unless something wakes the
// dispatcher; zero: there may be more already.
func (e *Engine) pass(ctx context.Context) (wait time.Duration, err error) {
	e.mu.Lock()
	ended := e.ended[:min(len(e.ended), batch)]
	free := map[string]int{}
	for name, k := range e.kinds {
		if n := k.places - k.busy; n > 0 && ctx.Err() == nil {
			free[name] = min(n, batch)
		}
	}
	e.mu.Unlock()

	var due []string
	wait = e.o.Poll
	if len(free) > 0 {
		next, err := e.nextDue(ctx, free)
		if err != nil {
			return 0, err
		}
		now := e.o.Now()
		for kind, t := range next {
			if d := t.Sub(now); d <= 0 {
				due = append(due, kind)
			} else {
				wait = min(wait, d)
			}
		}
	}
	if len(ended) == 0 && len(due) == 0 {
		return wait, nil
	}
	taken, err := e.exchange(ctx, ended, due, free)
	if err != nil {
		return 0, err
	}
	e.mu.Lock()
	e.ended = e.ended[len(ended):]
	e.claims++
	for _, h := range taken {
		h.kind.busy++
		e.held[h.lease.seq] = h
		work, cancel := context.WithCancelCause(ctx)
		h.cancel = cancel
		go e.reconcile(work, h)
	}
	e.mu.Unlock()
	return 0, nil
}

// nextDue returns when the next row of each of these kinds is due, where there is one that nobody has.
func (e *Engine) nextDue(ctx context.Context, kinds map[string]int) (map[string]time.Time, error) {
	var query strings.Builder
	var args []any
	for _, name := range e.order {
		if kinds[name] == 0 {
			continue
		}
		if query.Len() > 0 {
			query.WriteString(" UNION ALL ")
		}
		query.WriteString("SELECT ? AS kind, (SELECT due FROM engine_work WHERE owner = '' AND kind = ? ORDER BY due LIMIT 1) AS due")
		args = append(args, name, name)
	}
	var rows []struct {
		Kind string
		Due  sql.NullInt64
	}
	err := limited(ctx, patience, func(ctx context.Context) error { return e.db.NewRaw(query.String(), args...).Scan(ctx, &rows) })
	if err != nil {
		return nil, fmt.Errorf("look for work that is due: %w", err)
	}
	next := map[string]time.Time{}
	for _, r := range rows {
		if r.Due.Valid {
			next[r.Kind] = time.UnixMicro(r.Due.Int64)
		}
	}
	return next, nil
}

// exchange gives rows back and takes up to as many of each kind as there are places, in one transaction.
func (e *Engine) exchange(ctx context.Context, ended []ending, due []string, places map[string]int) (taken []*holding, err error) {
	e.mu.Lock()
	e.claims++ // odd: what the heart finds in the database may not be in held yet
	e.mu.Unlock()
	defer func() {
		if err != nil {
			e.mu.Lock()
			e.claims++
			e.unsure = true
			e.mu.Unlock()
		}
	}()
	// A server that stops must still be able to give back.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err = e.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		taken = nil
		if err := e.beat(ctx, tx); err != nil {
			return err
		}
		if err := e.giveBack(ctx, tx, ended); err != nil {
			return err
		}
		for _, name := range due {
			list, err := e.take(ctx, tx, name, places[name])
			if err != nil {
				return err
			}
			taken = append(taken, list...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("take up work: %w", err)
	}
	return taken, nil
}

// take leases rows of a kind that are due.
func (e *Engine) take(ctx context.Context, tx *store.Tx, name string, places int) ([]*holding, error) {
	now := e.o.Now().UnixMicro()
	// Rows that another server is taking at this moment are left to it.
	lock := ""
	if tx.Kind() == store.PostgreSQL {
		lock = " FOR UPDATE SKIP LOCKED"
	}
	var rows []struct {
		Seq, Token, LeaseDue int64
		ID, Error            string
		Failures             int
	}
	err := tx.NewRaw(`
		UPDATE engine_work SET owner = ?, token = CASE WHEN token < ? THEN ? ELSE token + 1 END, lease_due = due, due = ?
		WHERE owner = '' AND seq IN (
			SELECT seq FROM engine_work WHERE owner = '' AND kind = ? AND due <= ? ORDER BY due LIMIT ?`+lock+`)
		RETURNING seq, token, lease_due, id, error, failures`,
		e.o.Owner, now, now, int64(never), name, now, places).Scan(ctx, &rows)
	if err != nil {
		return nil, err
	}
	list := make([]*holding, 0, len(rows))
	for _, r := range rows {
		list = append(list, &holding{
			kind:  e.kinds[name],
			error: r.Error,
			lease: Lease{
				Kind: name, ID: r.ID, Owner: e.o.Owner, Token: r.Token, Failures: r.Failures,
				Due: time.UnixMicro(r.LeaseDue).UTC(), seq: r.Seq,
			},
		})
	}
	return list, nil
}

// giveBack ends leases. Those that were lost meanwhile are somebody else's business.
func (e *Engine) giveBack(ctx context.Context, tx *store.Tx, ended []ending) error {
	if len(ended) == 0 {
		return nil
	}
	var values, done strings.Builder
	var args, doneArgs []any
	now := e.o.Now()
	for _, x := range ended {
		if x.done {
			if done.Len() > 0 {
				done.WriteString(", ")
			}
			done.WriteString("(?, ?)")
			doneArgs = append(doneArgs, x.seq, x.token)
		}
		if values.Len() > 0 {
			values.WriteString(", ")
		}
		values.WriteString("(?, ?, ?, ?, ?)")
		due := int64(never)
		if !x.done {
			due = now.Add(x.delay).UnixMicro()
		}
		args = append(args, x.seq, x.token, due, x.failures, x.error)
	}
	if len(doneArgs) > 0 {
		_, err := tx.ExecContext(ctx, "DELETE FROM engine_work WHERE owner = ? AND due = ? AND (seq, token) IN (VALUES "+done.String()+")",
			append([]any{e.o.Owner, int64(never)}, doneArgs...)...)
		if err != nil {
			return err
		}
	}
	// Rows that are done and still there were put again meanwhile: their due time stands.
	_, err := tx.ExecContext(ctx, `
		WITH ended (seq, token, due, failures, error) AS (VALUES `+values.String()+`)
		UPDATE engine_work SET
			owner = '', failures = ended.failures, error = ended.error,
			due = CASE WHEN ended.due < engine_work.due THEN ended.due ELSE engine_work.due END,
			asked = CASE WHEN ended.due < engine_work.due THEN ? ELSE engine_work.asked END
		FROM ended WHERE engine_work.seq = ended.seq AND engine_work.token = ended.token AND engine_work.owner = ?`,
		append(args, now.UnixMicro(), e.o.Owner)...)
	return err
}

// reconcile calls a reconciler and hands its row to the dispatcher.
func (e *Engine) reconcile(ctx context.Context, h *holding) {
	x := e.attempt(ctx, h)
	h.cancel(nil)
	e.mu.Lock()
	delete(e.held, h.lease.seq)
	h.kind.busy--
	e.ended = append(e.ended, x)
	e.mu.Unlock()
	e.poke()
}

// attempt is one call of a reconciler.
func (e *Engine) attempt(ctx context.Context, h *holding) (x ending) {
	lease := h.lease // the reconciler's own copy
	x = ending{seq: lease.seq, token: lease.Token, failures: lease.Failures, error: h.error}
	again, err := func() (again time.Duration, err error) {
		defer func() {
			if p := recover(); p != nil {
				e.o.Log.Error("a reconciler panicked", "kind", lease.Kind, "id", lease.ID, "panic", p, "stack", string(debug.Stack()))
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		return h.kind.reconcile(ctx, &lease)
	}()
	switch {
	case ctx.Err() != nil, errors.Is(err, ErrLost):
		// At once, by whoever has it next.
	case err != nil:
		x.delay = min(firstDelay<<min(x.failures, 20), maxDelay)
		x.failures++
		x.error = clean(err.Error())
		e.o.Log.Warn("work failed", "kind", h.lease.Kind, "id", h.lease.ID, "failures", x.failures, "again_in", x.delay, "error", err)
	default:
		x.failures, x.error = 0, ""
		x.done = again == Done
		x.delay = max(again, 0)
	}
	return x
}

// clean makes a text fit for the database.
func clean(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "�")
	if len(s) > maxError {
		s = strings.ToValidUTF8(s[:maxError], "") + "…"
	}
	return s
}
