package analysis

// Result is what is said of one metric.
type Result struct {
	Metric string `json:"metric"`
	Kind   Kind   `json:"kind"`
	// Informative results do not count for the judgement.
	Informative bool    `json:"informative,omitempty"`
	Verdict     Verdict `json:"verdict"`
	// Test names the test and its form; empty where none could be made.
	Test string `json:"test,omitempty"`
	// Statistic is the test's: failures of the canary, U, or the number of values beyond a limit.
	Statistic float64 `json:"statistic,omitempty"`
	// P is how likely a statistic as extreme is without a difference.
	P *float64 `json:"p,omitempty"`
	// E is a watch's evidence: how many times the stake of a bet against equality has grown. An equal version's ever exceeds 1/a
	// with a probability of at most a.
	E *float64 `json:"e,omitempty"`
	// Limit is what P was held against (at most) or E (at least), after the correction for several metrics.
	Limit float64 `json:"limit,omitempty"`
	// Effect is how large the difference is.
	Effect *Effect `json:"effect,omitempty"`
	// Dispersion is by how much the variance exceeds that of independent requests or values, at least 1; the evidence was reduced by it.
	Dispersion float64 `json:"dispersion,omitempty"`
	Canary     Counts  `json:"canary"`
	Reference  Counts  `json:"reference,omitzero"`
	// Reason says why in words.
	Reason string `json:"reason"`
}

// Counts are what a result is based on.
type Counts struct {
	// Samples are requests, events or usable values.
	Samples int64 `json:"samples"`
	// Bad are failed requests, bad events, or values beyond a limit.
	Bad int64 `json:"bad,omitempty"`
	// Missing are windows without a scrape, and gaps of a series.
	Missing int `json:"missing,omitempty"`
	// Typical is the median, in seconds for latency.
	Typical float64 `json:"typical,omitempty"`
}

// Unit says what an effect is measured in.
type Unit string

const (
	// Share is a difference of two shares of all requests, -1 to 1.
	Share Unit = "share"
	// Ratio is the canary's divided by the reference's, less 1.
	Ratio Unit = "ratio"
	// Plain is a difference in the metric's own unit.
	Plain Unit = "plain"
)

// Effect is the size of a difference, canary less reference, with its interval.
type Effect struct {
	Estimate float64 `json:"estimate"`
	Low      float64 `json:"low"`
	High     float64 `json:"high"`
	// Confidence of the interval, 0 to 1; 0 where there is none.
	Confidence float64 `json:"confidence,omitempty"`
	Unit       Unit    `json:"unit"`
	// Of says what was compared: "share of failures", "shift", "95th percentile".
	Of string `json:"of"`
}

// Judgement is what is said of a canary.
type Judgement struct {
	Verdict Verdict  `json:"verdict"`
	Reason  string   `json:"reason"`
	Results []Result `json:"results"`
}

// settle rounds the figures of a result. Decisions are made on rounded ones alone.
func (r *Result) settle() {
	for _, f := range []*float64{&r.Statistic, &r.Limit, &r.Dispersion, &r.Canary.Typical, &r.Reference.Typical} {
		*f = rounded(*f)
	}
	for _, f := range []*float64{r.P, r.E} {
		if f != nil {
			*f = rounded(*f)
		}
	}
	if e := r.Effect; e != nil {
		e.Estimate, e.Low, e.High, e.Confidence = rounded(e.Estimate), rounded(e.Low), rounded(e.High), rounded(e.Confidence)
	}
}
