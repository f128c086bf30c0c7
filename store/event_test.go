package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// TestEventsComeInOrder reads while several servers write: who has seen a number must never find a smaller one later.
func TestEventsComeInOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const writers, each = 6, 40
		var all sync.WaitGroup
		var writing atomic.Bool
		writing.Store(true)
		handles := []*store.DB{db, storetest.Again(t, db)}
		for w := range writers {
			all.Go(func() {
				for i := range each {
					err := handles[w%2].Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
						for range 1 + i%3 {
							if err := tx.Append(store.Event{Type: "test.ran", Actor: "gantry", Subject: fmt.Sprint(w, "-", i)}, nil); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		go func() { all.Wait(); writing.Store(false) }()
		seen := map[int64]bool{}
		var last int64
		for more := true; more; {
			more = writing.Load() // read once more after the last one
			page, err := db.Events(t.Context(), store.EventQuery{After: last, Limit: 10_000})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				last = e.Seq
				seen[e.Seq] = true
			}
		}
		whole, err := db.Events(t.Context(), store.EventQuery{Limit: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range whole {
			if !seen[e.Seq] {
				t.Errorf("event %d became visible after a later one", e.Seq)
			}
		}
		if want := writers * (each/3*(1+2+3) + each%3); len(whole) != want {
			t.Errorf("%d events, want %d", len(whole), want)
		}
	})
}

func TestEventQueries(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { at = at.Add(time.Second); return at }
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		start := at
		woken, stop := db.Watch()
		defer stop()
		for _, e := range []store.Event{
			{Type: "run.started", Project: "p", Run: "r", Actor: "account:ann"},
			{Type: "run.finished", Project: "p", Run: "r", Actor: "gantry"},
			{Type: "runner.made", Subject: "x", Actor: "account:bo"},
			{Type: "login.refused", Project: "q", Subject: "ann", Actor: "account:ann"},
		} {
			if err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.Append(e, map[string]int{"n": 1}) }); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-woken:
		default:
			t.Error("Watch was not told")
		}
		second := func(n int) store.Time { return store.At(start.Add(time.Duration(n) * time.Second)) }
		for _, tt := range []struct {
			name string
			q    store.EventQuery
			want []string
		}{
			{"all", store.EventQuery{}, []string{"run.started", "run.finished", "runner.made", "login.refused"}},
			{"newest first", store.EventQuery{Descending: true, Limit: 2}, []string{"login.refused", "runner.made"}},
			{"project", store.EventQuery{Projects: []string{"q", "none"}}, []string{"login.refused"}},
			{"no project", store.EventQuery{Projects: []string{}}, nil},
			{"run", store.EventQuery{Run: "r"}, []string{"run.started", "run.finished"}},
			{"first part of a type", store.EventQuery{Types: []string{"run"}}, []string{"run.started", "run.finished"}},
			{"types and actor", store.EventQuery{Types: []string{"run", "login.refused"}, Actor: "account:ann"}, []string{"run.started", "login.refused"}},
			{"subject", store.EventQuery{Subject: "x"}, []string{"runner.made"}},
			{"time", store.EventQuery{Since: second(2), Until: second(3)}, []string{"run.finished"}},
		} {
			list, err := db.Events(t.Context(), tt.q)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range list {
				got = append(got, e.Type)
				if string(e.Data) != `{"n":1}` {
					t.Errorf("%s: data %s", tt.name, e.Data)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", tt.name, diff)
			}
		}
		first, err := db.Events(t.Context(), store.EventQuery{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(first[0])
		want := fmt.Sprintf(`{"seq":1,"time":%q,"type":"run.started","project":"p","run":"r","actor":"account:ann","data":{"n":1}}`, second(1).Format(time.RFC3339Nano))
		if err != nil || string(b) != want {
			t.Errorf("as JSON %s, %v\nwant    %s", b, err, want)
		}
	}, storetest.Clock(clock))
}
