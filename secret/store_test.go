package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// open opens the secrets of a database with a key file in a folder.
func open(t *testing.T, db *store.DB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{DB: db, KeyFile: filepath.Join(dir, "secret.key")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Store, project, environment, name, value string) {
	t.Helper()
	if _, err := s.Put(t.Context(), "account:ann", project, environment, name, value); err != nil {
		t.Fatal(err)
	}
}

func values(t *testing.T, s *Store, project, environment string) map[string]string {
	t.Helper()
	v, err := s.Values(t.Context(), project, environment)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestValues(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		dir := t.TempDir()
		s := open(t, db, dir)
		put(t, s, "shop", "", "TOKEN", "of the project")
		put(t, s, "shop", "", "ONLY", "here")
		put(t, s, "shop", "production", "TOKEN", "of production")
		put(t, s, "shop", "staging", "STAGING", "x")
		put(t, s, "bank", "", "TOKEN", "of another one")
		put(t, s, "shop", "", "gantry/forge-token", "the server's")
		put(t, s, "", "", "gantry/oidc-client", "no project's")
		for environment, want := range map[string]map[string]string{
			"":           {"TOKEN": "of the project", "ONLY": "here"},
			"production": {"TOKEN": "of production", "ONLY": "here"},
			"staging":    {"TOKEN": "of the project", "ONLY": "here", "STAGING": "x"},
			"unknown":    {"TOKEN": "of the project", "ONLY": "here"},
		} {
			if diff := cmp.Diff(want, values(t, s, "shop", environment)); diff != "" {
				t.Errorf("in %q: %s", environment, diff)
			}
		}
		if got := values(t, s, "none", ""); len(got) != 0 {
			t.Errorf("a project without secrets has %v", got)
		}

		// The same again, with the key from the file.
		again := open(t, storetest.Again(t, db), dir)
		if got, err := again.Own(t.Context(), "shop", "gantry/forge-token"); got != "the server's" || err != nil {
			t.Errorf("the server's own: %q, %v", got, err)
		}
		if got, err := again.Own(t.Context(), "", "gantry/oidc-client"); got != "no project's" || err != nil {
			t.Errorf("the server's own of no project: %q, %v", got, err)
		}
		if _, err := again.Own(t.Context(), "bank", "gantry/forge-token"); !errors.Is(err, ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}

		if err := s.Delete(t.Context(), "account:ann", "shop", "production", "TOKEN"); err != nil {
			t.Fatal(err)
		}
		if got := values(t, s, "shop", "production")["TOKEN"]; got != "of the project" {
			t.Errorf("after the environment's was deleted: %q", got)
		}
		if err := s.Delete(t.Context(), "account:ann", "shop", "production", "TOKEN"); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error { return s.DeleteProject(ctx, tx, "shop") }); err != nil {
			t.Fatal(err)
		}
		if got := values(t, s, "shop", "staging"); len(got) != 0 {
			t.Errorf("after the project was deleted: %v", got)
		}
		if got := values(t, s, "bank", ""); len(got) != 1 {
			t.Errorf("another project's: %v", got)
		}
	})
}

