package fleet

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

const shop = `
services:
  web:
    command: [./web]
    instances: 4
    ports: {http: ":8080"}
    health: /healthz
environments:
  - name: production
    targets: [{labels: {zone: a}}]
`

var (
	shopWeb = release.Place{Project: "shop", Service: "web", Environment: "production"}
	one     = [][]string{{"default"}}
)

func (h *home) apply(t testing.TB, r release.Record, d release.Desired) {
	t.Helper()
	if err := h.Apply(t.Context(), r, map[string]release.Desired{"default": d}); err != nil {
		t.Fatal(err)
	}
}

func (h *home) look(t testing.TB, r release.Record) release.Observed {
	t.Helper()
	o, err := h.Observe(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return o["default"]
}

// desiredOf is what a release of 4 instances wants.
func desiredOf(fresh, old release.Candidate, n, o, weight int) release.Desired {
	return release.Desired{New: release.Group{Candidate: fresh, Instances: n}, Old: release.Group{Candidate: old, Instances: o}, Weight: weight}
}

func TestRollout(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		zone := map[string]string{"zone": "a"}
		h.joinHost(t, "eu-1", zone)
		h.joinHost(t, "eu-2", zone)
		h.joinHost(t, "us-1", map[string]string{"zone": "b"})
		a, b := h.shelf.put(t, "shop", shop, "production", "web", 1), h.shelf.put(t, "shop", shop, "production", "web", 2)

		first := record(1, 1, shopWeb, a, release.Candidate{}, one)
		h.apply(t, first, desiredOf(a, release.Candidate{}, 4, 0, 0))
		if o := h.look(t, first); o.Healthy[a] != 0 || o.Weights[a] == release.Whole {
			t.Errorf("before anybody has heard of it: %+v", o)
		}
		h.apply(t, first, desiredOf(a, release.Candidate{}, 4, 0, release.Whole))
		h.sync(t)
		if o := h.look(t, first); o.Healthy[a] != 4 || o.Weights[a] != release.Whole || o.At != h.clock.now() {
			t.Errorf("%+v", o)
		}
		if n := len(h.hosts["us-1"].has.Instances); n != 0 {
			t.Errorf("%d instances where none are wanted", n)
		}

		second := record(2, 1, shopWeb, b, a, one)
		h.apply(t, second, desiredOf(b, a, 1, 4, 0))
		h.sync(t)
		if o := h.look(t, second); o.Healthy[b] != 1 || o.Healthy[a] != 4 || o.Weights[b] != 0 {
			t.Errorf("%+v", o)
		}
		second.Version++
		h.apply(t, second, desiredOf(b, a, 1, 4, 1000))
		if o := h.look(t, second); o.Weights[b] != 0 {
			t.Errorf("a share that nobody has applied yet: %+v", o)
		}
		h.sync(t)
		if o := h.look(t, second); o.Weights[b] != 1000 || o.Weights[a] != 9000 {
			t.Errorf("%+v", o)
		}
		// One of two agents has it: there it is twice as much.
		found := 0
		for _, one := range h.hosts {
			for _, s := range one.has.Services {
				if len(s.Arms) == 2 && s.Arms[1].Weight > 0 {
					found++
					if s.Arms[1].Version != b.Version() || s.Arms[1].Weight != 2000 {
						t.Errorf("%+v", s)
					}
				}
			}
		}
		if found != 1 {
			t.Errorf("%d agents have a share", found)
		}

		// Who is older changes nothing.
		h.apply(t, record(2, 1, shopWeb, b, a, one), desiredOf(b, a, 4, 4, 5000))
		h.apply(t, first, desiredOf(a, release.Candidate{}, 4, 0, release.Whole))
		before := map[string]int64{}
		for name, one := range h.hosts {
			before[name] = one.has.Generation
		}
		h.sync(t)
		for name, one := range h.hosts {
			if one.has.Generation != before[name] {
				t.Errorf("%s is asked for something else", name)
			}
		}
		if o, err := h.Observe(t.Context(), first); err != nil || len(o) != 0 {
			t.Errorf("the older rollout sees %v, %v", o, err)
		}

		second.Version++
		h.apply(t, second, desiredOf(b, a, 4, 0, release.Whole))
		h.sync(t)
		if o := h.look(t, second); o.Healthy[b] != 4 || o.Running[a] != 0 || o.Weights[b] != release.Whole {
			t.Errorf("%+v", o)
		}
		placed, err := h.Placed(t.Context(), "shop")
		if err != nil || len(placed) != 1 {
			t.Fatalf("%+v %v", placed, err)
		}
		if p := placed[0]; len(p.Versions) != 1 || p.Versions[0].Healthy != 4 || p.Versions[0].Weight != release.Whole || len(p.Problems) != 0 || len(p.Addresses) != 2 {
			t.Errorf("%+v", p)
		}
	})
}

