package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/release/analysis"
)

var strategies = map[string]Strategy{
	"rolling":    {Kind: Rolling, Instances: 5, Batch: 2, Hold: 20 * time.Second, Analyse: true, Soak: time.Minute, Warm: time.Minute},
	"blue-green": {Kind: BlueGreen, Instances: 2, Smoke: true, Hold: time.Minute, Analyse: true, Warm: 5 * time.Minute},
	"canary": {Kind: Canary, Instances: 4, Baseline: true, Analyse: true, Extend: 2, Soak: 2 * time.Minute, Warm: time.Minute, Steps: []CanaryStep{
		{Weight: 500, For: time.Minute}, {Weight: 2500, Requests: 5000}, {Weight: 5000, For: 30 * time.Second, Manual: true}}},
	"canary with regions of their own": {Kind: Canary, Instances: 3, Regions: map[string]int{"west": 1, "north": 7}, Baseline: true, Analyse: true, Soak: time.Minute, Warm: time.Minute, Steps: []CanaryStep{
		{Weight: 500, For: time.Minute}, {Weight: 4000, For: time.Minute}}},
	"rolling with regions of their own": {Kind: Rolling, Instances: 5, Regions: map[string]int{"east": 2, "north": 8}, Batch: 2, Hold: 20 * time.Second, Analyse: true, Warm: time.Minute},
	"canary that goes back in doubt":    {Kind: Canary, Instances: 1, Analyse: true, Undecided: GoBack, Smoke: true, Steps: []CanaryStep{{Weight: 1000, For: 30 * time.Second, Requests: 100}}},
}

var waves = [][]string{{"east"}, {"west", "north"}}

