package link

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/gantry-ops/gantry/release/analysis"
)

func TestTraffic(t *testing.T) {
	r := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: requestsMetric}, []string{"service", "version", "code"})
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: latencyMetric, NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour}, []string{"service", "version"})
	r.MustRegister(requests, latency, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "other"}, func() float64 { return 1 }))
	for code, n := range map[string]float64{"2xx": 90, "4xx": 5, "5xx": 3, "canceled": 1000} {
		requests.WithLabelValues("a/b/c/d/http", "1", code).Add(n)
	}
	requests.WithLabelValues("a/b/c/d/http", "2", "2xx").Add(7)
	requests.WithLabelValues("", "3", "2xx").Add(7)
	want := map[int64]int64{}
	for _, s := range []float64{0, 0.0005, 0.003, 0.02, 0.02, 0.7, 5, 400} {
		latency.WithLabelValues("a/b/c/d/http", "1").Observe(s)
		if s == 0 {
			want[0]++
			continue
		}
		// A native bucket's upper bound is at most a tenth above; it goes to the bucket that this bound is in.
		for bound := 1.0; ; {
			factor := math.Pow(2, 1.0/8)
			n := math.Ceil(math.Log(s) / math.Log(factor))
			bound = math.Pow(factor, n)
			want[int64(analysis.DefaultBuckets.Index(bound))]++
			break
		}
	}
	got, err := traffic(r)
	if err != nil || len(got) != 1 || len(got["a/b/c/d/http"]) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	one := got["a/b/c/d/http"]["1"]
	if one.Requests != 98 || one.Errors != 3 {
		t.Errorf("%d requests, %d of them failed; callers that went away do not count", one.Requests, one.Errors)
	}
	var n int64
	last := int64(-1)
	for _, b := range one.Latency {
		if b[0] <= last || b[1] <= 0 {
			t.Errorf("%v is not in order", one.Latency)
		}
		last = b[0]
		n += b[1]
		if want[b[0]] != b[1] {
			t.Errorf("bucket %d has %d, not %d: %v", b[0], b[1], want[b[0]], one.Latency)
		}
	}
	if n != 8 {
		t.Errorf("%d of 8 latencies", n)
	}
	if two := got["a/b/c/d/http"]["2"]; two.Requests != 7 || two.Latency != nil {
		t.Errorf("%+v", two)
	}
}

// TestClassicBuckets: a histogram without native buckets is read by its bounds; what is above them all is in the last bucket.
func TestClassicBuckets(t *testing.T) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: []float64{0.1, 1}})
	for _, s := range []float64{0.05, 0.5, 0.5, 90} {
		h.Observe(s)
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	b := analysis.DefaultBuckets
	want := [][2]int64{{int64(b.Index(0.1)), 1}, {int64(b.Index(1)), 2}, {int64(b.Count), 1}}
	if got := latencies(m.GetHistogram(), b); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, not %v", got, want)
	}
}

func TestSplitLabels(t *testing.T) {
	label := func(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }
	text := func(list []*dto.LabelPair) (out []string) {
		for _, l := range list {
			out = append(out, l.GetName()+"="+l.GetValue())
		}
		return out
	}
	for _, c := range []struct {
		service string
		want    []string
	}{
		{"shop/production/eu/web/http", []string{"code=2xx", "project=shop", "environment=production", "region=eu", "service=web", "port=http", "version=1"}},
		{"shop/production/eu/web", []string{"code=2xx", "project=shop", "environment=production", "region=eu", "service=web", "version=1"}},
		{"web", []string{"code=2xx", "service=web", "version=1"}},
		{"a/b/c/d/e/f", []string{"code=2xx", "service=a/b/c/d/e/f", "version=1"}},
		{"", []string{"code=2xx", "service=", "version=1"}},
	} {
		if got := text(splitLabels([]*dto.LabelPair{label("code", "2xx"), label("service", c.service), label("version", "1")})); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v", c.service, got)
		}
	}
}