func TestFailures(t *testing.T) {
	h := open(t, storetest.Open(t))
	a := h.shelf.put(t, "shop", shop, "production", "web", 1)
	r := record(1, 1, shopWeb, a, release.Candidate{}, one)
	h.apply(t, r, desiredOf(a, release.Candidate{}, 4, 0, release.Whole))
	if o := h.look(t, r); !strings.Contains(o.Failed[a], "with the labels zone=a") || o.At.IsZero() {
		t.Errorf("%+v", o)
	}
	eu := h.joinHost(t, "eu-1", map[string]string{"zone": "a"})
	h.sync(t)
	if o := h.look(t, r); o.Failed[a] != "" || o.Healthy[a] != 4 {
		t.Errorf("the agent that came later has no part: %+v", o)
	}
	h.clock.pass(time.Minute)
	if o := h.look(t, r); h.clock.now().Sub(o.At) != time.Minute {
		t.Errorf("what is seen is from %v", o.At)
	}
	eu.sick[a.Version()] = process.Status{State: process.Crashed, Crashes: 1, Reason: "it exited with code 3 at once"}
	h.reportOf(t, eu)
	if o := h.look(t, r); o.Failed[a] != "" {
		t.Errorf("what was well may crash once: %q", o.Failed[a])
	}
	eu.sick[a.Version()] = process.Status{State: process.Crashed, Crashes: 5, CrashLoop: true, Reason: "it crashes in a loop"}
	h.reportOf(t, eu)
	if o := h.look(t, r); !strings.Contains(o.Failed[a], "it crashes in a loop") {
		t.Errorf("%q", o.Failed[a])
	}
	b := h.shelf.put(t, "shop", shop, "production", "web", 2)
	r = record(2, 1, shopWeb, b, a, one)
	eu.sick[b.Version()] = process.Status{State: process.Crashed, Crashes: 1, Reason: "it exited with code 3 at once"}
	h.apply(t, r, desiredOf(b, a, 1, 4, 0))
	h.sync(t)
	if o := h.look(t, r); !strings.Contains(o.Failed[b], "code 3 at once") {
		t.Errorf("%q", o.Failed[b])
	}
}

// TestAtOnce: servers that store different things for the same hosts at the same time lose nothing of each other's.
func TestAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		h.joinHost(t, "eu-1", map[string]string{"region": "eu"})
		h.joinHost(t, "eu-2", map[string]string{"region": "eu"})
		other := openAt(t, storetest.Again(t, db), h.clock, t.TempDir())
		other.shelf = h.shelf
		other.o.Configs = h.shelf
		const rounds = 6
		var all sync.WaitGroup
		wanted := map[place]release.Desired{}
		for i, name := range []string{"shop", "bank", "desk", "mill"} {
			server := []*home{h, other}[i%2]
			at := release.Place{Project: name, Service: "web", Environment: "production"}
			c := h.shelf.put(t, name, many, "production", "web", 1)
			wanted[place{name, "production", "eu", "web"}] = desiredOf(c, release.Candidate{}, rounds, 0, release.Whole)
			all.Go(func() {
				for n := 1; n <= rounds; n++ {
					r := record(int64(i+1), int64(n), at, c, release.Candidate{}, [][]string{{"eu"}})
					if err := server.Apply(t.Context(), r, map[string]release.Desired{"eu": desiredOf(c, release.Candidate{}, n, 0, release.Whole)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		h.sync(t)
		checkHosts(t, h, wanted)
		for _, one := range h.hosts {
			if len(one.has.Instances) != 4*rounds/2 {
				t.Errorf("%s has %d instances", one.name, len(one.has.Instances))
			}
		}
	})
}

// TestOvertaken: an older word that is stored later, where there was nothing to lock, changes nothing.
func TestOvertaken(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		h.joinHost(t, "eu-1", map[string]string{"zone": "a"})
		a := h.shelf.put(t, "shop", shop, "production", "web", 1)
		h.apply(t, record(3, 2, shopWeb, a, release.Candidate{}, one), desiredOf(a, release.Candidate{}, 4, 0, release.Whole))
		for _, late := range []placementRow{{Rollout: 3, Version: 1}, {Rollout: 2, Version: 9}} {
			late.place = place{"shop", "production", "default", "web"}
			late.Desired = store.AsJSON(desiredOf(a, release.Candidate{}, 1, 0, release.Whole))
			err := db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				_, err := h.place(ctx, tx, &late)
				return err
			})
			if !errors.Is(err, errOvertaken) {
				t.Errorf("%v", err)
			}
		}
		h.sync(t)
		if n := len(h.hosts["eu-1"].has.Instances); n != 4 {
			t.Errorf("%d instances", n)
		}
	})
}
