package order

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Errors that a client can act on.
var (
	// ErrNotFound: there is no such order.
	ErrNotFound = errors.New("no such order")
	// ErrKeyReused: the idempotency key was used for another request.
	ErrKeyReused = errors.New("the idempotency key was used for a different order")
	// ErrFull: the book holds as many orders as it may.
	ErrFull = errors.New("the order book is full")
	// ErrUnknown: whether it was done is not known. The same request with the same key may be sent again, and finds out.
	ErrUnknown = errors.New("what came of it is not known")
)

// OverLimit is the error for an order that would take its account over its risk limit.
type OverLimit struct {
	Account string
	// Open, Order and Limit are in ticks: what is open already, what the order would add, what is allowed.
	Open, Order, Limit uint64
}

// Error gives the figures.
func (e *OverLimit) Error() string {
	return fmt.Sprintf("account %s: %d ticks are open, the order adds %d, the limit is %d", e.Account, e.Open, e.Order, e.Limit)
}

// Book keeps, in memory, the orders and what each account has open. It is safe for concurrent use.
type Book struct {
	limit  uint64
	orders int
	now    func() time.Time

	mu    sync.Mutex
	byID  map[string]*Order
	byKey map[key]string // ID of the order
	open  map[string]uint64
}

// key is an idempotency key; accounts do not share theirs.
type key struct{ account, key string }

// NewBook returns an empty book. limit is how much notional, in ticks, an account may have open; orders is how many orders
// the book holds at most.
func NewBook(limit uint64, orders int, now func() time.Time) *Book {
	return &Book{limit: limit, orders: orders, now: now, byID: map[string]*Order{}, byKey: map[key]string{}, open: map[string]uint64{}}
}

// Place accepts an order, or says why not: *Invalid, *OverLimit, ErrKeyReused or ErrFull. A request seen before under the
// same key returns the order that it made then, and replayed is true; a rejected request leaves no trace, so it may be tried again.
func (b *Book) Place(_ context.Context, idempotencyKey string, r Request) (o Order, replayed bool, err error) {
	if err := r.Validate(); err != nil {
		return Order{}, false, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	k := key{r.Account, idempotencyKey}
	if id, ok := b.byKey[k]; ok {
		o := b.byID[id]
		if o.Request != r {
			return Order{}, false, ErrKeyReused
		}
		return *o, true, nil
	}
	if len(b.byID) >= b.orders {
		return Order{}, false, ErrFull
	}
	open, add := b.open[r.Account], r.Notional()
	if add > b.limit || open > b.limit-add {
		return Order{}, false, &OverLimit{Account: r.Account, Open: open, Order: add, Limit: b.limit}
	}
	placed := &Order{ID: rand.Text(), Request: r, Status: Open, Accepted: b.now().UTC()}
	b.byID[placed.ID], b.byKey[k] = placed, placed.ID
	b.open[r.Account] = open + add
	return *placed, false, nil
}

// Get returns an order, or ErrNotFound.
func (b *Book) Get(_ context.Context, id string) (Order, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.byID[id]
	if !ok {
		return Order{}, ErrNotFound
	}
	return *o, nil
}

// Cancel takes an order back and frees what it had open. Cancelling twice is no error; changed tells the first time.
func (b *Book) Cancel(_ context.Context, id string) (o Order, changed bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.byID[id]
	if !ok {
		return Order{}, false, ErrNotFound
	}
	if p.Status == Open {
		p.Status = Cancelled
		b.open[p.Account] -= p.Notional()
		changed = true
	}
	return *p, changed, nil
}

// OpenTicks returns what an account has open.
func (b *Book) OpenTicks(account string) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open[account]
}
