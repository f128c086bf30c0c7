package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// queries records what a handle is asked.
type queries struct {
	mu   sync.Mutex
	list []string
}

func (q *queries) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

func (q *queries) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = append(q.list, e.Query)
}

// TestIdleIsCheap shows that a server with nothing to do asks one query a poll, answered by the index, however many rows wait for
// another day, and writes nothing.
func TestIdleIsCheap(t *testing.T) {
	db := storetest.Open(t)
	e := open(t, db, engine.Options{})
	for _, kind := range []string{"run", "schedule", "retention"} {
		e.Handle(kind, 1, func(context.Context, *engine.Lease) (time.Duration, error) { return engine.Done, nil })
		for i := range 50 {
			put(t, db, e, kind, fmt.Sprint(i), time.Now().Add(24*time.Hour))
		}
	}
	asked := &queries{}
	db.DB = db.DB.WithQueryHook(asked) // of the reading handle; a write would change total_changes below
	changes := func() (n int) {
		t.Helper()
		err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return tx.NewRaw("SELECT total_changes()").Scan(ctx, &n)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := changes()
	stop := start(t, e)
	different := map[string]bool{}
	until(t, "it has polled and looked at other servers", func() bool {
		asked.mu.Lock()
		defer asked.mu.Unlock()
		for _, q := range asked.list {
			different[q] = true
		}
		return len(asked.list) > 20 && len(different) > 1
	})
	if n := changes(); n != before {
		t.Errorf("an idle engine has made %d changes", n-before)
	}
	stop()
	if len(different) != 2 {
		t.Errorf("it asks %d different queries: %v", len(different), different)
	}
	for q := range different {
		if strings.Contains(q, "engine_servers") {
			continue // a row for each server
		}
		var steps []struct {
			ID, Parent, Notused int
			Detail              string
		}
		if err := db.NewRaw("EXPLAIN QUERY PLAN "+strings.ReplaceAll(q, "?", "\\?")).Scan(t.Context(), &steps); err != nil {
			t.Fatal(err)
		}
		for _, s := range steps {
			if strings.Contains(s.Detail, "engine_work") && !strings.Contains(s.Detail, "USING COVERING INDEX engine_work_due (owner=? AND kind=?)") || strings.Contains(s.Detail, "TEMP B-TREE") {
				t.Errorf("the database goes through rows for it: %s\n%s", s.Detail, q)
			}
		}
	}
}
