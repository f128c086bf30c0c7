package main

import (
	"crypto/rand"
	"fmt"
	"sync"
)

// perAccount is how many orders an account gets. Its successor starts with a fresh limit, and what it has is looked at in
// the ledger and forgotten, so that a run may be as long as it likes.
const perAccount = 5000

// order is what a client asks the gateway for.
type order struct {
	Account  string `json:"account"`
	Symbol   string `json:"symbol"`
	Side     string `json:"side"`
	Quantity int64  `json:"quantity"`
	Price    int64  `json:"limit_price_ticks"`
}

// placed is an order that was accepted.
type placed struct {
	order
	id, key string
	// touched: a cancellation was sent. done: it was answered.
	touched, done bool
}

// account is a client, and what it knows of its orders. It is safe for concurrent use.
type account struct {
	name string

	mu     sync.Mutex
	orders []*placed
	sent   int
	// doubtful counts orders that were sent and not accepted: the ledger may have them all the same.
	doubtful int
	flying   int
	retired  bool
}

// accounts are those that trade at a time.
type accounts struct {
	prefix string
	// retire is handed an account that has had all its orders and answers.
	retire func(*account)

	mu     sync.Mutex
	made   int
	active []*account
}

func newAccounts(n int, retire func(*account)) *accounts {
	a := &accounts{prefix: "L" + rand.Text()[:8], retire: retire, active: make([]*account, n)}
	for i := range a.active {
		a.active[i] = a.next()
	}
	return a
}

func (a *accounts) next() *account {
	a.made++
	return &account{name: fmt.Sprintf("%s%06d", a.prefix, a.made)}
}

// take returns an account for a request. release gives it back.
func (a *accounts) take(i int) *account {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.active[i%len(a.active)]
	at.mu.Lock()
	full := at.sent >= perAccount
	if full {
		at.retired = true
	} else {
		at.flying++
	}
	last := full && at.flying == 0
	at.mu.Unlock()
	if !full {
		return at
	}
	if last {
		a.retire(at)
	}
	at = a.next()
	at.flying++
	a.active[i%len(a.active)] = at
	return at
}

func (a *accounts) release(at *account) {
	at.mu.Lock()
	at.flying--
	last := at.retired && at.flying == 0
	at.mu.Unlock()
	if last {
		a.retire(at)
	}
}
