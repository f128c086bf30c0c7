package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// two is a world of two agents with a version on both.
func two(t *testing.T, db *store.DB) (*home, release.Record, release.Candidate, release.Candidate) {
	t.Helper()
	h := open(t, db)
	zone := map[string]string{"zone": "a"}
	h.joinHost(t, "eu-1", zone)
	h.joinHost(t, "eu-2", zone)
	a, b := h.shelf.put(t, "shop", shop, "production", "web", 1), h.shelf.put(t, "shop", shop, "production", "web", 2)
	r := record(2, 1, shopWeb, b, a, one)
	h.apply(t, r, desiredOf(b, a, 2, 4, 1000))
	h.sync(t)
	return h, r, a, b
}

func TestFreshness(t *testing.T) {
	h, r, _, b := two(t, storetest.Open(t))
	begin := h.clock.now()
	h.clock.pass(20 * time.Second)
	h.sync(t, "eu-1")
	if o := h.look(t, r); !o.At.Equal(begin) {
		t.Errorf("a region is as old as its oldest agent: %v", o.At)
	}
	// A host that has no part does not count.
	h.joinHost(t, "us-1", map[string]string{"zone": "b"})
	h.sync(t, "eu-2")
	h.clock.pass(time.Second)
	if o := h.look(t, r); h.clock.now().Sub(o.At) != time.Second || o.Healthy[b] != 2 {
		t.Errorf("%+v", o)
	}
	// One that has a part and has never reported keeps the region unseen.
	if _, err := h.o.DB.NewDelete().Table("agent_reports").Where("agent = ?", "eu-2").Exec(t.Context()); err == nil {
		t.Error("the reading handle writes")
	}
}

func TestWeightsAreReal(t *testing.T) {
	h, r, a, b := two(t, storetest.Open(t))
	if o := h.look(t, r); o.Weights[b] != 1000 || o.Weights[a] != 9000 {
		t.Errorf("%+v", o.Weights)
	}
	// Nobody is healthy on one of them: its share is none, and the region's is half.
	h.hosts["eu-1"].sick[b.Version()] = process.Status{State: process.Unhealthy}
	h.reportOf(t, h.hosts["eu-1"])
	if o := h.look(t, r); o.Weights[b] != 500 || o.Healthy[b] != 1 || o.Running[b] != 2 {
		t.Errorf("%+v", o)
	}
	// The agent of the next process has not looked yet, and its instance is what it was: a release goes on through an upgrade of the agent.
	h.hosts["eu-1"].sick[b.Version()] = process.Status{State: process.Starting, Adopted: true, WasHealthy: true}
	h.reportOf(t, h.hosts["eu-1"])
	if o := h.look(t, r); o.Healthy[b] != 2 {
		t.Errorf("while an agent is taken over: %+v", o)
	}
	// What one asks for is not reached before all have it.
	delete(h.hosts["eu-1"].sick, b.Version())
	r.Version++
	h.apply(t, r, desiredOf(b, a, 2, 4, 0))
	h.sync(t, "eu-1")
	if o := h.look(t, r); o.Weights[b] == 0 {
		t.Errorf("%+v", o)
	}
	h.sync(t, "eu-2")
	if o := h.look(t, r); o.Weights[b] != 0 {
		t.Errorf("%+v", o)
	}
	// What is not wanted any more is counted until it is gone, also on a host that does not know yet.
	r.Version++
	h.apply(t, r, desiredOf(b, a, 0, 4, 0))
	h.sync(t, "eu-1")
	if o := h.look(t, r); o.Running[b] != 1 {
		t.Errorf("%+v", o)
	}
	h.sync(t, "eu-2")
	if o := h.look(t, r); o.Running[b] != 0 {
		t.Errorf("%+v", o)
	}
}

// TestNothingToGoBackTo: the first version of all, ill from the start, has no share that could go to another one.
func TestNothingToGoBackTo(t *testing.T) {
	h := open(t, storetest.Open(t))
	h.joinHost(t, "eu-1", map[string]string{"zone": "a"})
	a := h.shelf.put(t, "shop", shop, "production", "web", 1)
	r := record(1, 1, shopWeb, a, release.Candidate{}, one)
	h.hosts["eu-1"].sick[a.Version()] = process.Status{State: process.Crashed, Crashes: 1, Reason: "it exited with code 3 at once"}
	h.apply(t, r, desiredOf(a, release.Candidate{}, 1, 0, release.Whole))
	h.sync(t)
	if o := h.look(t, r); o.Weights[a] != 0 {
		t.Errorf("it has traffic without being well: %+v", o)
	}
	r.Version++
	h.apply(t, r, desiredOf(a, release.Candidate{}, 1, 0, 0))
	h.sync(t)
	if o := h.look(t, r); o.Weights[a] != 0 {
		t.Errorf("what is waited for here never comes: %+v", o)
	}
}

