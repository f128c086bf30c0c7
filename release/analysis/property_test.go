package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// sample draws values of which some are equal.
func sample(random *rand.Rand, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		if out[i] = random.NormFloat64(); random.IntN(3) == 0 {
			out[i] = math.Round(out[i])
		}
	}
	return out
}

// TestMirror: swapping the sides mirrors every test.
func TestMirror(t *testing.T) {
	random := newRandom(8)
	for i := range 60 {
		n1, n0 := 1+random.Int64N(200), 1+random.Int64N(200)
		e1, e0 := random.Int64N(n1+1), random.Int64N(n0+1)
		near(t, "Fisher", Fisher(e1, n1, e0, n0, Higher), Fisher(e0, n0, e1, n1, Lower), 1e-12)
		near(t, "Fisher, two-sided", Fisher(e1, n1, e0, n0, Different), Fisher(e0, n0, e1, n1, Different), 1e-12)
		low, high := Newcombe(e1, n1, e0, n0, 0.01)
		mlow, mhigh := Newcombe(e0, n0, e1, n1, 0.01)
		near(t, "Newcombe, low", low, -mhigh, 1e-12)
		near(t, "Newcombe, high", high, -mlow, 1e-12)

		size := 15 // the exact distribution
		if i%5 == 0 {
			size = 200 // most of these, the normal one
		}
		x, y := sample(random, 1+random.IntN(size)), sample(random, 1+random.IntN(size))
		a, b := MannWhitney(x, y, Higher, 5), MannWhitney(y, x, Lower, 5)
		if near(t, "U", a.U+b.U, float64(len(x)*len(y)), 1e-9); a.Method != "permutation" { // dice fall as they fall
			near(t, "Mann-Whitney", a.P, b.P, 1e-9)
		}
		h, g := HodgesLehmann(x, y, 0.02, 1), HodgesLehmann(y, x, 0.02, 1)
		near(t, "the shift", h.Estimate, -g.Estimate, 1e-12)
		near(t, "the shift, low", h.Low, -g.High, 1e-12)
		if !(h.Low <= h.Estimate && h.Estimate <= h.High) {
			t.Errorf("the shift is %+v", h)
		}
		p, q := windows(random, 1, 40, 0, lognormal(random, 0.1, 1))[0].Latency, windows(random, 1, 60, 0, lognormal(random, 0.1, 1))[0].Latency
		r, s := rankHistograms(p, q), rankHistograms(q, p)
		f, k := ratioShift(&r, DefaultBuckets, 0.02, 1), ratioShift(&s, DefaultBuckets, 0.02, 1)
		near(t, "the ratio", f.Estimate*k.Estimate, 1, 1e-9)
		near(t, "the ratio, low", f.Low*k.High, 1, 1e-9)
		near(t, "the ratio that fades", shiftOf(p.spread(), q.spread(), DefaultBuckets), f.Estimate, 1e-9)
	}
}

// TestShiftFound: a shift that was put in comes out, of values and of histograms.
func TestShiftFound(t *testing.T) {
	random := newRandom(9)
	for _, times := range []float64{0.5, 1, 1.3, 2, 7} {
		x, y := make([]float64, 2000), make([]float64, 2000)
		var h, g Histogram
		take, longer := lognormal(random, 0.05, 0.7), lognormal(random, 0.05*times, 0.7)
		for i := range x {
			x[i], y[i] = longer(), take()
			h.Add(DefaultBuckets.Index(x[i]), 1)
			g.Add(DefaultBuckets.Index(y[i]), 1)
			x[i], y[i] = math.Log(x[i]), math.Log(y[i])
		}
		r := rankHistograms(h, g)
		got, exact := ratioShift(&r, DefaultBuckets, 0.01, 1), HodgesLehmann(x, y, 0.01, 1)
		near(t, fmt.Sprintf("%g times, of values", times), math.Exp(exact.Estimate), times, 0.1*times)
		near(t, fmt.Sprintf("%g times, of buckets", times), got.Estimate, math.Exp(exact.Estimate), 0.01*times)
		near(t, fmt.Sprintf("%g times, of buckets, low", times), got.Low, math.Exp(exact.Low), 0.02*times)
		near(t, fmt.Sprintf("%g times, of buckets, high", times), got.High, math.Exp(exact.High), 0.02*times)
	}
	// The halving goes through all floats: extremes of both signs.
	x, y := []float64{-largest, 0, largest}, []float64{-largest, 1e-300, largest}
	if s := HodgesLehmann(x, y, 0.1, 1); math.Abs(s.Estimate) > 1e-200 || s.Low != -largest || s.High != largest {
		t.Errorf("the shift of extremes is %+v", s)
	}
}

