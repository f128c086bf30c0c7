package analysis

import (
	"fmt"
	"math"
)

const (
	// mostBlocks and blockRequests say how a step's windows are put together: trouble that both sides share cancels out within a block,
	// and how much blocks differ tells how much requests hang together.
	mostBlocks    = 30
	blockRequests = 10
	// fewestBlocks is how many it takes to estimate a dispersion.
	fewestBlocks = 8
	// tailPart is the part of a latency metric's level that goes to the test on its slowest requests, which a test on ranks hardly sees.
	tailPart = 0.1
	// tailQuantile says which those are.
	tailQuantile = 0.95
)

// compareLatency tests whether requests take longer, as a whole and of the slowest ones.
func (m *Metric) compareLatency(f *finding, d *Data, canary, reference counts, c *Config) {
	all := rankHistograms(canary.latency, reference.latency)
	quantile := func(h Histogram, q float64) float64 {
		return c.Buckets.Least * math.Pow(c.Buckets.Step, h.spread().fine(q)-1)
	}
	typical := quantile(reference.latency, 0.5)
	f.result.Canary.Typical, f.result.Reference.Typical = quantile(canary.latency, 0.5), typical

	test, by := stratified(blocks(d, canary.latency.Total()), Higher)
	if by == 0 { // too few blocks
		test, by = all.test(Higher, 1, c.Seed), 1
	}
	shift := ratioShift(&all, c.Buckets, m.Level, by)
	grown := shift.Estimate - 1
	ranks := evidence{
		test: "Mann-Whitney, " + test.Method, statistic: test.U, p: min(1, test.P/(1-tailPart)), dispersion: by,
		effect: Effect{Estimate: grown, Low: shift.Low - 1, High: shift.High - 1, Confidence: 1 - 2*m.Level, Unit: Ratio, Of: "shift"},
		sized:  grown > 0 && rounded(grown) >= m.Floor && rounded(grown*typical) >= m.AtLeast,
		words:  fmt.Sprintf("the canary's requests take %s (%s against %s in the median)", more(grown), seconds(f.result.Canary.Typical), seconds(typical)),
	}
	f.least = leastP(all.canary, all.reference, Higher) / (1 - tailPart)
	f.evidence = []evidence{ranks, m.compareTail(d, canary.latency, reference.latency, quantile)}
	f.margin(m, shift.High-1, m.Margin, percent)
}

// compareTail tests how many requests are slower than most of both sides together.
func (m *Metric) compareTail(d *Data, canary, reference Histogram, quantile func(Histogram, float64) float64) evidence {
	var both Histogram
	for _, h := range []Histogram{canary, reference} {
		for i, n := range h {
			both.Add(i, n)
		}
	}
	// Of the same size as the reference, a slow canary is a large part of the slowest: the limit goes down so that it does not hide it.
	limit := both.spread().quantile(tailQuantile - (1-tailQuantile)*ratio(canary.Total(), both.Total()))
	var seen clumps
	for i := range d.Reference.Windows {
		if w := &d.Reference.Windows[i]; !w.Missing {
			seen.add(w.Latency.above(limit), w.Latency.Total(), 1)
		}
	}
	by := seen.dispersion()
	slow1, slow0 := canary.above(limit), reference.above(limit)
	was, is := quantile(reference, tailQuantile), quantile(canary, tailQuantile)
	grown := is/was - 1
	return evidence{
		test: "Fisher's exact test on the slowest requests", statistic: float64(slow1), p: min(1, weakened(Fisher(slow1, canary.Total(), slow0, reference.Total(), Higher), by)/tailPart), dispersion: by,
		effect: Effect{Estimate: grown, Low: grown, High: grown, Unit: Ratio, Of: "95th percentile"},
		sized:  grown > 0 && rounded(grown) >= m.Floor && rounded(is-was) >= m.AtLeast,
		words: fmt.Sprintf("the canary's slowest requests take %s (%s against %s at the 95th percentile)",
			more(grown), seconds(is), seconds(was)),
	}
}

// above counts the requests in buckets after one.
func (h Histogram) above(bucket int) int64 {
	if bucket+1 >= len(h) {
		return 0
	}
	return h[bucket+1:].Total()
}

// blocks puts neighbouring windows together until each block has enough of the canary's requests.
func blocks(d *Data, total int64) []ranking {
	windows := min(len(d.Canary.Windows), len(d.Reference.Windows))
	want := min(mostBlocks, int64(windows), total/blockRequests)
	if want < fewestBlocks {
		return nil
	}
	var out []ranking
	var canary, reference Histogram
	var done int64
	for i := range windows {
		c, r := &d.Canary.Windows[i], &d.Reference.Windows[i]
		if !c.Missing {
			for bucket, n := range c.Latency {
				canary.Add(bucket, n)
			}
			done += c.Latency.Total()
		}
		if !r.Missing {
			for bucket, n := range r.Latency {
				reference.Add(bucket, n)
			}
		}
		if last := i == windows-1; last || done*want >= total*int64(len(out)+1) {
			if reference.Total() == 0 && !last {
				continue
			}
			out = append(out, rankHistograms(canary, reference))
			canary, reference = nil, nil
		}
	}
	return out
}

// stratified compares within blocks and adds up: P. van Elteren's test ("On the combination of independent two sample tests of Wilcoxon", 1960),
// with the variance multiplied by the dispersion of the blocks' outcomes around their mean, W. G. Cochran's Q. That is 0, and there is no test, where
// there are too few blocks.
func stratified(blocks []ranking, worse Direction) (RankTest, float64) {
	var u, over, variance, weights, mean, usable float64
	type outcome struct{ effect, weight float64 }
	var outcomes []outcome
	for i := range blocks {
		b := &blocks[i]
		m := b.moments()
		if m.variance == 0 {
			continue
		}
		usable++
		u += m.u
		w := 1 / float64(b.canary+b.reference+1)
		over += w * (m.u - m.mean)
		variance += w * w * m.variance
		pairs := float64(b.canary) * float64(b.reference)
		o := outcome{(m.u - m.mean) / pairs, pairs * pairs / m.variance}
		outcomes = append(outcomes, o)
		mean += o.effect * o.weight
		weights += o.weight
	}
	if usable < fewestBlocks {
		return RankTest{}, 0
	}
	mean /= weights
	var heterogeneity float64
	for _, o := range outcomes {
		heterogeneity += o.weight * (o.effect - mean) * (o.effect - mean)
	}
	by := max(1, heterogeneity/(usable-1)-math.Sqrt(2/(usable-1))) // less its standard error
	z := over / math.Sqrt(variance*by)
	return RankTest{U: u, P: either(normalTail(z), normalTail(-z), worse), Method: "by blocks of time"}, by
}
