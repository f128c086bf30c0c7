package analysis

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// windows makes a series of scrapes: requests of each, of which a share fails, and which take as long as take says.
func windows(random *rand.Rand, n int, requests int64, failing float64, take func() float64) []Window {
	out := make([]Window, n)
	for i := range out {
		w := &out[i]
		w.Requests = requests
		for range requests {
			if random.Float64() < failing {
				w.Errors++
			}
			if take != nil {
				w.Latency.Add(DefaultBuckets.Index(take()), 1)
			}
		}
	}
	return out
}

// lognormal times around a median in seconds.
func lognormal(random *rand.Rand, median, sigma float64) func() float64 {
	return func() float64 { return median * math.Exp(sigma*random.NormFloat64()) }
}

func numbers(f ...float64) []Number {
	out := make([]Number, len(f))
	for i, v := range f {
		out[i] = Number(v)
	}
	return out
}

func repeated(v float64, n int) []Number {
	out := make([]Number, n)
	for i := range out {
		out[i] = Number(v)
	}
	return out
}

func pointer(f float64) *float64 { return &f }

func errorsMetric() Metric { return Metric{Name: "errors", Kind: Errors, Floor: 0.01, Samples: 50} }
func latencyMetric() Metric {
	return Metric{Name: "latency", Kind: Latency, Floor: 0.2, AtLeast: 0.001, Samples: 50}
}

func one(requests, errors int64) Samples {
	return Samples{Windows: []Window{{Requests: requests, Errors: errors}}}
}

