package auth

import (
	"errors"
	"strings"
	"testing"
)

// TestArgon2id holds hashing to a vector made with the reference implementation's command line (argon2 somesalt -id -t 2 -m 16 -p 1,
// password "password"; it is among the tests of https://github.com/P-H-C/phc-winner-argon2).
func TestArgon2id(t *testing.T) {
	const text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	p, err := parsePHC(text)
	if err != nil {
		t.Fatal(err)
	}
	if !p.matches("password") {
		t.Error("the right password does not match")
	}
	if p.matches("Password") {
		t.Error("a wrong password matches")
	}
	if p.String() != text {
		t.Errorf("got %s", p)
	}
}

func TestRecommendedCost(t *testing.T) {
	if err := RecommendedCost.check(); err != nil {
		t.Error(err)
	}
	if RecommendedCost != (Cost{3, 65536, 4}) {
		t.Errorf("RFC 9106's second recommended option is t=3, m=2^16, p=4, not %v", RecommendedCost)
	}
}

func TestHashesDiffer(t *testing.T) {
	a, b := hashPassword(goodPassword, cheap), hashPassword(goodPassword, cheap)
	if a.String() == b.String() {
		t.Error("two hashes of one password are the same: the salt is not random")
	}
	if !a.matches(goodPassword) || !b.matches(goodPassword) || noPassword(cheap).matches(goodPassword) {
		t.Error("who matches is wrong")
	}
}

const phcSalt, phcHash = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestParsePHCRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":            "",
		"plain text":         goodPassword,
		"argon2i":            "$argon2i$v=19$m=65536,t=2,p=1$" + phcSalt + "$" + phcHash,
		"an older version":   "$argon2id$v=16$m=65536,t=2,p=1$" + phcSalt + "$" + phcHash,
		"no version":         "$argon2id$m=65536,t=2,p=1$" + phcSalt + "$" + phcHash,
		"another order":      "$argon2id$v=19$t=2,m=65536,p=1$" + phcSalt + "$" + phcHash,
		"a leading zero":     "$argon2id$v=19$m=65536,t=02,p=1$" + phcSalt + "$" + phcHash,
		"a sign":             "$argon2id$v=19$m=65536,t=+2,p=1$" + phcSalt + "$" + phcHash,
		"no passes":          "$argon2id$v=19$m=65536,t=0,p=1$" + phcSalt + "$" + phcHash,
		"no lanes":           "$argon2id$v=19$m=65536,t=2,p=0$" + phcSalt + "$" + phcHash,
		"all of the memory":  "$argon2id$v=19$m=4294967295,t=2,p=1$" + phcSalt + "$" + phcHash,
		"too little memory":  "$argon2id$v=19$m=7,t=2,p=1$" + phcSalt + "$" + phcHash,
		"padding":            "$argon2id$v=19$m=65536,t=2,p=1$" + phcSalt + "=$" + phcHash,
		"a short salt":       "$argon2id$v=19$m=65536,t=2,p=1$c29t$" + phcHash,
		"a short hash":       "$argon2id$v=19$m=65536,t=2,p=1$" + phcSalt + "$c29t",
		"a long hash":        "$argon2id$v=19$m=65536,t=2,p=1$" + phcSalt + "$" + strings.Repeat("A", 88),
		"something behind":   "$argon2id$v=19$m=65536,t=2,p=1$" + phcSalt + "$" + phcHash + "$",
		"a line's end":       "$argon2id$v=19$m=65536,t=2,p=1$" + phcSalt + "$" + phcHash + "\n",
		"something in front": " $argon2id$v=19$m=65536,t=2,p=1$" + phcSalt + "$" + phcHash,
	} {
		if _, err := parsePHC(text); !errors.Is(err, errPHC) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$" + phcSalt + "$" + phcHash)
	f.Add(hashPassword("x", cheap).String())
	f.Add("$argon2id$v=19$m=65536,t=2$" + phcSalt + "$")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePHC(text)
		if err != nil {
			return
		}
		if p.String() != text {
			t.Errorf("%q was read as %q", text, p)
		}
		if err := p.Cost.check(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}
