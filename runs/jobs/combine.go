package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/store"
)

const (
	// combined bounds how many writes share a transaction.
	combined = 64
	// patience is how long one transaction may take.
	patience = 20 * time.Second
)

// combiner runs small writes, many of which come at the same time, in few transactions: what comes while one is being committed goes into
// the next one together. A commit that reaches the disk costs more than what most of them write.
type combiner struct {
	write func(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error

	mu    sync.Mutex
	queue []*call
	busy  bool
}

// call is one write that waits for its transaction.
type call struct {
	ctx  context.Context
	fn   func(ctx context.Context, tx *store.Tx) error
	err  error
	done chan struct{}
}

// do runs fn in a transaction, perhaps with others', and returns when it has committed. fn may be called several times, and must not have
// written anything when it refuses (see refusal). When ctx ends before fn was called, it is not called.
func (c *combiner) do(ctx context.Context, fn func(ctx context.Context, tx *store.Tx) error) error {
	w := &call{ctx: ctx, fn: fn, done: make(chan struct{})}
	c.mu.Lock()
	c.queue = append(c.queue, w)
	if !c.busy {
		c.busy = true
		go c.run()
	}
	c.mu.Unlock()
	<-w.done
	return w.err
}

// run works until the queue is empty.
func (c *combiner) run() {
	for {
		c.mu.Lock()
		n := min(len(c.queue), combined)
		if n == 0 {
			c.busy = false
			c.mu.Unlock()
			return
		}
		batch := c.queue[:n:n]
		c.queue = c.queue[n:]
		c.mu.Unlock()
		c.together(batch)
		for _, w := range batch {
			close(w.done)
		}
	}
}

// together runs calls in one transaction; where one of them breaks it, each in its own.
func (c *combiner) together(batch []*call) {
	var breaker error
	err := c.transaction(func(ctx context.Context, tx *store.Tx) error {
		breaker = nil
		for _, w := range batch {
			if w.err = w.ctx.Err(); w.err != nil {
				continue
			}
			if w.err = w.fn(ctx, tx); w.err != nil && !refusal(w.err) {
				breaker = w.err
				return w.err
			}
		}
		return nil
	})
	switch {
	case err == nil:
	case breaker != nil && len(batch) > 1 && !errors.Is(err, context.DeadlineExceeded):
		for _, w := range batch {
			if w.err = w.ctx.Err(); w.err == nil {
				w.err = c.transaction(w.fn)
			}
		}
	default:
		for _, w := range batch {
			w.err = err
		}
	}
}

func (c *combiner) transaction(fn func(ctx context.Context, tx *store.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.write(ctx, fn)
}

// refusal reports whether an error is an answer to the caller, given before anything was written.
func refusal(err error) bool {
	var invalid *InvalidError
	return errors.Is(err, ErrFenced) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) || errors.As(err, &invalid)
}
