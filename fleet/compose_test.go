package fleet

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent/route"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden: what a host shall be, for a file with everything.
func TestGolden(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("testdata", "gantry.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	next := bytes.Replace(src, []byte("LOG_LEVEL: info"), []byte("LOG_LEVEL: debug"), 1)
	h := open(t, storetest.Open(t))
	h.joinHost(t, "eu-1", nil)
	for i, service := range []string{"ledger", "shop", "api", "feed"} {
		place := release.Place{Project: "meridian", Service: service, Environment: "production"}
		a, b := h.shelf.put(t, "meridian", string(src), "production", service, 1), h.shelf.put(t, "meridian", string(next), "production", service, 2)
		r := record(int64(i+1), 1, place, b, a, [][]string{{"eu"}})
		d := release.Desired{New: release.Group{Candidate: b, Instances: 1}, Old: release.Group{Candidate: a, Instances: 2}, Weight: 500}
		switch service {
		case "ledger":
			d.New.Instances, d.Weight = 2, 0
		case "shop":
			d.Baseline = 1
		}
		if err := h.Apply(t.Context(), r, map[string]release.Desired{"eu": d}); err != nil {
			t.Fatal(err)
		}
	}
	row, err := h.row(t.Context(), "eu-1", true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(row.Desired.V, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	name := filepath.Join("testdata", "desired.json")
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the desired state is another one (-update writes it):\n%s", got)
	}
	var parts []partRow
	if err := h.o.DB.NewSelect().Model(&parts).Scan(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if p.Problem != "" {
			t.Errorf("%s: %s", p.instances(), p.Problem)
		}
	}
	// The host's router takes it.
	router, err := route.New(route.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer router.Close()
	table := route.Table{}
	for _, s := range row.Desired.V.Services {
		table.Services = append(table.Services, s.Service)
	}
	if err := router.Apply(table); err != nil {
		t.Error(err)
	}
}

// TestSpread holds the promises of spreading over random histories.
func TestSpread(t *testing.T) {
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 7))
		before := numbers{}
		var agents []string
		for step := range 12 {
			switch rng.IntN(4) {
			case 0:
				agents = append(agents, fmt.Sprintf("a%d-%d", seed%5, step))
			case 1:
				if len(agents) > 0 {
					agents = slices.Delete(agents, 0, 1)
				}
			}
			var shares []share
			for _, g := range []string{"new", "old", "old-baseline"} {
				if n := rng.IntN(9); n > 0 {
					shares = append(shares, share{g, n, agents})
				}
			}
			after := spread("shop/production/eu/web", before, shares)
			checkSpread(t, seed, before, after, shares)
			again := spread("shop/production/eu/web", after, shares)
			if fmt.Sprint(again) != fmt.Sprint(after) {
				t.Fatalf("seed %d: the same again moves\n%v\n%v", seed, after, again)
			}
			before = after
		}
	}
}

func checkSpread(t *testing.T, seed uint64, before, after numbers, shares []share) {
	t.Helper()
	for _, s := range shares {
		sum, seen, moved := 0, map[int]bool{}, 0
		for _, a := range slices.Sorted(maps.Keys(after)) {
			list := after[a][s.group]
			sum += len(list)
			for _, n := range list {
				if seen[n] {
					t.Fatalf("seed %d: %s %d is there twice: %v", seed, s.group, n, after)
				}
				seen[n] = true
				if !slices.Contains(before[a][s.group], n) {
					moved++
				}
			}
			if len(s.agents) > 0 {
				if most := (s.count + len(s.agents) - 1) / len(s.agents); len(list) > most {
					t.Fatalf("seed %d: %s has %d of %d among %d", seed, a, len(list), s.count, len(s.agents))
				}
			}
			if len(list) > 0 && !slices.Contains(s.agents, a) {
				t.Fatalf("seed %d: %s is none of the agents", seed, a)
			}
		}
		if want := s.count; len(s.agents) > 0 && sum != want {
			t.Fatalf("seed %d: %d of %d", seed, sum, want)
		}
		// What stays is as much as an even spread allows.
		stay := 0
		if n := len(s.agents); n > 0 {
			low, extra := s.count/n, s.count%n
			var have []int
			for _, a := range s.agents {
				have = append(have, len(before[a][s.group]))
			}
			slices.SortFunc(have, func(a, b int) int { return b - a })
			for i, had := range have {
				room := low
				if i < extra {
					room++
				}
				stay += min(had, room)
			}
			if kept := sum - moved; kept < stay {
				t.Fatalf("seed %d: %d stay where %d could: %v → %v", seed, kept, stay, before, after)
			}
		}
	}
}

