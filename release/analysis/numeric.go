package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Number is a float64 that survives JSON: NaN and the infinities are written as the strings "NaN", "+Inf" and "-Inf", since a query
// may well return them and what it returned has to be kept.
type Number float64

// MarshalJSON implements [json.Marshaler].
func (n Number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	switch {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"+Inf"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Inf"`), nil
	}
	return json.Marshal(f)
}

// UnmarshalJSON implements [json.Unmarshaler].
func (n *Number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`:
		*n = Number(math.NaN())
		return nil
	case `"+Inf"`:
		*n = Number(math.Inf(1))
		return nil
	case `"-Inf"`:
		*n = Number(math.Inf(-1))
		return nil
	case "null":
		return fmt.Errorf("null is not a number")
	}
	return json.Unmarshal(b, (*float64)(n))
}

// finite reports whether a value is neither NaN nor infinite.
func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// digits is how many significant digits a figure of a result keeps. Processors differ in the last bits of a logarithm, a watch adds
// up thousands of them, and whoever recomputes a judgement may have another processor.
const digits = 9

// rounded returns a figure as a result keeps it. NaN and infinities stay.
func rounded(f float64) float64 {
	if f == 0 || !finite(f) {
		return f
	}
	r, err := strconv.ParseFloat(strconv.FormatFloat(f, 'e', digits-1, 64), 64)
	if err != nil {
		return f // rounded up beyond the largest float
	}
	return r
}

// normalTail is the probability that a standard normal variable is above z.
func normalTail(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 }

// normalQuantile is the z with normalTail(z) = tail, for a tail between 0 and 1.
func normalQuantile(tail float64) float64 { return math.Sqrt2 * math.Erfcinv(2*tail) }

// stirlingError is ln n! less Stirling's approximation of it. The subtraction is what loses the digits of a binomial probability of
// large counts; taking it apart as here is C. Loader's way ("Fast and Accurate Computation of Binomial Probabilities", 2000).
func stirlingError(n float64) float64 {
	if n <= 15 {
		if n == 0 {
			return 0
		}
		l, _ := math.Lgamma(n + 1)
		return l - (n+0.5)*math.Log(n) + n - 0.5*math.Log(2*math.Pi)
	}
	s := n * n
	return (1.0/12 - (1.0/360-(1.0/1260-1.0/(1680*s))/s)/s) / n
}

// deviance is x ln(x/m) + m − x, without the cancellation where x is near to m.
func deviance(x, m float64) float64 {
	if math.Abs(x-m) < 0.1*(x+m) {
		v := (x - m) / (x + m)
		sum, term := (x-m)*v, 2*x*v
		for j := 1; j < 1000; j++ {
			term *= v * v
			next := sum + term/float64(2*j+1)
			if next == sum {
				break
			}
			sum = next
		}
		return sum
	}
	return x*math.Log(x/m) + m - x
}

// logBinomial is the logarithm of the probability of x successes of n, each with probability p.
func logBinomial(x, n, p float64) float64 {
	switch {
	case x < 0 || x > n:
		return math.Inf(-1)
	case p <= 0:
		return logOf(x == 0)
	case p >= 1:
		return logOf(x == n)
	case x == 0:
		return n * math.Log1p(-p)
	case x == n:
		return n * math.Log(p)
	}
	c := stirlingError(n) - stirlingError(x) - stirlingError(n-x) - deviance(x, n*p) - deviance(n-x, n*(1-p))
	return c - 0.5*(math.Log(2*math.Pi)+math.Log(x)+math.Log1p(-x/n))
}

func logOf(sure bool) float64 {
	if sure {
		return 0
	}
	return math.Inf(-1)
}

// discrete is a distribution on the whole numbers from low to high with one peak.
type discrete struct {
	low, high float64
	// mode is near to the peak.
	mode float64
	// log is the logarithm of the probability of x.
	log func(x float64) float64
	// ratio is the probability of x+1 divided by that of x.
	ratio func(x float64) float64
}

// atLeast is the probability of x or more.
func (d *discrete) atLeast(x float64) float64 {
	switch {
	case x <= d.low:
		return 1
	case x > d.high:
		return 0
	case x > d.mode:
		return min(1, d.up(x))
	}
	return max(0, 1-d.down(x-1))
}

// atMost is the probability of x or less.
func (d *discrete) atMost(x float64) float64 {
	switch {
	case x >= d.high:
		return 1
	case x < d.low:
		return 0
	case x < d.mode:
		return min(1, d.down(x))
	}
	return max(0, 1-d.up(x+1))
}

// asUnlikely is the probability of all that is at most as likely as x: Fisher's two-sided p.
func (d *discrete) asUnlikely(x float64) float64 {
	limit := d.log(x) + 1e-7 // what differs by rounding alone is equally likely
	if d.log(d.mode) <= limit {
		return 1
	}
	if x > d.mode {
		p := d.up(x)
		if d.log(d.low) <= limit {
			in, out := d.low, d.mode
			for out-in > 1 {
				if mid := math.Floor((in + out) / 2); d.log(mid) <= limit {
					in = mid
				} else {
					out = mid
				}
			}
			p += d.down(in)
		}
		return min(1, p)
	}
	p := d.down(x)
	if d.log(d.high) <= limit {
		out, in := d.mode, d.high
		for in-out > 1 {
			if mid := math.Floor((in + out) / 2); d.log(mid) <= limit {
				in = mid
			} else {
				out = mid
			}
		}
		p += d.up(in)
	}
	return min(1, p)
}

// negligible is the part of a sum below which further terms of a falling series are not added.
const negligible = 1e-18

// up sums from x upwards, where x is at or above the peak.
func (d *discrete) up(x float64) float64 {
	start, term, sum := x, 1.0, 0.0
	for ; x <= d.high && term > negligible*sum; x++ {
		sum += term
		if x < d.high {
			term *= d.ratio(x)
		}
	}
	return sum * math.Exp(d.log(start))
}

// down sums from x downwards, where x is at or below the peak.
func (d *discrete) down(x float64) float64 {
	start, term, sum := x, 1.0, 0.0
	for ; x >= d.low && term > negligible*sum; x-- {
		sum += term
		if x > d.low {
			term /= d.ratio(x - 1)
		}
	}
	return sum * math.Exp(d.log(start))
}
