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
	tailPart = 0.05
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

	test, by := stratified(blocks(d, canary.latency.Total()), &all, Higher)
	if by == 0 { // too few blocks
		test, by = all.test(Higher, 1, c.Seed), 1
	}
	shift := ratioShift(&all, c.Buckets, m.Level, by)
	grown := shift.Estimate - 1
	// An estimate of few requests scatters: held against the floor as it is, it would miss one in ten of those that are twice as far above it as it
	// scatters, however certain it is that there is a difference. So its standard error is allowed for. The more requests, the less that is.
	reach := ratioShift(&all, c.Buckets, normalTail(1), by).High - 1
	ranks := evidence{
		test: "Mann-Whitney, " + test.Method, statistic: test.U, p: min(1, test.P/(1-tailPart)), dispersion: by,
		effect: Effect{Estimate: grown, Low: shift.Low - 1, High: shift.High - 1, Confidence: 1 - 2*m.Level, Unit: Ratio, Of: "shift"},
		sized:  grown > 0 && rounded(reach) >= m.Floor && rounded(reach*typical) >= m.AtLeast,
		nearly: rounded(grown) < m.Floor || rounded(grown*typical) < m.AtLeast,
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

// stratified compares within blocks and adds up. Requests are ranked over the whole step, and the canary's ranks are held against what dealing out
// each block's ranks among the block's requests would give (blocked as P. van Elteren did, "On the combination of independent two sample tests of
// Wilcoxon", 1960): so what both sides share cancels out, and where there is nothing of the kind it is Mann-Whitney's test. The variance is multiplied by
// the dispersion of the blocks' outcomes around their mean, W. G. Cochran's Q. That is 0, and there is no test, where there are too few blocks.
func stratified(blocks []ranking, all *ranking, worse Direction) (RankTest, float64) {
	ranks := all.midranks()
	var over, variance, weights, mean, usable float64
	type outcome struct{ effect, weight float64 }
	var outcomes []outcome
	for i := range blocks {
		b := &blocks[i]
		n1, n0 := float64(b.canary), float64(b.reference)
		n := n1 + n0
		if n1 == 0 || n0 == 0 {
			continue
		}
		var canary, sum, squares float64
		for _, t := range b.ties {
			r := ranks[int(t.value)]
			canary += r * float64(t.canary)
			sum += r * float64(t.canary+t.reference)
		}
		middle := sum / n
		for _, t := range b.ties {
			d := ranks[int(t.value)] - middle
			squares += d * d * float64(t.canary+t.reference)
		}
		if squares == 0 {
			continue
		}
		usable++
		apart, spread := canary-n1*middle, n1*n0*squares/(n*(n-1))
		over += apart
		variance += spread
		// How far apart the two sides' mean ranks are, weighted by the inverse of its variance.
		size := n1 * n0 / n
		o := outcome{apart / size, size * size / spread}
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
	by := max(1, heterogeneity/(usable-1)-chance(usable-1))
	z := over / math.Sqrt(variance*by)
	return RankTest{U: all.moments().u, P: either(normalTail(z), normalTail(-z), worse), Method: "by blocks of time"}, by
}

// chance is by how much Cochran's Q, divided by its degrees of freedom, exceeds 1 in one of a hundred steps whose requests are independent: E. B.
// Wilson and M. M. Hilferty's approximation of chi-square's quantile, 1931. To correct for less would cost evidence where nothing comes in clumps.
func chance(freedom float64) float64 {
	part := 2 / (9 * freedom)
	return math.Pow(1-part+2.326*math.Sqrt(part), 3) - 1
}

// midranks are the ranks by bucket, from 1, those of equal values being their mean.
func (r *ranking) midranks() []float64 {
	if len(r.ties) == 0 {
		return nil
	}
	ranks := make([]float64, int(r.ties[len(r.ties)-1].value)+1)
	var below float64
	for _, t := range r.ties {
		both := float64(t.canary + t.reference)
		ranks[int(t.value)] = below + (both+1)/2
		below += both
	}
	return ranks
}
