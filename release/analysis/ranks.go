package analysis

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// tied is how often a value, or a bucket, occurs on either side.
type tied struct {
	value             float64
	canary, reference int64
}

// ranking is two samples merged and in order, equal values together. All rank tests start here: a histogram is a sample with many ties.
type ranking struct {
	ties              []tied
	canary, reference int64
}

func rankValues(canary, reference []float64) ranking {
	all := make([]tied, 0, len(canary)+len(reference))
	for _, v := range canary {
		all = append(all, tied{value: v, canary: 1})
	}
	for _, v := range reference {
		all = append(all, tied{value: v, reference: 1})
	}
	slices.SortFunc(all, func(a, b tied) int { return cmp.Compare(a.value, b.value) })
	r := ranking{canary: int64(len(canary)), reference: int64(len(reference))}
	for _, t := range all {
		if n := len(r.ties); n > 0 && r.ties[n-1].value == t.value {
			r.ties[n-1].canary += t.canary
			r.ties[n-1].reference += t.reference
			continue
		}
		r.ties = append(r.ties, t)
	}
	return r
}

func rankHistograms(canary, reference Histogram) ranking {
	var r ranking
	for i := range max(len(canary), len(reference)) {
		t := tied{value: float64(i)}
		if i < len(canary) {
			t.canary = canary[i]
		}
		if i < len(reference) {
			t.reference = reference[i]
		}
		if t.canary+t.reference > 0 {
			r.ties = append(r.ties, t)
			r.canary += t.canary
			r.reference += t.reference
		}
	}
	return r
}

// moments are of U, the number of pairs in which the canary's value is the higher one, an equal pair being a half.
type moments struct{ u, mean, variance float64 }

func (r *ranking) moments() moments {
	var m moments
	below, n1, n0 := 0.0, float64(r.canary), float64(r.reference)
	n, ties := n1+n0, 0.0
	for _, t := range r.ties {
		m.u += float64(t.canary) * (below + float64(t.reference)/2)
		below += float64(t.reference)
		both := float64(t.canary + t.reference)
		ties += both * (both - 1) * (both + 1)
	}
	m.mean = n1 * n0 / 2
	if n > 1 {
		m.variance = max(0, n1*n0/12*(n+1-ties/(n*(n-1))))
	}
	return m
}

// RankTest is the outcome of a Mann-Whitney test.
type RankTest struct {
	// U is the number of pairs in which the canary's value is the higher one, an equal pair being a half.
	U float64
	P float64
	// Method is "exact" where all ways of dealing the values to the sides were counted, ties included; "permutation" where many were drawn
	// by the seed; "normal" for the approximation corrected for ties and continuity.
	Method string
}

const (
	// exactWork bounds the additions of the exact distribution; two samples of 30 need 4.9 million.
	exactWork = 5_000_000
	// draws of a permutation test: p is at least 1/(draws+1).
	draws = 20_000
	// mostDealt bounds the smaller sample of a permutation test; the approximation is good for larger ones, however many ties they have.
	mostDealt = 200
	// fewest is the size of a sample below which the normal approximation is not relied on.
	fewest = 10
)

// MannWhitney tests whether the canary's values tend to be higher (or lower, or either) than the reference's: H. B. Mann and D. R. Whitney,
// 1947. Empty samples give P 1. NaN is not allowed.
func MannWhitney(canary, reference []float64, worse Direction, seed uint64) RankTest {
	r := rankValues(canary, reference)
	return r.test(worse, 1, seed)
}

// MannWhitneyHistograms is the test on histograms of the same buckets.
func MannWhitneyHistograms(canary, reference Histogram, worse Direction, seed uint64) RankTest {
	r := rankHistograms(canary, reference)
	return r.test(worse, 1, seed)
}

// test computes p. inflation multiplies the variance, for samples that are not independent; above 1 only the approximation has a place for it.
func (r *ranking) test(worse Direction, inflation float64, seed uint64) RankTest {
	m := r.moments()
	t := RankTest{U: m.u, P: 1, Method: "exact"}
	if r.canary == 0 || r.reference == 0 || m.variance == 0 {
		return t
	}
	if inflation <= 1 {
		n1, n := min(r.canary, r.reference), r.canary+r.reference
		if n <= 1000 && n1*n*n1*(2*n-n1+1) <= exactWork {
			t.P = r.exact(worse)
			return t
		}
		if (n1 < fewest || r.heavy()) && n1 <= mostDealt && n <= 500*mostDealt {
			t.Method, t.P = "permutation", r.permuted(m, worse, seed)
			return t
		}
	}
	t.Method, t.P = "normal", m.p(worse, inflation)
	return t
}

