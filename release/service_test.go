package release

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// targets is a target in memory, for all places. Each look lets a tick pass.
type targets struct {
	mu     sync.Mutex
	worlds map[Place]*world
	// known is the newest rollout and its version at each place.
	known map[Place][2]int64
	// bad has no healthy instances.
	bad Candidate
}

func (t *targets) world(r Record) *world {
	w := t.worlds[r.Place]
	if w == nil {
		w = newWorld(uint64(len(t.worlds)), Rollout{Waves: r.State.Waves, Strategy: r.State.Strategy})
		w.quiet = true
		t.worlds[r.Place] = w
	}
	w.bad = t.bad
	return w
}

func (t *targets) Apply(_ context.Context, r Record, d map[string]Desired) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.world(r)
	if k := t.known[r.Place]; r.ID < k[0] || r.ID == k[0] && r.Version < k[1] {
		return nil
	}
	t.known[r.Place] = [2]int64{r.ID, r.Version}
	for name, one := range d {
		w.regions[name].desired = one
	}
	return nil
}

func (t *targets) Observe(_ context.Context, r Record) (map[string]Observed, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.world(r)
	w.pass()
	all := map[string]Observed{}
	for name, g := range w.regions {
		o := g.seen
		o.At = time.Now()
		all[name] = o
	}
	return all, nil
}

// judge is one whose opinions are by candidate; pass where it has none.
type judge struct {
	mu  sync.Mutex
	all map[Candidate]Opinion
}

func (j *judge) Judge(_ context.Context, r Record) (Opinion, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if o, ok := j.all[r.State.New]; ok {
		return o, nil
	}
	return Opinion{Verdict: analysis.Pass}, nil
}

// tasks counts how often each is begun, which is once.
type tasks struct {
	mu    sync.Mutex
	begun map[string]int
	fail  string
}

func (t *tasks) Run(_ context.Context, r Record, what string) (Outcome, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := fmt.Sprint(r.ID, what)
	t.begun[key]++
	if t.begun[key] < 3 {
		return Outcome{}, nil // under way
	}
	return Outcome{Done: true, Failure: t.fail}, nil
}

// room is a service with all that it needs, on a database.
type room struct {
	*Service
	db      *store.DB
	targets *targets
	judge   *judge
	tasks   *tasks
	gate    *gate
	stop    func()
}

