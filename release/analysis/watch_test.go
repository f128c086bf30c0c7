package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestFairFailures: a bet on failures has a mean of exactly 1 over all ways to deal them, whatever the table and the odds. This, and nothing else,
// is what bounds the false alarms of a watch.
func TestFairFailures(t *testing.T) {
	random := newRandom(3)
	for range 100 {
		canary, reference := 1+random.Int64N(40), 1+random.Int64N(200)
		fails := random.Int64N(canary + reference + 1)
		odds := math.Exp(8 * random.Float64())
		d := hypergeometric(float64(canary), float64(canary+reference), float64(fails))
		var mean float64
		for k := d.low; k <= d.high; k++ {
			mean += math.Exp(d.log(k) + failureFactor(int64(k), canary, fails, canary+reference, odds))
		}
		near(t, fmt.Sprintf("the mean for %d of %d and %d with odds of %g", fails, canary, reference, odds), mean, 1, 1e-9)
	}
}

// TestFairSlowness does the same for bets on latency, over all ways to deal the requests of small scrapes.
func TestFairSlowness(t *testing.T) {
	random := newRandom(4)
	for range 60 {
		n := 2 + random.IntN(9)
		k := 1 + random.IntN(n-1)
		weights := make([]float64, 4)
		for i := range weights {
			weights[i] = math.Exp(4*random.Float64() - 2)
		}
		slices.Sort(weights)
		in := make([]int, n) // the band of each request
		for i := range in {
			in[i] = random.IntN(len(weights))
		}
		var mean, deals float64
		for mask := 0; mask < 1<<n; mask++ {
			bands := make([]band, len(weights))
			chosen := 0
			for i, b := range in {
				bands[b].all++
				if mask>>i&1 == 1 {
					bands[b].canary++
					chosen++
				}
			}
			if chosen == k {
				mean += math.Exp(slownessFactor(bands, weights))
				deals++
			}
		}
		near(t, fmt.Sprintf("the mean for %d of %d", k, n), mean/deals, 1, 1e-9)
	}
}

// TestMaclaurin: with many requests the mean is bounded instead of computed, and the bound is on the safe side.
func TestMaclaurin(t *testing.T) {
	weights := []float64{0.97, 1.3}
	const canary, reference, slow = 300, 2700, 300
	d := hypergeometric(canary, canary+reference, slow)
	var mean float64
	for k := d.low; k <= d.high; k++ {
		bands := []band{{canary: canary - int64(k), all: canary + reference - slow}, {canary: int64(k), all: slow}}
		mean += math.Exp(d.log(k) + slownessFactor(bands, weights))
	}
	if mean > 1+1e-9 || mean < 0.5 {
		t.Errorf("the mean is %g", mean)
	}
}

// TestStakes: what has started and what waits are one stake.
func TestStakes(t *testing.T) {
	var started float64
	for i := int64(1); i <= 5000; i++ {
		started += starting(i)
		near(t, fmt.Sprintf("the stake after %d scrapes", i), started+waiting(i), 1, 1e-9)
	}
	for _, all := range [][]alternative{failures, slownesses} {
		var sum float64
		for _, a := range all {
			sum += a.weight
		}
		near(t, "the sum of weights", sum, 1, 1e-12)
	}
}

// scrapeOf makes one of independent requests.
func scrapeOf(random *rand.Rand, canary, reference int64, failing, median float64) Scrape {
	return Scrape{
		Canary:    windows(random, 1, canary, failing, lognormal(random, median, 0.6))[0],
		Reference: windows(random, 1, reference, 0.01, lognormal(random, 0.02, 0.6))[0],
	}
}

