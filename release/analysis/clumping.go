package analysis

import "math"

// clumping estimates by how much the number of failures (or of slow requests) in a window varies more than that of independent requests
// would: Pearson's statistic over the windows divided by its degrees of freedom, from running sums that may fade.
type clumping struct {
	Windows  float64 `json:"windows,omitempty"`
	Requests float64 `json:"requests,omitempty"`
	Bad      float64 `json:"bad,omitempty"`
	// Squares is the sum of bad²/requests.
	Squares float64 `json:"squares,omitempty"`
}

// clumps look at windows one by one and at ten together, since a clump may last for some seconds; the larger estimate counts.
type clumps struct {
	Each clumping `json:"each,omitzero"`
	Tens clumping `json:"tens,omitzero"`
	// Requests, Bad and Windows wait to become ten.
	Requests int64 `json:"requests,omitempty"`
	Bad      int64 `json:"bad,omitempty"`
	Windows  int   `json:"windows,omitempty"`
}

// add takes a window in; keep is what is kept of those before, 1 for all.
func (c *clumps) add(bad, requests int64, keep float64) {
	c.Each.add(bad, requests, keep)
	c.Requests += requests
	c.Bad += bad
	if c.Windows++; c.Windows == 10 {
		c.Tens.add(c.Bad, c.Requests, math.Pow(keep, 10))
		c.Requests, c.Bad, c.Windows = 0, 0, 0
	}
}

// dispersion is at least 1.
func (c *clumps) dispersion() float64 { return max(c.Each.dispersion(), c.Tens.dispersion()) }

// add takes a window in; keep is what is kept of those before, 1 for all.
func (c *clumping) add(bad, requests int64, keep float64) {
	c.Windows, c.Requests, c.Bad, c.Squares = c.Windows*keep, c.Requests*keep, c.Bad*keep, c.Squares*keep
	if requests <= 0 {
		return
	}
	b, n := float64(bad), float64(requests)
	c.Windows++
	c.Requests += n
	c.Bad += b
	c.Squares += b * b / n
}

// dispersion returns the estimate less its standard error (that of Pearson's statistic of independent requests), at least 1.
func (c *clumping) dispersion() float64 {
	if c.Windows < 3 || c.Requests <= 0 || c.Bad < 1e-6 {
		return 1
	}
	p := c.Bad / c.Requests
	if p >= 1 {
		return 1
	}
	estimate := (c.Squares - p*c.Bad) / (p * (1 - p)) / (c.Windows - 1)
	return max(1, estimate-math.Sqrt(2/(c.Windows-1)))
}
