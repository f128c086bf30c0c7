package analysis

import (
	"math"
	"slices"
)

// Shift is how much higher the canary's values are than the reference's: the median of all differences between one of each, and the interval
// of differences that a Mann-Whitney test would not refuse (J. L. Hodges and E. L. Lehmann, 1963).
type Shift struct{ Estimate, Low, High float64 }

// HodgesLehmann returns the shift of two samples. Each side of the interval is missed with the probability given; inflation
// multiplies the variance, 1 for independent values. Empty samples give zeros, NaN and infinite values are not allowed.
func HodgesLehmann(canary, reference []float64, each, inflation float64) Shift {
	n1, n0 := len(canary), len(reference)
	if n1 == 0 || n0 == 0 {
		return Shift{}
	}
	x, y := slices.Sorted(slices.Values(canary)), slices.Sorted(slices.Values(reference))
	pairs := int64(n1) * int64(n0)
	r := rankValues(x, y)
	sd := math.Sqrt(r.moments().variance * max(1, inflation))
	out := int64(math.Floor(float64(pairs)/2 - 0.5 - normalQuantile(each)*sd))
	low, high := max(1, out+1), min(pairs, pairs-out)
	if low > high {
		low, high = high, low
	}
	middle := kthDifference(x, y, (pairs+1)/2)
	if pairs%2 == 0 {
		middle = middle/2 + kthDifference(x, y, pairs/2+1)/2
	}
	return Shift{middle, kthDifference(x, y, low), kthDifference(x, y, high)}
}

// kthDifference is the k-th smallest (from 1) of all differences of a value of x and one of y, both in order, found by halving the
// floats between the least and the greatest one: pairs may be too many to list.
func kthDifference(x, y []float64, k int64) float64 {
	from, to := ordinal(x[0]-y[len(y)-1]), ordinal(x[len(x)-1]-y[0])
	for from < to {
		mid := from>>1 + to>>1 + from&to&1 // their sum may not fit
		if upTo(x, y, fromOrdinal(mid)) >= k {
			to = mid
		} else {
			from = mid + 1
		}
	}
	return fromOrdinal(from)
}

// upTo counts the differences that are at most d.
func upTo(x, y []float64, d float64) int64 {
	var n int64
	j := len(y)
	for _, v := range x {
		// The higher v, the fewer of y are low enough to be left out.
		for j > 0 && v-y[len(y)-j] > d {
			j--
		}
		n += int64(j)
	}
	return n
}

// ordinal numbers the finite floats in their order, without a sign for 0.
func ordinal(f float64) int64 {
	if f < 0 {
		return -int64(math.Float64bits(-f))
	}
	return int64(math.Float64bits(f + 0))
}

func fromOrdinal(n int64) float64 {
	if n < 0 {
		return -math.Float64frombits(uint64(-n))
	}
	return math.Float64frombits(uint64(n))
}

// ratioShift is how many times longer the canary takes, from the differences of all pairs of buckets, as bounds grow by a constant factor.
// Within a bucket times are taken to be spread evenly.
func ratioShift(r *ranking, b Buckets, each, inflation float64) Shift {
	if r.canary == 0 || r.reference == 0 {
		return Shift{1, 1, 1}
	}
	least := r.ties[0].value - r.ties[len(r.ties)-1].value
	pairs := make([]float64, int(-2*least)+1)
	for _, c := range r.ties {
		if c.canary == 0 {
			continue
		}
		for _, o := range r.ties {
			pairs[int(c.value-o.value-least)] += float64(c.canary) * float64(o.reference)
		}
	}
	all := float64(r.canary) * float64(r.reference)
	reach := normalQuantile(each) * math.Sqrt(r.moments().variance*max(1, inflation)) / all
	at := func(share float64) float64 {
		place := spread(pairs).fine(min(max(share, 0), 1))
		return math.Pow(b.Step, place-0.5+least)
	}
	return Shift{at(0.5), at(0.5 - reach), at(0.5 + reach)}
}
