package main

import (
	"math"
	"time"
)

// Buckets grow by a hundredth, from a microsecond to more than an hour, so a quantile is exact to one per cent whatever
// the number of requests.
const (
	growth  = 1.01
	buckets = 2300
)

// histogram counts durations. It is not safe for concurrent use.
type histogram struct {
	counts [buckets]uint64
	total  uint64
	max    time.Duration
}

func (h *histogram) add(d time.Duration) {
	i := 0
	if d > time.Microsecond {
		i = min(buckets-1, int(math.Log(float64(d)/float64(time.Microsecond))/math.Log(growth)))
	}
	h.counts[i]++
	h.total++
	h.max = max(h.max, d)
}

// quantile returns the duration that a share q of all does not exceed; 0 where there are none.
func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := uint64(math.Ceil(q*float64(h.total))), uint64(0)
	for i, n := range h.counts {
		seen += n
		if i < buckets-1 && n > 0 && seen >= rank { // the last bucket has no end
			return min(h.max, time.Duration(math.Pow(growth, float64(i+1))*float64(time.Microsecond)))
		}
	}
	return h.max
}
