package analysis

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance {
		t.Errorf("%s is %.10g, want %.10g", what, got, want)
	}
}

// TestPublished holds the tests to values that others have printed.
func TestPublished(t *testing.T) {
	// R. A. Fisher, "The Design of Experiments", 1935: the lady who tasted tea guessed 3 of 4 right.
	near(t, "tea, one-sided", Fisher(3, 4, 1, 4, Higher), 17.0/70, 1e-12)
	near(t, "tea, two-sided", Fisher(3, 4, 1, 4, Different), 34.0/70, 1e-12)
	// Criminal twins, in the documentation of R's fisher.test, from Fisher's "Statistical Methods for Research Workers".
	near(t, "twins, less", Fisher(2, 17, 10, 13, Lower), 0.0004652, 5e-8)
	near(t, "twins, two-sided", Fisher(2, 17, 10, 13, Different), 0.0005367, 5e-8)
	// Mendel's peas, in the documentation of R's binom.test, from W. J. Conover, "Practical Nonparametric Statistics", 1971.
	near(t, "peas", Binomial(682, 925, 0.75, Different), 0.3825, 5e-5)
	// Placentas, in the documentation of R's wilcox.test, from M. Hollander and D. A. Wolfe, "Nonparametric Statistical Methods", 1973.
	atTerm := []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}
	early := []float64{1.15, 0.88, 0.90, 0.74, 1.21}
	placentas := MannWhitney(atTerm, early, Higher, 0)
	near(t, "placentas, U", placentas.U, 35, 0)
	near(t, "placentas, p", placentas.P, 0.1272, 5e-5)
	// R. G. Newcombe, "Two-sided confidence intervals for the single proportion" and "Interval estimation for the difference between
	// independent proportions", both 1998, the rows for the score method and for method 10.
	for _, c := range []struct {
		fails, n  int64
		low, high float64
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		low, high := Wilson(c.fails, c.n, 0.025)
		near(t, fmt.Sprintf("Wilson %d/%d, low", c.fails, c.n), low, c.low, 5e-5)
		near(t, fmt.Sprintf("Wilson %d/%d, high", c.fails, c.n), high, c.high, 5e-5)
	}
	low, high := Newcombe(56, 70, 48, 80, 0.025)
	near(t, "Newcombe, low", low, 0.0524, 5e-5)
	near(t, "Newcombe, high", high, 0.3339, 5e-5)
}

// TestMannWhitneyTable holds the exact distribution to the lower tails that Mann and Whitney printed in 1947: the probability of a U of at
// most so much.
func TestMannWhitneyTable(t *testing.T) {
	for _, c := range []struct {
		n, m int
		u    int
		p    float64
	}{{3, 3, 0, 0.050}, {4, 4, 1, 0.029}, {5, 5, 2, 0.016}, {5, 5, 4, 0.048}, {6, 6, 5, 0.021}, {7, 7, 8, 0.019}, {8, 8, 13, 0.025}, {8, 8, 15, 0.041}} {
		// All of x above all of y but for u pairs: walk values of x down.
		x, y := sampleWithU(c.n, c.m, c.u)
		got := MannWhitney(x, y, Lower, 0)
		near(t, fmt.Sprintf("U of %d and %d", c.n, c.m), got.U, float64(c.u), 0)
		near(t, fmt.Sprintf("p of U %d of %d and %d", c.u, c.n, c.m), got.P, c.p, 5.1e-4)
	}
}

// sampleWithU makes samples without ties with a given U of the first.
func sampleWithU(n, m, u int) (x, y []float64) {
	for j := range m {
		y = append(y, float64(j+1))
	}
	for i := n - 1; i >= 0; i-- {
		over := min(u, m)
		u -= over
		x = append(x, float64(over)+0.5+float64(i)/100)
	}
	return x, y
}

