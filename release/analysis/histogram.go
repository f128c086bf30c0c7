package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Buckets are the bounds of latency histograms: bucket 0 holds what took up to Least, each further one what took up to Step times
// longer, Count in all, and one more what took longer than that.
type Buckets struct {
	// Least is the first upper bound in seconds.
	Least float64 `json:"least"`
	// Step is each bound divided by the one before, above 1 and up to 10.
	Step float64 `json:"step"`
	// Count is how many bounds there are, 2 to 2,000.
	Count int `json:"count"`
}

// DefaultBuckets go from 0.1 ms to 60.5 s in steps of 8 %: fine enough for a floor of 20 %.
var DefaultBuckets = Buckets{Least: 1e-4, Step: 1.08, Count: 174}

func (b Buckets) check() error {
	switch {
	case !(b.Least > 0) || !finite(b.Least):
		return fmt.Errorf("buckets: the least bound must be above 0")
	case !(b.Step > 1 && b.Step <= 10):
		return fmt.Errorf("buckets: a step must be above 1 and at most 10")
	case b.Count < 2 || b.Count > 2000:
		return fmt.Errorf("buckets: there must be 2 to 2000")
	case !finite(b.Upper(b.Count - 1)):
		return fmt.Errorf("buckets: the last bound is too large")
	}
	return nil
}

// Upper returns the upper bound of a bucket in seconds; that of the last one, number Count, is +Inf.
func (b Buckets) Upper(i int) float64 {
	if i >= b.Count {
		return math.Inf(1)
	}
	return b.Least * math.Pow(b.Step, float64(i))
}

// Bounds returns all finite upper bounds in seconds, ascending: what a Prometheus histogram is declared with.
func (b Buckets) Bounds() []float64 {
	out := make([]float64, b.Count)
	for i := range out {
		out[i] = b.Upper(i)
	}
	return out
}

// Index returns the bucket of a duration in seconds. What is negative or NaN counts as longest: broken clocks are no good news.
func (b Buckets) Index(seconds float64) int {
	switch {
	case !(seconds >= 0):
		return b.Count
	case seconds <= b.Least:
		return 0
	case seconds > b.Upper(b.Count-1):
		return b.Count
	}
	i := int(math.Ceil(math.Log(seconds/b.Least) / math.Log(b.Step)))
	for i > 0 && seconds <= b.Upper(i-1) { // the logarithm may be one off at a bound
		i--
	}
	for i < b.Count && seconds > b.Upper(i) {
		i++
	}
	return i
}

// middle is what a bucket's requests are taken to have taken, in seconds.
func (b Buckets) middle(i int) float64 { return b.Upper(min(i, b.Count-1)) / math.Sqrt(b.Step) }

// Histogram counts requests by bucket; those after its end are 0. In JSON it is a list of pairs of a bucket's number and its count,
// since most are 0.
type Histogram []int64

// Add counts n requests of a bucket.
func (h *Histogram) Add(bucket int, n int64) {
	if bucket >= len(*h) {
		*h = append(*h, make([]int64, bucket+1-len(*h))...)
	}
	(*h)[bucket] += n
}

// Total is how many requests were counted.
func (h Histogram) Total() int64 {
	var n int64
	for _, c := range h {
		n += c
	}
	return n
}

// MarshalJSON implements [json.Marshaler].
func (h Histogram) MarshalJSON() ([]byte, error) {
	pairs := [][2]int64{}
	for i, c := range h {
		if c != 0 {
			pairs = append(pairs, [2]int64{int64(i), c})
		}
	}
	return json.Marshal(pairs)
}

// mostBuckets bounds the number of a bucket that is read.
const mostBuckets = 2001

// UnmarshalJSON implements [json.Unmarshaler].
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var pairs [][2]int64
	if err := json.Unmarshal(b, &pairs); err != nil {
		return fmt.Errorf("a histogram: %w", err)
	}
	*h = nil
	for _, p := range pairs {
		if p[0] < 0 || p[0] >= mostBuckets {
			return fmt.Errorf("a histogram: there is no bucket %d", p[0])
		}
		if int(p[0]) < len(*h) {
			return fmt.Errorf("a histogram: bucket %d is out of order", p[0])
		}
		h.Add(int(p[0]), p[1])
	}
	return nil
}

// check says whether the counts fit the buckets.
func (h Histogram) check(b Buckets) error {
	if len(h) > b.Count+1 && slices.ContainsFunc(h[b.Count+1:], func(c int64) bool { return c != 0 }) {
		return fmt.Errorf("the histogram has more buckets than were agreed")
	}
	var sum int64
	for _, c := range h {
		if c < 0 || c > MaxCount || sum > MaxCount-c {
			return fmt.Errorf("the histogram's counts are out of range")
		}
		sum += c
	}
	return nil
}

// spread is a histogram with weights, which fades with time.
type spread []float64

func (s *spread) add(h Histogram, keep float64) {
	for i := range *s {
		(*s)[i] *= keep
		if (*s)[i] < 1e-9 {
			(*s)[i] = 0 // or it would fade for ever, and fill the state
		}
	}
	if len(h) > len(*s) {
		*s = append(*s, make([]float64, len(h)-len(*s))...)
	}
	for i, c := range h {
		(*s)[i] += float64(c)
	}
}

func (s spread) total() float64 {
	var t float64
	for _, w := range s {
		t += w
	}
	return t
}

// quantile is the first bucket up to which there is the share q of all; 0 without any.
func (s spread) quantile(q float64) int {
	want, sum := q*s.total(), 0.0
	for i, w := range s {
		if sum += w; w > 0 && sum >= want {
			return i
		}
	}
	return max(0, len(s)-1)
}

// fine is the place of a quantile within the buckets: i+f is the share f through bucket i, as if its requests were spread evenly over
// the logarithm of their time.
func (s spread) fine(q float64) float64 {
	want, sum := q*s.total(), 0.0
	for i, w := range s {
		if w > 0 && sum+w >= want {
			return float64(i) + (want-sum)/w
		}
		sum += w
	}
	return float64(len(s))
}

func (h Histogram) spread() spread {
	s := make(spread, len(h))
	for i, c := range h {
		s[i] = float64(c)
	}
	return s
}
