package api

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/store"
)

// metrics are the server's own, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

func newMetrics(r *runs.Service, db *store.DB) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gantry_http_request_duration_seconds", Help: "How long requests took, by operation and status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"operation", "code"}),
	}
	m.registry.MustRegister(m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &state{runs: r, db: db})
	return m
}

func (m *metrics) observe(operation string, status int, took time.Duration) {
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Observe(took.Seconds())
}

// state is what the database says when it is asked.
type state struct {
	runs *runs.Service
	db   *store.DB
}

var (
	runsDesc   = prometheus.NewDesc("gantry_runs", "Runs that have not ended, by status.", []string{"status"}, nil)
	jobsDesc   = prometheus.NewDesc("gantry_jobs", "Jobs that have not ended, by status.", []string{"status"}, nil)
	placesDesc = prometheus.NewDesc("gantry_runner_places", "How many jobs the runners that are online can run at a time.", nil, nil)
	busyDesc   = prometheus.NewDesc("gantry_runner_places_busy", "How many of the places are taken.", nil, nil)
	eventsDesc = prometheus.NewDesc("gantry_events_last", "The number of the newest event.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{runsDesc, jobsDesc, placesDesc, busyDesc, eventsDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. What cannot be read is left out: a scrape must show that, not an old figure.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if counts, err := s.runs.RunCounts(ctx); err == nil {
		for status, n := range counts {
			gauge(runsDesc, float64(n), string(status))
		}
	}
	if stats, err := s.runs.Stats(ctx); err == nil {
		for status, n := range stats.Jobs {
			gauge(jobsDesc, float64(n), string(status))
		}
		gauge(placesDesc, float64(stats.Places))
		gauge(busyDesc, float64(stats.Busy))
	}
	if n, err := s.db.LastEvent(ctx); err == nil {
		gauge(eventsDesc, float64(n))
	}
}