// TestApproximation: where the exact distribution ends, the normal one goes on without a step.
func TestApproximation(t *testing.T) {
	random := newRandom(10)
	for range 3 {
		x, y := sample(random, 25), sample(random, 30)
		r := rankValues(x, y)
		m := r.moments()
		near(t, "exact and normal", r.exact(Higher), m.p(Higher, 1), 0.01)
		near(t, "exact and permutation", r.exact(Different), r.permuted(m, Different, 1), 0.02)
	}
	h := windows(random, 1, 30, 0, lognormal(random, 0.1, 1))[0].Latency
	g := windows(random, 1, 30, 0, lognormal(random, 0.1, 1))[0].Latency
	if a := MannWhitneyHistograms(h, g, Higher, 1); a.Method != "exact" {
		t.Errorf("30 and 30 are %s", a.Method)
	}
}

// TestBucketsIndex: each time lies in its bucket, at the bounds too.
func TestBucketsIndex(t *testing.T) {
	random := newRandom(11)
	bounds := DefaultBuckets.Bounds()
	if last := bounds[len(bounds)-1]; last < 60 || last > 65 {
		t.Errorf("the last bound is %g s", last)
	}
	for i, bound := range bounds {
		if got := DefaultBuckets.Index(bound); got != i {
			t.Errorf("%g s is in bucket %d, want %d", bound, got, i)
		}
		if got := DefaultBuckets.Index(math.Nextafter(bound, 100)); got != i+1 {
			t.Errorf("just above %g s is in bucket %d, want %d", bound, got, i+1)
		}
	}
	for range 2000 {
		v := math.Exp(20*random.Float64() - 14)
		i := DefaultBuckets.Index(v)
		if want, _ := slices.BinarySearch(bounds, v); i != want {
			t.Errorf("%g s is in bucket %d, want %d", v, i, want)
		}
	}
	for _, v := range []float64{math.NaN(), -1, math.Inf(1), 1e9} {
		if i := DefaultBuckets.Index(v); i != DefaultBuckets.Count {
			t.Errorf("%g is in bucket %d", v, i)
		}
	}
}

// TestMonotone: more failures, more bad events and higher values never make a verdict better.
func TestMonotone(t *testing.T) {
	random := newRandom(12)
	judge := func(m Metric, d Data) Verdict {
		m.Name = "m"
		return Judge(Config{Metrics: []Metric{m}}, map[string]Data{"m": d}).Verdict
	}
	for range 12 {
		n := 1 + random.Int64N(300)
		reference := Samples{Windows: windows(random, 1+random.IntN(30), 20, 0.1*random.Float64(), nil)}
		m := errorsMetric()
		m.Samples = 1 + random.Int64N(60)
		if random.IntN(2) == 0 {
			m.Margin = 0.1 * random.Float64()
		}
		slo := Metric{Kind: SLO, Objective: 0.9 + 0.09*random.Float64(), Samples: m.Samples}
		failing, bad := Pass, Pass
		for e := range n + 1 {
			canary := Samples{Windows: make([]Window, len(reference.Windows))}
			canary.Windows[0] = Window{Requests: n, Errors: e}
			v := judge(m, Data{Canary: canary, Reference: reference})
			if failing.Worse(v) {
				t.Fatalf("%d of %d failures are %s, and one less was %s", e, n, v, failing)
			}
			failing = v
			w := judge(slo, Data{Canary: Samples{Events: &Events{Number(n - e), Number(n)}}})
			if bad.Worse(w) {
				t.Fatalf("%d of %d bad events are %s, and one less was %s", e, n, w, bad)
			}
			bad = w
		}
		values := Metric{Kind: Values, Floor: 0.1, Samples: 5}
		base := sample(random, 12)
		last := Pass
		for step := range 30 {
			var canary, other []Number
			for i, v := range base {
				canary = append(canary, Number(v+float64(step)/10))
				other = append(other, Number(base[(i+5)%len(base)]))
			}
			v := judge(values, Data{Canary: Samples{Values: canary}, Reference: Samples{Values: other}})
			if last.Worse(v) {
				t.Fatalf("a shift of %d tenths is %s, and a smaller one was %s", step, v, last)
			}
			last = v
		}
	}
}