// TestBruteForce counts every way to deal small samples, with and without ties.
func TestBruteForce(t *testing.T) {
	random := newRandom(1)
	for range 150 {
		n, m, values := 1+random.IntN(5), 1+random.IntN(6), 1+random.IntN(8)
		all := make([]float64, n+m)
		for i := range all {
			all[i] = float64(random.IntN(values))
		}
		u := func(mask uint) float64 {
			var sum float64
			for i := range all {
				for j := range all {
					if mask>>i&1 == 1 && mask>>j&1 == 0 {
						switch {
						case all[i] > all[j]:
							sum++
						case all[i] == all[j]:
							sum += 0.5
						}
					}
				}
			}
			return sum
		}
		observed := u(1<<n - 1)
		var up, down, ways float64
		for mask := uint(0); mask < 1<<(n+m); mask++ {
			if bits.OnesCount(mask) != n {
				continue
			}
			ways++
			if v := u(mask); v >= observed {
				up++
			}
			if v := u(mask); v <= observed {
				down++
			}
		}
		x, y := all[:n], all[n:]
		near(t, "U", MannWhitney(x, y, Higher, 0).U, observed, 0)
		if r := rankValues(x, y); r.moments().variance == 0 {
			continue // all alike
		}
		near(t, fmt.Sprintf("%v above %v", x, y), MannWhitney(x, y, Higher, 0).P, up/ways, 1e-12)
		near(t, fmt.Sprintf("%v below %v", x, y), MannWhitney(x, y, Lower, 0).P, down/ways, 1e-12)

		var differences []float64
		for _, a := range x {
			for _, b := range y {
				differences = append(differences, a-b)
			}
		}
		slices.Sort(differences)
		h := len(differences)
		near(t, "the shift", HodgesLehmann(x, y, 0.05, 1).Estimate, (differences[(h-1)/2]+differences[h/2])/2, 1e-12)
	}
}

// TestFisherBruteForce adds up the tables that Fisher's test is about, with whole numbers.
func TestFisherBruteForce(t *testing.T) {
	choose := func(n, k int64) float64 {
		c := 1.0
		for i := range k {
			c = c * float64(n-i) / float64(i+1)
		}
		return math.Round(c)
	}
	for n1 := int64(1); n1 <= 9; n1++ {
		for n0 := int64(1); n0 <= 9; n0 += 2 {
			for e1 := range n1 + 1 {
				for e0 := range n0 + 1 {
					var up, down, alike, ways float64
					fails := e1 + e0
					table := func(k int64) float64 { return choose(n1, k) * choose(n0, fails-k) }
					for k := max(0, fails-n0); k <= min(n1, fails); k++ {
						w := table(k)
						ways += w
						if k >= e1 {
							up += w
						}
						if k <= e1 {
							down += w
						}
						if w <= table(e1) {
							alike += w
						}
					}
					what := fmt.Sprintf("%d of %d against %d of %d, ", e1, n1, e0, n0)
					near(t, what+"higher", Fisher(e1, n1, e0, n0, Higher), up/ways, 1e-12)
					near(t, what+"lower", Fisher(e1, n1, e0, n0, Lower), down/ways, 1e-12)
					near(t, what+"different", Fisher(e1, n1, e0, n0, Different), alike/ways, 1e-12)
				}
			}
		}
	}
}

// TestLarge looks at counts as a busy service has: no overflow, no long loop, and the normal approximation in sight.
func TestLarge(t *testing.T) {
	const n, e = 500_000_000_000, 1_000_000
	if p := Fisher(e, n, e, n, Higher); p < 0.5 || p > 0.501 {
		t.Errorf("equal counts: p is %g", p)
	}
	z := 3.0
	p := Fisher(e+int64(z*math.Sqrt(2*e)/2), n, e-int64(z*math.Sqrt(2*e)/2), n, Higher)
	near(t, "three deviations", p/normalTail(z), 1, 0.02)
	if p := Fisher(0, n, e, n, Higher); p != 1 {
		t.Errorf("no failures: p is %g", p)
	}
	if p := Fisher(e, n, 0, n, Higher); p != 0 && p > 1e-300 {
		t.Errorf("all failures: p is %g", p)
	}
	near(t, "a budget", Binomial(1000, 1_000_000_000_000, 1e-9, Higher), 0.5042, 0.0002)
}

// TestOutOfRange: garbage is never evidence.
func TestOutOfRange(t *testing.T) {
	for _, p := range []float64{
		Fisher(-1, 4, 1, 4, Higher), Fisher(5, 4, 1, 4, Higher), Fisher(0, 0, 1, 4, Higher), Fisher(1, MaxCount+1, 0, 9, Higher),
		Binomial(1, 0, 0.5, Higher), Binomial(2, 1, 0.5, Higher), Binomial(1, 1, math.NaN(), Higher), Binomial(1, 1, 2, Higher),
		MannWhitney(nil, []float64{1}, Higher, 0).P, MannWhitney([]float64{1}, nil, Higher, 0).P,
	} {
		if p != 1 {
			t.Errorf("p is %g", p)
		}
	}
}