func TestCounters(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h, r, a, b := two(t, db)
		eu := h.hosts["eu-1"]
		port := "shop/production/default/web/http"
		eu.traffic = map[string]map[string]link.Traffic{
			port:              {a.Version(): {Requests: 100, Errors: 1, Latency: [][2]int64{{3, 60}, {9, 40}}}, b.Version(): {Requests: 10}, "0000000": {Requests: 7}},
			port + ":preview": {b.Version(): {Requests: 1000}},
			"other/x/y/z/web": {b.Version(): {Requests: 1000}},
		}
		h.reportOf(t, eu)
		all, err := h.Counters(t.Context(), r.Place)
		if err != nil || len(all["default"]) != 4 {
			t.Fatalf("%+v %v", all, err)
		}
		for _, c := range all["default"] {
			if c.At.IsZero() || c.Boot != "b1" || c.Baseline {
				t.Errorf("%+v", c)
			}
			switch {
			case c.Agent == "eu-1" && c.Version == a.Version():
				if c.Traffic.Requests != 100 || c.Traffic.Errors != 1 || len(c.Traffic.Latency) != 2 || c.Traffic.Latency[1] != [2]int64{9, 40} {
					t.Errorf("%+v", c)
				}
			case c.Agent == "eu-1":
				if c.Version != b.Version() || c.Traffic.Requests != 10 {
					t.Errorf("%+v", c)
				}
			default:
				if c.Traffic.Requests != 0 {
					t.Errorf("%+v", c)
				}
			}
		}
		if o := h.look(t, r); o.Requests[a] != 100 || o.Requests[b] != 10 {
			t.Errorf("%+v", o.Requests)
		}
		// The next agent process begins at zero; what was answered stays answered, also for another server. What the one before says late does not count.
		eu.boot, eu.seq = "b2", 0
		eu.traffic = map[string]map[string]link.Traffic{port: {b.Version(): {Requests: 5}}}
		h.reportOf(t, eu)
		late := eu.say(h.clock.now())
		late.Boot, late.Seq, late.Traffic = "b1", 99, map[string]map[string]link.Traffic{port: {b.Version(): {Requests: 5000}}}
		row, err := h.row(t.Context(), "eu-1", false)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.take(t.Context(), row, late); err != nil {
			t.Fatal(err)
		}
		if o := h.look(t, r); o.Requests[a] != 100 || o.Requests[b] != 15 {
			t.Errorf("%+v", o.Requests)
		}
		other := openAt(t, storetest.Again(t, db), h.clock, t.TempDir())
		other.shelf.configs = h.shelf.configs
		if o := other.look(t, r); o.Requests[b] != 15 || o.Healthy[b] != 2 || o.Weights[b] != 1000 {
			t.Errorf("another server sees %+v", o)
		}
	})
}

// TestReportsAreStoredSeldom: the same again is stored every few seconds, and what rollouts look at at once.
func TestReportsAreStoredSeldom(t *testing.T) {
	h, _, _, b := two(t, storetest.Open(t))
	stored := func() time.Time {
		var row reportRow
		if err := h.o.DB.NewSelect().Model(&row).Where("agent = ?", "eu-1").Scan(t.Context()); err != nil {
			t.Fatal(err)
		}
		return row.At.Time
	}
	begin := stored()
	h.clock.pass(time.Second)
	h.reportOf(t, h.hosts["eu-1"])
	if !stored().Equal(begin) {
		t.Error("the same again is stored at once")
	}
	h.hosts["eu-1"].sick[b.Version()] = process.Status{State: process.Unhealthy}
	h.reportOf(t, h.hosts["eu-1"])
	if at := stored(); !at.Equal(h.clock.now()) {
		t.Errorf("a change is not stored: %v", at)
	}
	h.clock.pass(storeEvery)
	h.reportOf(t, h.hosts["eu-1"])
	if at := stored(); !at.Equal(h.clock.now()) {
		t.Errorf("after a while the same is not stored: %v", at)
	}
}

