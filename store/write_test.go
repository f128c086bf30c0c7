package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

var things = []store.Migration{{Name: "0001 things", SQL: `
CREATE TABLE things (
	id TEXT PRIMARY KEY, -- really?
	n BIGINT NOT NULL,
	data $BYTES
);
INSERT INTO things (id, n) VALUES ('what?', 1);
`}}

// withThings has a table for a test.
func withThings(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.Migrate(t.Context(), "test", things); err != nil {
		t.Fatal(err)
	}
}

func insert(id string) func(ctx context.Context, tx *store.Tx) error {
	return func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO things (id, n) VALUES (?, 0)", id); err != nil {
			return err
		}
		return tx.Append(store.Event{Type: "thing.made", Subject: id, Actor: "gantry"}, nil)
	}
}

func has(t *testing.T, db *store.DB, id string) bool {
	t.Helper()
	var n int
	if err := db.NewRaw("SELECT COUNT(*) FROM things WHERE id = ?", id).Scan(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	events, err := db.Events(t.Context(), store.EventQuery{Subject: id})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != n {
		t.Errorf("%s: %d rows but %d events", id, n, len(events))
	}
	return n == 1
}

func TestWriteIsAllOrNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		withThings(t, db)
		var n int
		if err := db.NewRaw("SELECT COUNT(*) FROM things WHERE id = ?", "what?").Scan(t.Context(), &n); err != nil || n != 1 {
			t.Errorf("%d rows with a migration's question mark, %v", n, err)
		}
		broken := errors.New("broken")
		var after []string
		write := func(ctx context.Context, id string, end func() error) error {
			return db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
				tx.AfterCommit(func() { after = append(after, id) })
				if err := insert(id)(ctx, tx); err != nil {
					return err
				}
				return end()
			})
		}
		if err := write(t.Context(), "good", func() error { return nil }); err != nil {
			t.Error(err)
		}
		if err := write(t.Context(), "bad", func() error { return broken }); err != broken {
			t.Errorf("fn's own error became %v", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		if err := write(ctx, "cancelled", func() error { cancel(broken); return nil }); !errors.Is(err, broken) {
			t.Errorf("cancelled before the commit: %v", err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = write(t.Context(), "panicked", func() error { panic("fell") })
		}()
		err := write(t.Context(), "good", func() error { return nil })
		if !store.IsDuplicate(err) {
			t.Errorf("the same key again: %v", err)
		}
		err = db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			return db.Write(ctx, insert("nested"))
		})
		if err == nil || !strings.Contains(err.Error(), "within another") {
			t.Errorf("a nested transaction: %v", err)
		}
		err = db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.Append(store.Event{Type: "x"}, nil) })
		if err == nil {
			t.Error("an event without an actor was taken")
		}
		if !has(t, db, "good") {
			t.Error("what was committed is not there")
		}
		for _, id := range []string{"bad", "cancelled", "panicked", "nested"} {
			if has(t, db, id) {
				t.Errorf("%s is there", id)
			}
		}
		if !slices.Equal(after, []string{"good"}) {
			t.Errorf("after commit of %q", after)
		}
		if db.Kind == store.SQLite {
			if _, err := db.ExecContext(t.Context(), "DELETE FROM things"); err == nil {
				t.Error("the reading handle writes")
			}
		}
	})
}

// TestLostRacesAreRepeated has transactions lock the same two rows in opposite orders.
func TestLostRacesAreRepeated(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		withThings(t, db)
		for _, id := range []string{"a", "b"} {
			if err := db.Write(t.Context(), insert(id)); err != nil {
				t.Fatal(err)
			}
		}
		const writers, rounds = 4, 3 // PostgreSQL looks for a deadlock after a second only
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				order := []string{"a", "b"}
				if w%2 == 1 {
					order = []string{"b", "a"}
				}
				for range rounds {
					err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
						for _, id := range order {
							if _, err := tx.ExecContext(ctx, "UPDATE things SET n = n + 1 WHERE id = ?", id); err != nil {
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
		all.Wait()
		var ns []int
		if err := db.NewRaw("SELECT n FROM things WHERE id IN ('a', 'b')").Scan(t.Context(), &ns); err != nil || !slices.Equal(ns, []int{writers * rounds, writers * rounds}) {
			t.Errorf("counted %v, %v", ns, err)
		}
	})
}

// TestLostConnection cuts the connection in the midst of a transaction, as a restart of the server does.
func TestLostConnection(t *testing.T) {
	db := storetest.OpenPostgreSQL(t)
	withThings(t, db)
	tries := 0
	err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if tries++; tries == 1 {
			var pid int
			if err := tx.NewRaw("SELECT pg_backend_pid()").Scan(ctx, &pid); err != nil {
				return err
			}
			var cut bool
			if err := db.NewRaw("SELECT pg_terminate_backend(?, 10000)", pid).Scan(t.Context(), &cut); err != nil || !cut {
				t.Errorf("the connection cannot be cut: %v", err)
			}
		}
		return insert("a")(ctx, tx)
	})
	if err != nil || tries != 2 || !has(t, db, "a") {
		t.Errorf("after %d tries: %v", tries, err)
	}
}

// TestDiskFull shows that a full disk is an error that goes away with its cause.
func TestDiskFull(t *testing.T) {
	db := storetest.Open(t)
	withThings(t, db)
	limit := func(pages int) {
		t.Helper()
		err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	large := func(ctx context.Context, tx *store.Tx) error {
		if err := insert("large")(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE things SET data = ? WHERE id = 'large'", make([]byte, 1<<20))
		return err
	}
	limit(1) // SQLite raises it to what there is
	if err := db.Write(t.Context(), large); err == nil || !strings.Contains(err.Error(), "full") {
		t.Fatalf("on a full disk: %v", err)
	}
	if has(t, db, "large") {
		t.Error("half of a transaction is there")
	}
	limit(1 << 20)
	if err := db.Write(t.Context(), large); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if !has(t, db, "large") {
		t.Error("what was committed is not there")
	}
}
