package auth

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

func TestSessionsExpire(t *testing.T) {
	each(t, func(f *fixture) {
		f.account("ann")
		idle, used := f.login("ann"), f.login("ann")
		end := f.clock.now().Add(DefaultSessionLifetime)
		f.clock.pass(DefaultSessionIdle - time.Minute)
		if _, err := f.by(used.Cookie); err != nil {
			t.Fatal(err)
		}
		f.clock.pass(time.Minute)
		if _, err := f.by(idle.Cookie); !errors.Is(err, ErrExpired) {
			t.Errorf("idle for %s: got %v", DefaultSessionIdle, err)
		}
		for f.clock.now().Before(end) {
			if _, err := f.by(used.Cookie); err != nil {
				t.Fatalf("%s before its end: %v", end.Sub(f.clock.now()), err)
			}
			f.clock.pass(time.Hour)
		}
		f.clock.pass(end.Sub(f.clock.now()))
		if _, err := f.by(used.Cookie); !errors.Is(err, ErrExpired) {
			t.Errorf("at its end: %v", err)
		}
	})
}

func TestSessionsAreBounded(t *testing.T) {
	f := lite(t)
	f.account("ann")
	first := f.login("ann")
	var last *SignIn
	for range maxSessions {
		f.clock.pass(time.Second)
		last = f.login("ann")
	}
	if _, err := f.by(first.Cookie); !errors.Is(err, ErrExpired) {
		t.Errorf("the oldest goes on: %v", err)
	}
	if _, err := f.by(last.Cookie); err != nil {
		t.Error(err)
	}
	if n, err := f.db.NewSelect().Model((*sessionRow)(nil)).Count(t.Context()); err != nil || n != maxSessions {
		t.Errorf("%d sessions, %v", n, err)
	}
}

func TestCredentials(t *testing.T) {
	each(t, func(f *fixture) {
		f.account("ann", Grant{AllProjects, Admin}, Grant{"web", Viewer})
		in := f.login("ann")
		token, info, err := f.CreateToken(t.Context(), in.Identity, NewToken{Name: "ci", Scopes: []string{"run"}, Projects: []string{"web"}, Days: 30})
		if err != nil {
			t.Fatal(err)
		}
		runner, err := f.IssueRunnerToken(t.Context(), "account:ann", "r1")
		if err != nil {
			t.Fatal(err)
		}
		header := func(v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set("Authorization", v) } }
		cookie := func(v string) func(*http.Request) {
			return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "__Host-gantry", Value: v}) }
		}
		tests := []struct {
			name string
			edit func(*http.Request)
			want string // the actor, or the error
		}{
			{"nothing", nil, ErrNoCredentials.Error()},
			{"a session", cookie(in.Cookie.Value), "account:ann"},
			{"a token", header("Bearer " + token), "token:" + info.ID},
			{"another case", header("bearer  " + token), "token:" + info.ID},
			{"a runner's token", header("Bearer " + runner), "runner:r1"},
			{"the header comes first", func(r *http.Request) { header("Bearer " + token)(r); cookie(in.Cookie.Value)(r) }, "token:" + info.ID},
			{"a bad header is not made good by a cookie", func(r *http.Request) { header("Bearer x")(r); cookie(in.Cookie.Value)(r) }, ErrBadCredentials.Error()},
			{"another scheme", header("Basic YW5uOmFubg=="), ErrBadCredentials.Error()},
			{"no scheme", header(token), ErrBadCredentials.Error()},
			{"an unknown token", header("Bearer " + newSecret(prefixToken)), ErrBadCredentials.Error()},
			{"an unknown runner", header("Bearer " + newSecret(prefixRunner)), ErrBadCredentials.Error()},
			{"a cut token", header("Bearer " + token[:len(token)-1]), ErrBadCredentials.Error()},
			{"a session as a token", header("Bearer " + in.Cookie.Value), ErrBadCredentials.Error()},
			{"a token as a session", cookie(token), ErrBadCredentials.Error()},
			{"an unknown session", cookie(newSecret(prefixSession)), ErrExpired.Error()},
			{"a session under the plain name", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "gantry", Value: in.Cookie.Value}) }, ErrNoCredentials.Error()},
			{"the empty cookie", cookie(""), ErrBadCredentials.Error()},
		}
		for _, tt := range tests {
			id, err := f.Authenticate(t.Context(), request("GET", tt.edit))
			switch {
			case err != nil && !strings.HasPrefix(err.Error(), tt.want), err == nil && id.Actor != tt.want:
				t.Errorf("%s: got %+v, %v", tt.name, id, err)
			case err == nil && id.Kind == KindToken:
				same(t, "scopes", id.Scopes, []string{"run"})
				same(t, "projects", id.Projects, []string{"web"})
				same(t, "grants", id.Grants, []Grant{{AllProjects, Admin}, {"web", Viewer}})
			case err == nil && id.Kind == KindRunner && (id.Runner != "r1" || !f.Allowed(id, RunnerWork, "") || f.Allowed(id, RunRead, "web")):
				t.Errorf("%s: got %+v", tt.name, id)
			}
		}
		// What a token may not do does not become possible by anything else about it.
		id, err := f.bearer(token)
		if err != nil {
			t.Fatal(err)
		}
		if !f.Allowed(id, RunStart, "web") || f.Allowed(id, RunStart, "api") || f.Allowed(id, ProjectRead, "web") || f.Allowed(id, AccountWrite, "") {
			t.Error("the token's restrictions do not hold")
		}
		f.clock.pass(30 * 24 * time.Hour)
		if _, err := f.bearer(token); !errors.Is(err, ErrExpired) {
			t.Errorf("a token at its end: %v", err)
		}
		if _, err := f.bearer(runner); err != nil {
			t.Errorf("a runner's token has no end: %v", err)
		}
	})
}

