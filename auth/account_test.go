package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/store"
)

func TestCreateAccount(t *testing.T) {
	each(t, func(f *fixture) {
		var seq int64
		a, err := f.CreateAccount(t.Context(), "account:bo", NewAccount{Name: "ann", Display: "Ann", Password: goodPassword,
			Grants: []Grant{{"web", Viewer}, {AllProjects, Auditor}, {"web", Viewer}}})
		if err != nil {
			t.Fatal(err)
		}
		if a.Name != "ann" || a.Display != "Ann" || a.Disabled || a.OIDC || !a.CreatedAt.Equal(f.clock.now()) || !a.LastLoginAt.IsZero() {
			t.Errorf("got %+v", a)
		}
		same(t, "grants", a.Grants, []Grant{{AllProjects, Auditor}, {"web", Viewer}})
		same(t, "events", f.events(&seq), []string{"account.created of ann by account:bo", "grant.given of ann by account:bo", "grant.given in web of ann by account:bo"})
		if _, err := f.CreateAccount(t.Context(), "account:bo", NewAccount{Name: "ann"}); !errors.Is(err, ErrExists) {
			t.Errorf("again: got %v", err)
		}
		same(t, "events of what failed", f.events(&seq), nil)
	})
}

func TestCreateAccountRefuses(t *testing.T) {
	f := lite(t)
	many := make([]Grant, maxGrants+1)
	for field, a := range map[string]NewAccount{
		"name":              {},
		"name ":             {Name: strings.Repeat("a", 65)},
		"name  ":            {Name: "Ann"},
		"name   ":           {Name: ".ann"},
		"name    ":          {Name: "ann\n"},
		"name     ":         {Name: "änn"},
		"display":           {Name: "ann", Display: strings.Repeat("a", 129)},
		"display ":          {Name: "ann", Display: "a\x1b[2Jb"},
		"display  ":         {Name: "ann", Display: "\xff"},
		"password":          {Name: "ann", Password: "short"},
		"grants[1].role":    {Name: "ann", Grants: []Grant{{"web", Viewer}, {"web", "owner"}}},
		"grants[0].role":    {Name: "ann", Grants: []Grant{{"web", ""}}},
		"grants[0].project": {Name: "ann", Grants: []Grant{{"", Viewer}}},
		"grants":            {Name: "ann", Grants: many},
	} {
		_, err := f.CreateAccount(t.Context(), "gantry", a)
		var bad *InvalidError
		if !errors.As(err, &bad) || bad.Field != strings.TrimSpace(field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func TestAccounts(t *testing.T) {
	each(t, func(f *fixture) {
		for _, name := range []string{"d", "b", "a", "c", "e"} {
			f.account(name, Grant{"p-" + name, Viewer})
		}
		if err := f.DeleteAccount(t.Context(), "gantry", "c"); err != nil {
			t.Fatal(err)
		}
		var names []string
		after, pages := "", 0
		for {
			items, next, err := f.Accounts(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range items {
				names = append(names, a.Name)
				same(t, a.Name, a.Grants, []Grant{{"p-" + a.Name, Viewer}})
			}
			pages++
			if after = next; next == "" {
				break
			}
		}
		same(t, "names", names, []string{"a", "b", "d", "e"})
		if pages != 2 {
			t.Errorf("%d pages", pages)
		}
		if _, err := f.Account(t.Context(), "c"); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
}

func TestUpdateAccount(t *testing.T) {
	each(t, func(f *fixture) {
		f.account("ann", Grant{"web", Viewer}, Grant{"api", Viewer})
		var seq int64
		f.events(&seq)
		a, err := f.UpdateAccount(t.Context(), "account:bo", "ann", AccountChange{Display: "Ann", Grants: []Grant{{"web", Viewer}, {"api", Developer}}})
		if err != nil {
			t.Fatal(err)
		}
		if a.Display != "Ann" {
			t.Errorf("got %+v", a)
		}
		same(t, "grants", a.Grants, []Grant{{"api", Developer}, {"web", Viewer}})
		same(t, "events", f.events(&seq), []string{"account.changed of ann by account:bo", "grant.taken in api of ann by account:bo", "grant.given in api of ann by account:bo"})
		if _, err := f.UpdateAccount(t.Context(), "account:bo", "ann", AccountChange{Display: "Ann", Grants: a.Grants}); err != nil {
			t.Fatal(err)
		}
		same(t, "events of what changes nothing", f.events(&seq), nil)
		if _, err := f.UpdateAccount(t.Context(), "account:bo", "nobody", AccountChange{}); !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v", err)
		}
		var bad *InvalidError
		if _, err := f.UpdateAccount(t.Context(), "account:bo", "ann", AccountChange{Grants: []Grant{{"web", "owner"}}}); !errors.As(err, &bad) {
			t.Errorf("got %v", err)
		}
	})
}

func TestNamesAreNotUsedAgain(t *testing.T) {
	each(t, func(f *fixture) {
		f.account("ann")
		if err := f.DeleteAccount(t.Context(), "gantry", "ann"); err != nil {
			t.Fatal(err)
		}
		if err := f.DeleteAccount(t.Context(), "gantry", "ann"); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if _, err := f.CreateAccount(t.Context(), "gantry", NewAccount{Name: "ann"}); !errors.Is(err, ErrExists) {
			t.Errorf("made again: %v", err)
		}
	})
}

func TestLastAdminStays(t *testing.T) {
	each(t, func(f *fixture) {
		admin := Grant{AllProjects, Admin}
		f.account("ann", admin)
		// None of these may administer the server and sign in.
		f.account("bo", Grant{"web", Admin})
		f.account("carla", admin)
		if _, err := f.UpdateAccount(t.Context(), "gantry", "carla", AccountChange{Disabled: true, Grants: []Grant{admin}}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.CreateAccount(t.Context(), "gantry", NewAccount{Name: "robot", Grants: []Grant{admin}}); err != nil {
			t.Fatal(err)
		}
		var seq int64
		f.events(&seq)
		if err := f.DeleteAccount(t.Context(), "gantry", "ann"); !errors.Is(err, ErrLastAdmin) {
			t.Errorf("deleted: %v", err)
		}
		if _, err := f.UpdateAccount(t.Context(), "gantry", "ann", AccountChange{Disabled: true, Grants: []Grant{admin}}); !errors.Is(err, ErrLastAdmin) {
			t.Errorf("disabled: %v", err)
		}
		if _, err := f.UpdateAccount(t.Context(), "gantry", "ann", AccountChange{Grants: []Grant{{AllProjects, Auditor}}}); !errors.Is(err, ErrLastAdmin) {
			t.Errorf("made an auditor: %v", err)
		}
		same(t, "events", f.events(&seq), nil)
		f.login("ann")
		f.account("dora", admin)
		if err := f.DeleteAccount(t.Context(), "gantry", "ann"); err != nil {
			t.Errorf("with another one: %v", err)
		}
	})
}

// TestLastAdminsRace: of two administrators that are taken away at the same time, one stays.
func TestLastAdminsRace(t *testing.T) {
	each(t, func(f *fixture) {
		for round := range 5 {
			names := []string{fmt.Sprintf("a%d", round), fmt.Sprintf("b%d", round)}
			for _, name := range names {
				f.account(name, Grant{AllProjects, Admin})
			}
			if round > 0 {
				// The one who was left by the round before goes first.
				all, _, err := f.Accounts(t.Context(), "", 0)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range all {
					if a.Name != names[0] && a.Name != names[1] {
						if err := f.DeleteAccount(t.Context(), "gantry", a.Name); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			results := make(chan error)
			for _, name := range names {
				go func() { results <- f.DeleteAccount(t.Context(), "gantry", name) }()
			}
			refused := 0
			for range names {
				if err := <-results; errors.Is(err, ErrLastAdmin) {
					refused++
				} else if err != nil {
					t.Error(err)
				}
			}
			if refused != 1 {
				t.Fatalf("%d were refused", refused)
			}
		}
	})
}

func TestRemoveProject(t *testing.T) {
	each(t, func(f *fixture) {
		f.account("ann", Grant{"web", Admin}, Grant{"api", Viewer})
		f.account("bo", Grant{"web", Viewer}, Grant{AllProjects, Auditor})
		var seq int64
		f.events(&seq)
		remove := func(project string) error {
			return f.db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error { return f.RemoveProject(ctx, tx, "account:bo", project) })
		}
		if err := remove("web"); err != nil {
			t.Fatal(err)
		}
		if err := remove(AllProjects); err == nil {
			t.Error("all grants on the server could be taken back")
		}
		same(t, "events", f.events(&seq), []string{"grant.taken in web of ann by account:bo", "grant.taken in web of bo by account:bo"})
		for name, want := range map[string]Grant{"ann": {"api", Viewer}, "bo": {AllProjects, Auditor}} {
			a, err := f.Account(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			same(t, name, a.Grants, []Grant{want})
		}
	})
}

func TestTidy(t *testing.T) {
	each(t, func(f *fixture) {
		f.account("ann")
		in := f.login("ann")
		expired, _, err := f.CreateToken(t.Context(), in.Identity, NewToken{Name: "short", Days: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.CreateToken(t.Context(), in.Identity, NewToken{Name: "long", Days: 365}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.FirstLink(t.Context()); err != nil {
			t.Fatal(err)
		}
		count := func(what string, sessions, tokens, links int64) {
			t.Helper()
			if err := f.Tidy(t.Context()); err != nil {
				t.Fatal(err)
			}
			for model, want := range map[any]int64{(*sessionRow)(nil): sessions, (*tokenRow)(nil): tokens, (*linkRow)(nil): links} {
				if got, err := f.db.NewSelect().Model(model).Count(t.Context()); err != nil || got != want {
					t.Errorf("%s: %d of %T, want %d; %v", what, got, model, want, err)
				}
			}
		}
		count("at once", 1, 2, 1)
		f.clock.pass(DefaultSessionIdle + time.Second)
		count("after half a day", 0, 2, 1)
		f.clock.pass(DefaultSessionIdle)
		count("after a day", 0, 2, 0)
		if _, err := f.bearer(expired); !errors.Is(err, ErrExpired) {
			t.Errorf("got %v", err)
		}
		f.clock.pass(keepExpired)
		count("after a month more", 0, 1, 0)
		if _, err := f.bearer(expired); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("got %v", err)
		}
	})
}
