package ship

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

const guarded = `
services:
  web:
    command: [./web]
    strategy: {blue-green: {}, keep-warm: 0s}
environments:
  - name: production
    gates:
      approvals: [{count: 1}, {role: risk}]
      require: [test, scan]
      freezes:
        mornings: {days: [mon], from: "08:00", to: "12:00", reason: orders are open}
`

// TestGates opens the gates of an environment one after the other.
func TestGates(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		r.people["bo"], r.people["cy"] = []string{"risk"}, nil
		r.forge.commit(t, "one", guarded, map[string]string{"web": "1"})
		id := r.start("one").ID
		got := r.status(id, Waiting)
		want := "test has to succeed: nothing is known of it for this commit; scan has to succeed: nothing is known of it for this commit; " +
			"waits for the approval of 1 person; waits for the approval of 1 person with the role risk; frozen until 2026-11-02 12:00 UTC: mornings: orders are open (mon 08:00 to 12:00 UTC)"
		if e := got.Environments[0]; e.Status != Gated || e.Reason != want || e.Gate.FrozenUntil.IsZero() || len(e.Gate.Required) != 2 {
			t.Errorf("it is %+v", e)
		}
		if may := strings.Join(got.Allows(), " "); may != "approve reject pause abort" {
			t.Errorf("it allows %s", may)
		}
		if _, err := r.Approve(t.Context(), ann, id, "production", ""); !errors.Is(err, ErrNotYours) {
			t.Errorf("approved by who started it: %v", err)
		}
		if _, err := r.Approve(t.Context(), By{Actor: "token:7", Account: "ann"}, id, "production", ""); !errors.Is(err, ErrNotYours) {
			t.Errorf("approved by a token of who started it: %v", err)
		}
		var unknown *UnknownError
		if _, err := r.Approve(t.Context(), bo, id, "test", ""); !errors.As(err, &unknown) {
			t.Errorf("approved elsewhere: %v", err)
		}
		// Bo could be anybody; as only Bo has the role, the place for anybody is left to Cy.
		if _, err := r.Approve(t.Context(), bo, id, "production", "looks well"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Approve(t.Context(), By{Actor: "token:8", Account: "bo"}, id, "production", ""); !errors.Is(err, ErrNotYours) {
			t.Errorf("approved twice by one person: %v", err)
		}
		after, err := r.Approve(t.Context(), cy, id, "production", "")
		if err != nil {
			t.Fatal(err)
		}
		if a := after.Environments[0].Gate.Approvals; len(a[0].Given) != 1 || a[0].Given[0].By != "cy" || len(a[1].Given) != 1 || a[1].Given[0].By != "bo" || a[1].Given[0].Comment != "looks well" {
			t.Errorf("the approvals are %+v", a)
		}
		r.checks.mu.Lock()
		r.checks.all["test"], r.checks.all["scan"] = true, false
		r.checks.mu.Unlock()
		r.until(id, "the failing check", func(r Release) bool {
			return r.Environments[0].Reason == "scan has to succeed: failed; frozen until 2026-11-02 12:00 UTC: mornings: orders are open (mon 08:00 to 12:00 UTC)"
		})
		r.checks.mu.Lock()
		r.checks.all["scan"] = true
		r.checks.mu.Unlock()
		r.until(id, "the freeze", func(r Release) bool {
			return r.Environments[0].Reason == "frozen until 2026-11-02 12:00 UTC: mornings: orders are open (mon 08:00 to 12:00 UTC)"
		})
		r.clock.pass(3 * time.Hour)
		if got := r.settled(id); got.Status != Succeeded {
			t.Errorf("it is %+v", got)
		}
		if _, err := r.Approve(t.Context(), cy, id, "production", ""); !errors.Is(err, ErrNotNow) {
			t.Errorf("approved after its end: %v", err)
		}
	})
}

// TestReject ends a release at its gate.
func TestReject(t *testing.T) {
	r := newRoom(t, storetest.Open(t), nil)
	r.forge.commit(t, "one", guarded, map[string]string{"web": "1"})
	id := r.start("one").ID
	r.status(id, Waiting)
	if _, err := r.Reject(t.Context(), bo, id, "production", "not today"); err != nil {
		t.Fatal(err)
	}
	if got := r.settled(id); got.Status != Cancelled || got.Reason != "rejected by Bo: not today" || got.Environments[0].Status != Cancelled {
		t.Errorf("it is %+v", got)
	}
}

// TestCounted gives approvals to demands so that as many are met as can be, whatever the order.
func TestCounted(t *testing.T) {
	demands := []project.Approval{{Count: 2}, {Count: 1, Role: "risk"}, {Count: 1, Role: "ops"}}
	by := func(name string, roles ...string) decision {
		return decision{Person: name, Roles: roles, Decision: Decision{By: name, Decision: approve}}
	}
	for _, c := range []struct {
		name string
		all  []decision
		want int
	}{
		{"nobody", nil, 0},
		{"roles that are free are used", []decision{by("a", "risk", "ops"), by("b", "risk"), by("c"), by("d")}, 4},
		{"as many without roles as are asked for", []decision{by("a"), by("b"), by("c")}, 2},
		{"one is not two", []decision{by("a", "risk", "ops")}, 1},
		{"no is no yes", []decision{{Person: "a", Decision: Decision{By: "a", Decision: reject}}}, 0},
	} {
		if got := given(counted(demands, c.all)); got != c.want {
			t.Errorf("%s: %d are met, not %d", c.name, got, c.want)
		}
	}
}

// TestFreeze holds a rollout in its steps when a freeze begins, also against a person who promotes it, and never holds the way back.
func TestFreeze(t *testing.T) {
	const file = `
services:
  web:
    command: [./web]
    ports: {http: ":8080"}
    strategy: {canary: {steps: [{weight: 5, for: 1h}, {weight: 50, for: 1h}]}, keep-warm: 0s}
environments:
  - name: production
    gates: {freezes: {noon: {days: [mon], from: "10:30", to: "15:00"}}}
`
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		r.forge.commit(t, "one", file, map[string]string{"web": "1"})
		r.settled(r.start("one").ID)
		r.forge.commit(t, "two", file, map[string]string{"web": "2"})
		id := r.start("two").ID
		web := func(r Release) *Member { return r.Environments[0].Service("web") }
		r.until(id, "its first step", func(r Release) bool { return web(r).Status == Status(release.Holding) })
		r.clock.pass(2 * time.Hour)
		held := r.until(id, "the freeze", func(r Release) bool { return strings.Contains(web(r).Reason, "frozen until") })
		if held.Rollouts[0].State.Step != 0 || held.Rollouts[0].State.Phase != release.Holding {
			t.Errorf("it is %+v", held.Rollouts[0].State)
		}
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: Promote}); !errors.Is(err, ErrNotNow) || !strings.Contains(err.Error(), "frozen until 2026-11-02 15:00 UTC: noon") {
			t.Errorf("promoted in a freeze: %v", err)
		}
		r.clock.pass(4*time.Hour + time.Minute)
		r.until(id, "its second step", func(r Release) bool { return len(r.Rollouts) == 1 && r.Rollouts[0].State.Step == 1 })
		r.clock.pass(-4 * time.Hour)
		if _, err := r.Tell(t.Context(), bo, id, Command{Do: Abort, Reason: "it is slow"}); err != nil {
			t.Fatal(err)
		}
		if got := r.settled(id); got.Status != RolledBack || got.Reason != "aborted by Bo: it is slow" {
			t.Errorf("it is %+v", got)
		}
	})
}
