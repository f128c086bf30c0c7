package auth

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// failures takes attempts until there are none, and returns how many there were and how long to wait.
func failures(l *limits, address, account string) (n int, wait time.Duration) {
	for ; n < 1000; n++ {
		_, err := l.take(netip.MustParseAddr(address), account)
		var limited *LimitedError
		if errors.As(err, &limited) {
			return n, limited.After
		}
	}
	return n, 0
}

func TestAccountIsLocked(t *testing.T) {
	c := newClock()
	l := newLimits(c.now)
	if n, wait := failures(l, "192.0.2.1", "ann"); n != accountAttempts || wait != time.Minute {
		t.Errorf("%d attempts, then %s", n, wait)
	}
	// From any address, but no other account.
	if n, _ := failures(l, "198.51.100.1", "ann"); n != 0 {
		t.Errorf("another address has %d attempts", n)
	}
	if n, _ := failures(l, "203.0.113.1", "bo"); n != accountAttempts {
		t.Errorf("another account has %d attempts", n)
	}
	// Each time that it is found empty the lock doubles, up to a bound, and one attempt follows it.
	for _, want := range []time.Duration{2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		_, wait := failures(l, "198.51.100.2", "ann")
		c.pass(wait)
		n, next := failures(l, "198.51.100.3", "ann")
		if n != 1 || next != want {
			t.Errorf("after a lock of %s: %d attempts, then %s, want %s", wait, n, next, want)
		}
	}
	// And with time all is as it was.
	c.pass(24 * time.Hour)
	if n, wait := failures(l, "198.51.100.4", "ann"); n != accountAttempts || wait != time.Minute {
		t.Errorf("a day later: %d attempts, then %s", n, wait)
	}
}

// TestGuessesADay is the figure that NIST SP 800-63B is about.
func TestGuessesADay(t *testing.T) {
	c := newClock()
	l := newLimits(c.now)
	total := 0
	for i := 0; c.now().Before(newClock().now().Add(24 * time.Hour)); i++ {
		n, wait := failures(l, fmt.Sprintf("2001:db8:%x::1", i), "ann")
		total += n
		c.pass(wait)
	}
	if total > 120 {
		t.Errorf("%d guesses a day", total)
	}
}

func TestAddressIsLocked(t *testing.T) {
	c := newClock()
	l := newLimits(c.now)
	n := 0
	var limited *LimitedError
	for ; limited == nil; n++ {
		_, err := l.take(netip.MustParseAddr("2001:db8:1:2::1"), fmt.Sprintf("account-%d", n))
		errors.As(err, &limited)
	}
	if n-1 != addressAttempts {
		t.Errorf("%d attempts", n-1)
	}
	for _, tt := range []struct {
		address string
		locked  bool
	}{{"2001:db8:1:2::ffff", true}, {"2001:db8:1:3::1", false}, {"192.0.2.1", false}} {
		if _, err := l.take(netip.MustParseAddr(tt.address), "ann"); (err != nil) != tt.locked {
			t.Errorf("%s: %v", tt.address, err)
		}
	}
}

func TestSuccessForgivesTheAccountOnly(t *testing.T) {
	c := newClock()
	l := newLimits(c.now)
	a := netip.MustParseAddr("192.0.2.1")
	for range 3 {
		for range accountAttempts - 1 {
			if _, err := l.take(a, "ann"); err != nil {
				t.Fatal(err)
			}
		}
		ok, err := l.take(a, "bo")
		if err != nil {
			t.Fatal(err)
		}
		ok.succeeded()
		ok, err = l.take(netip.MustParseAddr("192.0.2.2"), "ann")
		if err != nil {
			t.Fatal(err)
		}
		ok.succeeded()
	}
	// Three times nine failures from one address; having an account of one's own does not clear them.
	n := 0
	for ; n < 100; n++ {
		if _, err := l.take(a, fmt.Sprintf("account-%d", n)); err != nil {
			break
		}
	}
	if want := addressAttempts - 3*(accountAttempts-1); n != want {
		t.Errorf("%d attempts are left, want %d", n, want)
	}
}

func TestUnusedAttempts(t *testing.T) {
	l := newLimits(newClock().now)
	for range 100 {
		a, err := l.take(netip.MustParseAddr("192.0.2.1"), "ann")
		if err != nil {
			t.Fatal(err)
		}
		a.unused()
	}
}

// TestMemoryIsBounded: what addresses there are does not grow, and those who are locked and come back are locked still.
func TestMemoryIsBounded(t *testing.T) {
	l := newLimits(newClock().now)
	failures(l, "192.0.2.1", "")
	for i := range 3 * addressSlots {
		l.mu.Lock()
		l.address(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		l.mu.Unlock()
		if i%1000 == 0 {
			if n, _ := failures(l, "192.0.2.1", ""); n != 0 {
				t.Fatalf("after %d addresses, one that keeps trying has %d attempts", i, n)
			}
		}
	}
	if len(l.addresses) > addressSlots || l.order.Len() > addressSlots {
		t.Errorf("%d addresses are remembered", len(l.addresses))
	}
}

func TestBlock(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.77":             "192.0.2.77/32",
		"::ffff:192.0.2.77":      "192.0.2.77/32",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::/64",
		"fe80::1%eth0":           "fe80::/64",
		"2001:db8:1:2:ffff::":    "2001:db8:1:2::/64",
		"2001:db8:1:ffff:ffff::": "2001:db8:1:ffff::/64",
	} {
		if got := block(netip.MustParseAddr(address)); got.String() != want {
			t.Errorf("%s: got %s", address, got)
		}
	}
	if got := block(netip.Addr{}); got.IsValid() {
		t.Errorf("no address: got %s", got)
	}
}
