// Package rate limits how many requests an account may send. It promises that no account gets more than its rate and
// burst, and that accounts do not share theirs; it knows nothing of what is requested.
package rate

import (
	"math"
	"sync"
	"time"
)

// Limiter has a bucket of tokens for each account, which fills at the rate up to the burst; each request takes one. It is
// safe for concurrent use.
type Limiter struct {
	perSecond, burst float64
	now              func() time.Time

	mu      sync.Mutex
	buckets map[string]bucket
	swept   time.Time
}

// bucket is how many tokens there were at a time.
type bucket struct {
	tokens float64
	at     time.Time
}

// New returns a limiter of perSecond requests an account, above zero, of which burst, at least 1, may come at once.
func New(perSecond float64, burst int, now func() time.Time) *Limiter {
	return &Limiter{perSecond: perSecond, burst: float64(burst), now: now, buckets: map[string]bucket{}, swept: now()}
}

// Allow takes a token, or says after how long there will be one.
func (l *Limiter) Allow(account string) (ok bool, after time.Duration) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	tokens := l.burst
	if b, ok := l.buckets[account]; ok {
		// A clock that was set back gives no tokens, and takes none.
		tokens = min(l.burst, b.tokens+max(0, now.Sub(b.at).Seconds())*l.perSecond)
	}
	if tokens < 1 {
		l.buckets[account] = bucket{tokens, now}
		return false, time.Duration(math.Ceil((1 - tokens) / l.perSecond * float64(time.Second)))
	}
	l.buckets[account] = bucket{tokens - 1, now}
	return true, 0
}

// sweep forgets buckets that are full by now, as a new one would be, so that memory is bounded by the accounts of the
// last while.
func (l *Limiter) sweep(now time.Time) {
	fills := time.Duration(l.burst / l.perSecond * float64(time.Second))
	if now.Sub(l.swept) < max(fills, time.Second) {
		return
	}
	l.swept = now
	for account, b := range l.buckets {
		if now.Sub(b.at) >= fills {
			delete(l.buckets, account)
		}
	}
}