// TestWeigh: the shares of agents add up to what was asked for, as far as those that have the version can take it.
func TestWeigh(t *testing.T) {
	fresh, old := release.Candidate{Artifact: "sha256:b", Config: "1"}, release.Candidate{Artifact: "sha256:a", Config: "1"}
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 3))
		d := release.Desired{New: release.Group{Candidate: fresh}, Old: release.Group{Candidate: old}, Weight: []int{0, 1, 100, 500, 2500, 5000, 9999, release.Whole}[rng.IntN(8)]}
		g := groupsOf(d)
		var parts []partRow
		only, both, serving := 0, 0, 0
		for i := range 1 + rng.IntN(6) {
			n := map[string][]int{}
			if rng.IntN(2) == 0 {
				n[g.fresh] = []int{i}
			}
			if rng.IntN(4) > 0 {
				n[g.old] = []int{i}
			}
			switch {
			case len(n[g.fresh]) > 0 && len(n[g.old]) > 0:
				both++
				serving++
			case len(n[g.old]) > 0:
				serving++
			case len(n[g.fresh]) > 0 && d.Weight > 0:
				only++
				serving++
			}
			parts = append(parts, partRow{Agent: fmt.Sprint(i), Numbers: store.AsJSON(n)})
		}
		sum := 0
		for _, p := range parts {
			w := weigh(d, g, parts, p.Agent)
			if w.fresh < 0 || w.fresh > release.Whole || w.fresh > 0 && p.count(g.fresh) == 0 || w.fresh > 0 && d.Weight == 0 || !w.serves && w.fresh > 0 {
				t.Fatalf("seed %d: %+v", seed, w)
			}
			sum += w.fresh
		}
		if serving == 0 {
			continue
		}
		want := min(max(d.Weight*serving, only*release.Whole), (only+both)*release.Whole)
		if d.Weight == release.Whole {
			want = (only + both) * release.Whole
		}
		if sum < want || sum > want+both {
			t.Fatalf("seed %d: %d of %d among %d (%d only, %d both)", seed, sum, want, serving, only, both)
		}
	}
}

// TestHistories: random placements, agents and changes leave hosts that a router takes, each thing once, and generations that only grow.
func TestHistories(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { history(t, seed) })
	}
}

const many = `
services:
  web: {command: [./web], instances: 4, ports: {http: {listen: ":8080", hosts: [web.example.com]}}, health: /healthz}
  api: {command: [./api], instances: 3, ports: {http: {listen: ":8080", hosts: [api.example.com]}}, health: /healthz, strategy: blue-green}
  all: {command: [./all], instances: 2, ports: {http: ":8081", tcp: ":9000"}, health: /healthz, strategy: rolling}
environments:
  - name: production
    regions: [eu, us]
    targets: [{region: eu, labels: {region: eu}}, {region: us, labels: {region: us}}]
`

func history(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 11))
	h := open(t, storetest.Open(t))
	regions := []string{"eu", "us"}
	services := []string{"web", "api", "all"}
	generations := map[string]int64{}
	now := map[release.Place]release.Candidate{}
	version, joined := int64(0), 0
	projects := []string{"shop", "other"} // whose addresses collide
	wanted := map[place]release.Desired{}
	for range 30 {
		switch {
		case len(h.hosts) == 0 || rng.IntN(8) == 0 && len(h.hosts) < 6:
			joined++
			h.joinHost(t, fmt.Sprintf("h%d", joined), map[string]string{"region": regions[rng.IntN(2)]})
		case rng.IntN(12) == 0:
			names := slices.Sorted(maps.Keys(h.hosts))
			name := names[rng.IntN(len(names))]
			if err := h.RemoveAgent(t.Context(), "account:ann", name); err != nil {
				t.Fatal(err)
			}
			delete(h.hosts, name)
			delete(generations, name)
		case rng.IntN(8) == 0:
			names := slices.Sorted(maps.Keys(h.hosts))
			one := h.hosts[names[rng.IntN(len(names))]]
			one.labels = map[string]string{"region": regions[rng.IntN(2)]}
			h.reportOf(t, one)
		default:
			at := release.Place{Project: projects[rng.IntN(2)], Service: services[rng.IntN(3)], Environment: "production"}
			old := now[at]
			next := h.shelf.put(t, at.Project, many, "production", at.Service, 1+rng.IntN(3))
			if next == old {
				continue
			}
			version++
			r := record(version, 1, at, next, old, [][]string{{"eu"}, {"us"}})
			n := 1 + rng.IntN(4)
			d := release.Desired{New: release.Group{Candidate: next, Instances: n}, Old: release.Group{Candidate: old, Instances: rng.IntN(4)}, Weight: []int{0, 500, 5000, release.Whole}[rng.IntN(4)]}
			if old.IsZero() {
				d.Old.Instances, d.Weight = 0, release.Whole
			}
			if rng.IntN(2) == 0 && d.Old.Instances > 0 && at.Service == "web" {
				d.Baseline = 1
			}
			both := map[string]release.Desired{"eu": d, "us": d}
			if err := h.Apply(t.Context(), r, both); err != nil {
				t.Fatal(err)
			}
			now[at] = next
			for _, region := range regions {
				wanted[place{at.Project, at.Environment, region, at.Service}] = d
			}
		}
		before := map[string]int64{}
		for name, one := range h.hosts {
			before[name] = one.has.Generation
		}
		h.sync(t)
		for name, one := range h.hosts {
			if one.has.Generation < generations[name] {
				t.Fatalf("the generation of %s shrinks", name)
			}
			generations[name] = one.has.Generation
		}
		checkHosts(t, h, wanted)
		// Nothing changes when nothing changes.
		h.clock.pass(time.Second)
		h.sync(t)
		for name, one := range h.hosts {
			if one.has.Generation != generations[name] {
				t.Fatalf("the generation of %s grows by itself", name)
			}
		}
	}
}