// TestJudge goes through what each kind of metric says of what kind of samples.
func TestJudge(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	values := Metric{Name: "m", Kind: Values, Floor: 0.1, Samples: 10}
	lower := values
	lower.Worse = Lower
	gaps := values
	gaps.Gaps = 0.2
	above := Metric{Name: "m", Kind: Threshold, Above: pointer(5)}
	slo := Metric{Name: "m", Kind: SLO, Objective: 0.99, Samples: 100}
	margin := errorsMetric()
	margin.Margin = 0.02
	down := make([]Window, 20)
	for i := range down {
		down[i] = Window{Requests: 10, Missing: i >= 5 && i < 8}
	}
	up := make([]Window, 20)
	for i := range up {
		up[i].Requests = 10
	}
	random := newRandom(2)
	fast := Samples{Windows: windows(random, 60, 20, 0, lognormal(random, 0.02, 0.6))}
	slow := Samples{Windows: windows(random, 60, 3, 0, lognormal(random, 0.04, 0.6))}
	same := Samples{Windows: windows(random, 60, 3, 0, lognormal(random, 0.02, 0.6))}
	late := Samples{Windows: windows(random, 60, 20, 0, func() float64 {
		if random.Float64() < 0.1 {
			return 0.5
		}
		return 0.02 * math.Exp(0.6*random.NormFloat64())
	})}
	rising := func(from, step float64, n int) []Number {
		out := make([]Number, n)
		for i := range out {
			out[i] = Number(from + step*float64(i*7%n))
		}
		return out
	}
	for _, c := range []struct {
		name   string
		metric Metric
		data   Data
		want   Verdict
		words  string
	}{
		{"no errors at all", errorsMetric(), Data{Canary: one(100, 0), Reference: one(1900, 0)}, Pass, "0 of 100 of the canary failed"},
		{"errors where there were none", errorsMetric(), Data{Canary: one(100, 8), Reference: one(1900, 0)}, Fail, "8 of 100 of the canary failed (8 %)"},
		{"significance without size", errorsMetric(), Data{Canary: one(1_000_000, 2000), Reference: one(1_000_000, 1000)}, Pass, "not above the floor of 1 point"},
		{"size without significance", errorsMetric(), Data{Canary: one(60, 1), Reference: one(60, 0)}, Pass, "above the limit of 0.01"},
		{"not sure enough for a margin", margin, Data{Canary: one(60, 1), Reference: one(60, 0)}, Inconclusive, "for a pass that must be at most 2 % for certain"},
		{"sure enough for a margin", margin, Data{Canary: one(6000, 1), Reference: one(6000, 0)}, Pass, ""},
		{"too little traffic", errorsMetric(), Data{Canary: one(49, 49), Reference: one(1900, 0)}, Inconclusive, "the canary has 49 samples, and at least 50 are needed"},
		{"too small a reference", errorsMetric(), Data{Canary: one(500, 0), Reference: one(3, 0)}, Inconclusive, "the reference has 3 samples"},
		{"no traffic", errorsMetric(), Data{Canary: one(0, 0), Reference: one(500, 0)}, Inconclusive, "the canary has no samples"},
		{"nothing at all", errorsMetric(), Data{}, Inconclusive, "no samples"},
		{"more errors than requests", errorsMetric(), Data{Canary: one(100, 101), Reference: one(500, 0)}, Error, "101 errors of 100 requests cannot be"},
		{"negative", errorsMetric(), Data{Canary: one(-100, 0), Reference: one(500, 0)}, Error, "garbage"},
		{"huge", errorsMetric(), Data{Canary: one(math.MaxInt64, 0), Reference: one(500, 0)}, Error, "garbage"},
		{"no outcome could fail", Metric{Name: "m", Kind: Errors, Samples: 1}, Data{Canary: one(2, 0), Reference: one(2, 0)}, Inconclusive, "no outcome could have had a p"},
		{"the canary is down", errorsMetric(), Data{Canary: Samples{Windows: down}, Reference: Samples{Windows: up}}, Fail, "could not be scraped, 3 times in a row"},
		{"the reference is down", errorsMetric(), Data{Canary: Samples{Windows: up}, Reference: Samples{Windows: down}}, Error, "the reference could not be scraped"},
		{"both are down", errorsMetric(), Data{Canary: Samples{Windows: down}, Reference: Samples{Windows: down}}, Error, "neither side"},
		{"windows of other times", errorsMetric(), Data{Canary: Samples{Windows: up}, Reference: Samples{Windows: up[1:]}}, Error, "not of the same times"},
		{"a query that failed", values, Data{Canary: Samples{Values: repeated(1, 20), Failed: true, Missing: "timeout"}, Reference: Samples{Values: repeated(1, 20)}}, Error, "measuring the canary failed: timeout"},
		{"an empty vector", values, Data{Canary: Samples{Missing: "the query returned nothing"}, Reference: Samples{Values: repeated(1, 20)}}, Inconclusive, "the query returned nothing"},

		{"twice as slow", latencyMetric(), Data{Canary: slow, Reference: fast}, Fail, "Mann-Whitney"},
		{"as fast", latencyMetric(), Data{Canary: same, Reference: fast}, Pass, ""},
		{"a slow tail", latencyMetric(), Data{Canary: late, Reference: fast}, Fail, "the slowest requests"},

		{"equal series", values, Data{Canary: Samples{Values: rising(1, 0.01, 20)}, Reference: Samples{Values: rising(1, 0.01, 20)}}, Pass, ""},
		{"higher", values, Data{Canary: Samples{Values: rising(2, 0.01, 20)}, Reference: Samples{Values: rising(1, 0.01, 20)}}, Fail, "higher by 1"},
		{"higher where lower is worse", lower, Data{Canary: Samples{Values: rising(2, 0.01, 20)}, Reference: Samples{Values: rising(1, 0.01, 20)}}, Pass, ""},
		{"lower where lower is worse", lower, Data{Canary: Samples{Values: rising(1, 0.01, 20)}, Reference: Samples{Values: rising(2, 0.01, 20)}}, Fail, "lower by 1"},
		{"constant series", values, Data{Canary: Samples{Values: repeated(1, 20)}, Reference: Samples{Values: repeated(1, 20)}}, Pass, ""},
		{"all zero but the canary's", values, Data{Canary: Samples{Values: repeated(1, 20)}, Reference: Samples{Values: repeated(0, 20)}}, Fail, ""},
		{"NaN alone", values, Data{Canary: Samples{Values: repeated(nan, 20)}, Reference: Samples{Values: repeated(1, 20)}}, Inconclusive, "20 of the canary's 20 values are missing"},
		{"one NaN", values, Data{Canary: Samples{Values: append(repeated(1, 20), Number(nan))}, Reference: Samples{Values: repeated(1, 20)}}, Inconclusive, "1 of the canary's 21"},
		{"one NaN that may be", gaps, Data{Canary: Samples{Values: append(repeated(1, 20), Number(nan))}, Reference: Samples{Values: repeated(1, 20)}}, Pass, ""},
		{"infinite", values, Data{Canary: Samples{Values: append(repeated(1, 20), Number(inf))}, Reference: Samples{Values: repeated(1, 20)}}, Error, "none that can be judged"},

		{"below a limit", above, Data{Canary: Samples{Values: numbers(4)}}, Pass, "0 of 1 value beyond the limit of at most 5"},
		{"beyond a limit", above, Data{Canary: Samples{Values: numbers(4, 7, 6)}}, Fail, "2 of 3 values beyond the limit of at most 5, the furthest 7"},
		{"NaN and a limit", above, Data{Canary: Samples{Values: numbers(4, nan)}}, Inconclusive, "1 of 2 values are missing"},
		{"nothing and a limit", above, Data{}, Inconclusive, "no samples"},
		{"infinite and a limit", above, Data{Canary: Samples{Values: numbers(-inf)}}, Error, "garbage"},

		{"within the budget", slo, Data{Canary: Samples{Events: &Events{990.4, 1000}}}, Pass, "10 of 1000 events were bad"},
		{"beyond the budget", slo, Data{Canary: Samples{Events: &Events{900, 1000}}}, Fail, "the objective of 99 % allows for 1 %"},
		{"few events", slo, Data{Canary: Samples{Events: &Events{9, 10}}}, Inconclusive, "at least 100"},
		{"no events", slo, Data{}, Inconclusive, "no samples"},
		{"NaN events", slo, Data{Canary: Samples{Events: &Events{Number(nan), 10}}}, Error, "cannot be"},
		{"more good than all", slo, Data{Canary: Samples{Events: &Events{11, 10}}}, Error, "cannot be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.metric.Name = "m"
			j := Judge(Config{Metrics: []Metric{c.metric}}, map[string]Data{"m": c.data})
			if j.Verdict != c.want {
				t.Errorf("the verdict is %s, want %s: %+v", j.Verdict, c.want, j)
			}
			r := j.Results[0]
			if !strings.Contains(r.Test+" "+r.Reason, c.words) {
				t.Errorf("%q does not say %q", r.Test+" "+r.Reason, c.words)
			}
			if r.Verdict != Pass && j.Verdict == Pass {
				t.Error("passes without its metric")
			}
		})
	}
}