// TestGarbage throws bad values into good samples of every kind: no panic, and never a pass.
func TestGarbage(t *testing.T) {
	random := newRandom(13)
	floats := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, 1e200}
	ints := []int64{-1, math.MinInt64, math.MaxInt64, MaxCount + 1}
	for range 60 {
		n := 20 + random.IntN(20)
		bad, badInt := Number(floats[random.IntN(len(floats))]), ints[random.IntN(len(ints))]
		series := func() Samples {
			return Samples{Values: numbers(sample(random, n)...)}
		}
		timed := func() Samples {
			return Samples{Windows: windows(random, n, 20, 0, lognormal(random, 0.1, 0.5))}
		}
		for _, c := range []struct {
			metric Metric
			data   Data
			spoil  func(*Samples)
		}{
			{Metric{Kind: Values, Samples: 5}, Data{series(), series()}, func(s *Samples) { s.Values[random.IntN(n)] = bad }},
			{Metric{Kind: Threshold, Above: pointer(1e140), Below: pointer(-1e140)}, Data{Canary: series()}, func(s *Samples) { s.Values[random.IntN(n)] = bad }},
			{Metric{Kind: SLO, Objective: 0.9, Samples: 5}, Data{Canary: Samples{Events: &Events{100, 100}}}, func(s *Samples) {
				if random.IntN(2) == 0 {
					s.Events.Good = bad
				} else {
					s.Events.Total = bad
				}
			}},
			{errorsMetric(), Data{timed(), timed()}, func(s *Samples) {
				if w := &s.Windows[random.IntN(n)]; random.IntN(2) == 0 {
					w.Requests = badInt
				} else {
					w.Errors = badInt
				}
			}},
			{latencyMetric(), Data{timed(), timed()}, func(s *Samples) {
				if w := &s.Windows[random.IntN(n)]; random.IntN(2) == 0 {
					w.Latency[0] = badInt
				} else {
					w.Latency.Add(DefaultBuckets.Count+1+random.IntN(9), 1)
				}
			}},
		} {
			side := &c.data.Canary
			if c.metric.Kind != SLO && c.metric.Kind != Threshold && random.IntN(2) == 0 {
				side = &c.data.Reference
			}
			c.spoil(side)
			c.metric.Name = "m"
			j := Judge(Config{Metrics: []Metric{c.metric}}, map[string]Data{"m": c.data})
			if j.Verdict == Pass {
				t.Errorf("%s with %g or %d passes: %+v", c.metric.Kind, float64(bad), badInt, j.Results)
			}
		}
	}
}

// TestHolm: what each p is held against.
func TestHolm(t *testing.T) {
	of := func(name string, p, level float64) *finding {
		return &finding{level: level, result: Result{Metric: name, Kind: Errors}, evidence: []evidence{{p: p}}}
	}
	a, b, c := of("a", 0.001, 0.01), of("b", 0.004, 0.01), of("c", 0.5, 0.01)
	closed := of("closed", 1, 0.01)
	closed.closed = true
	told := of("told", 0.2, 0.03)
	told.result.Informative = true
	hold([]*finding{c, told, b, closed, a}, 0.01)
	for f, want := range map[*finding]float64{a: 0.0025, b: 0.01 / 3, c: 0.01 / 3, told: 0.03} {
		near(t, f.result.Metric, f.result.Limit, want, 1e-9)
	}
	heavy, light := of("heavy", 0.007, 0.03), of("light", 0.007, 0.01)
	hold([]*finding{heavy, light}, 0.01)
	near(t, "heavy", heavy.result.Limit, 0.0075, 1e-12)
	near(t, "light, after heavy", light.result.Limit, 0.01, 1e-12)
}

// TestDispersion: independent counts have one of about 1, clumps of a size have about that size.
func TestDispersion(t *testing.T) {
	random := newRandom(14)
	for _, size := range []int64{1, 4, 10} {
		var c clumps
		for range 2000 {
			var bad int64
			for range 20 {
				if random.Float64() < 0.02/float64(size) {
					bad += size
				}
			}
			c.add(bad, 200, 1)
		}
		if got := c.dispersion(); got < 0.8*float64(size) || got > 1.3*float64(size) {
			t.Errorf("clumps of %d have a dispersion of %g", size, got)
		}
	}
	if got := persistence(sample(random, 200)); got != 1 {
		t.Errorf("independent values hang together by %g", got)
	}
	walk := make([]float64, 300)
	for i := 1; i < len(walk); i++ {
		walk[i] = 0.8*walk[i-1] + random.NormFloat64()
	}
	if got := persistence(walk); got < 5 || got > 15 {
		t.Errorf("values with a correlation of 0.8 hang together by %g, want about 9", got)
	}
}