func TestMissingSecret(t *testing.T) {
	h := open(t, storetest.Open(t))
	h.joinHost(t, "eu-1", map[string]string{"zone": "a"})
	src := strings.Replace(shop, "    health:", "    secrets: [KEY]\n    health:", 1)
	a := h.shelf.put(t, "shop", src, "production", "web", 1)
	r := record(1, 1, shopWeb, a, release.Candidate{}, one)
	h.apply(t, r, desiredOf(a, release.Candidate{}, 4, 0, release.Whole))
	h.sync(t)
	if n := len(h.hosts["eu-1"].has.Instances); n != 0 {
		t.Errorf("%d instances without their secret", n)
	}
	if o := h.look(t, r); !strings.Contains(o.Failed[a], "the secret KEY of shop is not there for production") {
		t.Errorf("%q", o.Failed[a])
	}
	agents, err := h.Agents(t.Context())
	if err != nil || len(agents) != 1 || len(agents[0].Problems) != 4 {
		t.Errorf("%+v %v", agents, err)
	}
	before := h.hosts["eu-1"].has.Generation
	h.shelf.secrets["KEY"] = "x"
	h.clock.pass(askSecrets)
	row, err := h.row(t.Context(), "eu-1", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.askAgain(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	h.sync(t)
	if o := h.look(t, r); o.Failed[a] != "" || o.Healthy[a] != 4 || h.hosts["eu-1"].has.Generation <= before {
		t.Errorf("%+v", o)
	}
	// One that runs already is not disturbed when its secret goes.
	delete(h.shelf.secrets, "KEY")
	h.sync(t)
	if n := len(h.hosts["eu-1"].has.Instances); n != 4 {
		t.Errorf("%d instances", n)
	}
	if o := h.look(t, r); o.Failed[a] != "" {
		t.Errorf("%q", o.Failed[a])
	}
	if agents, err := h.Agents(t.Context()); err != nil || len(agents[0].Problems) != 4 {
		t.Errorf("nobody is told: %+v %v", agents, err)
	}
}

// TestDroppedRegion: a region that the new configuration does not have is given up when the old version is.
func TestDroppedRegion(t *testing.T) {
	h := open(t, storetest.Open(t))
	h.joinHost(t, "eu-1", map[string]string{"region": "eu"})
	h.joinHost(t, "us-1", map[string]string{"region": "us"})
	at := release.Place{Project: "shop", Service: "web", Environment: "production"}
	a := h.shelf.put(t, "shop", many, "production", "web", 1)
	first := record(1, 1, at, a, release.Candidate{}, [][]string{{"eu"}, {"us"}})
	h.both(t, first, desiredOf(a, release.Candidate{}, 2, 0, release.Whole))
	less := strings.Replace(strings.Replace(many, "regions: [eu, us]", "regions: [eu]", 1), ", {region: us, labels: {region: us}}", "", 1)
	b := h.shelf.put(t, "shop", less, "production", "web", 2)
	r := record(2, 1, at, b, a, [][]string{{"eu"}})
	only := func(d release.Desired) {
		r.Version++
		if err := h.Apply(t.Context(), r, map[string]release.Desired{"eu": d}); err != nil {
			t.Fatal(err)
		}
		h.sync(t)
	}
	only(desiredOf(b, a, 2, 2, 5000))
	if n := len(h.hosts["us-1"].has.Instances); n != 2 {
		t.Errorf("%d instances in the region that may be needed again", n)
	}
	r.State.Phase = release.Retiring
	only(desiredOf(b, a, 2, 0, release.Whole))
	if n := len(h.hosts["us-1"].has.Instances); n != 0 {
		t.Errorf("%d instances in a region that is given up", n)
	}
	placed, err := h.Placed(t.Context(), "shop")
	if err != nil || len(placed) != 1 || placed[0].Region != "eu" {
		t.Errorf("%+v %v", placed, err)
	}
}

// TestLookAfter: who is silent is told of once, and empty parts are let go.
func TestLookAfter(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h, r, a, b := two(t, db)
		r.Version++
		h.apply(t, r, desiredOf(b, release.Candidate{}, 1, 0, release.Whole))
		h.sync(t)
		_ = a
		e, err := engine.New(t.Context(), db, engine.Options{Now: h.clock.now, Poll: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		looked := make(chan error, 1)
		e.Handle(kindAgents, 1, func(ctx context.Context, l *engine.Lease) (time.Duration, error) {
			again, err := h.lookAfter(ctx, l)
			select {
			case looked <- err:
			default:
			}
			return again, err
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		if err := <-looked; err != nil {
			t.Fatal(err)
		}
		var parts []partRow
		if err := db.NewSelect().Model(&parts).Scan(t.Context()); err != nil || len(parts) != 1 {
			t.Errorf("%+v %v", parts, err)
		}
		until(t, "eu-2 is away", func() bool {
			h.clock.pass(time.Second)
			h.sync(t, "eu-1")
			return slices.Contains(events(t, h), "agent.offline eu-2")
		})
		h.sync(t, "eu-2")
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		list := events(t, h)
		count := func(what string) (n int) {
			for _, e := range list {
				if e == what {
					n++
				}
			}
			return n
		}
		if count("agent.offline eu-2") != 1 || count("agent.offline eu-1") != 0 || count("agent.online eu-2") != 2 {
			t.Errorf("%q", list)
		}
	})
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not after a minute", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestScrapeTargets(t *testing.T) {
	h := open(t, storetest.Open(t))
	h.joinHost(t, "eu-1", map[string]string{"zone": "a"})
	src := strings.Replace(shop, "    health:", "    metrics: {path: /metrics, interval: 15s}\n    health:", 1)
	a, b := h.shelf.put(t, "shop", src, "production", "web", 1), h.shelf.put(t, "shop", src, "production", "web", 2)
	r := record(1, 1, shopWeb, a, release.Candidate{}, one)
	h.apply(t, r, desiredOf(a, release.Candidate{}, 2, 0, release.Whole))
	if list := h.ScrapeTargets(); len(list) != 1 || list[0].Instance != "" {
		t.Errorf("%+v", list)
	}
	h.sync(t)
	list := h.ScrapeTargets()
	if len(list) != 3 || list[1].Interval != 15*time.Second || list[1].Path != "/metrics" || list[1].Port != "http" || list[1].Labels["version"] != a.Version() || list[1].Labels["region"] != "default" {
		t.Errorf("%+v", list)
	}
	select {
	case <-h.Changed():
	default:
		t.Error("nobody is told of the change")
	}
	r = record(2, 1, shopWeb, b, a, one)
	h.apply(t, r, desiredOf(b, a, 1, 2, 0))
	h.sync(t)
	if list := h.ScrapeTargets(); len(list) != 4 || list[1].Interval != time.Second {
		t.Errorf("%+v", list)
	}
	h.clock.pass(silent)
	if list := h.ScrapeTargets(); len(list) != 0 {
		t.Errorf("of agents that are silent: %+v", list)
	}
}

// FuzzReport: whatever an agent says is refused, or can be stored and added up.
func FuzzReport(f *testing.F) {
	good, err := json.Marshal(link.Report{Boot: "b", Seq: 1, Observed: agent.Observed{Generation: 1, Instances: []process.Status{{ID: "web-1", State: process.Healthy}},
		Tasks: map[string]agent.TaskStatus{"x": {State: agent.TaskFailed}}, Weights: map[string]map[string]int{"a/b/c/d/http": {"1": 5}}},
		Traffic: map[string]map[string]link.Traffic{"a/b/c/d/http": {"1": {Requests: 3, Latency: [][2]int64{{1, 2}, {7, 1}}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"boot":"b","seq":1,"observed":{"problems":{"a":"\ud800"}}}`))
	f.Add([]byte(`{"boot":"b","seq":1,"info":{"labels":{"a":"b"}},"traffic":{"":{"":{"requests":9007199254740993}}}}`))
	p := place{"a", "b", "c", "d"}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r link.Report
		if json.Unmarshal(b, &r) != nil || checkReport(&r) != nil {
			return
		}
		var k kept
		now := time.Unix(1_700_000_000, 0)
		for range 3 {
			next, ok := k.after(r, now)
			if !ok {
				t.Fatal("a newer report is late")
			}
			k = next
			r.Boot += "x"
			if len(r.Boot) > 60 {
				break
			}
		}
		if k.total(p, "1") < 0 || k.traffic(p, "1").Requests < 0 {
			t.Fatal("counters are negative")
		}
		if _, err := markOf(&k); err != nil {
			t.Fatal(err)
		}
		stored, err := store.AsJSON(k).Value()
		if err != nil {
			t.Fatal(err)
		}
		var back store.JSON[kept]
		if err := back.Scan(stored); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(stored.(string), `\u0000`) {
			t.Fatal("there is a NUL in what is stored")
		}
	})
}

// FuzzJoin: no token and no key is too odd to be refused.
func FuzzJoin(f *testing.F) {
	h := open(f, storetest.Open(f))
	_, public := newKey(f)
	f.Add("gja_x."+h.o.Authority.Fingerprint(), "eu-1", public)
	f.Add("gja_", "", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n")
	f.Fuzz(func(t *testing.T, token, name, key string) {
		if _, err := h.admit(t.Context(), link.Join{Token: token, Name: name, PublicKey: key}); err == nil {
			t.Fatal("it may join")
		} else if p := new(Problem); !errors.As(err, &p) {
			t.Fatal(err)
		}
	})
}
