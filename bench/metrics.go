package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/telemetry/metrics"
)

const (
	// metricSeries is how many series there are: some 50 targets of 200 each.
	metricSeries = 10_000
	// metricScrapes is how often each has a sample, a second apart.
	metricScrapes = 300
)

// embeddedMetrics is the embedded Prometheus in this process: how many samples it takes in by one goroutine, what the usual question of a canary
// takes, and how much more memory there is afterwards, of which much is the garbage of the writing.
func embeddedMetrics(ctx context.Context, b *bench) ([]Figure, error) {
	dir, err := os.MkdirTemp(b.dir, "metrics-")
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(b.progress, "%-10s %d samples\n", "metrics", metricSeries*metricScrapes)
	before := resident()
	s, err := metrics.Open(metrics.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	batch := make([]metrics.Sample, metricSeries)
	for i := range batch {
		batch[i].Labels = map[string]string{
			"__name__": "requests_total", "job": "gateway", "version": strconv.Itoa(i % 2), "instance": strconv.Itoa(i / 200), "path": strconv.Itoa(i),
		}
	}
	begin := time.Now().Add(-metricScrapes * time.Second)
	start := time.Now()
	for n := range metricScrapes {
		for i := range batch {
			batch[i].Point = metrics.Point{Time: begin.Add(time.Duration(n) * time.Second), Value: float64(n * (i%7 + 1))}
		}
		if err := s.Append(ctx, batch...); err != nil {
			return nil, err
		}
	}
	took := time.Since(start)
	after := resident()

	end := begin.Add((metricScrapes - 1) * time.Second)
	var instant, ranged []time.Duration
	const question = "sum by (version) (rate(requests_total[1m]))"
	for range 4*b.repeat + 1 {
		start := time.Now()
		r, err := s.Query(ctx, question, end)
		if err != nil {
			return nil, err
		}
		instant = append(instant, time.Since(start))
		if len(r.Series) != 2 {
			return nil, fmt.Errorf("%d versions, not 2", len(r.Series))
		}
	}
	for range b.repeat + 1 {
		start := time.Now()
		if _, err := s.QueryRange(ctx, question, metrics.Range{Start: end.Add(-4 * time.Minute), End: end, Step: 5 * time.Second}); err != nil {
			return nil, err
		}
		ranged = append(ranged, time.Since(start))
	}
	plain := func(d time.Duration) time.Duration { return d }
	appended := Figure{Name: "samples appended, in batches of 10,000", Unit: "/s"}
	appended.set("gantry", float64(metricSeries*metricScrapes)/took.Seconds())
	query := Figure{Name: fmt.Sprintf("the rate of %d series by version, now", metricSeries), Unit: "ms"}
	query.set("gantry", milliseconds(median(instant[1:], plain)))
	rangeQuery := Figure{Name: "the same at 49 times", Unit: "ms"}
	rangeQuery.set("gantry", milliseconds(median(ranged[1:], plain)))
	memory := Figure{Name: fmt.Sprintf("memory for %d series with %d samples each", metricSeries, metricScrapes), Unit: "MB"}
	if before > 0 {
		memory.set("gantry", float64(after-before)/1e6)
	}
	return []Figure{appended, query, rangeQuery, memory}, nil
}

// resident is the memory of this process in bytes; 0 where the system does not tell.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