func newWatch(t *testing.T, metrics ...Metric) *Watch {
	t.Helper()
	w, err := NewWatch(Config{Level: 0.009, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestResume: a watch that is written down after every scrape and read back is the same watch.
func TestResume(t *testing.T) {
	random := newRandom(5)
	config := Config{Level: 0.009, Metrics: []Metric{errorsMetric(), latencyMetric(), {Name: "q", Kind: Values}}}
	through, err := NewWatch(config)
	if err != nil {
		t.Fatal(err)
	}
	resumed, err := NewWatch(config)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		s := scrapeOf(random, int64(i%4), 20, 0.01+float64(i/100)*0.4, 0.02)
		if i%37 == 5 {
			s.Canary = Window{Missing: true}
		}
		if a, b := through.Observe(s), resumed.Observe(s); a != b {
			t.Fatalf("scrape %d: %t and %t", i, a, b)
		}
		b, err := json.Marshal(resumed.State())
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 16<<10 {
			t.Fatalf("the state has grown to %d bytes", len(b))
		}
		var state State
		if err := json.Unmarshal(b, &state); err != nil {
			t.Fatal(err)
		}
		if resumed, err = Resume(config, &state); err != nil {
			t.Fatal(err)
		}
		if a, b := through.Judgement(), resumed.Judgement(); !reflect.DeepEqual(a, b) {
			t.Fatalf("scrape %d: %+v and %+v", i, a, b)
		}
	}
	if !through.Failed() {
		t.Error("it did not fail in the end")
	}
}

// TestSilence: what does not answer is not good, and not forgiven too early or too late.
func TestSilence(t *testing.T) {
	up, down := Window{Requests: 10}, Window{Missing: true}
	broken := Window{Requests: 3, Errors: 5}
	both := Scrape{Canary: up, Reference: up}
	canary, reference, neither := Scrape{Canary: down, Reference: up}, Scrape{Canary: up, Reference: down}, Scrape{Canary: down, Reference: down}
	for _, c := range []struct {
		name    string
		scrapes []Scrape
		want    Verdict
		words   string
	}{
		{"twice", []Scrape{canary, canary}, Inconclusive, ""},
		{"three times", []Scrape{both, canary, canary, canary}, Fail, "the canary could not be scraped, 3 times in a row"},
		{"three times, then back", []Scrape{canary, canary, canary, both}, Fail, "the canary could not be scraped"},
		{"not in a row", []Scrape{canary, canary, both, canary, canary}, Inconclusive, ""},
		{"the reference", []Scrape{reference, reference, reference}, Error, "the reference could not be scraped"},
		{"the reference, then back", []Scrape{reference, reference, reference, both}, Inconclusive, ""},
		{"neither", []Scrape{neither, neither, neither}, Error, "neither side"},
		{"garbage", []Scrape{{Canary: broken, Reference: up}, {Canary: broken, Reference: up}, {Canary: broken, Reference: up}}, Fail, "5 errors of 3 requests cannot be"},
		{"no requests", []Scrape{{Reference: up}, {Reference: up}, {Reference: up}, {Reference: up}}, Inconclusive, ""},
		{"nothing", nil, Inconclusive, ""},
	} {
		w := newWatch(t, errorsMetric(), latencyMetric())
		for _, s := range c.scrapes {
			w.Observe(s)
		}
		j := w.Judgement()
		if j.Verdict != c.want || !strings.Contains(j.Reason, c.words) || w.Failed() != (c.want == Fail) {
			t.Errorf("%s: %s: %s", c.name, j.Verdict, j.Reason)
		}
	}
}

// TestWatchKeeps: what it must not fail for, and what it must.
func TestWatchKeeps(t *testing.T) {
	quiet := Window{Requests: 19}
	run := func(n int, s Scrape, metrics ...Metric) *Watch {
		w := newWatch(t, metrics...)
		for range 60 {
			w.Observe(Scrape{Reference: quiet})
		}
		for range n {
			w.Observe(s)
		}
		return w
	}
	informative := errorsMetric()
	informative.Informative = true
	for _, c := range []struct {
		name  string
		watch *Watch
		want  bool
	}{
		{"two bad answers in two scrapes", run(2, Scrape{Canary: Window{Requests: 1, Errors: 1}, Reference: quiet}, errorsMetric(), latencyMetric()), true},
		{"any number of them in one", run(1, Scrape{Canary: Window{Requests: 50, Errors: 50}, Reference: quiet}, errorsMetric(), latencyMetric()), false},
		{"both sides fail", run(60, Scrape{Canary: Window{Requests: 2, Errors: 2}, Reference: Window{Requests: 20, Errors: 20}}, errorsMetric()), false},
		{"both sides fail as often", run(60, Scrape{Canary: Window{Requests: 2, Errors: 1}, Reference: Window{Requests: 20, Errors: 10}}, errorsMetric()), false},
		{"the canary fails less", run(60, Scrape{Canary: Window{Requests: 10, Errors: 1}, Reference: Window{Requests: 20, Errors: 10}}, errorsMetric()), false},
		{"less than the floor", run(2000, Scrape{Canary: Window{Requests: 1000, Errors: 5}, Reference: Window{Requests: 1000}}, errorsMetric()), false},
		{"what does not decide", run(60, Scrape{Canary: Window{Requests: 2, Errors: 2}, Reference: quiet}, informative), false},
		{"nothing that is watched", run(60, Scrape{Canary: Window{Requests: 2, Errors: 2}, Reference: quiet}, Metric{Name: "q", Kind: Values}), false},
	} {
		if got := c.watch.Failed(); got != c.want {
			t.Errorf("%s: fails: %t: %+v", c.name, got, c.watch.Judgement())
		}
	}
	if j := run(60, Scrape{Canary: Window{Requests: 2, Errors: 2}, Reference: quiet}, informative).Judgement(); j.Results[0].Verdict != Fail || j.Verdict != Inconclusive {
		t.Errorf("what does not decide is not told: %+v", j)
	}
}

// TestWatchMonotone: one failure more of the canary, or one request that takes longer, never weakens the evidence.
func TestWatchMonotone(t *testing.T) {
	random := newRandom(6)
	for range 25 {
		var scrapes []Scrape
		for range 30 {
			scrapes = append(scrapes, scrapeOf(random, random.Int64N(5), 1+random.Int64N(30), 0.05, 0.02))
		}
		evidence := func() (out []float64, failed int) {
			w := newWatch(t, errorsMetric(), latencyMetric())
			failed = len(scrapes)
			for i, s := range scrapes {
				if w.Observe(s) {
					failed = min(failed, i)
				}
			}
			for i := range w.state.Metrics {
				out = append(out, wealth(w.state.Metrics[i].Bets, w.config.Metrics[i].alternatives(), w.state.Metrics[i].Rounds))
			}
			return out, failed
		}
		before, failed := evidence()
		c := &scrapes[random.IntN(len(scrapes))].Canary
		if c.Errors < c.Requests {
			c.Errors++
		}
		for bucket := range c.Latency {
			if c.Latency[bucket] > 0 {
				c.Latency[bucket]--
				c.Latency.Add(bucket+1+random.IntN(20), 1)
				break
			}
		}
		after, failedAfter := evidence()
		if failed < len(scrapes) {
			if failedAfter > failed {
				t.Errorf("fails at %d and, with one failure more, at %d", failed, failedAfter)
			}
			continue // the evidence stands where it failed
		}
		for i := range before {
			if failedAfter == len(scrapes) && after[i] < before[i]*(1-1e-9) {
				t.Errorf("metric %d: the evidence falls from %g to %g", i, before[i], after[i])
			}
		}
	}
}

// TestDamaged: a state that no watch has left is refused.
func TestDamaged(t *testing.T) {
	config := Config{Metrics: []Metric{errorsMetric()}}
	for _, text := range []string{
		`{}`, `{"metrics":[]}`, `{"metrics":[{},{}]}`, `{"scrapes":-1,"metrics":[{}]}`, `{"metrics":[{"rounds":-1}]}`,
		`{"metrics":[{"bets":[1]}]}`, `{"metrics":[{"bets":[1,1,1,1,-1],"clumps":[{}]}]}`, `{"metrics":[{"bets":[1,1,1,1,1e300],"clumps":[{}]}]}`,
		`{"metrics":[{"bets":[1,1,1,1,1],"clumps":[{"each":{"windows":-4}}]}]}`, `{"metrics":[{"canary":{"latency":[-1]}}]}`, `{"metrics":[{"canary":{"requests":-1}}]}`,
	} {
		var s State
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if _, err := Resume(config, &s); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
	if _, err := NewWatch(Config{Metrics: []Metric{{}}}); err == nil {
		t.Error("a metric without anything is accepted")
	}
}

func BenchmarkObserve(b *testing.B) {
	random := newRandom(1)
	w, err := NewWatch(Config{Level: 0.009, Metrics: []Metric{errorsMetric(), latencyMetric()}})
	if err != nil {
		b.Fatal(err)
	}
	scrapes := make([]Scrape, 256)
	for i := range scrapes {
		scrapes[i] = scrapeOf(random, 100, 900, 0.01, 0.02)
	}
	for i := 0; b.Loop(); i++ {
		w.Observe(scrapes[i%len(scrapes)])
	}
	if w.Failed() {
		b.Error("it fails, and then costs nothing")
	}
}

// TestKnown holds when two scrapes are enough: a clump that the reference has not shown yet may come to the canary first, as often as the canary has had the
// requests.
func TestKnown(t *testing.T) {
	quiet := func(canary, reference int64) Scrape {
		return Scrape{Canary: Window{Requests: canary}, Reference: Window{Requests: reference}}
	}
	for _, c := range []struct {
		name string
		// before are scrapes without a canary, beside those with one; each sixth of the first has a failure of the reference where it fails.
		before, beside int
		fails          bool
		want           int
	}{
		{name: "an unknown reference", want: 3},
		{name: "a new canary beside a reference that is known", before: 60, want: 2},
		{name: "a canary that has had a large part of the requests", before: 60, beside: 60, want: 3},
		{name: "a reference whose failures come one by one", before: 120, beside: 60, fails: true, want: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, err := NewWatch(Config{Level: 0.009, Metrics: []Metric{{Name: "errors", Kind: Errors, Floor: 0.01, Level: 0.01}, {Name: "latency", Kind: Latency, Level: 0.01}}})
			if err != nil {
				t.Fatal(err)
			}
			for i := range c.before + c.beside {
				s := quiet(0, 38)
				if i >= c.before {
					s.Canary.Requests = 2
				}
				if c.fails && i < c.before && i%6 == 0 {
					s.Reference.Errors = 1
				}
				w.Observe(s)
			}
			took := 0
			for !w.Failed() && took < 10 {
				took++
				s := quiet(2, 38)
				s.Canary.Errors = 2
				w.Observe(s)
			}
			if took != c.want {
				t.Errorf("it took %d scrapes, want %d", took, c.want)
			}
		})
	}
}

// TestWatchLearns: what the reference did before is worth as much as scrapes of it, counts as none, and its clumps make failures count for less.
func TestWatchLearns(t *testing.T) {
	quiet, bad := Window{Requests: 19}, Scrape{Canary: Window{Requests: 1, Errors: 1}, Reference: Window{Requests: 19}}
	two := func(w *Watch) bool {
		w.Observe(bad)
		return w.Observe(bad)
	}
	if two(newWatch(t, errorsMetric())) {
		t.Error("two bad answers are enough where nothing is known of the reference")
	}
	w := newWatch(t, errorsMetric())
	w.Learn(slices.Repeat([]Window{quiet}, 60))
	if s := w.State(); s.Scrapes != 0 || s.Metrics[0].Reference.Requests != 60*19 || s.Metrics[0].Rounds != 0 {
		t.Errorf("it has learned %+v", s)
	}
	if !two(w) {
		t.Error("two bad answers are not enough after a minute without one")
	}
	w = newWatch(t, errorsMetric())
	for i := range 60 {
		one := quiet
		if i%10 == 0 {
			one.Errors = 6
		}
		w.Learn([]Window{one, {Missing: true}, {Requests: 1, Errors: 2}})
	}
	if s := w.State(); s.Metrics[0].Reference.Requests != 60*19 {
		t.Errorf("it has learned what makes no sense: %+v", s.Metrics[0].Reference)
	}
	if two(w) {
		t.Error("two bad answers are enough where the reference has six at a time")
	}
}
