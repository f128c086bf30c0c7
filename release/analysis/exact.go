package analysis

import "math"

// Direction says which difference of the canary from its reference is worse.
type Direction string

const (
	Higher    Direction = "higher"
	Lower     Direction = "lower"
	Different Direction = "different"
)

func (d Direction) valid() bool { return d == Higher || d == Lower || d == Different }

// hypergeometric is the distribution of the failures that fall to the first arm, of n1 requests, when all of n are alike and fails of
// them failed. All are whole numbers with n1, fails ≤ n.
func hypergeometric(n1, n, fails float64) *discrete {
	n0 := n - n1
	d := &discrete{low: max(0, fails-n0), high: min(n1, fails)}
	d.mode = min(max(math.Floor((n1+1)*(fails+1)/(n+2)), d.low), d.high)
	p := n1 / n
	d.log = func(k float64) float64 {
		if n == 0 {
			return 0
		}
		return logBinomial(k, fails, p) + logBinomial(n1-k, n-fails, p) - logBinomial(n1, n, p)
	}
	d.ratio = func(k float64) float64 { return (n1 - k) / (k + 1) * (fails - k) / (n0 - fails + k + 1) }
	return d
}

// Fisher returns the p value of Fisher's exact test of a table: failures and requests of the canary and of its reference. It is
// conditional on both margins. [Higher] asks whether the canary fails more often, [Lower] whether less often; [Different] sums the
// probabilities of all tables that are at most as likely, as R's fisher.test does. Counts are 0 to [MaxCount] and failures at most
// requests; otherwise, and without requests on a side, the result is 1.
func Fisher(canaryFails, canary, referenceFails, reference int64, worse Direction) float64 {
	if !validCounts(canaryFails, canary) || !validCounts(referenceFails, reference) || canary == 0 || reference == 0 {
		return 1
	}
	k := float64(canaryFails)
	d := hypergeometric(float64(canary), float64(canary+reference), float64(canaryFails+referenceFails))
	return d.tail(k, worse)
}

// tail is the p value of an observation.
func (d *discrete) tail(x float64, worse Direction) float64 {
	switch worse {
	case Lower:
		return d.atMost(x)
	case Different:
		return d.asUnlikely(x)
	}
	return d.atLeast(x)
}

// Binomial returns the p value of the exact test that fails of n requests do not exceed a budget, a share between 0 and 1: the
// probability of as many or more failures where each request fails with the budget's probability. The directions are Fisher's. What is out of
// range gives 1.
func Binomial(fails, n int64, budget float64, worse Direction) float64 {
	if !validCounts(fails, n) || n == 0 || !(budget >= 0 && budget <= 1) {
		return 1
	}
	total := float64(n)
	d := &discrete{low: 0, high: total, mode: min(math.Floor((total+1)*budget), total)}
	d.log = func(x float64) float64 { return logBinomial(x, total, budget) }
	switch budget {
	case 0:
		d.high = 0
	case 1:
		d.low, d.mode = total, total
	}
	d.ratio = func(x float64) float64 { return (total - x) / (x + 1) * budget / (1 - budget) }
	return d.tail(float64(fails), worse)
}

// MaxCount is the largest count of requests that is judged; more are taken for garbage.
const MaxCount = 1_000_000_000_000

// MaxWindow is the same for a single window. What a bet costs grows with the root of it.
const MaxWindow = 1_000_000_000

func validCounts(part, whole int64) bool { return part >= 0 && part <= whole && whole <= MaxCount }

// Wilson returns the score interval of a ratio (E. B. Wilson, 1927), each side of which is missed with the probability given.
func Wilson(fails, n int64, each float64) (low, high float64) {
	if n <= 0 {
		return 0, 1
	}
	z, total, p := normalQuantile(each), float64(n), float64(fails)/float64(n)
	middle := p + z*z/(2*total)
	half := z * math.Sqrt(p*(1-p)/total+z*z/(4*total*total))
	scale := 1 + z*z/total
	low, high = max(0, (middle-half)/scale), min(1, (middle+half)/scale)
	if fails == 0 {
		low = 0
	}
	if fails == n {
		high = 1
	}
	return low, high
}

// Newcombe returns the interval of the difference of two ratios, canary less reference, from their score intervals: method 10 of R. G. Newcombe,
// "Interval estimation for the difference between independent proportions", 1998. Each side is missed with the probability given.
func Newcombe(canaryFails, canary, referenceFails, reference int64, each float64) (low, high float64) {
	if canary <= 0 || reference <= 0 {
		return -1, 1
	}
	p1, p0 := float64(canaryFails)/float64(canary), float64(referenceFails)/float64(reference)
	l1, u1 := Wilson(canaryFails, canary, each)
	l0, u0 := Wilson(referenceFails, reference, each)
	return p1 - p0 - math.Hypot(p1-l1, u0-p0), p1 - p0 + math.Hypot(u1-p1, p0-l0)
}
