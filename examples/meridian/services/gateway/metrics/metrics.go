// Package metrics counts and times, and writes what it has in the Prometheus text format
// (https://prometheus.io/docs/instrumenting/exposition_formats/). It has what this service needs: counters and histograms
// with one label. A label's values come from the code, never from a client, so their number is bounded.
package metrics

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Registry holds the metrics of a process in the order they were made. It is safe for concurrent use.
type Registry struct {
	mu      sync.Mutex
	metrics []writer
}

type writer interface{ write(io.Writer) error }

func (r *Registry) add(w writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.metrics = append(r.metrics, w)
}

// WriteTo writes all metrics.
func (r *Registry) WriteTo(w io.Writer) (int64, error) {
	r.mu.Lock()
	metrics := slices.Clone(r.metrics)
	r.mu.Unlock()
	var b strings.Builder
	for _, m := range metrics {
		if err := m.write(&b); err != nil {
			return 0, err
		}
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// ServeHTTP answers a scrape.
func (r *Registry) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = r.WriteTo(w) // a client that went away is not ours to report
}

// Counter counts events by the value of its label.
type Counter struct {
	name, help, label string

	mu     sync.Mutex
	counts map[string]uint64
}

// Counter makes a counter. Values given are shown from the start, at zero, so that rates over them exist before the first event.
func (r *Registry) Counter(name, help, label string, values ...string) *Counter {
	c := &Counter{name: name, help: help, label: label, counts: map[string]uint64{}}
	for _, v := range values {
		c.counts[v] = 0
	}
	r.add(c)
	return c
}

// Inc counts one event.
func (c *Counter) Inc(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[value]++
}

// Count returns the number of events so far.
func (c *Counter) Count(value string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[value]
}

func (c *Counter) write(w io.Writer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := head(w, c.name, c.help, "counter"); err != nil {
		return err
	}
	for _, v := range sorted(c.counts) {
		if _, err := fmt.Fprintf(w, "%s{%s=\"%s\"} %d\n", c.name, c.label, escape(v), c.counts[v]); err != nil {
			return err
		}
	}
	return nil
}

// Histogram counts durations in buckets, by the value of its label.
type Histogram struct {
	name, help, label string
	bounds            []float64 // upper bounds in seconds, ascending

	mu     sync.Mutex
	series map[string]*series
}

type series struct {
	buckets []uint64 // one a bound and one for what is above all; not cumulative
	sum     float64
}

// Histogram makes a histogram with upper bounds in seconds.
func (r *Registry) Histogram(name, help, label string, bounds ...float64) *Histogram {
	h := &Histogram{name: name, help: help, label: label, bounds: slices.Sorted(slices.Values(bounds)), series: map[string]*series{}}
	r.add(h)
	return h
}

// Observe counts one duration.
func (h *Histogram) Observe(value string, d time.Duration) {
	seconds := d.Seconds()
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.series[value]
	if s == nil {
		s = &series{buckets: make([]uint64, len(h.bounds)+1)}
		h.series[value] = s
	}
	// A bound belongs to its own bucket: le means "less than or equal".
	i, _ := slices.BinarySearch(h.bounds, seconds)
	s.buckets[i]++
	s.sum += seconds
}

func (h *Histogram) write(w io.Writer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := head(w, h.name, h.help, "histogram"); err != nil {
		return err
	}
	for _, v := range sorted(h.series) {
		s, total := h.series[v], uint64(0)
		for i, n := range s.buckets {
			total += n
			le := "+Inf"
			if i < len(h.bounds) {
				le = number(h.bounds[i])
			}
			if _, err := fmt.Fprintf(w, "%s_bucket{%s=\"%s\",le=\"%s\"} %d\n", h.name, h.label, escape(v), le, total); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(w, "%[1]s_sum{%[2]s=\"%[3]s\"} %[4]s\n%[1]s_count{%[2]s=\"%[3]s\"} %[5]d\n", h.name, h.label, escape(v), number(s.sum), total); err != nil {
			return err
		}
	}
	return nil
}

func head(w io.Writer, name, help, kind string) error {
	help = strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(help)
	_, err := fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	return err
}

func escape(label string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(label)
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
