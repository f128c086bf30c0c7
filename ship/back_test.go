package ship

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// file is a shop whose versions are kept warm for a time.
func file(warm string) string { return strings.ReplaceAll(shop, "keep-warm: 0s", "keep-warm: "+warm) }

// TestUnit takes all of an environment back when a service fails in it, also what was through; with the old version still there or not.
func TestUnit(t *testing.T) {
	for _, warm := range []string{"0s", "1h"} {
		t.Run(warm, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				r := newRoom(t, db, nil)
				r.forge.commit(t, "one", file(warm), map[string]string{"ledger": "1", "web": "1"})
				first := r.start("one").ID
				r.status(first, Succeeded)
				r.clock.pass(2 * time.Hour)
				r.settled(first)
				r.forge.commit(t, "two", file(warm), map[string]string{"ledger": "2", "web": "2"})
				second := r.start("two")
				r.status(second.ID, Succeeded)
				r.clock.pass(2 * time.Hour)
				r.settled(second.ID)

				r.forge.commit(t, "three", file(warm), map[string]string{"ledger": "3", "web": "bad"})
				r.hosts.set(r.hosts.bad, candidateOf(t, "web", "bad"), true)
				third := r.settled(r.start("three").ID)
				if third.Status != RolledBack || third.Environments[0].Status != RolledBack || third.Environments[1].Status != Skipped ||
					third.Reason != "staging: web: in default the new version does not start: exits at once" {
					t.Fatalf("it is %+v", third)
				}
				for _, service := range []string{"ledger", "web"} {
					for _, environment := range []string{"staging", "production"} {
						if got := r.hosts.has(t, place(service, environment)); got.Artifact != candidateOf(t, service, "2") {
							t.Errorf("%s in %s has %v", service, environment, got)
						}
					}
				}
				if ledger := third.Environments[0].Service("ledger"); (warm == "0s") != (ledger.Back > 0) {
					t.Errorf("with %s, the ledger went back as %+v", warm, ledger)
				}
			})
		})
	}
}

// TestWarmReturns takes an environment back, and ends what is under way after it, when a version fails that was through and whose predecessor is kept.
func TestWarmReturns(t *testing.T) {
	r := newRoom(t, storetest.Open(t), nil)
	r.forge.commit(t, "one", file("1h"), map[string]string{"ledger": "1", "web": "1"})
	first := r.start("one").ID
	r.status(first, Succeeded)
	r.clock.pass(2 * time.Hour)
	r.settled(first)
	r.forge.commit(t, "two", file("1h"), map[string]string{"ledger": "2", "web": "2"})
	second := r.status(r.start("two").ID, Succeeded)
	if may := strings.Join(second.Allows(), " "); may != "promote rollback" {
		t.Errorf("it allows %s", may)
	}
	r.hosts.set(r.hosts.bad, artifact(t, second, "web"), true)
	got := r.settled(second.ID)
	if got.Status != RolledBack || !strings.Contains(got.Reason, "web: in ") {
		t.Fatalf("it is %+v", got)
	}
	for _, environment := range []string{"staging", "production"} {
		if has := r.hosts.has(t, place("ledger", environment)); has.Artifact != candidateOf(t, "ledger", "1") {
			t.Errorf("the ledger in %s has %v", environment, has)
		}
	}
}