func TestListAndEvents(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		s := open(t, db, t.TempDir())
		const value = "plaintext-canary"
		put(t, s, "shop", "", "TOKEN", "first")
		put(t, s, "shop", "production", "TOKEN", value)
		put(t, s, "shop", "", "TOKEN", value)
		put(t, s, "shop", "", "gantry/webhook-secret", value)
		if err := s.Delete(t.Context(), "account:bo", "shop", "production", "TOKEN"); err != nil {
			t.Fatal(err)
		}
		list, err := s.List(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].Name != "TOKEN" || list[0].Version != 2 || list[0].UpdatedBy != "account:ann" || list[0].UpdatedAt.IsZero() {
			t.Errorf("the list is %+v", list)
		}
		own, err := s.ListOwn(t.Context(), "shop")
		if err != nil || len(own) != 1 || own[0].Name != "gantry/webhook-secret" {
			t.Errorf("the server's own are %+v, %v", own, err)
		}
		events, err := db.Events(t.Context(), store.EventQuery{Types: []string{"secret"}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, fmt.Sprintf("%s %s %s %s %s", e.Type, e.Project, e.Subject, e.Actor, e.Data))
		}
		want := []string{
			`secret.set shop TOKEN account:ann {"version":1}`,
			`secret.set shop TOKEN account:ann {"environment":"production","version":1}`,
			`secret.set shop TOKEN account:ann {"version":2}`,
			`secret.set shop gantry/webhook-secret account:ann {"version":1}`,
			`secret.deleted shop TOKEN account:bo {"environment":"production","version":1}`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestInvalid(t *testing.T) {
	s := open(t, storetest.Open(t), t.TempDir())
	for _, tt := range []struct {
		project, environment, name, value string
		field                             string
	}{
		{"", "", "TOKEN", "x", "project"},
		{"shop", "", "", "x", "name"},
		{"shop", "", "1TOKEN", "x", "name"},
		{"shop", "", "MY-TOKEN", "x", "name"},
		{"shop", "", "Schlüssel", "x", "name"},
		{"shop", "", "gantry/", "x", "name"},
		{"shop", "", "gantry/../x", "x", "name"},
		{"shop", "", strings.Repeat("A", 256), "x", "name"},
		{"shop", "production", "gantry/token", "x", "environment"},
		{"shop", "a\nb", "TOKEN", "x", "environment"},
		{"shop", "a\xff", "TOKEN", "x", "environment"},
		{"shop", strings.Repeat("e", 256), "TOKEN", "x", "environment"},
		{"shop", "", "TOKEN", "", "value"},
		{"shop", "", "TOKEN", strings.Repeat("v", MaxValue+1), "value"},
		{"shop", "", "TOKEN", "a\x00b", "value"},
	} {
		_, err := s.Put(t.Context(), "account:ann", tt.project, tt.environment, tt.name, tt.value)
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Field != tt.field {
			t.Errorf("%.20q %.20q %.20q: %v, want an error of the %s", tt.project, tt.environment, tt.name, err, tt.field)
		}
	}
	put(t, s, "shop", "Wien: Börse", "_x9", strings.Repeat("v", MaxValue))
	if n := len(values(t, s, "shop", "Wien: Börse")["_x9"]); n != MaxValue {
		t.Errorf("the largest value has %d bytes", n)
	}
}

// TestNothingReadable looks for the plaintext in all that is on the disk.
func TestNothingReadable(t *testing.T) {
	db := storetest.Open(t)
	dir := t.TempDir()
	s := open(t, db, dir)
	const canary = "canary-5f3e1d-canary"
	for i := range 20 {
		put(t, s, "shop", "", fmt.Sprintf("TOKEN_%d", i), fmt.Sprintf("%s-%d", canary, i))
	}
	if _, err := s.Rotate(t.Context(), "account:ann"); err != nil {
		t.Fatal(err)
	}
	found := false
	err := filepath.WalkDir(filepath.Dir(storetest.URL(t, db)), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if bytes.Contains(b, []byte("TOKEN_19")) {
			found = true // the right files are looked at
		}
		for _, form := range Forms(canary) {
			if bytes.Contains(b, []byte(form)) {
				t.Errorf("%s has the plaintext", filepath.Base(name))
			}
		}
		return err
	})
	if err != nil || !found {
		t.Errorf("the scan found the names: %v, %v", found, err)
	}
}

// TestSwappedRows changes rows as somebody could who writes to the database and has no key.
func TestSwappedRows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		dir := t.TempDir()
		for name, statement := range map[string]string{
			"another name":        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'OTHER' AND environment = '') WHERE name = 'TOKEN' AND environment = ''",
			"another environment": "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'TOKEN' AND environment = 'production') WHERE name = 'TOKEN' AND environment = ''",
			"another project":     "UPDATE secrets SET project = 'bank' WHERE name = 'TOKEN'",
			"another version":     "UPDATE secrets SET version = 7 WHERE name = 'TOKEN'",
			"cut":                 "UPDATE secrets SET sealed = (SELECT wrapped FROM secret_keys) WHERE name = 'TOKEN'",
			"another key":         "UPDATE secrets SET key = 'x' WHERE name = 'TOKEN'",
			"moved":               "UPDATE secrets SET name = 'MOVED' WHERE name = 'OTHER'",
		} {
			t.Run(name, func(t *testing.T) {
				s := open(t, db, dir)
				put(t, s, "shop", "", "TOKEN", "a")
				put(t, s, "shop", "", "OTHER", "b")
				put(t, s, "shop", "production", "TOKEN", "c")
				err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.ExecContext(ctx, statement)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				project := "shop"
				if name == "another project" {
					project = "bank"
				}
				if got, err := s.Values(t.Context(), project, ""); !errors.Is(err, ErrDamaged) {
					t.Errorf("values: %v, %v", got, err)
				}
				if _, err := s.Rotate(t.Context(), "account:ann"); !errors.Is(err, ErrDamaged) {
					t.Errorf("a rotation: %v", err)
				}
				err = db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.ExecContext(ctx, "DELETE FROM secrets")
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

func identityText(t *testing.T) string {
	t.Helper()
	x, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return x.String()
}

func TestKeys(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		first, second := identityText(t), identityText(t)
		file := filepath.Join(t.TempDir(), "identities")
		if err := os.WriteFile(file, []byte("# ours\n"+first+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), Options{DB: db, Identities: first})
		if err != nil {
			t.Fatal(err)
		}
		put(t, s, "shop", "", "TOKEN", "v")
		if _, err := Open(t.Context(), Options{DB: db, IdentityFile: file}); err != nil {
			t.Errorf("the same identity from a file: %v", err)
		}

		for name, o := range map[string]Options{
			"another identity":   {Identities: second},
			"another key file":   {KeyFile: filepath.Join(filepath.Dir(file), "other")},
			"no identity at all": {Identities: "# nothing"},
			"half an identity":   {Identities: first[:40]},
			"a missing file":     {IdentityFile: file + "-missing"},
			"a file for all":     {IdentityFile: file + "-open"},
		} {
			if err := os.WriteFile(file+"-open", []byte(first), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file+"-open", 0o644); err != nil {
				t.Fatal(err)
			}
			o.DB = db
			_, err := Open(t.Context(), o)
			if err == nil {
				t.Errorf("%s: was taken", name)
				continue
			}
			if (name == "another identity") != errors.Is(err, ErrWrongKey) {
				t.Errorf("%s: %v", name, err)
			}
			for _, text := range []string{first, second, first[20:40]} {
				if strings.Contains(err.Error(), text) {
					t.Errorf("%s: the error has the key: %v", name, err)
				}
			}
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), "other")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a key file was made for a database that has a key: %v", err)
		}

		// The identity is changed: the new one first, rotate, take the old one out.
		both, err := Open(t.Context(), Options{DB: db, Identities: second + "\n" + first})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := both.Rotate(t.Context(), "account:ann"); n != 1 || err != nil {
			t.Fatalf("rotated %d, %v", n, err)
		}
		if _, err := Open(t.Context(), Options{DB: db, Identities: first}); !errors.Is(err, ErrWrongKey) {
			t.Errorf("the old identity alone: %v", err)
		}
		only, err := Open(t.Context(), Options{DB: db, Identities: second})
		if err != nil {
			t.Fatal(err)
		}
		if got := values(t, only, "shop", ""); got["TOKEN"] != "v" {
			t.Errorf("after the change: %v", got)
		}
		// The first server was not given the new identity: its next read says so.
		if _, err := s.Values(t.Context(), "shop", ""); !errors.Is(err, ErrWrongKey) {
			t.Errorf("a server that has the old identity: %v", err)
		}
	})
}

func TestFirstStart(t *testing.T) {
	db := storetest.Open(t)
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := Open(t.Context(), Options{DB: db, KeyFile: filepath.Join(dir, "secret.key")}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	info, err := os.Stat(filepath.Join(dir, "secret.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", info.Mode(), err)
	}
	// Without its file, no new one is made.
	if err := os.Remove(filepath.Join(dir, "secret.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{DB: db, KeyFile: filepath.Join(dir, "secret.key")}); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
		t.Errorf("a missing key file: %v", err)
	}
}
