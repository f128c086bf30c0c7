package route

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// arm is a version as requests see it.
type arm struct {
	version   string
	endpoints []*endpoint
	next      atomic.Uint32
}

// caller is what a choice may depend on. Strings are only read during the call.
type caller interface {
	header(name string) string
	cookie(name string) string
	address() netip.Addr
}

// choose finds the version for a request. key, where it is not empty, is the value of a cookie to issue.
func (s *service) choose(c caller) (a *arm, issue string) {
	for i := range s.rules {
		r := &s.rules[i]
		value := ""
		if r.Header != "" {
			value = c.header(r.Header)
		} else {
			value = c.cookie(r.Cookie)
		}
		if value != "" && (r.Value == "" || r.Value == value) {
			return r.arm, ""
		}
	}
	if s.low == 0 && s.high == Whole {
		return s.arms[0], ""
	}
	key := ""
	switch s.sticky.By {
	case ByAddress:
		b := c.address().As16()
		return s.at(s.point(string(b[:]))), ""
	case ByHeader:
		key = c.header(s.sticky.Name)
	case ByCookie:
		if key = c.cookie(s.sticky.Name); key == "" && s.sticky.Issue {
			issue = newKey()
			key = issue
		}
	}
	if key == "" {
		return s.at(rand.Uint64N(Whole)), ""
	}
	return s.at(s.point(key)), issue
}

// point is where a key lies in [0, Whole): the same on each host and after each restart, and for each service another.
func (s *service) point(key string) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(s.name)
	_, _ = d.WriteString("\x00")
	_, _ = d.WriteString(key)
	return d.Sum64() % Whole
}

// at is the version at a point.
func (s *service) at(point uint64) *arm {
	switch {
	case point < s.low:
		return s.bottom
	case point >= s.high:
		return s.top
	}
	return s.arms[0]
}

// session finds the version for a TCP session.
func (s *service) session(from netip.Addr, sender, target string) *arm {
	from = from.Unmap()
	for i := range s.allow {
		l := &s.allow[i]
		for _, n := range l.networks {
			if n.Contains(from) {
				return l.arm
			}
		}
		if sender != "" && (l.compIDs[sender] || l.compIDs[sender+">"+target]) {
			return l.arm
		}
	}
	return s.arms[0]
}

// claim takes an endpoint of the arm, the one with the fewest claims of two that are next in turn, or nil when all are closed. avoid is one
// that was tried.
func (a *arm) claim(avoid *endpoint) *endpoint {
	n := len(a.endpoints)
	if n == 0 {
		return nil
	}
	start := int(a.next.Add(1) % uint32(n))
	if n > 1 {
		one, two := a.endpoints[start], a.endpoints[(start+1)%n]
		if two != avoid && two.claims.Load() < one.claims.Load() {
			start = (start + 1) % n
		}
	}
	for i := range n {
		if e := a.endpoints[(start+i)%n]; e != avoid && e.claim() {
			return e
		}
	}
	return nil
}

// claim takes an endpoint for the arm, or for the first arm where that one has none.
func (s *service) claim(a *arm, avoid *endpoint) *endpoint {
	if e := a.claim(avoid); e != nil {
		return e
	}
	if a != s.arms[0] {
		return s.arms[0].claim(avoid)
	}
	return nil
}

// newKey makes the value of a cookie: 16 characters that carry no meaning.
func newKey() string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	var b strings.Builder
	for v, i := rand.Uint64(), 0; i < 12; i++ {
		b.WriteByte(letters[v&31])
		v >>= 5
	}
	return b.String()
}