// TestContract leaves what is beyond a contract migration, says so before, and refuses to roll back over it.
func TestContract(t *testing.T) {
	const file = `
services:
  ledger:
    command: [./ledger]
    strategy: {blue-green: {}, keep-warm: 0s}
    migrations:
      - {name: add, phase: expand, command: [./ledger, add]}
      - {name: drop, phase: contract, command: [./ledger, drop]}
  web:
    command: [./web]
    needs: [ledger]
    strategy: {blue-green: {}, keep-warm: 0s}
environments: [production]
`
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		before := strings.ReplaceAll(file, "      - {name: drop, phase: contract, command: [./ledger, drop]}\n", "")
		r.forge.commit(t, "one", before, map[string]string{"ledger": "1", "web": "1"})
		first := r.settled(r.start("one").ID)
		if len(first.Notes) != 0 || !first.Rollouts[0].State.Expand || first.Rollouts[0].State.Contract {
			t.Errorf("it is %+v", first)
		}
		r.forge.commit(t, "two", file, map[string]string{"ledger": "2", "web": "bad"})
		r.hosts.set(r.hosts.bad, candidateOf(t, "web", "bad"), true)
		second := r.start("two")
		if len(second.Notes) != 1 || second.Notes[0] != "a rollback of ledger will not cross the contract step drop (production)" {
			t.Errorf("it says %q", second.Notes)
		}
		second = r.settled(second.ID)
		if second.Status != RolledBack || !strings.Contains(second.Environments[0].Reason, "ledger: it stays: a contract migration has begun") {
			t.Errorf("it is %+v", second)
		}
		if second.Rollouts[0].State.Expand || !second.Rollouts[0].State.Contract {
			t.Errorf("what has run already runs again: %+v", second.Rollouts[0].State)
		}
		if has := r.hosts.has(t, place("ledger", "production")); has.Artifact != candidateOf(t, "ledger", "2") {
			t.Errorf("the ledger has %v", has)
		}
		r.forge.commit(t, "three", file, map[string]string{"ledger": "3", "web": "3"})
		third := r.settled(r.start("three").ID)
		if third.Status != Succeeded || len(third.Notes) != 0 {
			t.Errorf("it is %+v", third)
		}
		// Back to the second is possible, back to the first is not.
		if _, err := r.Rollback(t.Context(), bo, first.ID, ""); !errors.Is(err, ErrRefused) {
			t.Errorf("the first is rolled back: %v", err)
		}
		back, err := r.Rollback(t.Context(), bo, third.ID, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := r.settled(back.ID); got.Status != Succeeded {
			t.Errorf("it is %+v", got)
		}
		if _, err := r.Rollback(t.Context(), bo, second.ID, ""); !errors.Is(err, ErrRefused) {
			t.Errorf("the second is rolled back over its contract step: %v", err)
		}
	})
}

// TestRollback goes back from C to B, and from B to A, with no start while the old version is warm.
func TestRollback(t *testing.T) {
	for _, warm := range []string{"0s", "1h"} {
		t.Run(warm, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				r := newRoom(t, db, nil)
				ids := map[string]string{}
				for _, v := range []string{"a", "b", "c"} {
					r.forge.commit(t, v, file(warm), map[string]string{"ledger": v, "web": v})
					ids[v] = r.start(v).ID
					r.status(ids[v], Succeeded)
					if v != "c" {
						r.clock.pass(2 * time.Hour)
						r.settled(ids[v])
					}
				}
				if warm == "0s" {
					r.settled(ids["c"])
				}
				has := func(want string) {
					t.Helper()
					for _, service := range []string{"ledger", "web"} {
						for _, environment := range []string{"staging", "production"} {
							if got := r.hosts.has(t, place(service, environment)); got.Artifact != candidateOf(t, service, want) {
								t.Errorf("%s in %s has %v, not %s", service, environment, got, want)
							}
						}
					}
				}
				if _, err := r.Rollback(t.Context(), bo, ids["b"], ""); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "something newer") {
					t.Errorf("b is rolled back from under c: %v", err)
				}
				back, err := r.Tell(t.Context(), bo, ids["c"], Command{Do: "rollback", Reason: "it is slow"})
				if err != nil {
					t.Fatal(err)
				}
				if back.Kind != Rollback || back.Of != ids["c"] || back.Environments[0].Name != "production" || back.Environments[0].Services[1].Service != "web" {
					t.Errorf("it is %+v", back)
				}
				back = r.settled(back.ID)
				if back.Status != Succeeded {
					t.Fatalf("it is %+v", back)
				}
				has("b")
				for _, one := range back.Rollouts {
					if (warm == "1h") != (one.State.Phase == release.RolledBack) {
						t.Errorf("with %s, %s went back by %+v", warm, one.Place, one.State)
					}
				}
				if got := r.settled(ids["c"]); got.Status != Succeeded || got.Reason != "taken back by release 4" {
					t.Errorf("c is %s: %s", got.Status, got.Reason)
				}
				if _, err := r.Rollback(t.Context(), bo, ids["c"], ""); !errors.Is(err, ErrRefused) {
					t.Errorf("rolled back twice: %v", err)
				}
				again, err := r.Rollback(t.Context(), bo, ids["b"], "")
				if err != nil {
					t.Fatal(err)
				}
				if again = r.settled(again.ID); again.Status != Succeeded {
					t.Errorf("it is %+v", again)
				}
				has("a")
				if _, err := r.Rollback(t.Context(), bo, ids["a"], ""); !errors.Is(err, ErrRefused) {
					t.Errorf("rolled back to nothing: %v", err)
				}
				// And forward again.
				forth, err := r.Rollback(t.Context(), bo, again.ID, "")
				if err != nil {
					t.Fatal(err)
				}
				if forth = r.settled(forth.ID); forth.Status != Succeeded {
					t.Errorf("it is %+v", forth)
				}
				has("b")
			})
		})
	}
}
