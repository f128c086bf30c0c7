package auth

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestLogin(t *testing.T) {
	each(t, func(f *fixture) {
		f.account("ann", Grant{"web", Developer})
		f.account("bo")
		if _, err := f.UpdateAccount(t.Context(), "gantry", "bo", AccountChange{Disabled: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.CreateAccount(t.Context(), "gantry", NewAccount{Name: "robot"}); err != nil {
			t.Fatal(err)
		}
		var seq int64
		f.events(&seq)
		tests := []struct {
			name, password string
			want           error
			event          string
		}{
			{"ann", goodPassword, nil, "login.succeeded of ann by account:ann"},
			{" Ann ", goodPassword, nil, "login.succeeded of ann by account:ann"},
			{"ann", "not the right one", ErrBadCredentials, "login.refused of ann by anonymous: password"},
			{"nobody", goodPassword, ErrBadCredentials, "login.refused by anonymous: unknown"},
			{"bo", "not the right one", ErrBadCredentials, "login.refused of bo by anonymous: password"},
			{"bo", goodPassword, ErrDisabled, "login.refused of bo by anonymous: disabled"},
			{"robot", "", ErrBadCredentials, "login.refused of robot by anonymous: password"},
			// Somebody has typed the password into the wrong field: it is nobody's business.
			{goodPassword, "ann", ErrBadCredentials, "login.refused by anonymous: unknown"},
			// The same once more is counted, whether there is such an account or not: neither takes the time of a write.
			{"nobody", goodPassword, ErrBadCredentials, ""},
			{"ann", "not the right one", ErrBadCredentials, ""},
		}
		for _, tt := range tests {
			in, err := f.Login(t.Context(), home, tt.name, tt.password)
			if !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
			}
			if err != nil && errors.Is(tt.want, ErrBadCredentials) && err.Error() != ErrBadCredentials.Error() {
				t.Errorf("%s: %q tells more than that the credentials are wrong", tt.name, err)
			}
			want := []string{tt.event}
			if tt.event == "" {
				want = nil
			}
			same(t, tt.name, f.events(&seq), want)
			if tt.want != nil {
				continue
			}
			id, err := f.by(in.Cookie)
			if err != nil {
				t.Fatal(err)
			}
			if id.Account != "ann" || id.Kind != KindAccount || id.Actor != "account:ann" || id.CSRF != in.Identity.CSRF || id.Session == "" {
				t.Errorf("got %+v", id)
			}
			same(t, "grants", id.Grants, []Grant{{"web", Developer}})
		}
		a, err := f.Account(t.Context(), "ann")
		if err != nil || !a.LastLoginAt.Equal(f.clock.now()) {
			t.Errorf("last login at %v, %v", a.LastLoginAt, err)
		}
	})
}

func TestLoginIsLimited(t *testing.T) {
	f := lite(t)
	f.account("ann")
	elsewhere := func(i int) Client { return Client{Address: netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})} }
	for i := range accountAttempts {
		if _, err := f.Login(t.Context(), elsewhere(i), "ann", "not the right one"); !errors.Is(err, ErrBadCredentials) {
			t.Fatal(err)
		}
	}
	var limited *LimitedError
	if _, err := f.Login(t.Context(), elsewhere(100), "ann", goodPassword); !errors.As(err, &limited) || limited.After != time.Minute {
		t.Fatalf("got %v", err)
	}
	f.clock.pass(limited.After)
	if _, err := f.Login(t.Context(), elsewhere(100), "ann", goodPassword); err != nil {
		t.Fatal(err)
	}
}

// TestOwnerIsNotLockedOut: where an account has signed in before, others' attempts elsewhere do not count.
func TestOwnerIsNotLockedOut(t *testing.T) {
	f := lite(t)
	f.account("ann")
	f.login("ann")
	elsewhere := Client{Address: netip.MustParseAddr("198.51.100.1")}
	var limited *LimitedError
	for !errors.As(func() error { _, err := f.Login(t.Context(), elsewhere, "ann", "not the right one"); return err }(), &limited) {
	}
	f.login("ann")
	for !errors.As(func() error { _, err := f.Login(t.Context(), home, "ann", "not the right one"); return err }(), &limited) {
	}
}