// TestOverall: how verdicts of metrics make one.
func TestOverall(t *testing.T) {
	good, bad, little := Data{Canary: one(1000, 0), Reference: one(1000, 0)}, Data{Canary: one(1000, 300), Reference: one(1000, 0)}, Data{Canary: one(1, 0), Reference: one(1000, 0)}
	broken := Data{Canary: Samples{Failed: true}}
	for _, c := range []struct {
		name        string
		data        []Data
		informative []bool
		want        Verdict
	}{
		{"good alone", []Data{good}, []bool{false}, Pass},
		{"good and bad", []Data{good, bad}, []bool{false, false}, Fail},
		{"bad and broken", []Data{bad, broken}, []bool{false, false}, Fail},
		{"good and broken", []Data{good, broken}, []bool{false, false}, Error},
		{"little and broken", []Data{little, broken}, []bool{false, false}, Error},
		{"good and little", []Data{good, little}, []bool{false, false}, Inconclusive},
		{"good, and bad that does not decide", []Data{good, bad}, []bool{false, true}, Pass},
		{"good that does not decide", []Data{good}, []bool{true}, Inconclusive},
		{"nothing", nil, nil, Inconclusive},
	} {
		var config Config
		data := map[string]Data{}
		for i, d := range c.data {
			m := errorsMetric()
			m.Name = string(rune('a' + i))
			m.Informative = c.informative[i]
			config.Metrics = append(config.Metrics, m)
			data[m.Name] = d
		}
		if j := Judge(config, data); j.Verdict != c.want {
			t.Errorf("%s: %s, want %s: %s", c.name, j.Verdict, c.want, j.Reason)
		}
	}
	if j := Judge(Config{Metrics: []Metric{errorsMetric()}}, nil); j.Verdict != Error {
		t.Errorf("without data: %s", j.Verdict)
	}
	if j := Judge(Config{Metrics: []Metric{{Name: "x"}}}, nil); j.Verdict != Error {
		t.Errorf("without a kind: %s", j.Verdict)
	}
}

// TestFloorOfLatency: a shift of two buckets, 16.6 %, is below the floor of 20 %. Few requests leave open whether it reaches it; many do not.
func TestFloorOfLatency(t *testing.T) {
	side := func(n int64, shift int) Samples {
		var h Histogram
		var total int64
		for i := -15; i <= 15; i++ { // a bell
			k := int64(math.Round(float64(n) * 0.0533 * math.Exp(-float64(i*i)/112)))
			h.Add(70+i+shift, k)
			total += k
		}
		return Samples{Windows: []Window{{Requests: total, Latency: h}}}
	}
	for n, want := range map[int64]Verdict{100: Fail, 2000: Pass} {
		c := Config{Level: 0.05, Metrics: []Metric{{Name: "latency", Kind: Latency, Floor: 0.2, Samples: 50}}}
		j := Judge(c, map[string]Data{"latency": {Canary: side(n, 2), Reference: side(20*n, 0)}})
		if j.Verdict != want {
			t.Errorf("%d requests: %s: %s", n, j.Verdict, j.Results[0].Reason)
		}
		if said := strings.Contains(j.Results[0].Reason, "with its standard error"); said != (want == Fail) {
			t.Errorf("%d requests: %s", n, j.Results[0].Reason)
		}
	}
}
