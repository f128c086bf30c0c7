package release

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"
)

// world is what a rollout happens to: regions whose targets do what is desired, each in its own time, and with faults.
type world struct {
	rng     *rand.Rand
	now     time.Time
	regions map[string]*region
	// quiet ends all faults.
	quiet bool
	// bad is a candidate whose instances never become healthy; fails says why, where the target can tell.
	bad   Candidate
	fails string
}

type region struct {
	desired   Desired
	instances map[Candidate][]int // the ticks until each is healthy; 0 is healthy
	weights   map[Candidate]int
	requests  map[Candidate]int64
	seen      Observed
	away      int // ticks until it is heard of again
}

const tick = 5 * time.Second

var (
	oldVersion = Candidate{"sha256:old", "1"}
	newVersion = Candidate{"sha256:new", "2"}
)

func newWorld(seed uint64, r Rollout) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), regions: map[string]*region{}}
	for _, name := range r.Regions() {
		g := &region{instances: map[Candidate][]int{}, weights: map[Candidate]int{}, requests: map[Candidate]int64{}}
		if !r.Old.IsZero() {
			g.instances[r.Old] = make([]int, r.Strategy.In(name))
			g.weights[r.Old] = Whole
		}
		w.regions[name] = g
		w.look(g)
	}
	return w
}

func (g *region) healthy(c Candidate) int {
	n := 0
	for _, left := range g.instances[c] {
		if left == 0 {
			n++
		}
	}
	return n
}

// look makes what is seen of a region up to date.
func (w *world) look(g *region) {
	o := Observed{At: w.now, Healthy: map[Candidate]int{}, Running: map[Candidate]int{}, Failed: map[Candidate]string{},
		Weights: maps.Clone(g.weights), Requests: maps.Clone(g.requests)}
	for c, list := range g.instances {
		o.Healthy[c], o.Running[c] = g.healthy(c), len(list)
		if c == w.bad && w.fails != "" && len(list) > 0 {
			o.Failed[c] = w.fails
		}
	}
	g.seen = o
}

func (w *world) chance(p float64) bool { return !w.quiet && w.rng.Float64() < p }

// pass lets a tick pass: targets do a part of what is desired of them, and things break.
func (w *world) pass() {
	w.now = w.now.Add(tick)
	for _, g := range w.regions {
		for c, list := range g.instances {
			for i := range list {
				switch {
				case c == w.bad:
					list[i] = 1
				case list[i] > 0:
					list[i]--
				case w.chance(0.002):
					list[i] = 1 + w.rng.IntN(4) // crashed, and starts again
				}
			}
		}
		for _, v := range []Candidate{g.desired.New.Candidate, g.desired.Old.Candidate} {
			want := g.desired.Old.Instances + g.desired.Baseline
			if v == g.desired.New.Candidate {
				want = g.desired.New.Instances
			}
			if v.IsZero() || w.chance(0.1) {
				continue
			}
			for len(g.instances[v]) < want {
				g.instances[v] = append(g.instances[v], 1+w.rng.IntN(4))
			}
			if len(g.instances[v]) > want && (g.weights[v] == 0 || want > 0) {
				g.instances[v] = g.instances[v][:want]
			}
		}
		// The rule of targets: a share moves only to who is healthy.
		next, last := g.desired.New.Candidate, g.desired.Old.Candidate
		if !w.chance(0.1) && !next.IsZero() {
			n, o := g.desired.Weight, Whole-g.desired.Weight
			switch {
			case g.healthy(next) == 0 && g.healthy(last) > 0:
				n, o = 0, Whole
			case g.healthy(last) == 0 && g.healthy(next) > 0 && (!last.IsZero() || n == Whole):
				n, o = Whole, 0
			case last.IsZero():
				o = 0
			}
			g.weights = map[Candidate]int{next: n, last: o}
		}
		for c, weight := range g.weights {
			if g.healthy(c) > 0 {
				g.requests[c] += int64(weight) / 10
			}
		}
		if g.away > 0 {
			g.away--
			continue
		}
		if w.chance(0.01) {
			g.away = 1 + w.rng.IntN(20)
			continue
		}
		w.look(g)
	}
}

// act gives the targets what is desired. A region that is away hears of it later.
func (w *world) act(r Rollout) {
	for name, d := range r.Desired() {
		if w.regions[name].away == 0 {
			w.regions[name].desired = d
		}
	}
}

// check says what is wrong with the world as a rollout has left it.
func (w *world) check(r Rollout) error {
	for name, g := range w.regions {
		n, o := g.healthy(r.New), g.healthy(r.Old)
		switch r.Phase {
		case Succeeded:
			if n != r.Strategy.In(name) || g.weights[r.New] != Whole || len(g.instances[r.Old]) != 0 {
				return fmt.Errorf("%s succeeded with %d new instances, %d old ones, and %d of the traffic", name, n, len(g.instances[r.Old]), g.weights[r.New])
			}
		case RolledBack, Cancelled:
			if len(g.instances[r.New]) != 0 || g.weights[r.New] != 0 || !r.Old.IsZero() && (o != r.Strategy.In(name) || g.weights[r.Old] != Whole) {
				return fmt.Errorf("%s ended as %s with %d new instances, %d old ones, and %d of the traffic", name, r.Phase, len(g.instances[r.New]), o, g.weights[r.New])
			}
		}
	}
	return nil
}