func newRoom(t testing.TB, db *store.DB, from *room) *room {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &room{db: db, targets: &targets{worlds: map[Place]*world{}, known: map[Place][2]int64{}}, judge: &judge{all: map[Candidate]Opinion{}}, tasks: &tasks{begun: map[string]int{}}, gate: &gate{}}
	if from != nil {
		r.targets, r.judge, r.tasks, r.gate = from.targets, from.judge, from.tasks, from.gate
	}
	e, err := engine.New(ctx, db, engine.Options{TTL: 400 * time.Millisecond, Poll: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Service, err = NewService(ctx, Options{DB: db, Engine: e, Target: r.targets, Judge: r.judge, Task: r.tasks, Gate: r.gate, Poll: 2 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = e.Run(ctx) })
	r.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(r.stop)
	return r
}

// ended waits for the end of a rollout.
func (r *room) ended(t testing.TB, id int64) Record {
	t.Helper()
	return r.until(t, id, "an end", func(r Record) bool { return r.State.Phase.Ended() })
}

func (r *room) until(t testing.TB, id int64, what string, ok func(Record) bool) Record {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(2 * time.Minute); ; {
		got, err := r.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if ok(got) {
			return got
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("rollout %d never came to %s: %s, %s", id, what, got.State.Phase, got.State.Reason)
		}
	}
}

var (
	place = Place{"meridian", "gateway", "production"}
	short = Strategy{Kind: Canary, Instances: 2, Analyse: true, Smoke: true, Soak: time.Millisecond, Warm: time.Millisecond, Steps: []CanaryStep{
		{Weight: 1000, For: 5 * time.Millisecond}, {Weight: 5000, For: time.Millisecond, Requests: 10}}}
)

func version(n int) Candidate { return Candidate{fmt.Sprintf("sha256:%d", n), "1"} }

func (r *room) begin(t testing.TB, p Place, n int) Record {
	t.Helper()
	got, err := r.Begin(t.Context(), Request{Actor: "account:ann", Place: p, Candidate: version(n), Waves: waves, Strategy: short, Expand: true, Contract: true})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestService brings candidates to a place one after the other.
func TestService(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		var last Record
		for n := 1; n <= 3; n++ {
			last = r.ended(t, r.begin(t, place, n).ID)
			if got, err := r.Released(t.Context(), place); last.State.Phase != Succeeded || got != version(n) || err != nil {
				t.Fatalf("it ended as %s (%s), and %v is released, %v", last.State.Phase, last.State.Cause, got, err)
			}
			if err := r.targets.worlds[place].check(last.State); err != nil {
				t.Error(err)
			}
		}
		if last.State.Old != version(2) {
			t.Errorf("the last one replaced %v", last.State.Old)
		}
		again := r.ended(t, r.begin(t, place, 3).ID)
		if again.State.Phase != Succeeded || again.State.Reason != "it is there already" {
			t.Errorf("the same again ended as %s: %s", again.State.Phase, again.State.Reason)
		}
		// A bad one goes back to exactly what was there.
		r.judge.mu.Lock()
		r.judge.all[version(4)] = Opinion{Verdict: analysis.Fail, Early: true, Reason: "half of its requests fail"}
		r.judge.mu.Unlock()
		bad := r.ended(t, r.begin(t, place, 4).ID)
		if got, _ := r.Released(t.Context(), place); bad.State.Phase != RolledBack || bad.State.Cause != "the analysis fails: half of its requests fail" || got != version(3) {
			t.Errorf("the bad one ended as %s (%s), and %v is released", bad.State.Phase, bad.State.Cause, got)
		}
		if err := r.targets.worlds[place].check(bad.State); err != nil {
			t.Error(err)
		}
		list, err := r.List(t.Context(), Query{Project: place.Project, Limit: 3})
		if err != nil || len(list) != 3 || list[0].ID != bad.ID {
			t.Errorf("the list is %+v, %v", list, err)
		}
		if rest, err := r.List(t.Context(), Query{Project: place.Project, Before: list[2].ID, Limit: 10}); err != nil || len(rest) != 2 {
			t.Errorf("the rest is %+v, %v", rest, err)
		}
		var events []string
		var rows []store.Event
		if err := db.NewSelect().Model(&rows).Where("subject = ?", fmt.Sprint(bad.ID)).Order("seq").Scan(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, e := range rows {
			events = append(events, strings.TrimPrefix(e.Type, "rollout."))
		}
		if got := strings.Join(events, " "); got != "asked begun expanding placing checking routing holding returning removing rolled-back" {
			t.Errorf("its events are %s", got)
		}
		if _, err := r.Tell(t.Context(), "account:bo", bad.ID, Abort); !errors.Is(err, ErrEnded) {
			t.Errorf("aborted after its end: %v", err)
		}
		if _, err := r.Tell(t.Context(), "account:bo", 999, Abort); !errors.Is(err, ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
		if _, err := r.Begin(t.Context(), Request{}); err == nil {
			t.Error("nothing was begun")
		}
	})
}

// TestQueue has rollouts of one place wait for each other, and cancels one that waits without touching what runs.
func TestQueue(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		r := newRoom(t, db, nil)
		r.ended(t, r.begin(t, place, 1).ID)
		r.judge.mu.Lock()
		r.judge.all[version(2)] = Opinion{}
		r.judge.mu.Unlock()
		first := r.begin(t, place, 2)
		r.until(t, first.ID, "its first step", func(r Record) bool { return r.State.Phase == Holding })
		cancelled, second := r.begin(t, place, 3), r.begin(t, place, 4)
		elsewhere := r.ended(t, r.begin(t, Place{"meridian", "gateway", "staging"}, 3).ID)
		if elsewhere.State.Phase != Succeeded {
			t.Errorf("elsewhere it ended as %s", elsewhere.State.Phase)
		}
		if got, err := r.Tell(t.Context(), "account:bo", cancelled.ID, Abort); err != nil || got.State.Phase != Cancelled {
			t.Errorf("it is %s, %v", got.State.Phase, err)
		}
		for _, id := range []int64{first.ID, second.ID} {
			if got, _ := r.Get(t.Context(), id); (id == second.ID) != got.Queued || got.State.Phase.Ended() {
				t.Errorf("rollout %d is %+v", id, got)
			}
		}
		if got, err := r.Tell(t.Context(), "account:bo", first.ID, Pause); err != nil || !got.State.Paused {
			t.Errorf("paused: %v", err)
		}
		if got, err := r.Tell(t.Context(), "account:bo", first.ID, Promote); err != nil || got.State.Paused {
			t.Errorf("promoted: %v", err)
		}
		r.judge.mu.Lock()
		delete(r.judge.all, version(2))
		r.judge.mu.Unlock()
		if got := r.ended(t, first.ID); got.State.Phase != Succeeded {
			t.Errorf("the first ended as %s (%s)", got.State.Phase, got.State.Cause)
		}
		if got := r.ended(t, second.ID); got.State.Phase != Succeeded || got.State.Old != version(2) {
			t.Errorf("the second ended as %s, after %v", got.State.Phase, got.State.Old)
		}
	})
}

// TestDeaths stops servers at any moment, with one or two on a database: each rollout ends as it would have, and at each place only once.
func TestDeaths(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		rng := rand.New(rand.NewPCG(1, 2))
		first := newRoom(t, db, nil)
		alive := []*room{first, newRoom(t, storetest.Again(t, db), first)}
		first.judge.all[version(3)] = Opinion{Verdict: analysis.Fail, Early: true, Reason: "bad"}
		var all []Record
		for n := 1; n <= 4; n++ {
			for p := range 2 {
				all = append(all, first.begin(t, Place{"meridian", fmt.Sprint("service", p), "production"}, n))
			}
		}
		done := make(chan struct{})
		var killing sync.WaitGroup
		killing.Go(func() {
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Duration(10+rng.IntN(300)) * time.Millisecond):
				}
				i := rng.IntN(2)
				alive[i].stop()
				alive[i] = newRoom(t, storetest.Again(t, db), first)
			}
		})
		for _, one := range all {
			got := first.ended(t, one.ID)
			want := Succeeded
			if one.State.New == version(3) {
				want = RolledBack
			}
			if got.State.Phase != want {
				t.Errorf("%v at %s ended as %s (%s)", one.State.New, one.Place, got.State.Phase, got.State.Cause)
			}
		}
		close(done)
		killing.Wait()
		for p, w := range first.targets.worlds {
			if got, err := first.Released(t.Context(), p); got != version(4) || err != nil {
				t.Errorf("%s has %v, %v", p, got, err)
			}
			for name, g := range w.regions {
				if g.healthy(version(4)) != short.Instances || g.weights[version(4)] != Whole || len(g.instances[version(3)])+len(g.instances[version(2)])+len(g.instances[version(1)]) != 0 {
					t.Errorf("%s of %s has %v with %v", name, p, g.instances, g.weights)
				}
			}
		}
	})
}
