package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// walk reads a list by parts and returns what id finds in its items.
func (w *world) walk(token, path string, limit int, id func(json.RawMessage) string, between func()) []string {
	w.t.Helper()
	var out []string
	for after := ""; ; {
		var page struct {
			Items []json.RawMessage `json:"items"`
			Next  string            `json:"next"`
		}
		w.do(request{method: "GET", path: fmt.Sprintf("%s?limit=%d&after=%s", path, limit, url.QueryEscape(after)), token: token}).into(w.t, http.StatusOK, &page)
		if len(page.Items) > limit || len(page.Items) < limit && page.Next != "" {
			w.t.Fatalf("%s: a part has %d items of at most %d, and then %q", path, len(page.Items), limit, page.Next)
		}
		for _, i := range page.Items {
			out = append(out, id(i))
		}
		if after = page.Next; after == "" {
			return out
		}
		if between != nil {
			between()
		}
	}
}

// field finds a field of an item.
func field(t testing.TB, name string) func(json.RawMessage) string {
	return func(m json.RawMessage) string {
		var item map[string]any
		if err := json.Unmarshal(m, &item); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(item[name])
	}
}

func twice(list []string) string {
	seen := map[string]bool{}
	for _, i := range list {
		if seen[i] {
			return i
		}
		seen[i] = true
	}
	return ""
}

// TestPaging walks lists while they grow: what was there at first comes once.
func TestPaging(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		ann := w.admin()
		var projects, started []string
		for i := range 13 {
			p := fmt.Sprintf("p%d-%d", i%3, i)
			w.project(p)
			projects = append(projects, p)
			started = append(started, w.start(p).ID)
		}
		var accounts []string
		for i := range 7 {
			name := fmt.Sprintf("user.%d", i)
			w.account(name)
			accounts = append(accounts, name)
		}
		more := 0
		grow := func() {
			more++
			p := fmt.Sprintf("p1-more-%d", more)
			w.project(p)
			w.start(p)
			w.account(fmt.Sprintf("user.3.%d", more))
		}
		lists := []struct {
			path, id string
			there    []string
		}{
			{"/api/v1/projects", "id", projects},
			{"/api/v1/runs", "id", started},
			{"/api/v1/accounts", "name", accounts},
		}
		for _, l := range lists {
			for _, limit := range []int{1, 3, 13, 200} {
				between := grow
				if limit == 1 {
					between = nil // it would grow as fast as it is read
				}
				got := w.walk(ann, l.path, limit, field(t, l.id), between)
				if d := twice(got); d != "" {
					t.Errorf("%s by %d: %s came twice in %q", l.path, limit, d, got)
				}
				for _, id := range l.there {
					if !slices.Contains(got, id) {
						t.Errorf("%s by %d: %s is missing in %q", l.path, limit, id, got)
					}
				}
			}
		}
	})
}

// TestPagingOfEvents has two servers write while the trail is read, forwards and backwards.
func TestPagingOfEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorldOn(t, db)
		ann := w.admin()
		servers := []*store.DB{db, storetest.Again(t, db)}
		write := func(server, n int) error {
			return servers[server].Write(context.Background(), func(_ context.Context, tx *store.Tx) error {
				return tx.Append(store.Event{Type: "test.happened", Actor: "test", Subject: fmt.Sprintf("%d-%d", server, n)}, nil)
			})
		}
		for n := range 50 {
			if err := write(n%2, n); err != nil {
				t.Fatal(err)
			}
		}
		var before []string
		list, err := db.Events(t.Context(), store.EventQuery{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			before = append(before, fmt.Sprint(e.Seq))
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for server := range servers {
			wg.Go(func() {
				for n := 100; ctx.Err() == nil && n < 300; n++ {
					if err := write(server, n); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for _, order := range []string{"asc", "desc"} {
			for _, limit := range []int{20, 50} {
				var got []string
				if order == "asc" {
					got = w.walkAscending(ann, limit)
				} else {
					got = w.walk(ann, "/api/v1/events", limit, field(t, "seq"), nil)
				}
				if d := twice(got); d != "" {
					t.Errorf("%s by %d: %s came twice", order, limit, d)
				}
				for _, seq := range before {
					if !slices.Contains(got, seq) {
						t.Errorf("%s by %d: %s is missing", order, limit, seq)
					}
				}
			}
		}
		stop()
		wg.Wait()
		// When nobody writes any more, both orders have the same.
		down, up := w.walk(ann, "/api/v1/events", 200, field(t, "seq"), nil), w.walkAscending(ann, 199)
		slices.Reverse(down)
		if !slices.Equal(down, up) {
			t.Errorf("forwards there are %d events, backwards %d", len(up), len(down))
		}
	})
}

// walkAscending walks the trail from its beginning.
func (w *world) walkAscending(token string, limit int) []string {
	w.t.Helper()
	var out []string
	for after := "0"; ; {
		var page runs.Page[store.Event]
		w.do(request{method: "GET", path: fmt.Sprintf("/api/v1/events?order=asc&limit=%d&after=%s", limit, after), token: token}).into(w.t, http.StatusOK, &page)
		for _, e := range page.Items {
			out = append(out, fmt.Sprint(e.Seq))
		}
		if after = page.Next; after == "" {
			return out
		}
	}
}

// TestPagingOfTheReadable has a viewer of some projects see those alone, in full parts.
func TestPagingOfTheReadable(t *testing.T) {
	w := newWorld(t)
	var mine []string
	var grants []auth.Grant
	for i := range 12 {
		p := fmt.Sprintf("p%02d", i)
		w.project(p)
		w.start(p)
		if i%3 == 0 {
			mine = append(mine, p)
			grants = append(grants, auth.Grant{Project: p, Role: auth.Viewer})
		}
	}
	bo := w.account("bo", grants...)
	if got := w.walk(bo, "/api/v1/projects", 2, field(t, "id"), nil); !slices.Equal(got, mine) {
		t.Errorf("bo sees the projects %q, not %q", got, mine)
	}
	got := w.walk(bo, "/api/v1/runs", 3, field(t, "project"), nil)
	slices.Reverse(got)
	if !slices.Equal(got, mine) {
		t.Errorf("bo sees runs of %q, not %q", got, mine)
	}
	for _, after := range []string{"nonsense", "%27", "-1", "99999999999999999999", "AAAA"} {
		for _, list := range []string{"projects", "runs", "events", "approvals"} {
			r := w.do(request{method: "GET", path: "/api/v1/" + list + "?after=" + after, token: bo})
			if err := check(r); err != nil {
				t.Errorf("%s after %s: %v: %s", list, after, err, r)
			}
		}
	}
}
