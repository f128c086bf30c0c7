package store

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMigrate(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "books.db")
	if _, err := Open(ctx, path, Options{}); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "migrate expand") {
		t.Errorf("open a new database: %v", err)
	}
	if _, err := Migrate(ctx, path, Contract); !errors.Is(err, ErrSchema) {
		t.Errorf("contract before expand: %v", err)
	}
	if _, err := Migrate(ctx, path, "sideways"); err == nil {
		t.Error("a phase that does not exist is run")
	}
	for _, tt := range []struct {
		phase Phase
		want  []string
	}{{Expand, []string{"base", "add-currency"}}, {Expand, nil}, {Contract, []string{"drop-note"}}, {Contract, nil}} {
		if ran, err := Migrate(ctx, path, tt.phase); err != nil || !slices.Equal(ran, tt.want) {
			t.Errorf("%s ran %v, %v; want %v", tt.phase, ran, err, tt.want)
		}
	}
	s := openStore(t, path)
	if _, _, err := s.Post(ctx, "k", request("T1"), 0); err != nil {
		t.Errorf("post after all steps: %v", err)
	}
}

// TestMigrateTogether runs the same phase from several processes' worth of connections: each step runs once.
func TestMigrateTogether(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "books.db")
	var mu sync.Mutex
	var all []string
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			ran, err := Migrate(ctx, path, Expand)
			if err != nil {
				t.Errorf("migrate: %v", err)
			}
			mu.Lock()
			all = append(all, ran...)
			mu.Unlock()
		})
	}
	wg.Wait()
	slices.Sort(all)
	if !slices.Equal(all, []string{"add-currency", "base"}) {
		t.Errorf("ran %v", all)
	}
}

// TestVersionsNextToEachOther has the version before add-currency, whose statement is here, write next to this one, and
// contracts under this one.
func TestVersionsNextToEachOther(t *testing.T) {
	ctx, path := t.Context(), file(t)
	s := openStore(t, path)
	if _, err := s.writer.conn.ExecContext(ctx, `INSERT INTO trades (id, key, account, symbol, side, quantity, price_ticks, note, posted)
		VALUES ('OLD', 'OLD', 'ACC00001', 'ACME', 'buy', 10, 10050, 'by hand', 1)`); err != nil {
		t.Fatalf("the version before cannot write: %v", err)
	}
	if got, err := s.Get(ctx, "OLD"); err != nil || got.Currency != "USD" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, _, err := s.Post(ctx, "k0", request("T0"), 0); err != nil { // prepares its statements
		t.Fatal(err)
	}
	if ran, err := Migrate(ctx, path, Contract); err != nil || len(ran) != 1 {
		t.Fatalf("contract under an open store: %v, %v", ran, err)
	}
	if _, _, err := s.Post(ctx, "k", request("T1"), 0); err != nil {
		t.Errorf("post after the contract: %v", err)
	}
}

func TestStepsOfLaterVersions(t *testing.T) {
	ctx, path := t.Context(), file(t)
	db, err := open(path, "immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `INSERT INTO steps VALUES ('add-venue', 'expand')`); err != nil {
		t.Fatal(err)
	}
	s, err := Open(ctx, path, Options{Now: time.Now})
	if err != nil {
		t.Fatalf("a later version's expand step does no harm: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := db.ExecContext(ctx, `INSERT INTO steps VALUES ('drop-side', 'contract')`); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, path, Options{}); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "drop-side") {
		t.Errorf("behind a later version's contract: %v", err)
	}
}