func begin(t testing.TB, s Strategy, earlier Candidate) Rollout {
	t.Helper()
	r, err := New(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), newVersion, earlier, waves, s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// drive advances as a reconciler would, as often as something changes.
func drive(w *world, r Rollout, in Input) Rollout {
	for range 20 {
		in.Regions = map[string]Observed{}
		for name, g := range w.regions {
			in.Regions[name] = g.seen
		}
		next, _ := r.Advance(w.now, in)
		if reflect.DeepEqual(next, r) {
			break
		}
		r = next
	}
	w.act(r)
	return r
}

// good is an input in which all goes well.
var good = Input{Expand: Outcome{Done: true}, Contract: Outcome{Done: true}, Smoke: Outcome{Done: true}, Verdict: analysis.Pass}

// TestStraight goes through each strategy without faults, and prints its way.
func TestStraight(t *testing.T) {
	for name, s := range strategies {
		for _, earlier := range []Candidate{oldVersion, {}} {
			t.Run(fmt.Sprintf("%s, earlier %v", name, !earlier.IsZero()), func(t *testing.T) {
				r := begin(t, s, earlier)
				r.Expand, r.Contract = true, true
				w := newWorld(1, r)
				w.quiet = true
				w.act(r)
				var way []string
				for n := 0; !r.Phase.Ended(); n++ {
					if n > 2000 {
						t.Fatalf("it stays in %s: %s", r.Phase, r.Reason)
					}
					w.pass()
					if r.Phase == Holding && s.Plan(!earlier.IsZero())[r.Step].Manual && !r.Approved {
						var err error
						if r, err = r.Tell(w.now, Approve, "ann"); err != nil {
							t.Fatal(err)
						}
					}
					r = drive(w, r, good)
					if at := fmt.Sprintf("%s %d/%d", r.Phase, r.Wave, r.Step); len(way) == 0 || way[len(way)-1] != at {
						way = append(way, at)
					}
				}
				t.Log(strings.Join(way, " → "))
				if r.Phase != Succeeded {
					t.Errorf("it ended as %s: %s", r.Phase, r.Cause)
				}
				if err := w.check(r); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestChaos runs each strategy again and again with faults, deaths of the driver between any two acts, and people who interfere: the promises of
// the package hold at each tick, and in the end, when the faults are over, the rollout ends as somebody wanted.
func TestChaos(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	ends := map[Phase]int{}
	for name, s := range strategies {
		for seed := range uint64(rounds) {
			r, err := chaos(t, s, seed)
			if err != nil {
				t.Errorf("%s, seed %d: %v (%s: %s)", name, seed, err, r.Phase, r.Reason)
				break
			}
			ends[r.Phase]++
		}
	}
	t.Logf("%v", ends)
	if ends[Succeeded] == 0 || ends[RolledBack] == 0 {
		t.Error("chance has not tried both ends")
	}
}

func chaos(t testing.TB, s Strategy, seed uint64) (Rollout, error) {
	earlier := oldVersion
	if seed%10 == 0 {
		earlier = Candidate{}
	}
	r := begin(t, s, earlier)
	r.Expand, r.Contract = seed%3 == 0, seed%4 == 0
	w := newWorld(seed, r)
	w.act(r)
	if seed%5 == 1 {
		w.bad = newVersion
		if seed%2 == 0 {
			w.fails = "exits at once"
		}
	}
	frozen := false
	mood := []analysis.Verdict{analysis.Pass, analysis.Pass, analysis.Pass, analysis.Inconclusive, analysis.Error, analysis.Fail, Unjudged}
	for n := range 3000 {
		w.quiet = n > 600
		w.pass()
		in := good
		in.Verdict, in.Reason = mood[w.rng.IntN(len(mood))], "by chance"
		if w.quiet || w.chance(0.9) {
			in.Verdict = analysis.Pass
		}
		in.Early = w.chance(0.5)
		if frozen = frozen != w.chance(0.05) && !w.quiet; frozen {
			in.Closed = "a freeze"
		}
		in.Next = w.chance(0.05)
		if w.chance(0.3) {
			in.Smoke, in.Expand, in.Contract = Outcome{}, Outcome{}, Outcome{}
		} else if w.chance(0.01) {
			in.Smoke.Failure, in.Expand.Failure = "no", "no"
		}
		in.Regions = map[string]Observed{}
		for name, g := range w.regions {
			in.Regions[name] = g.seen
		}
		if w.chance(0.02) {
			commands := []Command{Pause, Resume, Approve, Abort, "nonsense"}
			if told, err := r.Tell(w.now, commands[w.rng.IntN(len(commands))], "ann"); err == nil {
				r = told
			}
		}
		if w.quiet && !r.Phase.Ended() && !r.Phase.Reverting() {
			// Somebody sees to it that it goes on.
			if told, err := r.Tell(w.now, Resume, "bo"); err == nil {
				r = told
			}
			if told, err := r.Tell(w.now, Approve, "bo"); err == nil {
				r = told
			}
		}
		next, _ := r.Advance(w.now, in)
		if err := transition(w.now, r, next, in); err != nil {
			return r, err
		}
		switch {
		case w.chance(0.1): // it died before it was stored
			continue
		case w.chance(0.1): // it died before it acted; who comes next acts on what is stored
			r = next
			continue
		}
		// What is stored comes back as it was.
		r = next
		if w.rng.IntN(20) == 0 {
			b, err := json.Marshal(next)
			if err != nil {
				return r, err
			}
			r = Rollout{}
			if err := json.Unmarshal(b, &r); err != nil {
				return r, err
			}
		}
		w.act(r)
		if r.Phase.Ended() && w.quiet {
			for range 40 { // until everything that was on its way is there
				w.act(r)
				w.pass()
			}
			return r, w.check(r)
		}
	}
	return r, errors.New("it never ended")
}

// transition holds a step of a rollout against the package's promises.
func transition(now time.Time, r, next Rollout, in Input) error {
	switch {
	case (r.Contracted || r.Phase == Contracting) && (next.Phase.Reverting() || next.Phase == RolledBack):
		return errors.New("it went back over a contract migration")
	case r.Phase == Contracting && !r.Contracted:
		return errors.New("it does not know that a contract migration has begun")
	case r.Phase.Ended() && next.Phase != r.Phase:
		return errors.New("it went on after its end")
	case in.Closed != "" && (next.Wave > r.Wave || next.Step > r.Step || r.Phase == Waiting && next.Phase != Waiting):
		return fmt.Errorf("it goes on from %s to %s while a gate is closed", r.Phase, next.Phase)
	case next.Wave > r.Wave && r.Phase != Soaking:
		return errors.New("the next wave began without a soak")
	}
	if left := r.Phase == Holding && next.Phase != Holding && next.Phase != Returning; left && r.steps()[r.Step].Analyse && in.Verdict != analysis.Pass {
		return fmt.Errorf("it left step %d with the verdict %q", r.Step, in.Verdict)
	}
	was, will := r.Desired(), next.Desired()
	for wave, regions := range next.Waves {
		for _, region := range regions {
			d, o := will[region], in.Regions[region]
			begun := wave <= next.Wave || next.Phase == Warm || next.Phase == Contracting || next.Phase == Retiring || next.Phase == Succeeded
			switch {
			case !begun && (d.Weight != 0 || d.New.Instances != 0):
				return fmt.Errorf("%s is touched before its wave", region)
			case d.Weight > 0 && d.New.Instances == 0 || d.Weight < Whole && d.Old.Instances == 0 && !next.Old.IsZero():
				return fmt.Errorf("in %s %d of the traffic shall go to %d new and %d old instances", region, d.Weight, d.New.Instances, d.Old.Instances)
			case d.Weight > was[region].Weight && in.Closed != "":
				return fmt.Errorf("in %s more of the traffic is asked for in %s after %s while a gate is closed", region, next.Phase, r.Phase)
			case d.Weight > was[region].Weight && !(next.Phase == Routing && r.Phase != Routing && seen(now, o) && o.Healthy[r.New] > 0 || r.Phase == Checking):
				return fmt.Errorf("in %s more of the traffic is asked for in %s after %s, with %d healthy instances", region, next.Phase, r.Phase, o.Healthy[r.New])
			case next.Strategy.Kind != Rolling && !next.Old.IsZero() && d.Old.Instances < next.Strategy.In(region) && next.Phase != Retiring && next.Phase != Succeeded:
				return fmt.Errorf("in %s only %d old instances are left in %s", region, d.Old.Instances, next.Phase)
			case d.Old.Instances < was[region].Old.Instances && next.Phase != Holding && next.Phase != Retiring && next.Phase != Soaking && next.Phase != Succeeded:
				return fmt.Errorf("in %s old instances are ended in %s", region, next.Phase)
			case next.Phase == Removing && r.Phase == Returning && begun && (o.Weights[r.New] != 0 || !seen(now, o)):
				return fmt.Errorf("in %s the new version is removed with %d of the traffic", region, o.Weights[r.New])
			}
			watched := r.Phase == Routing || r.Phase == Holding || r.Phase == Soaking || r.Phase == Warm
			if watched && wave <= r.Wave && seen(now, o) && o.Healthy[r.New] == 0 && next.Phase != Returning {
				return fmt.Errorf("in %s no instance is healthy, and it goes on with %s", region, next.Phase)
			}
		}
	}
	return nil
}

// TestReasons has each way to go back say why.
func TestReasons(t *testing.T) {
	canary := strategies["canary"]
	toHold := func(t *testing.T, s Strategy) (*world, Rollout) {
		r := begin(t, s, oldVersion)
		w := newWorld(1, r)
		w.quiet = true
		w.act(r)
		for range 50 {
			w.pass()
			if r = drive(w, r, Input{Smoke: Outcome{Done: true}}); r.Phase == Holding {
				return w, r
			}
		}
		t.Fatalf("it stays in %s", r.Phase)
		return nil, r
	}
	for _, c := range []struct {
		name, cause string
		run         func(t *testing.T) Rollout
	}{
		{"a failing verdict", "the analysis fails: twice as slow", func(t *testing.T) Rollout {
			w, r := toHold(t, canary)
			return drive(w, r, Input{Verdict: analysis.Fail, Early: true, Reason: "twice as slow"})
		}},
		{"no instance is healthy", "in east no instance of the new version is healthy", func(t *testing.T) Rollout {
			w, r := toHold(t, canary)
			w.bad = newVersion
			w.pass()
			return drive(w, r, Input{Verdict: analysis.Pass})
		}},
		{"it crashes", "in east the new version fails: exit code 2", func(t *testing.T) Rollout {
			w, r := toHold(t, canary)
			w.bad, w.fails = newVersion, "exit code 2"
			w.pass()
			return drive(w, r, Input{Verdict: analysis.Pass})
		}},
		{"it never starts", "instances are not healthy yet after 5m0s", func(t *testing.T) Rollout {
			r := begin(t, canary, oldVersion)
			w := newWorld(1, r)
			w.quiet, w.bad = true, newVersion
			for range 70 {
				w.pass()
				r = drive(w, r, Input{})
			}
			return r
		}},
		{"in doubt", "the analysis is inconclusive: 3 requests", func(t *testing.T) Rollout {
			w, r := toHold(t, strategies["canary that goes back in doubt"])
			for range 20 {
				w.pass()
				r = drive(w, r, Input{Verdict: analysis.Inconclusive, Reason: "3 requests"})
			}
			return r
		}},
		{"a smoke check", "a smoke check failed: /healthz answered 500", func(t *testing.T) Rollout {
			r := begin(t, strategies["blue-green"], oldVersion)
			w := newWorld(1, r)
			w.quiet = true
			w.act(r)
			for range 20 {
				w.pass()
				r = drive(w, r, Input{Smoke: Outcome{Done: true, Failure: "/healthz answered 500"}})
			}
			return r
		}},
		{"a migration", "an expand migration failed: locked", func(t *testing.T) Rollout {
			r := begin(t, canary, oldVersion)
			r.Expand = true
			w := newWorld(1, r)
			return drive(w, r, Input{Expand: Outcome{Done: true, Failure: "locked"}})
		}},
		{"a person", "aborted by ann", func(t *testing.T) Rollout {
			w, r := toHold(t, canary)
			r, err := r.Tell(w.now, Abort, "ann")
			if err != nil {
				t.Fatal(err)
			}
			return r
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := c.run(t); r.Cause != c.cause || !r.Phase.Reverting() && r.Phase != RolledBack {
				t.Errorf("it is %s because of %q", r.Phase, r.Cause)
			}
		})
	}
	t.Run("doubt waits for a person", func(t *testing.T) {
		w, r := toHold(t, canary)
		for range 60 {
			w.pass()
			r = drive(w, r, Input{Verdict: analysis.Error, Reason: "no data"})
		}
		if r.Phase != Holding || !r.Paused || !r.Doubt || !strings.Contains(r.Reason, "waits for a person, since the analysis is error: no data") || r.Extended != 2 {
			t.Fatalf("it is %+v", r)
		}
		if next, err := r.Tell(w.now, Promote, "ann"); err != nil || next.Step != r.Step+1 || next.Phase != Placing {
			t.Errorf("promoted it is %s %d, %v", next.Phase, next.Step, err)
		}
		r, err := r.Tell(w.now, Resume, "ann")
		if r = drive(w, r, Input{Verdict: analysis.Pass}); err != nil || r.Phase != Holding {
			t.Errorf("resumed it is %s, %v", r.Phase, err)
		}
	})
	t.Run("a region that is away", func(t *testing.T) {
		w, r := toHold(t, canary)
		w.regions["east"].away = 1000
		for range 200 {
			w.pass()
			r = drive(w, r, Input{Verdict: analysis.Pass})
		}
		if r.Phase != Holding || r.Reason != "nothing is heard of east" {
			t.Errorf("it is %s: %s", r.Phase, r.Reason)
		}
		r, _ = r.Tell(w.now, Abort, "ann")
		if r = drive(w, r, Input{}); r.Phase != Returning || r.Reason != "aborted by ann; nothing is heard of east" {
			t.Errorf("it is %s: %s", r.Phase, r.Reason)
		}
		w.regions["east"].away = 0
		for range 30 {
			w.pass()
			r = drive(w, r, Input{})
		}
		if r.Phase != RolledBack || w.check(r) != nil {
			t.Errorf("it is %s: %s, %v", r.Phase, r.Reason, w.check(r))
		}
	})
}

// TestAway starts nothing in a region that is not heard of, however well it looked when it was.
func TestAway(t *testing.T) {
	r := begin(t, strategies["canary"], oldVersion)
	w := newWorld(1, r)
	w.quiet = true
	for r.Phase != Placing {
		r = drive(w, r, good)
	}
	for range 10 {
		w.pass() // all is healthy by now
	}
	w.now = w.now.Add(stale + tick)
	in := good
	in.Regions = map[string]Observed{"east": w.regions["east"].seen}
	if next, _ := r.Advance(w.now, in); next.Phase != Placing || !strings.Contains(next.Reason, "nothing is heard of east") {
		t.Errorf("it is %s: %s", next.Phase, next.Reason)
	}
}

// TestRoom brings a rolling rollout back no faster than old instances are there to take the traffic.
func TestRoom(t *testing.T) {
	r := begin(t, strategies["rolling"], oldVersion)
	w := newWorld(1, r)
	w.quiet = true
	for n := 0; r.Phase != Holding || r.Step != 1; n++ {
		if n > 100 {
			t.Fatalf("it stays in %s %d", r.Phase, r.Step)
		}
		w.pass()
		r = drive(w, r, good)
	}
	for w.regions["east"].healthy(oldVersion) != 1 {
		w.pass()
	}
	r, err := r.Tell(w.now, Abort, "ann")
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; !r.Phase.Ended(); n++ {
		if n > 100 {
			t.Fatalf("it stays in %s: %s", r.Phase, r.Reason)
		}
		r = drive(w, r, good)
		w.pass()
		g := w.regions["east"]
		if each := g.weights[oldVersion]; each > (g.healthy(oldVersion)+1)*Whole/5 {
			t.Fatalf("%d old instances have %d of the traffic", g.healthy(oldVersion), each)
		}
	}
	if err := w.check(r); err != nil || r.Phase != RolledBack {
		t.Errorf("it ended as %s, %v", r.Phase, err)
	}
}

// TestContract refuses to go back over a contract migration.
func TestContract(t *testing.T) {
	r := begin(t, strategies["blue-green"], oldVersion)
	r.Phase, r.Contracted = Contracting, true
	if _, err := r.Tell(r.Since, Abort, "ann"); !errors.Is(err, ErrContracted) {
		t.Errorf("aborted: %v", err)
	}
	next, _ := r.Advance(r.Since, Input{Contract: Outcome{Done: true, Failure: "locked"}})
	if next.Phase != Contracting || !strings.Contains(next.Reason, "a person has to mend it") {
		t.Errorf("after a failure it is %s: %s", next.Phase, next.Reason)
	}
}

// TestPlan shows the steps of strategies.
func TestPlan(t *testing.T) {
	show := func(s Strategy, earlier bool) string {
		var all []string
		for _, st := range s.Plan(earlier) {
			all = append(all, fmt.Sprintf("%d+%d@%d", st.New, st.Old+st.Baseline, st.Weight))
		}
		return strings.Join(all, " ")
	}
	for name, want := range map[string]string{
		"canary with regions of their own": "1+4@500 2+5@4000 3+0@10000", "rolling with regions of their own": "2+3@4000 4+1@8000 5+0@10000",
		"rolling": "2+3@4000 4+1@8000 5+0@10000", "blue-green": "2+0@10000", "canary": "1+5@500 1+5@2500 2+6@5000 4+0@10000",
	} {
		if got := show(strategies[name], true); got != want {
			t.Errorf("%s: %s", name, got)
		}
		s := strategies[name]
		if got := show(s, false); got != fmt.Sprintf("%d+0@10000", s.Instances) {
			t.Errorf("%s without an earlier version: %s", name, got)
		}
	}
}

// TestCheck says what is wrong with strategies.
func TestCheck(t *testing.T) {
	for want, s := range map[string]Strategy{
		"an instance at least":  {Kind: BlueGreen},
		"at least in east":      {Kind: BlueGreen, Instances: 1, Regions: map[string]int{"east": 0}},
		"is none of":            {Instances: 1},
		"at least one instance": {Kind: Rolling, Instances: 1},
		"has a step":            {Kind: Canary, Instances: 1},
		"belong to a canary":    {Kind: BlueGreen, Instances: 1, Baseline: true},
		"above 500":             {Kind: Canary, Instances: 1, Steps: []CanaryStep{{Weight: 500, For: 1}, {Weight: 500, For: 1}}},
		"at most 9999":          {Kind: Canary, Instances: 1, Steps: []CanaryStep{{Weight: Whole, For: 1}}},
		"it has to last":        {Kind: Canary, Instances: 1, Steps: []CanaryStep{{Weight: 1}}},
		"soak is negative":      {Kind: BlueGreen, Instances: 1, Soak: -1},
		"neither":               {Kind: BlueGreen, Instances: 1, Undecided: "x"},
		"extend is negative":    {Kind: BlueGreen, Instances: 1, Extend: -1},
	} {
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
	ok := strategies["canary"]
	for want, make := range map[string]func() (Rollout, error){
		"no candidate": func() (Rollout, error) { return New(time.Time{}, Candidate{}, oldVersion, waves, ok) },
		"no region":    func() (Rollout, error) { return New(time.Time{}, newVersion, oldVersion, nil, ok) },
		"wave 1 has":   func() (Rollout, error) { return New(time.Time{}, newVersion, oldVersion, [][]string{{}}, ok) },
		"twice": func() (Rollout, error) {
			return New(time.Time{}, newVersion, oldVersion, slices.Concat(waves, waves), ok)
		},
	} {
		if _, err := make(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