func TestHashIsBroughtUpToDate(t *testing.T) {
	f := lite(t)
	f.account("ann")
	f.hasher = newHasher(Cost{Time: 2, Memory: 64, Threads: 1})
	f.login("ann")
	row, err := readRow(t.Context(), f.db, "ann", "")
	if err != nil || !strings.Contains(row.Password, "t=2") {
		t.Errorf("got %s, %v", row.Password, err)
	}
	f.login("ann")
}

func TestChangePassword(t *testing.T) {
	const next = "another handful of words"
	each(t, func(f *fixture) {
		f.account("ann")
		one, two := f.login("ann"), f.login("ann")
		token, _, err := f.CreateToken(t.Context(), one.Identity, NewToken{Name: "ci"})
		if err != nil {
			t.Fatal(err)
		}
		var bad *InvalidError
		if _, err := f.ChangePassword(t.Context(), home, one.Identity, goodPassword, "short"); !errors.As(err, &bad) || bad.Field != "new" {
			t.Errorf("a short one: got %v", err)
		}
		if _, err := f.ChangePassword(t.Context(), home, one.Identity, goodPassword, goodPassword); !errors.As(err, &bad) {
			t.Errorf("the same one: got %v", err)
		}
		if _, err := f.ChangePassword(t.Context(), home, one.Identity, "not the right one", next); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("a wrong old one: got %v", err)
		}
		id, err := f.bearer(token)
		if err != nil {
			t.Fatal(err)
		}
		var refused *RefusedError
		if _, err := f.ChangePassword(t.Context(), home, id, goodPassword, next); !errors.As(err, &refused) {
			t.Errorf("by a token: got %v", err)
		}
		in, err := f.ChangePassword(t.Context(), home, one.Identity, goodPassword, next)
		if err != nil {
			t.Fatal(err)
		}
		for _, old := range []*SignIn{one, two} {
			if _, err := f.by(old.Cookie); !errors.Is(err, ErrExpired) {
				t.Errorf("an old session: got %v", err)
			}
		}
		if _, err := f.by(in.Cookie); err != nil {
			t.Errorf("the new session: got %v", err)
		}
		if _, err := f.Login(t.Context(), home, "ann", goodPassword); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("the old password: got %v", err)
		}
		if _, err := f.Login(t.Context(), home, "ann", next); err != nil {
			t.Errorf("the new password: got %v", err)
		}
	})
}

func TestSetPassword(t *testing.T) {
	each(t, func(f *fixture) {
		f.account("ann")
		in := f.login("ann")
		var bad *InvalidError
		if err := f.SetPassword(t.Context(), "account:bo", "ann", "short"); !errors.As(err, &bad) || bad.Field != "password" {
			t.Errorf("got %v", err)
		}
		if err := f.SetPassword(t.Context(), "account:bo", "nobody", "another handful of words"); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
		var seq int64
		f.events(&seq)
		if err := f.SetPassword(t.Context(), "account:bo", "ann", "another handful of words"); err != nil {
			t.Fatal(err)
		}
		same(t, "events", f.events(&seq), []string{"account.password of ann by account:bo"})
		if _, err := f.by(in.Cookie); !errors.Is(err, ErrExpired) {
			t.Errorf("the session goes on: %v", err)
		}
	})
}

