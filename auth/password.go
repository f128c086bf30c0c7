package auth

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of a password in bytes.
const (
	MinPassword = 12
	MaxPassword = 256
)

// checkPassword says why a password cannot be taken. It follows NIST SP 800-63B (section 3.1.1.2): length counts, nothing has to be
// mixed in, and what is expected first when guessing is refused.
func checkPassword(field, name, password string) error {
	switch {
	case len(password) < MinPassword:
		return invalid(field, "%d bytes are too short: at least %d are needed; a few words make a good one", len(password), MinPassword)
	case len(password) > MaxPassword:
		return invalid(field, "%d bytes are too long: at most %d are possible", len(password), MaxPassword)
	case !utf8.ValidString(password):
		return invalid(field, "this is not valid UTF-8")
	case guessable(name, password):
		return invalid(field, "this is among the first that are tried when guessing: take a few words that do not belong together")
	}
	return nil
}

// rows that fingers run along.
var rows = []string{"abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm", "1234567890qwertyuiop", "qwertzuiopasdfghjklyxcvbnm"}

// words that passwords are built around, when they are built badly.
var words = []string{"password", "passwort", "welcome", "letmein", "changeme", "administrator", "admin", "gantry", "secret", "iloveyou", "qwerty", "login", "master", "default"}

// guessable reports whether little is left of a password when the name, well-known words, rows of keys and digits at its ends are taken
// away, or when it is few characters or one short piece repeated.
func guessable(name, password string) bool {
	p := strings.ToLower(password)
	if distinct := slices.Compact(slices.Sorted(slices.Values([]rune(p)))); len(distinct) < 5 {
		return true
	}
	for n := 1; n <= len(p)/3; n++ {
		if len(p)%n == 0 && strings.Repeat(p[:n], len(p)/n) == p {
			return true
		}
	}
	for _, row := range rows {
		back := []rune(row)
		slices.Reverse(back)
		if strings.Contains(row+row, p) || strings.Contains(string(back)+string(back), p) {
			return true
		}
	}
	rest := p
	for _, w := range append([]string{strings.ToLower(name)}, words...) {
		if len(w) >= 3 || w == p {
			rest = strings.ReplaceAll(rest, w, "")
		}
	}
	return rest != p && len(strings.Trim(rest, "0123456789!?.-_#$@* ")) < 4
}

// normal gives a password one form whatever keyboard and system it was typed on (NIST SP 800-63B: NFKC).
func normal(password string) string { return norm.NFKC.String(password) }

// hasher makes and compares hashes in a bounded number of places: each takes 64 MiB and four threads for a while, and whoever is not
// signed in can ask for one.
type hasher struct {
	cost    Cost
	nobody  phc
	places  chan struct{}
	waiting chan struct{}
}

// queue bounds how many wait for a place; who comes later is told to come again.
const queue = 16

func newHasher(c Cost) *hasher {
	n := max(1, runtime.GOMAXPROCS(0)/int(c.Threads))
	return &hasher{cost: c, nobody: noPassword(c), places: make(chan struct{}, n), waiting: make(chan struct{}, queue+n)}
}

// in runs f when there is a place.
func (h *hasher) in(ctx context.Context, f func()) error {
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return &LimitedError{After: 2 * time.Second}
	}
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	case <-ctx.Done():
		return ctx.Err()
	}
	f()
	return nil
}

// hash makes the hash of a password as it is kept.
func (h *hasher) hash(ctx context.Context, password string) (text string, err error) {
	err = h.in(ctx, func() { text = hashPassword(normal(password), h.cost).String() })
	return text, err
}

// compare reports whether a password has a stored hash, and whether that was made at another cost than is asked for now. An empty hash
// matches nothing, and takes as long.
func (h *hasher) compare(ctx context.Context, stored, password string) (same, outdated bool, err error) {
	p, known := h.nobody, false
	if stored != "" {
		if p, err = parsePHC(stored); err != nil {
			return false, false, err
		}
		known = true
	}
	if len(password) > MaxPassword {
		password, known = "", false
	}
	err = h.in(ctx, func() { same = p.matches(normal(password)) })
	return same && known, p.Cost != h.cost, err
}
