package judge

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store"
)

// world is a service in two regions' worth of agents, with a clock of its own.
type world struct {
	t       testing.TB
	db      *store.DB
	now     time.Time
	doc     project.Config
	agents  []*agent
	queries func(query string, at time.Time) ([]float64, error)
	judge   *Service
	past    []Trail
	trouble string
	r       release.Record
	rng     *rand.Rand
}

// agent counts the requests of the versions that run on it.
type agent struct {
	name   string
	boot   string
	at     time.Time
	silent bool
	counts map[string]*Counters // "new", "old", "baseline"
}

// traffic is what a version serves: requests a second, the share that fails, and how long they take in the median, in seconds.
type traffic struct {
	rate, fails, typical float64
}

var (
	newer = release.Candidate{Artifact: "sha256:02", Config: "sha256:c2"}
	older = release.Candidate{Artifact: "sha256:01", Config: "sha256:c1"}
)

func (w *world) Config(_ context.Context, digest string) (project.Config, error) {
	if digest != newer.Config {
		return project.Config{}, errors.New("there is no such configuration")
	}
	return w.doc, nil
}

func (w *world) Counters(context.Context, release.Place) (map[string][]Counters, error) {
	all := map[string][]Counters{}
	for _, a := range w.agents {
		for _, side := range []string{"new", "old", "baseline"} {
			c, ok := a.counts[side]
			if !ok {
				continue
			}
			one := *c
			one.Agent, one.Boot, one.At = a.name, a.boot, a.at
			one.Latency = append(analysis.Histogram(nil), c.Latency...)
			all["eu"] = append(all["eu"], one)
		}
	}
	return all, nil
}

// Past is what the agents have counted since they began, where the test keeps it.
func (w *world) Past(context.Context, release.Place) (map[string][]Trail, error) {
	return map[string][]Trail{"eu": w.past}, nil
}

// Trouble is what the test says.
func (w *world) Trouble(_ context.Context, p release.Place, version string) string {
	if p != w.r.Place || version != newer.Version() {
		return ""
	}
	return w.trouble
}

func (w *world) Value(_ context.Context, query string, at time.Time) ([]float64, error) {
	return w.queries(query, at)
}

func newAgent(name string) *agent {
	return &agent{name: name, boot: "1", counts: map[string]*Counters{
		"new": {Version: newer.Version()}, "old": {Version: older.Version()}, "baseline": {Version: older.Version(), Baseline: true},
	}}
}

func newWorld(t testing.TB, db *store.DB, seed uint64) *world {
	w := &world{t: t, db: db, now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), rng: rand.New(rand.NewPCG(seed, 1))}
	service := &project.Service{Name: "web", Ports: []*project.Port{{Name: "http", Listen: ":8080", Protocol: project.HTTP}}, Analysis: project.Analysis{
		Interval: project.Duration(time.Second), Errors: project.Test{Level: 0.01, Floor: 1, Samples: 50},
		Latency: project.Test{Level: 0.01, Floor: 20, AtLeast: project.Duration(time.Millisecond), Samples: 50},
	}}
	w.doc = project.Config{Project: "shop", Service: "web", Environment: "prod", Placements: []*project.Placement{{Region: "eu", Service: service}}}
	w.agents = []*agent{newAgent("a1"), newAgent("a2")}
	w.queries = func(string, time.Time) ([]float64, error) { return nil, errors.New("nobody is asked") }
	w.r = release.Record{ID: 7, Place: release.Place{Project: "shop", Service: "web", Environment: "prod"}, State: release.Rollout{
		New: newer, Old: older, Waves: [][]string{{"eu"}}, Phase: release.Placing, Since: w.now,
		Strategy: release.Strategy{Kind: release.Canary, Instances: 2, Analyse: true, Baseline: true, Warm: time.Hour,
			Steps: []release.CanaryStep{{Weight: 500, For: time.Minute}, {Weight: 5000, For: time.Minute}}},
	}}
	w.restart()
	return w
}

func (w *world) service() *project.Service { return w.doc.Placements[0].Service }

// restart forgets what the judge has in memory.
func (w *world) restart() {
	s, err := New(w.t.Context(), Options{DB: w.db, Configs: w, Samples: w, Queries: w, Now: func() time.Time { return w.now }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.judge = s
}

func (w *world) to(p release.Phase, step int) {
	w.r.State.Phase, w.r.State.Step, w.r.State.Since = p, step, w.now
}

// second lets a second of traffic pass, and reports.
func (w *world) second(canary, stable, baseline traffic) {
	w.now = w.now.Add(time.Second)
	for _, a := range w.agents {
		w.serve(a.counts["new"], canary)
		w.serve(a.counts["old"], stable)
		w.serve(a.counts["baseline"], baseline)
		if !a.silent {
			a.at = w.now
		}
	}
}

func (w *world) serve(c *Counters, t traffic) {
	if c == nil {
		return
	}
	n := int(t.rate / float64(len(w.agents)))
	if w.rng.Float64() < t.rate/float64(len(w.agents))-float64(n) {
		n++
	}
	for range n {
		c.Requests++
		if w.rng.Float64() < t.fails {
			c.Errors++
		}
		seconds := t.typical * (0.5 + w.rng.ExpFloat64())
		c.Latency.Add(analysis.DefaultBuckets.Index(seconds), 1)
	}
}

func (w *world) ask() release.Opinion {
	w.t.Helper()
	o, err := w.judge.Judge(w.t.Context(), w.r)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// equal is traffic of 400 requests a second, of which the canary and its baseline have 5 % each.
var (
	stable = traffic{360, 0.002, 0.02}
	small  = traffic{20, 0.002, 0.02}
)

// served is what the old version did before anybody looked.
func (w *world) served(t traffic, seconds int) {
	for _, a := range w.agents {
		trail := Trail{Version: older.Version()}
		for range seconds {
			w.serve(a.counts["old"], t)
			w.now = w.now.Add(time.Second)
			trail.Counts = append(trail.Counts, Count{w.now, a.counts["old"].Requests, a.counts["old"].Errors})
		}
		w.past = append(w.past, trail)
		w.now = w.now.Add(time.Duration(-seconds) * time.Second)
	}
	w.now = w.now.Add(time.Duration(seconds) * time.Second)
}

// learn passes the time before the canary has traffic.
func (w *world) learn(seconds int) {
	for range seconds {
		w.second(traffic{}, stable, traffic{})
		w.ask()
	}
}
