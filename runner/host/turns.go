package host

import (
	"slices"
	"sync"
)

// What a turn is for, the most urgent first: a job that runs goes on before another one begins, so that what waits for it
// can begin.
const (
	toStart = iota // a process
	toClose        // a job's place
	toOpen
	urgencies
)

// turns bounds how many goroutines make folders, remove them and start processes at a time. With hundreds of jobs ready at
// once they would only stand in each other's way, and the first ones would be no sooner than the last.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting [urgencies][]waiter
}

// waiter is who waits for a turn. Those with a higher rank are more urgent.
type waiter struct {
	rank int
	turn chan struct{}
}

// take waits for a turn, among those of the same urgency and rank in the order of asking. What follows is short, so nothing cancels it. done must be
// called.
func (t *turns) take(urgency, rank int) (done func()) {
	t.mu.Lock()
	if t.free > 0 {
		t.free--
		t.mu.Unlock()
		return t.done
	}
	turn := make(chan struct{})
	w := t.waiting[urgency]
	at := slices.IndexFunc(w, func(o waiter) bool { return o.rank < rank })
	if at < 0 {
		at = len(w)
	}
	t.waiting[urgency] = slices.Insert(w, at, waiter{rank, turn})
	t.mu.Unlock()
	<-turn
	return t.done
}

// done hands the turn to the most urgent one that waits.
func (t *turns) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for u := range t.waiting {
		if w := t.waiting[u]; len(w) > 0 {
			t.waiting[u] = w[1:]
			close(w[0].turn)
			return
		}
	}
	t.free++
}
