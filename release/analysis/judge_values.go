package analysis

import (
	"fmt"
	"math"
	"slices"
)

// lookValues compares two series.
func (m *Metric) lookValues(f *finding, d *Data, c *Config) {
	canary, reference, ok := m.bothSeries(f, d)
	if !ok {
		return
	}
	r := rankValues(canary, reference)
	by := persistence(reference)
	test := r.test(m.Worse, by, c.Seed)
	shift := HodgesLehmann(canary, reference, m.Level, by)
	typical := median(reference)
	f.result.Canary.Typical, f.result.Reference.Typical = median(canary), typical
	size, worst := shift.Estimate, shift.High
	switch m.Worse {
	case Lower:
		size, worst = -shift.Estimate, -shift.Low
	case Different:
		size, worst = math.Abs(shift.Estimate), max(-shift.Low, shift.High)
	}
	f.least = leastP(r.canary, r.reference, m.Worse)
	f.evidence = []evidence{{
		test: "Mann-Whitney, " + test.Method, statistic: test.U, p: test.P, dispersion: by,
		effect: Effect{Estimate: shift.Estimate, Low: shift.Low, High: shift.High, Confidence: 1 - 2*m.Level, Unit: Plain, Of: "shift"},
		sized:  size > 0 && rounded(size) >= rounded(m.Floor*math.Abs(typical)) && rounded(size) >= m.AtLeast,
		words: fmt.Sprintf("the canary's values are %s by %s (medians %s and %s)", higherOrLower(shift.Estimate), short(math.Abs(shift.Estimate)),
			short(f.result.Canary.Typical), short(typical)),
	}}
	f.margin(m, worst, m.Margin*math.Abs(typical), short)
}

func higherOrLower(shift float64) string {
	if shift < 0 {
		return "lower"
	}
	return "higher"
}

// bothSeries takes the usable values of both sides; it closes the finding where there are too few.
func (m *Metric) bothSeries(f *finding, d *Data) (canary, reference []float64, ok bool) {
	r := &f.result
	var err error
	if canary, r.Canary.Missing, err = series(d.Canary.Values); err != nil {
		f.close(Error, "the canary's samples are garbage: %v", err)
		return nil, nil, false
	}
	if reference, r.Reference.Missing, err = series(d.Reference.Values); err != nil {
		f.close(Error, "the reference's samples are garbage: %v", err)
		return nil, nil, false
	}
	r.Canary.Samples, r.Reference.Samples = int64(len(canary)), int64(len(reference))
	if tooMany(f, "values", len(d.Canary.Values), len(d.Reference.Values), m.Gaps) || bothTooFew(f, d, m.Samples) {
		return nil, nil, false
	}
	return canary, reference, true
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s) == 0 {
		return 0
	}
	return s[(len(s)-1)/2]/2 + s[len(s)/2]/2
}

// persistence is by how much the mean of a series varies more than that of independent values, (1+ρ)/(1−ρ) of a series in which each value has the
// correlation ρ with the one before. It is estimated from ranks, which no single value can spoil, and is 1 unless it is plain that the series hangs together.
// A rate over a minute that is read every second does, very much.
func persistence(values []float64) float64 {
	n := len(values)
	if n < fewest {
		return 1
	}
	sorted := slices.Sorted(slices.Values(values))
	ranks := make([]float64, n)
	for i, v := range values {
		first, _ := slices.BinarySearch(sorted, v)
		after, _ := slices.BinarySearchFunc(sorted, v, func(e, t float64) int {
			if e <= t {
				return -1
			}
			return 1
		})
		ranks[i] = float64(first+after)/2 - float64(n)/2
	}
	var own, next float64
	for i, r := range ranks {
		own += r * r
		if i > 0 {
			next += r * ranks[i-1]
		}
	}
	if own == 0 {
		return 1
	}
	rho := next/own + 1/float64(n) // the estimate of an independent series is that much too low
	if rho < 1.645/math.Sqrt(float64(n)) {
		return 1
	}
	rho = min(rho, 0.99)
	return (1 + rho) / (1 - rho)
}

// lookThreshold holds a series against its limits.
func (m *Metric) lookThreshold(f *finding, d *Data) {
	r := &f.result
	values, gaps, err := series(d.Canary.Values)
	if err != nil {
		f.close(Error, "the samples are garbage: %v", err)
		return
	}
	r.Test = "limits"
	beyond, worst := 0, 0.0
	for _, v := range values {
		if over := m.beyond(v); over > 0 {
			if beyond++; beyond == 1 || over > m.beyond(worst) {
				worst = v
			}
		}
	}
	r.Statistic = float64(beyond)
	r.Canary = Counts{Samples: int64(len(values)), Bad: int64(beyond), Missing: gaps, Typical: median(values)}
	switch {
	case beyond > m.Tolerated:
		f.close(Fail, "%d of %s beyond the limit of %s, the furthest %s; %d may be", beyond, counted(int64(len(values)), "value"), m.limits(), short(worst), m.Tolerated)
	case float64(gaps) > m.Gaps*float64(len(d.Canary.Values)):
		f.close(Inconclusive, "%d of %d values are missing, and at most %s may be", gaps, len(d.Canary.Values), percent(m.Gaps))
	case tooFew(f, "canary", r.Canary.Samples, &d.Canary, m.Samples):
	default:
		f.close(Pass, "%d of %s beyond the limit of %s; %d may be", beyond, counted(int64(len(values)), "value"), m.limits(), m.Tolerated)
	}
}

// beyond is how far a value is beyond the limits; negative within them.
func (m *Metric) beyond(v float64) float64 {
	over := math.Inf(-1)
	if m.Above != nil {
		over = v - *m.Above
	}
	if m.Below != nil {
		over = max(over, *m.Below-v)
	}
	return over
}

func (m *Metric) limits() string {
	switch {
	case m.Above != nil && m.Below != nil:
		return fmt.Sprintf("at least %s and at most %s", short(*m.Below), short(*m.Above))
	case m.Above != nil:
		return "at most " + short(*m.Above)
	}
	return "at least " + short(*m.Below)
}

// lookSLO holds counts against an objective.
func (m *Metric) lookSLO(f *finding, d *Data) {
	r := &f.result
	if d.Canary.Events == nil {
		f.close(Inconclusive, "the canary has no samples%s", colon(d.Canary.Missing))
		return
	}
	bad, total, err := d.Canary.Events.whole()
	if err != nil {
		f.close(Error, "the canary's samples are garbage: %v", err)
		return
	}
	r.Canary = Counts{Samples: total, Bad: bad}
	if tooFew(f, "canary", total, &d.Canary, m.Samples) {
		return
	}
	budget := 1 - m.Objective
	low, high := Wilson(bad, total, m.Level)
	over := ratio(bad, total) - budget
	f.least = math.Exp(float64(total) * math.Log(budget))
	f.evidence = []evidence{{
		test: "exact binomial test, one-sided", statistic: float64(bad), p: Binomial(bad, total, budget, Higher), dispersion: 1,
		effect: Effect{Estimate: over, Low: low - budget, High: high - budget, Confidence: 1 - 2*m.Level, Unit: Share, Of: "share of bad events above the budget"},
		sized:  over > 0 && rounded(over) >= m.Floor,
		words: fmt.Sprintf("%s events were bad (%s) and the objective of %s allows for %s", of(bad, total), percent(ratio(bad, total)),
			percent(m.Objective), percent(budget)),
	}}
	f.margin(m, high-budget, m.Margin, percent)
}

func colon(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
