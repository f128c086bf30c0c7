package kit

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

// MaxLabels is how many labels a metric may have.
const MaxLabels = 3

// Registry holds the metrics of a process in the order they were made, and writes them in the Prometheus text format
// (https://prometheus.io/docs/instrumenting/exposition_formats/). It is safe for concurrent use. The values of labels
// come from the code, never from a client, so that their number is bounded.
type Registry struct {
	mu      sync.Mutex
	metrics []metric
}

// metric writes itself.
type metric interface{ write(*strings.Builder) }

func (r *Registry) add(m metric) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.metrics = append(r.metrics, m)
}

// WriteTo writes all metrics.
func (r *Registry) WriteTo(w io.Writer) (int64, error) {
	r.mu.Lock()
	metrics := slices.Clone(r.metrics)
	r.mu.Unlock()
	var b strings.Builder
	for _, m := range metrics {
		m.write(&b)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// ServeHTTP answers a scrape.
func (r *Registry) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = r.WriteTo(w) // a client that went away is not ours to report
}

// labels are the values of a series.
type labels [MaxLabels]string

// values makes labels of as many values as there are names. Another number is a mistake in the code.
func values(names, vs []string) labels {
	if len(vs) != len(names) {
		panic(fmt.Sprintf("kit: %d values for the labels %v", len(vs), names))
	}
	var l labels
	copy(l[:], vs)
	return l
}

func checked(name string, names []string) []string {
	if len(names) > MaxLabels {
		panic(fmt.Sprintf("kit: %s has more than %d labels", name, MaxLabels))
	}
	return names
}

// Counter counts events, a series for each set of label values.
type Counter struct {
	name, help string
	names      []string

	mu     sync.Mutex
	counts map[labels]uint64
}

// Counter makes a counter with these labels.
func (r *Registry) Counter(name, help string, names ...string) *Counter {
	c := &Counter{name: name, help: help, names: checked(name, names), counts: map[labels]uint64{}}
	r.add(c)
	return c
}

// Inc counts one event.
func (c *Counter) Inc(vs ...string) { c.Add(1, vs...) }

// Add counts n events. Zero makes the series appear, so that rates over it exist before the first event.
func (c *Counter) Add(n uint64, vs ...string) {
	l := values(c.names, vs)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[l] += n
}

// Count returns the number of events so far.
func (c *Counter) Count(vs ...string) uint64 {
	l := values(c.names, vs)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[l]
}

func (c *Counter) write(b *strings.Builder) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head(b, c.name, c.help, "counter")
	for _, l := range sorted(c.counts) {
		fmt.Fprintf(b, "%s%s %d\n", c.name, braces(c.names, l, ""), c.counts[l])
	}
}

// Gauge makes a gauge that is asked for its value at each scrape. ok is false where there is none to tell.
func (r *Registry) Gauge(name, help string, value func() (v float64, ok bool)) {
	r.add(function{name, help, "gauge", value})
}

// Info makes a gauge that is always 1 and has one label.
func (r *Registry) Info(name, help, label, value string) {
	r.add(info{name, help, label, value})
}

type info struct{ name, help, label, value string }

func (i info) write(b *strings.Builder) {
	head(b, i.name, i.help, "gauge")
	fmt.Fprintf(b, "%s%s 1\n", i.name, braces([]string{i.label}, labels{i.value}, ""))
}

type function struct {
	name, help, kind string
	value            func() (float64, bool)
}

func (f function) write(b *strings.Builder) {
	if v, ok := f.value(); ok {
		head(b, f.name, f.help, f.kind)
		fmt.Fprintf(b, "%s %s\n", f.name, number(v))
	}
}

// Histogram counts durations in buckets, a series for each set of label values.
type Histogram struct {
	name, help string
	names      []string
	bounds     []float64 // upper bounds in seconds, ascending

	mu     sync.Mutex
	series map[labels]*series
}

type series struct {
	buckets []uint64 // one a bound and one for what is above all; not cumulative
	sum     float64
}

// Histogram makes a histogram with upper bounds in seconds.
func (r *Registry) Histogram(name, help string, bounds []float64, names ...string) *Histogram {
	h := &Histogram{name: name, help: help, names: checked(name, names), bounds: slices.Sorted(slices.Values(bounds)), series: map[labels]*series{}}
	r.add(h)
	return h
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration, vs ...string) {
	l, seconds := values(h.names, vs), d.Seconds()
	// A bound belongs to its own bucket: le means "less than or equal".
	i, _ := slices.BinarySearch(h.bounds, seconds)
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.series[l]
	if s == nil {
		s = &series{buckets: make([]uint64, len(h.bounds)+1)}
		h.series[l] = s
	}
	s.buckets[i]++
	s.sum += seconds
}

func (h *Histogram) write(b *strings.Builder) {
	h.mu.Lock()
	defer h.mu.Unlock()
	head(b, h.name, h.help, "histogram")
	for _, l := range sorted(h.series) {
		s, total := h.series[l], uint64(0)
		for i, n := range s.buckets {
			total += n
			le := "+Inf"
			if i < len(h.bounds) {
				le = number(h.bounds[i])
			}
			fmt.Fprintf(b, "%s_bucket%s %d\n", h.name, braces(h.names, l, le), total)
		}
		at := braces(h.names, l, "")
		fmt.Fprintf(b, "%s_sum%s %s\n%s_count%s %d\n", h.name, at, number(s.sum), h.name, at, total)
	}
}

func head(b *strings.Builder, name, help, kind string) {
	help = strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(help)
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// braces writes the labels of a series, with the bound of a bucket where there is one.
func braces(names []string, l labels, le string) string {
	var parts []string
	for i, n := range names {
		parts = append(parts, n+`="`+strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(l[i])+`"`)
	}
	if le != "" {
		parts = append(parts, `le="`+le+`"`)
	}
	if parts == nil {
		return ""
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func sorted[V any](m map[labels]V) []labels {
	keys := make([]labels, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b labels) int { return slices.Compare(a[:], b[:]) })
	return keys
}
