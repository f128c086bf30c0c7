package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

func TestHealth(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		if err := db.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		before, err := db.Size(t.Context())
		if err != nil || before <= 0 {
			t.Fatalf("size %d, %v", before, err)
		}
		err = db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			for range 100 {
				if err := tx.Append(store.Event{Type: "test.ran", Actor: "gantry"}, map[string]string{"text": strings.Repeat("x", 10_000)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// PostgreSQL compresses what repeats itself.
		if after, err := db.Size(t.Context()); err != nil || after <= before {
			t.Errorf("size %d after %d, %v", after, before, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := db.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("a closed database: %v", err)
		}
	})
}
