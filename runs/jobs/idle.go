package jobs

import (
	"slices"
	"sync"

	"github.com/gantry-ops/gantry/store"
)

// idle are the claims of this server that wait for a job. One that was queued wakes one of them, which may have it; what is missed by that
// is found by the claims' own slow poll.
type idle struct {
	mu     sync.Mutex
	claims []*claim
}

// claim is one call of Claim that waits.
type claim struct {
	labels []string
	woken  chan struct{}
	// wants is what woke it.
	wants string
}

// enter adds a claim that can be woken.
func (i *idle) enter(labels []string) *claim {
	c := &claim{labels: labels, woken: make(chan struct{})}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.claims = append(i.claims, c)
	return c
}

// leave takes a claim out, and reports whether it was woken.
func (i *idle) leave(c *claim) (woken bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	at := slices.Index(i.claims, c)
	if at < 0 {
		return true
	}
	i.claims = slices.Delete(i.claims, at, at+1)
	return false
}

// wake wakes the claim that has waited longest of those that have the labels; where there is none, of those that take anything.
func (i *idle) wake(wants string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	at := slices.IndexFunc(i.claims, func(c *claim) bool { return covers(c.labels, wants) })
	if at < 0 {
		at = slices.IndexFunc(i.claims, func(c *claim) bool { return slices.Contains(c.labels, anyLabel) })
	}
	if at < 0 {
		return
	}
	c := i.claims[at]
	i.claims = slices.Delete(i.claims, at, at+1)
	c.wants = wants
	close(c.woken)
}

// wakeAfter wakes a claim once the transaction has committed.
func (s *Service) wakeAfter(tx *store.Tx, wants string) {
	tx.AfterCommit(func() { s.idle.wake(wants) })
}