// heavy says that one value is more than a third of all.
func (r *ranking) heavy() bool {
	return slices.ContainsFunc(r.ties, func(t tied) bool { return 3*(t.canary+t.reference) > r.canary+r.reference })
}

func (m *moments) p(worse Direction, inflation float64) float64 {
	sd := math.Sqrt(m.variance * max(1, inflation))
	up, down := normalTail((m.u-m.mean-0.5)/sd), normalTail((m.mean-m.u-0.5)/sd)
	return either(up, down, worse)
}

func either(up, down float64, worse Direction) float64 {
	switch worse {
	case Lower:
		return min(1, down)
	case Different:
		return min(1, 2*min(up, down))
	}
	return min(1, up)
}

// exact counts, of all ways to choose which values are the canary's, those with a U as extreme. Ranks are doubled, so that those of
// ties are whole, and chosen for the smaller side.
func (r *ranking) exact(worse Direction) float64 {
	small := r.canary <= r.reference
	k := int(min(r.canary, r.reference))
	n := int(r.canary + r.reference)
	// ways[j][s]: how likely it is that j are chosen so far, with the sum s of doubled ranks. Probabilities stay below 1 where counts of
	// ways would not.
	most := k * (2*n - k + 1)
	ways := make([][]float64, k+1)
	for j := range ways {
		ways[j] = make([]float64, most+1)
	}
	ways[0][0] = 1
	var before int64
	seen, observed := 0, 0
	for _, t := range r.ties {
		both := t.canary + t.reference
		rank := int(2*before + both + 1)
		mine := t.canary
		if !small {
			mine = t.reference
		}
		observed += int(mine) * rank
		for range both {
			seen++
			for j := min(seen, k); j >= 1; j-- {
				// Of the subsets of j of the first `seen`, the share j/seen has the last one.
				with := float64(j) / float64(seen)
				from, to := ways[j-1], ways[j]
				for s := most; s >= rank; s-- {
					to[s] = to[s]*(1-with) + from[s-rank]*with
				}
				for s := min(rank-1, most); s >= 0; s-- {
					to[s] *= 1 - with
				}
			}
		}
		before += both
	}
	var up, down float64
	for s, p := range ways[k] {
		if s >= observed {
			up += p
		}
		if s <= observed {
			down += p
		}
	}
	if !small { // high ranks of the reference are low ones of the canary
		up, down = down, up
	}
	return either(min(1, up), min(1, down), worse)
}

// permuted deals the values anew many times. The sample itself counts as one of the draws, so that p is valid: B. Phipson and
// G. K. Smyth, "Permutation P-values should never be zero", 2010.
func (r *ranking) permuted(m moments, worse Direction, seed uint64) float64 {
	var values []float64 // the doubled rank of each
	var before, observed int64
	small := r.canary <= r.reference
	for _, t := range r.ties {
		both := t.canary + t.reference
		rank := 2*before + both + 1
		for range both {
			values = append(values, float64(rank))
		}
		if small {
			observed += t.canary * rank
		} else {
			observed += t.reference * rank
		}
		before += both
	}
	random := rand.New(rand.NewPCG(seed, uint64(r.canary)<<32^uint64(r.reference)))
	k := int(min(r.canary, r.reference))
	up, down := 1.0, 1.0
	for range draws {
		var sum float64
		for i := range k { // the first k of a shuffle
			j := i + random.IntN(len(values)-i)
			values[i], values[j] = values[j], values[i]
			sum += values[i]
		}
		if sum >= float64(observed) {
			up++
		}
		if sum <= float64(observed) {
			down++
		}
	}
	if !small {
		up, down = down, up
	}
	return either(up/(draws+1), down/(draws+1), worse)
}

// leastP is the smallest p that samples of these sizes can have at all.
func leastP(canary, reference int64, worse Direction) float64 {
	log := func(n int64) float64 { l, _ := math.Lgamma(float64(n) + 1); return l }
	p := math.Exp(log(canary) + log(reference) - log(canary+reference))
	if worse == Different {
		p *= 2
	}
	return min(1, p)
}
