package ship

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// TestSuperseded ends a release that waits at a gate when a newer one begins, and leaves one that is for something else.
func TestSuperseded(t *testing.T) {
	const file = `
services:
  ledger: {command: [./ledger], strategy: {blue-green: {}, keep-warm: 0s}}
  web: {command: [./web], strategy: {blue-green: {}, keep-warm: 0s}}
environments:
  - {name: staging, targets: [{agents: [staging]}]}
  - {name: production, gates: {approvals: {count: 1}}}
`
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		for _, v := range []string{"a", "b", "c"} {
			r.forge.commit(t, v, file, map[string]string{"ledger": v, "web": v})
		}
		first := r.start("a").ID
		r.status(first, Waiting)
		// For less than the first still has to do: that one stays.
		part, err := r.Start(t.Context(), ann, Request{Project: "shop", Ref: "b", Services: []string{"web"}})
		if err != nil || len(part.Notes) != 0 {
			t.Fatalf("it is %+v, %v", part, err)
		}
		r.until(part.ID, "the gate", func(r Release) bool { return r.Environments[1].Status == Gated })
		third := r.start("c")
		if got := strings.Join(third.Notes, "; "); got != "release 1, which waited at the gates of production, is superseded; release 2, which waited at the gates of production, is superseded" {
			t.Errorf("it says %q", got)
		}
		for _, id := range []string{first, part.ID} {
			got := r.settled(id)
			if got.Status != Cancelled || got.Reason != "superseded by release 3" || got.Environments[0].Status != Succeeded || got.Environments[1].Status != Cancelled {
				t.Errorf("it is %+v", got)
			}
		}
		r.until(third.ID, "the gate", func(r Release) bool { return r.Environments[1].Status == Gated })
		if _, err := r.Approve(t.Context(), bo, third.ID, "production", ""); err != nil {
			t.Fatal(err)
		}
		if got := r.settled(third.ID); got.Status != Succeeded {
			t.Errorf("it is %+v", got)
		}
	})
}

// TestOrder lets one release at a time into an environment, and never an older one after a newer.
func TestOrder(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		for _, v := range []string{"a", "b", "c"} {
			r.forge.commit(t, v, shop, map[string]string{"ledger": v, "web": v})
		}
		r.settled(r.start("a").ID)
		r.hosts.set(r.hosts.stuck, candidateOf(t, "ledger", "b"), true)
		first := r.start("b").ID
		r.until(first, "staging", func(r Release) bool { return r.Environments[0].Service("ledger").Rollout > 0 })
		second := r.start("c").ID
		r.until(second, "its turn", func(r Release) bool {
			return r.Status == Waiting && r.Reason == "staging: waits for release 2, which is under way there"
		})
		r.hosts.set(r.hosts.stuck, candidateOf(t, "ledger", "b"), false)
		b, c := r.settled(first), r.settled(second)
		if c.Status != Succeeded || b.Status != Succeeded && !strings.HasPrefix(b.Reason, "superseded by release 3") {
			t.Errorf("they are %+v and %+v", b, c)
		}
		for _, environment := range []string{"staging", "production"} {
			if got := r.hosts.has(t, place("web", environment)); got.Artifact != candidateOf(t, "web", "c") {
				t.Errorf("%s has %v", environment, got)
			}
		}
	})
}

// TestDeaths stops servers at any moment, with two on a database, while releases succeed, fail and are rolled back: each ends as it would have, and nothing
// is begun twice.
func TestDeaths(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		rng := rand.New(rand.NewPCG(3, 4))
		first := newRoom(t, db, nil)
		alive := []*room{first, newRoom(t, storetest.Again(t, db), first)}
		first.hosts.set(first.hosts.bad, candidateOf(t, "web", "bad"), true)
		done := make(chan struct{})
		var killing sync.WaitGroup
		killing.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Duration(10+rng.IntN(250)) * time.Millisecond):
				}
				i := rng.IntN(2)
				alive[i].stop()
				alive[i] = newRoom(t, storetest.Again(t, db), first)
			}
		})
		last := "0"
		for n := range 8 {
			v := fmt.Sprint(n)
			content := v
			if n%3 == 2 {
				content = "bad"
			}
			first.forge.commit(t, v, shop, map[string]string{"ledger": v, "web": content})
			got := first.settled(first.start(v).ID)
			want := Succeeded
			if content == "bad" {
				want = RolledBack
			}
			if got.Status != want {
				t.Errorf("release %s ended as %s: %s", v, got.Status, got.Reason)
			}
			switch {
			case content == "bad":
			case n%3 == 1:
				back, err := first.Rollback(t.Context(), bo, got.ID, "")
				if err != nil {
					t.Fatal(err)
				}
				if back = first.settled(back.ID); back.Status != Succeeded {
					t.Errorf("the rollback of release %s ended as %s: %s", v, back.Status, back.Reason)
				}
			default:
				last = v
			}
			for _, service := range []string{"ledger", "web"} {
				for _, environment := range []string{"staging", "production"} {
					if got := first.hosts.has(t, place(service, environment)); got.Artifact != candidateOf(t, service, last) {
						t.Errorf("after release %s, %s in %s has %v, not %s", v, service, environment, got, last)
					}
				}
			}
		}
		close(done)
		killing.Wait()
		first.hosts.mu.Lock()
		defer first.hosts.mu.Unlock()
		for key, ids := range first.hosts.begun {
			if len(ids) != 1 {
				t.Errorf("for %s %d rollouts were begun", key, len(ids))
			}
		}
	})
}
