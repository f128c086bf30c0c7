package auth

import (
	"strings"
	"testing"
)

func TestSecrets(t *testing.T) {
	for _, prefix := range []string{prefixToken, prefixRunner, prefixSession, prefixLink} {
		a, b := newSecret(prefix), newSecret(prefix)
		if a == b {
			t.Errorf("%s: two are the same", prefix)
		}
		if len(a) != len(prefix)+49 {
			t.Errorf("%s: %d bytes long", prefix, len(a))
		}
		for _, other := range []string{prefixToken, prefixRunner, prefixSession, prefixLink} {
			if wellFormed(other, a) != (other == prefix) {
				t.Errorf("one with the prefix %s is taken for one with %s", prefix, other)
			}
		}
	}
}

// TestMistypedSecrets changes each letter of one: the sum finds all of it.
func TestMistypedSecrets(t *testing.T) {
	good := newSecret(prefixToken)
	for i := range len(good) {
		for _, c := range []string{"0", "Z", "-", " ", "é"} {
			bad := good[:i] + c + good[i+1:]
			if bad != good && wellFormed(prefixToken, bad) {
				t.Errorf("%q at %d is not noticed", c, i)
			}
		}
	}
	for _, bad := range []string{"", prefixToken, good[:len(good)-1], good + "0", " " + good, good + "\n", strings.ToUpper(good)} {
		if wellFormed(prefixToken, bad) {
			t.Errorf("%d bytes are taken for a token", len(bad))
		}
	}
}

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newID()
		if len(id) != 16 || seen[id] {
			t.Fatalf("%q is too short, or was there before", id)
		}
		seen[id] = true
	}
}

func FuzzWellFormed(f *testing.F) {
	f.Add(prefixToken, newSecret(prefixToken))
	f.Add(prefixSession, "gantrys_")
	f.Fuzz(func(t *testing.T, prefix, text string) {
		if !wellFormed(prefix, text) {
			return
		}
		if len(text) != len(prefix)+secretLength+sumLength || !strings.HasPrefix(text, prefix) {
			t.Errorf("%q is taken for one with %q", text, prefix)
		}
	})
}
