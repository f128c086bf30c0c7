package analysis

import (
	"fmt"
	"math"
)

// Data are the samples of one metric.
type Data struct {
	Canary Samples `json:"canary"`
	// Reference is what the canary is compared with: a baseline of its age and weight, or the stable version. Thresholds and SLOs have none.
	Reference Samples `json:"reference,omitzero"`
}

// Samples are those of one side: windows for errors and latency, values for series and thresholds, events for SLOs.
type Samples struct {
	// Windows are in the order of time, and the two sides' are of the same times.
	Windows []Window `json:"windows,omitempty"`
	Values  []Number `json:"values,omitempty"`
	Events  *Events  `json:"events,omitempty"`
	// Missing says why there are none, or not all.
	Missing string `json:"missing,omitempty"`
	// Failed says that measuring failed (a query was refused, a server did not answer) where there was not just nothing to measure.
	Failed bool `json:"failed,omitempty"`
}

// Window is what one side did between two scrapes, with at most [MaxWindow] requests.
type Window struct {
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors,omitempty"`
	// Latency holds the requests by how long they took; it may be empty where latency is not judged.
	Latency Histogram `json:"latency,omitempty"`
	// Missing says that the scrape failed: nothing is known of the window.
	Missing bool `json:"missing,omitempty"`
}

// Events are an SLO's. Queries extrapolate, so they need not be whole: bad ones are rounded up and all down.
type Events struct {
	Good  Number `json:"good"`
	Total Number `json:"total"`
}

// check says what makes a window garbage.
func (w *Window) check(b Buckets) error {
	if w.Missing {
		return nil
	}
	if !validCounts(w.Errors, w.Requests) || w.Requests > MaxWindow {
		return fmt.Errorf("%d errors of %d requests cannot be", w.Errors, w.Requests)
	}
	if err := w.Latency.check(b); err != nil {
		return err
	}
	if n := w.Latency.Total(); n > MaxWindow {
		return fmt.Errorf("latencies of %d requests cannot be", n)
	}
	return nil
}

// counts of a side.
type counts struct {
	requests, errors int64
	missing          int
	latency          Histogram
}

// sum adds windows up. Garbage is an error.
func sum(windows []Window, b Buckets) (counts, error) {
	var c counts
	for i := range windows {
		w := &windows[i]
		if err := w.check(b); err != nil {
			return c, fmt.Errorf("window %d: %w", i+1, err)
		}
		if w.Missing {
			c.missing++
			continue
		}
		c.requests += w.Requests
		c.errors += w.Errors
		for bucket, n := range w.Latency {
			if n != 0 {
				c.latency.Add(bucket, n)
			}
		}
		if c.requests > MaxCount {
			return c, fmt.Errorf("more requests than can be")
		}
	}
	if c.latency.Total() > MaxCount {
		return c, fmt.Errorf("more requests than can be")
	}
	return c, nil
}

// series takes the values that can be used; gaps are those that are NaN.
func series(values []Number) (used []float64, gaps int, err error) {
	for _, v := range values {
		f := float64(v)
		switch {
		case math.IsNaN(f):
			gaps++
		case !usable(f):
			return nil, 0, fmt.Errorf("a value of %g is none that can be judged", f)
		default:
			used = append(used, f+0) // -0 is 0
		}
	}
	return used, gaps, nil
}

// whole returns the events as counts.
func (e *Events) whole() (bad, total int64, err error) {
	good, all := float64(e.Good), float64(e.Total)
	if !(good >= 0 && all >= 0) || good > MaxCount || all > MaxCount {
		return 0, 0, fmt.Errorf("%g good of %g events cannot be", good, all)
	}
	if good > all*(1+1e-9)+1e-9 {
		return 0, 0, fmt.Errorf("%g good of %g events cannot be", good, all)
	}
	n := math.Floor(all + 1e-6)
	return int64(min(math.Ceil(max(all-good, 0)-1e-6), n)), int64(n), nil
}
