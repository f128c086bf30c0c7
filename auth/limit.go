package auth

import (
	"container/list"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Attempts to sign in are limited in memory, by the account's name and by the address.
//
// Each has a bucket of attempts that fill up again with time. An attempt takes one out; signing in puts it back. When a bucket is
// empty, it is locked: a minute at first, and twice as long each time it is found empty again, up to a quarter of an hour. NIST SP
// 800-63B (section 3.2.2) allows 100 failures in a row; these limits leave an attacker about 100 a day for one account.
//
// Names share a table of fixed size by a keyed hash, whether there is such an account or not: nobody can push an entry out, and nobody
// can tell by it which accounts there are. Addresses are in a list of those seen last: who has more addresses than it is long has
// nothing to win by pushing out their own. IPv6 addresses count by /64, the smallest block that is handed out.
//
// Nothing is kept over a restart, and each server counts for itself: an attacker does not choose when servers restart.
const (
	accountAttempts = 10
	addressAttempts = 30
	refill          = 15 * time.Minute // one account attempt; an address gets them back three times as fast
	firstLock       = time.Minute
	maxLock         = 15 * time.Minute
	accountSlots    = 1 << 15
	addressSlots    = 1 << 14
)

// bucket of attempts. Its zero value is full.
type bucket struct {
	// taken is how many attempts are out at the time at.
	taken float64
	at    time.Time
	// locks is how often in a row it was locked, until when the last lock holds.
	locks int
	until time.Time
}

// take takes an attempt out, or says how long to wait.
func (b *bucket) take(now time.Time, size float64, refill time.Duration) time.Duration {
	if now.Before(b.until) {
		return b.until.Sub(now)
	}
	if !b.at.IsZero() {
		b.taken = max(0, b.taken-now.Sub(b.at).Seconds()/refill.Seconds())
	}
	b.at = now
	if b.taken == 0 {
		b.locks = 0
	}
	if b.taken+1 <= size {
		b.taken++
		return 0
	}
	lock := min(firstLock<<min(b.locks, 10), maxLock)
	b.locks++
	b.until = now.Add(lock)
	// After the lock there is one attempt.
	b.taken, b.at = size-1, b.until
	return lock
}

// back puts an attempt back.
func (b *bucket) back() { b.taken = max(0, b.taken-1) }

// limits of attempts to sign in. It is safe for concurrent use.
type limits struct {
	now  func() time.Time
	seed maphash.Seed

	mu        sync.Mutex
	accounts  []bucket
	addresses map[netip.Prefix]*list.Element
	order     list.List // of *addressBucket, the last seen first
}

type addressBucket struct {
	prefix netip.Prefix
	bucket
}

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, seed: maphash.MakeSeed(), accounts: make([]bucket, accountSlots), addresses: map[netip.Prefix]*list.Element{}}
}

// block is what addresses are counted by.
func block(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // the zero address: all of them share a bucket
	}
	return p
}

func (l *limits) account(name string) *bucket {
	return &l.accounts[maphash.String(l.seed, name)%accountSlots]
}

func (l *limits) address(a netip.Addr) *bucket {
	p := block(a)
	if e := l.addresses[p]; e != nil {
		l.order.MoveToFront(e)
		return &e.Value.(*addressBucket).bucket
	}
	if l.order.Len() >= addressSlots {
		oldest := l.order.Back()
		delete(l.addresses, oldest.Value.(*addressBucket).prefix)
		l.order.Remove(oldest)
	}
	b := &addressBucket{prefix: p}
	l.addresses[p] = l.order.PushFront(b)
	return &b.bucket
}

// attempt is one that was taken out. Exactly one of its methods is called when it has not simply failed.
type attempt struct {
	l       *limits
	address netip.Addr
	account string
}

// take takes an attempt from an address for an account; account is empty where there is none, as with links. The error is a
// *LimitedError.
func (l *limits) take(a netip.Addr, account string) (*attempt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if wait := l.address(a).take(now, addressAttempts, refill/3); wait > 0 {
		return nil, &LimitedError{After: max(wait, time.Second)}
	}
	if account != "" {
		if wait := l.account(account).take(now, accountAttempts, refill); wait > 0 {
			// The address keeps its loss: who tries locked accounts is not typing a password.
			return nil, &LimitedError{After: max(wait, time.Second)}
		}
	}
	return &attempt{l, a, account}, nil
}

// succeeded forgets what the account's owner has mistyped, but not what else the address has tried.
func (t *attempt) succeeded() {
	t.l.mu.Lock()
	defer t.l.mu.Unlock()
	t.l.address(t.address).back()
	if t.account != "" {
		*t.l.account(t.account) = bucket{}
	}
}

// unused puts back an attempt that could not be made.
func (t *attempt) unused() {
	t.l.mu.Lock()
	defer t.l.mu.Unlock()
	t.l.address(t.address).back()
	if t.account != "" {
		t.l.account(t.account).back()
	}
}