func TestFirstStart(t *testing.T) {
	each(t, func(f *fixture) {
		var seq int64
		first := func(want bool) {
			t.Helper()
			if got, err := f.FirstStart(t.Context()); err != nil || got != want {
				t.Errorf("first start: %v, %v", got, err)
			}
		}
		first(true)
		void, err := f.FirstLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		link, err := f.FirstLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "links", f.events(&seq), []string{"login.link by gantry", "login.link by gantry"})
		// An account that administers nothing does not end the first start: there would be no way in.
		f.account("bo", Grant{"web", Admin})
		first(true)
		f.events(&seq)

		for _, tt := range []struct {
			name, token, account, password string
			want                           error // nil: an *InvalidError
		}{
			{"a void link", void, "ann", goodPassword, ErrBadCredentials},
			{"no link", "", "ann", goodPassword, ErrBadCredentials},
			{"another kind of secret", newSecret(prefixToken), "ann", goodPassword, ErrBadCredentials},
			{"a name that is taken", link, "bo", goodPassword, ErrExists},
			{"a weak password", link, "ann", "password1234", nil},
			{"no password", link, "ann", "", nil},
			{"a bad name", link, "Ann", goodPassword, nil},
		} {
			_, err := f.Redeem(t.Context(), home, tt.token, tt.account, tt.password)
			var bad *InvalidError
			if tt.want == nil && !errors.As(err, &bad) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v", tt.name, err)
			}
		}
		same(t, "refusals", f.events(&seq), []string{"login.refused by anonymous: link"})

		in, err := f.Redeem(t.Context(), home, link, "ann", goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "events", f.events(&seq), []string{"account.created of ann by account:ann", "grant.given of ann by account:ann", "login.succeeded of ann by account:ann"})
		id, err := f.by(in.Cookie)
		if err != nil || !f.Allowed(id, AccountWrite, "") {
			t.Errorf("got %+v, %v", id, err)
		}
		first(false)
		if _, err := f.Redeem(t.Context(), home, link, "eve", goodPassword); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("used again: %v", err)
		}
		if again, err := f.FirstLink(t.Context()); err != nil || again != "" {
			t.Errorf("another link for a server that has an administrator: %v", err)
		}
	})
}

func TestFirstLinkExpires(t *testing.T) {
	f := lite(t)
	link, err := f.FirstLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.clock.pass(LinkLifetime)
	if _, err := f.Redeem(t.Context(), home, link, "ann", goodPassword); !errors.Is(err, ErrExpired) {
		t.Errorf("got %v", err)
	}
}

// TestFirstLinkOnce: of many who have the link at the same time, one is made administrator.
func TestFirstLinkOnce(t *testing.T) {
	each(t, func(f *fixture) {
		link, err := f.FirstLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		results := make(chan error)
		for _, name := range []string{"a", "b", "c", "d"} {
			go func() {
				_, err := f.Redeem(t.Context(), home, link, name, goodPassword)
				results <- err
			}()
		}
		won := 0
		for range 4 {
			switch err := <-results; {
			case err == nil:
				won++
			case !errors.Is(err, ErrBadCredentials):
				t.Error(err)
			}
		}
		if n, err := admins(t.Context(), f.db); won != 1 || n != 1 || err != nil {
			t.Errorf("%d have won, there are %d administrators, %v", won, n, err)
		}
	})
}

func TestLogout(t *testing.T) {
	each(t, func(f *fixture) {
		f.account("ann")
		in, other := f.login("ann"), f.login("ann")
		gone, err := f.Logout(t.Context(), in.Identity)
		if err != nil {
			t.Fatal(err)
		}
		if gone.Name != in.Cookie.Name || gone.MaxAge != -1 || gone.Path != in.Cookie.Path || !gone.Secure {
			t.Errorf("got %v", gone)
		}
		if _, err := f.by(in.Cookie); !errors.Is(err, ErrExpired) {
			t.Errorf("got %v", err)
		}
		if _, err := f.by(other.Cookie); err != nil {
			t.Errorf("another session: %v", err)
		}
		if _, err := f.Logout(t.Context(), in.Identity); err != nil {
			t.Errorf("again: %v", err)
		}
		if _, err := f.Logout(t.Context(), nil); err != nil {
			t.Errorf("nobody: %v", err)
		}
	})
}

func TestCookies(t *testing.T) {
	for url, want := range map[string]http.Cookie{
		"https://ci.example.com": {Name: "__Host-gantry", Secure: true},
		"http://127.0.0.1:8080":  {Name: "gantry"},
		"":                       {Name: "gantry"},
	} {
		f := lite(t, func(o *Options) { o.URL = url })
		f.account("ann")
		c := f.login("ann").Cookie
		if c.Name != want.Name || c.Secure != want.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != int(DefaultSessionLifetime/time.Second) {
			t.Errorf("%s: got %v", url, c)
		}
		if err := c.Valid(); err != nil {
			t.Error(err)
		}
	}
}
