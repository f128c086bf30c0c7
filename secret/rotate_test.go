package secret

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

func TestRotate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		dir := t.TempDir()
		s := open(t, db, dir)
		for i := range 50 {
			put(t, s, fmt.Sprintf("project-%d", i%5), "", fmt.Sprintf("TOKEN_%d", i), fmt.Sprint("value ", i))
		}
		before, err := os.ReadFile(filepath.Join(dir, "secret.key"))
		if err != nil {
			t.Fatal(err)
		}
		other := open(t, storetest.Again(t, db), dir)
		for range 3 {
			if n, err := s.Rotate(t.Context(), "account:ann"); n != 50 || err != nil {
				t.Fatalf("rotated %d, %v", n, err)
			}
		}
		after, err := os.ReadFile(filepath.Join(dir, "secret.key"))
		if err != nil || string(after) == string(before) {
			t.Errorf("the identity is the old one, %v", err)
		}
		// This store, one that was open meanwhile, and one that is opened anew.
		for name, s := range map[string]*Store{"this": s, "other": other, "new": open(t, db, dir)} {
			got := values(t, s, "project-3", "")
			if len(got) != 10 || got["TOKEN_3"] != "value 3" {
				t.Errorf("%s: %v", name, got)
			}
		}
		put(t, other, "project-3", "", "NEW", "x")
		if got := values(t, s, "project-3", "")["NEW"]; got != "x" {
			t.Errorf("written by the other: %q", got)
		}
		list, err := s.List(t.Context(), "project-3")
		if err != nil || list[0].Version != 1 || list[0].UpdatedBy != "account:ann" {
			t.Errorf("a rotation is no change of the value: %+v, %v", list, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "old.key"), before, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), Options{DB: db, KeyFile: filepath.Join(dir, "old.key")}); err == nil {
			t.Error("the old identity still opens the secrets")
		}
	})
}

// TestRotateKilled takes a picture of the disk at each step of a rotation, as a kill -9 would leave it, and starts from there.
func TestRotateKilled(t *testing.T) {
	db := storetest.Open(t)
	dir := t.TempDir()
	s := open(t, db, dir)
	for i := range 20 {
		put(t, s, "shop", "", fmt.Sprintf("TOKEN_%d", i), fmt.Sprint("value ", i))
	}
	pictures := map[string]string{}
	s.step = func(step string) {
		to := t.TempDir()
		copyFiles(t, filepath.Dir(storetest.URL(t, db)), to)
		copyFiles(t, dir, to)
		pictures[step] = to
	}
	if _, err := s.Rotate(t.Context(), "account:ann"); err != nil {
		t.Fatal(err)
	}
	if len(pictures) != 4 {
		t.Fatalf("there are pictures of %d steps", len(pictures))
	}
	for step, dir := range pictures {
		t.Run(step, func(t *testing.T) {
			db, err := store.Open(t.Context(), store.Options{URL: filepath.Join(dir, filepath.Base(storetest.URL(t, db)))})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for range 2 { // what was settled stays so
				s := open(t, db, dir)
				if got := values(t, s, "shop", ""); len(got) != 20 || got["TOKEN_7"] != "value 7" {
					t.Errorf("values: %v", got)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "secret.key"+nextSuffix)); !os.IsNotExist(err) {
				t.Errorf("the file beside the key's is still there: %v", err)
			}
			s := open(t, db, dir)
			if n, err := s.Rotate(t.Context(), "account:ann"); n != 20 || err != nil {
				t.Errorf("the next rotation: %d, %v", n, err)
			}
		})
	}
}

func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		in, err := os.Open(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out, err := os.OpenFile(filepath.Join(to, e.Name()), os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(out, in); err != nil {
			t.Fatal(err)
		}
		in.Close()
		out.Close()
	}
}

// TestConcurrent writes, reads and rotates through two servers at once: nobody ever reads anything but a value that was set.
func TestConcurrent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		dir := t.TempDir()
		servers := []*Store{open(t, db, dir), nil}
		servers[1] = open(t, storetest.Again(t, db), dir)
		put(t, servers[0], "shop", "", "TOKEN", "0 0")
		const rounds = 15
		var all sync.WaitGroup
		for n, s := range servers {
			all.Go(func() {
				for i := range rounds {
					if _, err := s.Put(t.Context(), "account:ann", "shop", "", "TOKEN", fmt.Sprint(n, " ", i)); err != nil {
						t.Error(err)
					}
				}
			})
			all.Go(func() {
				for range rounds {
					got, err := s.Values(t.Context(), "shop", "")
					var a, b int
					if _, scanErr := fmt.Sscan(got["TOKEN"], &a, &b); err != nil || scanErr != nil {
						t.Errorf("%v: %v, %v", got, err, scanErr)
					}
				}
			})
		}
		all.Go(func() {
			for range rounds / 3 {
				if _, err := servers[0].Rotate(t.Context(), "account:bo"); err != nil {
					t.Error(err)
				}
			}
		})
		all.Wait()
		list, err := servers[1].List(t.Context(), "shop")
		if err != nil || len(list) != 1 || list[0].Version != 2*rounds+1 {
			t.Errorf("the version is %+v, %v", list, err)
		}
	})
}
