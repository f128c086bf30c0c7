package auth

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// clock is one that only moves when it is told to.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// cheap is a cost that tests can afford.
var cheap = Cost{Time: 1, Memory: 64, Threads: 1}

// fixture is a service with its clock on a database of its own.
type fixture struct {
	*Service
	t     *testing.T
	clock *clock
}

const goodPassword = "several words, not one"

var home = Client{Address: netip.MustParseAddr("192.0.2.10"), Agent: "test"}

// each runs a test on both databases.
func each(t *testing.T, test func(f *fixture), change ...func(*Options)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) { test(newFixture(t, db, change...)) })
}

// lite runs a test of what no database decides.
func lite(t *testing.T, change ...func(*Options)) *fixture {
	t.Helper()
	return newFixture(t, storetest.Open(t), change...)
}

func newFixture(t *testing.T, db *store.DB, change ...func(*Options)) *fixture {
	t.Helper()
	c := newClock()
	o := Options{URL: "https://ci.example.com", Cost: cheap, Now: c.now, Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	s, err := New(t.Context(), db, o)
	if err != nil {
		t.Fatal(err)
	}
	// Counted refusals are written when a test says so.
	s.refusals.later = func(time.Duration, func()) {}
	return &fixture{s, t, c}
}

// account makes one with a good password.
func (f *fixture) account(name string, grants ...Grant) *Account {
	f.t.Helper()
	a, err := f.CreateAccount(f.t.Context(), "gantry", NewAccount{Name: name, Password: goodPassword, Grants: grants})
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

// login signs in with the good password.
func (f *fixture) login(name string) *SignIn {
	f.t.Helper()
	in, err := f.Login(f.t.Context(), home, name, goodPassword)
	if err != nil {
		f.t.Fatal(err)
	}
	return in
}

// request makes one; edit may be nil.
func request(method string, edit func(r *http.Request)) *http.Request {
	r := httptest.NewRequest(method, "https://ci.example.com/api/v1/me", nil)
	r.RemoteAddr = "192.0.2.10:4711"
	if edit != nil {
		edit(r)
	}
	return r
}

// by authenticates a request with a cookie.
func (f *fixture) by(c *http.Cookie) (*Identity, error) {
	return f.Authenticate(f.t.Context(), request("GET", func(r *http.Request) { r.AddCookie(c) }))
}

// bearer authenticates a request with a token.
func (f *fixture) bearer(token string) (*Identity, error) {
	return f.Authenticate(f.t.Context(), request("GET", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }))
}

// events returns what was written since the last call, as "type subject by actor (reason)".
func (f *fixture) events(after *int64) []string {
	f.t.Helper()
	all, err := f.db.Events(f.t.Context(), store.EventQuery{After: *after, Limit: 10000})
	if err != nil {
		f.t.Fatal(err)
	}
	var out []string
	for _, e := range all {
		*after = e.Seq
		text := e.Type
		if e.Project != "" {
			text += " in " + e.Project
		}
		if e.Subject != "" {
			text += " of " + e.Subject
		}
		text += " by " + e.Actor
		var data refusal
		if len(e.Data) > 0 {
			if err := json.Unmarshal(e.Data, &data); err != nil {
				f.t.Fatal(err)
			}
		}
		if data.Reason != "" {
			text += ": " + data.Reason
		}
		if data.Count > 0 {
			text += " and more"
		}
		out = append(out, text)
	}
	return out
}

func same[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// TestNothingIsKeptInTheClear looks for what opens doors in every column of every table.
func TestNothingIsKeptInTheClear(t *testing.T) {
	each(t, func(f *fixture) {
		link, err := f.FirstLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		other := link
		in, err := f.Redeem(t.Context(), home, link, "ann", goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := f.CreateToken(t.Context(), in.Identity, NewToken{Name: "ci"})
		if err != nil {
			t.Fatal(err)
		}
		runner, err := f.IssueRunnerToken(t.Context(), "account:ann", "r1")
		if err != nil {
			t.Fatal(err)
		}
		secrets := []string{goodPassword, other, in.Cookie.Value, in.Identity.CSRF, token, runner}
		for _, table := range []string{"auth_accounts", "auth_sessions", "auth_tokens", "auth_runners", "auth_links", "events"} {
			var rows []map[string]any
			if err := f.db.NewSelect().Table(table).Scan(t.Context(), &rows); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(rows)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range secrets {
				if strings.Contains(string(text), s) || strings.Contains(string(text), s[8:]) {
					t.Errorf("%s holds a secret in the clear", table)
				}
			}
		}
	})
}
