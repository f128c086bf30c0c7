package lazy

import (
	"strings"
	"testing"
)

func TestRegexp(t *testing.T) {
	r := New(`([a-z])([0-9])`)
	if r.String() != `([a-z])([0-9])` || !r.MatchString("a1") || r.Match([]byte("1a")) || r.FindString("xa1") != "a1" {
		t.Error("matching")
	}
	if m := r.FindStringSubmatch("a1"); len(m) != 3 || m[2] != "1" {
		t.Errorf("submatches: %v", m)
	}
	if m := r.FindSubmatch([]byte("a1")); len(m) != 3 || string(m[1]) != "a" {
		t.Errorf("submatches: %q", m)
	}
	if m := r.FindAllStringSubmatch("a1b2"); len(m) != 2 {
		t.Errorf("all: %v", m)
	}
	if got := r.ReplaceAllString("a1", "$2$1") + r.ReplaceAllStringFunc("a1", strings.ToUpper); got != "1aA1" {
		t.Errorf("replaced: %s", got)
	}
	bad := New("(")
	defer func() {
		if recover() == nil {
			t.Error("a text that is no regular expression was taken")
		}
	}()
	bad.MatchString("")
}
