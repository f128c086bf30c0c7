package fleet

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// mostFailures is how many attempts of an address may fail in a window.
	mostFailures = 10
	failWindow   = time.Minute
	mostAddrs    = 4096
)

// limiter slows down who guesses tokens. Successes are not counted: a fleet may join from behind one address.
type limiter struct {
	now func() time.Time

	mu    sync.Mutex
	fails map[string]failures
}

type failures struct {
	count int
	until time.Time
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, fails: map[string]failures{}}
}

// group is what an address counts as: one host of IPv6 has a network of them.
func group(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// wait is how long an address has to wait until its next attempt.
func (l *limiter) wait(address string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.fails[group(address)]
	if f.count < mostFailures {
		return 0
	}
	return max(f.until.Sub(l.now()), 0)
}

// failed counts an attempt that was refused.
func (l *limiter) failed(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, key := l.now(), group(address)
	f, ok := l.fails[key]
	if !ok && len(l.fails) >= mostAddrs {
		for k, old := range l.fails {
			if !now.Before(old.until) {
				delete(l.fails, k)
			}
		}
		if len(l.fails) >= mostAddrs {
			clear(l.fails) // so many at once are no guessing by one
		}
	}
	if !now.Before(f.until) {
		f = failures{until: now.Add(failWindow)}
	}
	f.count++
	l.fails[key] = f
}