// checkHosts says what is wrong with what hosts shall be.
func checkHosts(t *testing.T, h *home, wanted map[place]release.Desired) {
	t.Helper()
	counts := map[string]map[string]int{}
	agents := map[string]int{}
	for _, one := range h.hosts {
		agents[one.labels["region"]]++
		ids, table := map[string]bool{}, route.Table{}
		for _, i := range one.has.Instances {
			if ids[i.Spec.ID] {
				t.Fatalf("%s is there twice", i.Spec.ID)
			}
			ids[i.Spec.ID] = true
			if counts[i.Service] == nil {
				counts[i.Service] = map[string]int{}
			}
			counts[i.Service][i.Version]++
		}
		seen := map[string]bool{}
		for _, l := range one.has.Listeners {
			if seen[l.Address] {
				t.Fatalf("%s is listened on twice", l.Address)
			}
			seen[l.Address] = true
			l.Address = "127.0.0.1:0"
			table.Listeners = append(table.Listeners, l)
		}
		for _, s := range one.has.Services {
			table.Services = append(table.Services, s.Service)
		}
		router, err := route.New(route.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := router.Apply(table); err != nil {
			t.Fatalf("the router refuses what %s shall be: %v", one.name, err)
		}
		_ = router.Close()
	}
	for p, d := range wanted {
		if agents[p.Region] == 0 {
			continue
		}
		g := groupsOf(d)
		for group, want := range map[string]int{g.fresh: d.New.Instances, g.old: d.Old.Instances, g.baseline: d.Baseline} {
			if got := counts[p.instances()][group]; group != "" && got != want {
				t.Fatalf("%s has %d of %d instances of %s", p.instances(), got, want, group)
			}
		}
	}
}

// TestAddresses: who was first keeps an address, and who comes later is told.
func TestAddresses(t *testing.T) {
	h := open(t, storetest.Open(t))
	h.joinHost(t, "eu-1", map[string]string{"region": "eu"})
	var r release.Record
	var c release.Candidate
	for i, name := range []string{"shop", "other"} {
		h.clock.pass(time.Second)
		at := release.Place{Project: name, Service: "all", Environment: "production"}
		c = h.shelf.put(t, name, many, "production", "all", 1)
		r = record(int64(i+1), 1, at, c, release.Candidate{}, [][]string{{"eu"}})
		if err := h.Apply(t.Context(), r, map[string]release.Desired{"eu": desiredOf(c, release.Candidate{}, 2, 0, release.Whole)}); err != nil {
			t.Fatal(err)
		}
	}
	h.sync(t)
	o, err := h.Observe(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	want := "the port http cannot have requests for any host and path on :8081 of this host: shop/production/eu/all/http has that; tell them apart by hosts or paths; " +
		"the port tcp cannot listen on :9000 of this host: shop/production/eu/all/tcp does; choose another address, or tell them apart by hosts or paths with the same protocol and tls"
	if got := o["eu"].Failed[c]; got != want {
		t.Errorf("%s", got)
	}
	for _, l := range h.hosts["eu-1"].has.Listeners {
		for _, route := range l.Routes {
			if route.Service != "shop/production/eu/all/http" && route.Service != "shop/production/eu/all/tcp" {
				t.Errorf("%+v", route)
			}
		}
	}
	a, err := h.Agent(t.Context(), "eu-1")
	if err != nil || a.Problems["other/production/eu/all"] != want {
		t.Errorf("%+v %v", a.Problems, err)
	}
}

// TestCompany: the second version comes to where the first one is, also when an agent has joined since.
func TestCompany(t *testing.T) {
	agents := []string{"a", "b", "c", "d"}
	for _, without := range agents {
		had := slices.DeleteFunc(slices.Clone(agents), func(a string) bool { return a == without })
		before := spread("x", numbers{}, []share{{"old", 3, had}})
		after := spread("x", before, []share{{"new", 2, agents}, {"old", 3, agents}, {"old-baseline", 2, agents}})
		for a, groups := range after {
			if len(groups["new"]) > 0 && (len(groups["old"]) == 0 || len(groups["old-baseline"]) == 0) {
				t.Errorf("%s has the new version by itself: %v", a, after)
			}
		}
	}
}
