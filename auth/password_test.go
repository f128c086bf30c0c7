package auth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

func TestCheckPassword(t *testing.T) {
	tests := []struct {
		password string
		want     string // part of the message; empty: taken
	}{
		{goodPassword, ""},
		{"correct horse battery staple", ""},
		{"Tr0ub4dor&3xyz", ""},
		{"пароль из слов", ""},
		{"brief", "too short"},
		{"eleven char", "too short"},
		{strings.Repeat("long enough ", 22), "too long"},
		{"not utf-8 \xff at all", "UTF-8"},
		{"annemarie1234", "guessing"},
		{"Annemarie!!!!", "guessing"},
		{"annemarieannemarie", "guessing"},
		{"aaaaaaaaaaaa", "guessing"},
		{"abababababab", "guessing"},
		{"hey!hey!hey!hey!", "guessing"},
		{"123456789012", "guessing"},
		{"abcdefghijkl", "guessing"},
		{"lkjihgfedcba", "guessing"},
		{"qwertyuiopas", "guessing"},
		{"password1234", "guessing"},
		{"Password2026!", "guessing"},
		{"changeme-changeme", "guessing"},
		{"gantryadmin123", "guessing"},
	}
	for _, tt := range tests {
		err := checkPassword("password", "annemarie", tt.password)
		var bad *InvalidError
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%q: %v", tt.password, err)
		case tt.want != "" && (!errors.As(err, &bad) || bad.Field != "password" || !strings.Contains(bad.Message, tt.want)):
			t.Errorf("%q: got %v", tt.password, err)
		case err != nil && strings.Contains(err.Error(), tt.password):
			t.Errorf("%q is in its error", tt.password)
		}
	}
}

func FuzzCheckPassword(f *testing.F) {
	f.Add("ann", goodPassword)
	f.Add("", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
	f.Add("aaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaa")
	f.Fuzz(func(t *testing.T, name, password string) {
		if checkPassword("password", name, password) == nil && (len(password) < MinPassword || password == name) {
			t.Errorf("%q is taken for %q", password, name)
		}
	})
}

// TestNormal: the same password typed on another keyboard is the same.
func TestNormal(t *testing.T) {
	h := newHasher(cheap)
	stored, err := h.hash(t.Context(), "caf\u00e9 au lait, bien chaud")
	if err != nil {
		t.Fatal(err)
	}
	ok, outdated, err := h.compare(t.Context(), stored, "cafe\u0301 au lait, bien chaud")
	if err != nil || !ok || outdated {
		t.Errorf("got %v, %v, %v", ok, outdated, err)
	}
}

func TestCompare(t *testing.T) {
	h := newHasher(cheap)
	stored, err := h.hash(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	dearer := newHasher(Cost{Time: 2, Memory: 64, Threads: 1})
	tests := []struct {
		name             string
		h                *hasher
		stored, password string
		ok, outdated     bool
		fails            bool
	}{
		{"right", h, stored, goodPassword, true, false, false},
		{"wrong", h, stored, "another few words", false, false, false},
		{"empty", h, stored, "", false, false, false},
		{"far too long", h, stored, strings.Repeat("x", 1<<20), false, false, false},
		{"no password", h, "", goodPassword, false, false, false},
		{"no password, none given", h, "", "", false, false, false},
		{"an older cost", dearer, stored, goodPassword, true, true, false},
		{"a damaged row", h, "x", goodPassword, false, false, true},
	}
	for _, tt := range tests {
		ok, outdated, err := tt.h.compare(t.Context(), tt.stored, tt.password)
		if ok != tt.ok || outdated != tt.outdated || (err != nil) != tt.fails {
			t.Errorf("%s: got %v, %v, %v", tt.name, ok, outdated, err)
		}
	}
}

// TestHashingIsBounded: a few places work, a few wait, the rest are told to come again, and who goes away leaves the queue.
func TestHashingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(cheap)
		places := cap(h.places)
		release := make(chan struct{})
		results := make(chan error, 100)
		running, most := make(chan int, 1), 0
		running <- 0
		ask := func(ctx context.Context) {
			results <- h.in(ctx, func() {
				n := <-running + 1
				most = max(most, n)
				running <- n
				<-release
				running <- <-running - 1
			})
		}
		for range places {
			go ask(t.Context())
		}
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		for range queue {
			go ask(ctx)
		}
		synctest.Wait()
		var limited *LimitedError
		if err := h.in(t.Context(), func() { t.Error("there was a place") }); !errors.As(err, &limited) || limited.After <= 0 {
			t.Errorf("got %v", err)
		}
		cancel()
		synctest.Wait()
		for range queue {
			if err := <-results; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		close(release)
		for range places {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if most != places {
			t.Errorf("%d at once, for %d places", most, places)
		}
	})
}

// BenchmarkHash is what a sign-in costs.
func BenchmarkHash(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		hashPassword(goodPassword, RecommendedCost)
	}
}
