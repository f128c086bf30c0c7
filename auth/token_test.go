package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTokens(t *testing.T) {
	each(t, func(f *fixture) {
		f.account("ann")
		f.account("bo")
		in, other := f.login("ann"), f.login("bo")
		var seq int64
		f.events(&seq)
		token, info, err := f.CreateToken(t.Context(), in.Identity, NewToken{Name: "ci", Scopes: []string{"run:start", "log", "run", "run"}})
		var bad *InvalidError
		if !errors.As(err, &bad) || bad.Field != "scopes[1]" || token != "" {
			t.Errorf("got %v", err)
		}
		token, info, err = f.CreateToken(t.Context(), in.Identity, NewToken{Name: "ci", Scopes: []string{"run", "project:read", "run"}})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(token, "gantry_") || info.ExpiresAt.Sub(f.clock.now()) != DefaultTokenDays*24*time.Hour || info.Projects == nil {
			t.Errorf("got %+v", info)
		}
		same(t, "scopes", info.Scopes, []string{"project:read", "run"})
		same(t, "events", f.events(&seq), []string{"token.created of " + info.ID + " by account:ann"})
		f.clock.pass(time.Second)
		_, newer, err := f.CreateToken(t.Context(), in.Identity, NewToken{Name: "second"})
		if err != nil {
			t.Fatal(err)
		}
		list, err := f.Tokens(t.Context(), "ann")
		if err != nil || len(list) != 2 || list[0].ID != newer.ID || list[1].ID != info.ID {
			t.Errorf("got %+v, %v", list, err)
		}
		if list, err := f.Tokens(t.Context(), "bo"); err != nil || list == nil || len(list) != 0 {
			t.Errorf("got %+v, %v", list, err)
		}
		// A token makes no tokens, whatever its scopes.
		id, err := f.bearer(token)
		if err != nil {
			t.Fatal(err)
		}
		var refused *RefusedError
		if _, _, err := f.CreateToken(t.Context(), id, NewToken{Name: "child"}); !errors.As(err, &refused) {
			t.Errorf("got %v", err)
		}
		if err := f.RevokeToken(t.Context(), other.Identity.Actor, "bo", info.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("somebody else's: %v", err)
		}
		f.events(&seq)
		if err := f.RevokeToken(t.Context(), in.Identity.Actor, "ann", info.ID); err != nil {
			t.Fatal(err)
		}
		same(t, "events", f.events(&seq), []string{"token.revoked of " + info.ID + " by account:ann"})
		if _, err := f.bearer(token); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("revoked: %v", err)
		}
		if err := f.RevokeToken(t.Context(), in.Identity.Actor, "ann", info.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("again: %v", err)
		}
	})
}

func TestCreateTokenRefuses(t *testing.T) {
	f := lite(t)
	f.account("ann")
	in := f.login("ann")
	for i, tt := range []struct {
		field string
		token NewToken
	}{
		{"name", NewToken{}},
		{"name", NewToken{Name: strings.Repeat("a", 129)}},
		{"name", NewToken{Name: "a\nb"}},
		{"expires_in_days", NewToken{Name: "ci", Days: 366}},
		{"expires_in_days", NewToken{Name: "ci", Days: -1}},
		{"scopes[0]", NewToken{Name: "ci", Scopes: []string{""}}},
		{"scopes[0]", NewToken{Name: "ci", Scopes: []string{"*"}}},
		{"scopes[0]", NewToken{Name: "ci", Scopes: []string{"run:"}}},
		{"scopes[0]", NewToken{Name: "ci", Scopes: []string{string(RunnerWork)}}},
		{"projects[0]", NewToken{Name: "ci", Projects: []string{AllProjects}}},
		{"projects[1]", NewToken{Name: "ci", Projects: []string{"web", ""}}},
		{"projects", NewToken{Name: "ci", Projects: make([]string, maxTokenProjects+1)}},
	} {
		_, _, err := f.CreateToken(t.Context(), in.Identity, tt.token)
		var bad *InvalidError
		if !errors.As(err, &bad) || bad.Field != tt.field {
			t.Errorf("%d: got %v, want %s", i, err, tt.field)
		}
	}
}

func TestTokensAreBounded(t *testing.T) {
	f := lite(t)
	f.account("ann")
	in := f.login("ann")
	for i := range maxTokens {
		if _, _, err := f.CreateToken(t.Context(), in.Identity, NewToken{Name: fmt.Sprint(i), Days: 1}); err != nil {
			t.Fatal(err)
		}
	}
	var bad *InvalidError
	if _, _, err := f.CreateToken(t.Context(), in.Identity, NewToken{Name: "one more"}); !errors.As(err, &bad) {
		t.Errorf("got %v", err)
	}
	f.clock.pass(24 * time.Hour)
	if _, _, err := f.CreateToken(t.Context(), in.Identity, NewToken{Name: "one more"}); err != nil {
		t.Errorf("those that have expired count: %v", err)
	}
}

func TestRunnerTokens(t *testing.T) {
	each(t, func(f *fixture) {
		var seq int64
		old, err := f.IssueRunnerToken(t.Context(), "account:ann", "r1")
		if err != nil {
			t.Fatal(err)
		}
		token, err := f.IssueRunnerToken(t.Context(), "account:ann", "r1")
		if err != nil {
			t.Fatal(err)
		}
		other, err := f.IssueRunnerToken(t.Context(), "account:ann", "r2")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.bearer(old); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("the earlier one: %v", err)
		}
		if id, err := f.bearer(token); err != nil || id.Runner != "r1" || id.Actor != "runner:r1" {
			t.Errorf("got %+v, %v", id, err)
		}
		f.events(&seq)
		for range 2 {
			if err := f.RevokeRunner(t.Context(), "account:ann", "r1"); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "events", f.events(&seq), []string{"runner.revoked of r1 by account:ann"})
		if _, err := f.bearer(token); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("revoked: %v", err)
		}
		if _, err := f.bearer(other); err != nil {
			t.Errorf("another runner: %v", err)
		}
		var bad *InvalidError
		if _, err := f.IssueRunnerToken(t.Context(), "account:ann", ""); !errors.As(err, &bad) {
			t.Errorf("got %v", err)
		}
	})
}