func TestCSRF(t *testing.T) {
	f := lite(t)
	f.account("ann")
	in := f.login("ann")
	token, _, err := f.CreateToken(t.Context(), in.Identity, NewToken{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		method  string
		headers map[string]string
		want    error
	}{
		{"reading", "GET", nil, nil},
		{"reading from elsewhere", "GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, nil},
		{"with the token", "POST", map[string]string{"X-CSRF-Token": in.Identity.CSRF}, nil},
		{"without it", "POST", nil, ErrCSRF},
		{"with another", "DELETE", map[string]string{"X-CSRF-Token": derive("csrf", "x")}, ErrCSRF},
		{"from our page", "PUT", map[string]string{"X-CSRF-Token": in.Identity.CSRF, "Sec-Fetch-Site": "same-origin", "Origin": "https://ci.example.com"}, nil},
		{"from another site", "POST", map[string]string{"X-CSRF-Token": in.Identity.CSRF, "Sec-Fetch-Site": "cross-site", "Origin": "https://example.org"}, ErrCSRF},
		{"from a sister site", "POST", map[string]string{"X-CSRF-Token": in.Identity.CSRF, "Sec-Fetch-Site": "same-site"}, ErrCSRF},
		{"from another site, an old browser", "POST", map[string]string{"X-CSRF-Token": in.Identity.CSRF, "Origin": "https://example.org"}, ErrCSRF},
		{"from nowhere, an old browser", "POST", map[string]string{"X-CSRF-Token": in.Identity.CSRF, "Origin": "null"}, ErrCSRF},
		{"an unusual method", "PATCH", nil, ErrCSRF},
	}
	for _, tt := range tests {
		r := request(tt.method, func(r *http.Request) {
			r.AddCookie(in.Cookie)
			for k, v := range tt.headers {
				r.Header.Set(k, v)
			}
		})
		if _, err := f.Authenticate(t.Context(), r); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
	// A token is not sent by a browser of its own accord.
	r := request("POST", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
	if _, err := f.Authenticate(t.Context(), r); err != nil {
		t.Error(err)
	}
	// Two sessions do not share a token.
	if other := f.login("ann"); other.Identity.CSRF == in.Identity.CSRF {
		t.Error("two sessions have one CSRF token")
	}
	if err := f.CheckOrigin(request("POST", func(r *http.Request) { r.Header.Set("Origin", "https://example.org") })); !errors.Is(err, ErrCSRF) {
		t.Errorf("got %v", err)
	}
	if err := f.CheckOrigin(request("POST", nil)); err != nil {
		t.Error(err)
	}
}

func TestDisabledAndDeletedAccounts(t *testing.T) {
	each(t, func(f *fixture) {
		for _, name := range []string{"ann", "bo"} {
			f.account(name, Grant{"web", Developer})
		}
		ann, bo := f.login("ann"), f.login("bo")
		annToken, _, err1 := f.CreateToken(t.Context(), ann.Identity, NewToken{Name: "ci"})
		boToken, _, err2 := f.CreateToken(t.Context(), bo.Identity, NewToken{Name: "ci"})
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if _, err := f.UpdateAccount(t.Context(), "gantry", "ann", AccountChange{Disabled: true}); err != nil {
			t.Fatal(err)
		}
		if err := f.DeleteAccount(t.Context(), "gantry", "bo"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.bearer(annToken); !errors.Is(err, ErrDisabled) {
			t.Errorf("got %v", err)
		}
		if _, err := f.bearer(boToken); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("got %v", err)
		}
		for _, in := range []*SignIn{ann, bo} {
			if _, err := f.by(in.Cookie); !errors.Is(err, ErrExpired) {
				t.Errorf("got %v", err)
			}
		}
		if _, err := f.Login(t.Context(), home, "bo", goodPassword); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("got %v", err)
		}
		if _, _, err := f.CreateToken(t.Context(), bo.Identity, NewToken{Name: "ci"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
		// Enabled again, the token is good again and the session is not.
		if _, err := f.UpdateAccount(t.Context(), "gantry", "ann", AccountChange{}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.bearer(annToken); err != nil {
			t.Error(err)
		}
		if _, err := f.by(ann.Cookie); !errors.Is(err, ErrExpired) {
			t.Errorf("got %v", err)
		}
	})
}

// TestGrantsTakeEffectAtOnce: no cache stands between a change and the next request.
func TestGrantsTakeEffectAtOnce(t *testing.T) {
	f := lite(t)
	f.account("ann", Grant{"web", Developer})
	in := f.login("ann")
	may := func() bool {
		id, err := f.by(in.Cookie)
		if err != nil {
			t.Fatal(err)
		}
		return f.Allowed(id, RunStart, "web")
	}
	if !may() {
		t.Fatal("a developer may not start a run")
	}
	if _, err := f.UpdateAccount(t.Context(), "gantry", "ann", AccountChange{Grants: []Grant{{"web", Viewer}}}); err != nil {
		t.Fatal(err)
	}
	if may() {
		t.Error("a viewer may start a run")
	}
}

// TestLastUse is written once a minute, whatever the number of requests.
func TestLastUse(t *testing.T) {
	each(t, func(f *fixture) {
		f.account("ann")
		in := f.login("ann")
		token, _, err := f.CreateToken(t.Context(), in.Identity, NewToken{Name: "ci"})
		if err != nil {
			t.Fatal(err)
		}
		at := func() store.Time {
			list, err := f.Tokens(t.Context(), "ann")
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			return list[0].LastUsedAt
		}
		if !at().IsZero() {
			t.Errorf("never used, but at %s", at())
		}
		first := f.clock.now()
		for _, want := range []time.Duration{0, 0, 0, time.Minute, time.Minute} {
			if _, err := f.bearer(token); err != nil {
				t.Fatal(err)
			}
			if got := at().Sub(first); got != want {
				t.Errorf("at %s: last used at %s, want %s", f.clock.now().Sub(first), got, want)
			}
			f.clock.pass(20 * time.Second)
		}
	})
}

func TestTouchesAreBounded(t *testing.T) {
	var touched touches
	now := newClock().now()
	for i := range 25000 {
		if !touched.due(fmt.Sprint(i), now, time.Time{}) {
			t.Fatal("the first use is not due")
		}
	}
	if len(touched.last) > 10000 {
		t.Errorf("%d are remembered", len(touched.last))
	}
}

// TestPublicOrigin: behind a proxy that changes Host, the server's URL is its origin.
func TestPublicOrigin(t *testing.T) {
	for url, origin := range map[string]string{"https://CI.example.com:443/": "https://ci.example.com", "http://ci.example.com:8080": "http://ci.example.com:8080"} {
		f := lite(t, func(o *Options) { o.URL = url })
		for from, want := range map[string]error{origin: nil, "https://example.org": ErrCSRF} {
			r := request("POST", func(r *http.Request) { r.Host = "10.0.0.7:9000"; r.Header.Set("Origin", from) })
			if err := f.CheckOrigin(r); !errors.Is(err, want) {
				t.Errorf("%s from %s: got %v", url, from, err)
			}
		}
	}
}

// BenchmarkAuthenticate is what each request pays, for a session and for a token.
func BenchmarkAuthenticate(b *testing.B) {
	s, err := New(b.Context(), storetest.Open(b), Options{Cost: cheap})
	if err != nil {
		b.Fatal(err)
	}
	grants := []Grant{{"web", Developer}, {"api", Viewer}, {"docs", Viewer}}
	if _, err := s.CreateAccount(b.Context(), "gantry", NewAccount{Name: "ann", Password: goodPassword, Grants: grants}); err != nil {
		b.Fatal(err)
	}
	in, err := s.Login(b.Context(), home, "ann", goodPassword)
	if err != nil {
		b.Fatal(err)
	}
	token, _, err := s.CreateToken(b.Context(), in.Identity, NewToken{Name: "ci"})
	if err != nil {
		b.Fatal(err)
	}
	for name, r := range map[string]*http.Request{
		"session": request("GET", func(r *http.Request) { r.AddCookie(in.Cookie) }),
		"token":   request("GET", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Authenticate(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
