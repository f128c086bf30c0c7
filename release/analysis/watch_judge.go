package analysis

import (
	"fmt"
	"math"
)

// Judgement says how the watch stands: fail, or error while the measuring does not work, or inconclusive.
func (w *Watch) Judgement() Judgement {
	st := &w.state
	if st.Failed != nil {
		return *st.Failed
	}
	j := Judgement{Verdict: Inconclusive, Reason: fmt.Sprintf("nothing speaks against the canary enough after %s", counted(st.Scrapes, "scrape")), Results: []Result{}}
	for i := range w.config.Metrics {
		if w.parts[i] == 0 {
			continue
		}
		r := w.stand(i)
		r.settle()
		j.Results = append(j.Results, r)
		if r.Verdict == Fail && !r.Informative {
			j.Verdict = Fail
		}
	}
	if j.Verdict == Fail {
		var names []string
		for _, r := range j.Results {
			if r.Verdict == Fail && !r.Informative {
				names = append(names, r.Metric)
			}
		}
		j.Reason = fmt.Sprintf("%s failed at scrape %d", listed(names), st.Scrapes)
		return j
	}
	if v, why := silence(st.CanaryMissing, st.ReferenceMissing, w.config.MissingScrapes); why != "" {
		j.Verdict, j.Reason = v, why
		if st.Garbage != "" {
			j.Reason += "; what came last was garbage: " + st.Garbage
		}
	}
	return j
}

// stand is how a metric stands.
func (w *Watch) stand(i int) Result {
	m, ms := &w.config.Metrics[i], &w.state.Metrics[i]
	e, by := wealth(ms.Bets, m.alternatives(), ms.Rounds), 1.0
	for k := range ms.Clumps {
		by = max(by, ms.Clumps[k].dispersion())
	}
	r := Result{
		Metric: m.Name, Kind: m.Kind, Informative: m.Informative, Verdict: Inconclusive, Test: "bets on each scrape", E: &e, Limit: w.needed(i), Dispersion: by,
		Canary:    Counts{Samples: ms.Canary.Requests, Bad: ms.Canary.Bad},
		Reference: Counts{Samples: ms.Reference.Requests, Bad: ms.Reference.Bad},
	}
	var sized bool
	var words string
	if m.Kind == Errors {
		sized, words = ms.sizeErrors(m, &r)
	} else {
		sized, words = ms.sizeLatency(m, &r, w.config.Buckets)
	}
	enough := rounded(e) >= rounded(r.Limit)
	switch {
	case ms.Rounds == 0:
		r.Reason = "there was no scrape yet with requests on both sides"
		if m.Kind == Latency && ms.Reference.Latency.total() < enoughPast {
			r.Reason = fmt.Sprintf("too little is known of the reference's latency: %d requests, and %d are needed", ms.Reference.Requests, enoughPast)
		}
	case enough && sized:
		r.Verdict = Fail
		r.Reason = fmt.Sprintf("%s; the evidence is %s, at least the limit of %s", words, short(e), short(r.Limit))
	case enough:
		r.Reason = fmt.Sprintf("%s; the evidence is %s, but the difference is not above the floor of %s", words, short(e), m.floor())
	default:
		r.Reason = fmt.Sprintf("%s; the evidence is %s, below the limit of %s", words, short(e), short(r.Limit))
	}
	return r
}

// sizeErrors says how much more often the canary has failed lately.
func (ms *MetricState) sizeErrors(m *Metric, r *Result) (sized bool, words string) {
	share := func(s *Recent) float64 { return s.LatelyBad / max(s.Lately, math.SmallestNonzeroFloat64) }
	canary, reference := share(&ms.Canary), share(&ms.Reference)
	difference := canary - reference
	r.Statistic = float64(ms.Canary.Bad)
	r.Effect = &Effect{Estimate: difference, Low: difference, High: difference, Unit: Share, Of: "share of failures of late"}
	return difference > 0 && rounded(difference) >= m.Floor,
		fmt.Sprintf("%s of the canary failed and %s of the reference, of late %s and %s",
			of(ms.Canary.Bad, ms.Canary.Requests), of(ms.Reference.Bad, ms.Reference.Requests), percent(canary), percent(reference))
}

// sizeLatency says how much longer the canary's requests take of late, as a whole or, where that is less than the floor, the slowest ones.
func (ms *MetricState) sizeLatency(m *Metric, r *Result, b Buckets) (sized bool, words string) {
	canary, reference := ms.Canary.Latency, ms.Reference.Latency
	at := func(s spread, q float64) float64 { return b.Least * math.Pow(b.Step, s.fine(q)-1) }
	if canary.total() > 0 {
		r.Canary.Typical = at(canary, 0.5)
	}
	if reference.total() > 0 {
		r.Reference.Typical = at(reference, 0.5)
	}
	large := func(grown, more float64) bool {
		return grown > 0 && rounded(grown) >= m.Floor && rounded(more) >= m.AtLeast
	}
	grown := shiftOf(canary, reference, b) - 1
	r.Effect = &Effect{Estimate: grown, Low: grown, High: grown, Unit: Ratio, Of: "shift of late"}
	words = fmt.Sprintf("the canary's requests take %s (%s against %s in the median)", more(grown), seconds(r.Canary.Typical), seconds(r.Reference.Typical))
	if canary.total() == 0 || reference.total() == 0 {
		return false, words
	}
	if large(grown, grown*r.Reference.Typical) {
		return true, words
	}
	for _, q := range []struct {
		quantile float64
		name     string
	}{{0.9, "90th"}, {0.99, "99th"}} {
		// Fewer say nothing about a quantile so high.
		if canary.total()*(1-q.quantile) < 2 {
			break
		}
		is, was := at(canary, q.quantile), at(reference, q.quantile)
		if grown := is/was - 1; large(grown, is-was) {
			r.Effect = &Effect{Estimate: grown, Low: grown, High: grown, Unit: Ratio, Of: q.name + " percentile of late"}
			return true, fmt.Sprintf("the canary's slowest requests take %s (%s against %s at the %s percentile)", more(grown), seconds(is), seconds(was), q.name)
		}
	}
	return false, words
}

// shiftOf is how many times longer the canary takes: [ratioShift]'s estimate, of histograms that fade.
func shiftOf(canary, reference spread, b Buckets) float64 {
	if canary.total() == 0 || reference.total() == 0 {
		return 1
	}
	pairs := make(spread, len(canary)+len(reference))
	for i, c := range canary {
		if c == 0 {
			continue
		}
		for k, o := range reference {
			pairs[i-k+len(reference)] += c * o
		}
	}
	return math.Pow(b.Step, pairs.fine(0.5)-0.5-float64(len(reference)))
}
