package analysis

// clumping estimates by how much the number of failures (or of slow requests) in a window varies more than that of independent requests
// would: Pearson's statistic over the windows divided by its degrees of freedom, from running sums that may fade.
type clumping struct {
	Windows  float64 `json:"windows,omitempty"`
	Requests float64 `json:"requests,omitempty"`
	Bad      float64 `json:"bad,omitempty"`
	// Squares is the sum of bad²/requests.
	Squares float64 `json:"squares,omitempty"`
}

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

// trust is how many windows an estimate has to be based on to count half.
const trust = 10

// dispersion returns the estimate, at least 1, drawn towards 1 where there are few windows.
func (c *clumping) dispersion() float64 {
	if c.Windows < 2 || c.Requests <= 0 || c.Bad < 1e-6 {
		return 1
	}
	p := c.Bad / c.Requests
	if p >= 1 {
		return 1
	}
	estimate := (c.Squares - p*c.Bad) / (p * (1 - p)) / (c.Windows - 1)
	return 1 + max(0, estimate-1)*c.Windows/(c.Windows+trust)
}
