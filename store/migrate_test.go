package store_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// TestServersMigrateTogether has several servers open an empty database and make the same tables at once.
func TestServersMigrateTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		url := storetest.URL(t, db)
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				own, err := store.Open(t.Context(), store.Options{URL: url})
				if err != nil {
					t.Error(err)
					return
				}
				defer own.Close()
				if err := own.Migrate(t.Context(), "test", things); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		var n int
		if err := db.NewRaw("SELECT COUNT(*) FROM things").Scan(t.Context(), &n); err != nil || n != 1 {
			t.Errorf("%d rows, %v; the migration was applied more than once", n, err)
		}
	})
}

func TestMigrations(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		withThings(t, db)
		more := append(things[:1:1], store.Migration{Name: "0002 more", SQL: "ALTER TABLE things ADD COLUMN more TEXT;\nINSERT INTO things (id, n) VALUES ('what?', 2);\n"})
		err := db.Migrate(t.Context(), "test", more)
		if err == nil || !strings.Contains(err.Error(), `migrate test: "0002 more": `) {
			t.Errorf("a migration that fails: %v", err)
		}
		if _, err := db.NewRaw("SELECT more FROM things").Exec(t.Context()); err == nil {
			t.Error("half of a migration was applied")
		}
		more[1].SQL = "ALTER TABLE things ADD COLUMN more TEXT;"
		for range 2 {
			if err := db.Migrate(t.Context(), "test", more); err != nil {
				t.Error(err)
			}
		}
		err = db.Migrate(t.Context(), "test", things)
		if err == nil || !strings.Contains(err.Error(), `"0002 more", which this gantry does not know`) {
			t.Errorf("a database of a newer gantry: %v", err)
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"", "no URL"},
		{"mysql://example.com/x", "mysql:// is not known; use postgres:// or the path of a file"},
		{t.TempDir() + "/none/gantry.db", "none/gantry.db"},
		{"postgres://ann:secret@127.0.0.1:1/x?connect_timeout=2", "open the database"},
		{"postgres://ann:secret@%zz", "open the database"},
	} {
		db, err := store.Open(t.Context(), store.Options{URL: tt.url})
		if err == nil {
			db.Close()
			t.Errorf("%s was opened", tt.url)
		} else if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v; want %q in it, and no password", tt.url, err, tt.want)
		}
	}
}
