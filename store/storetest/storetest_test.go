package storetest_test

import (
	"context"
	"testing"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// TestEach shows that each database is empty, and that a second handle sees what the first one has written.
func TestEach(t *testing.T) {
	for range 2 {
		storetest.Each(t, func(t *testing.T, db *store.DB) {
			if n, err := db.LastEvent(t.Context()); err != nil || n != 0 {
				t.Fatalf("last event %d, %v; want a database of its own", n, err)
			}
			err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				return tx.Append(store.Event{Type: "test.ran", Actor: "gantry"}, nil)
			})
			if err != nil {
				t.Fatal(err)
			}
			again := storetest.Again(t, db)
			if n, err := again.LastEvent(t.Context()); err != nil || n == 0 || again.Kind != db.Kind {
				t.Fatalf("the second handle, on %s, sees %d, %v", again.Kind, n, err)
			}
		})
	}
}
