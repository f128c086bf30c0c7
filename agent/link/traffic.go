package link

import (
	"cmp"
	"math"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/gantry-ops/gantry/release/analysis"
)

// The router's metrics that traffic is made of; see package agent/route.
const (
	requestsMetric = "gantry_requests_total"
	latencyMetric  = "gantry_request_duration_seconds"
)

// traffic reads what the router has counted, by service and version.
func traffic(g prometheus.Gatherer) (map[string]map[string]Traffic, error) {
	families, err := g.Gather()
	if err != nil {
		return nil, err
	}
	out := map[string]map[string]Traffic{}
	for _, f := range families {
		if f.GetName() != requestsMetric && f.GetName() != latencyMetric {
			continue
		}
		for _, m := range f.Metric {
			service, version := labelOf(m, "service"), labelOf(m, "version")
			if service == "" || version == "" {
				continue
			}
			if out[service] == nil {
				out[service] = map[string]Traffic{}
			}
			t := out[service][version]
			if f.GetName() == requestsMetric {
				n := int64(m.GetCounter().GetValue())
				switch labelOf(m, "code") {
				case "5xx":
					t.Requests, t.Errors = t.Requests+n, t.Errors+n
				case "canceled": // the caller went away: nothing is known of the version
				default:
					t.Requests += n
				}
			} else {
				t.Latency = latencies(m.GetHistogram(), analysis.DefaultBuckets)
			}
			out[service][version] = t
		}
	}
	return out, nil
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.Label {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// latencies are a histogram's counts in other buckets. Each of the native buckets, which are a tenth apart, goes to the one that its upper bound is in; that
// is alike for all versions, so comparing them stays fair.
func latencies(h *dto.Histogram, to analysis.Buckets) [][2]int64 {
	counts := map[int]int64{}
	if n := int64(h.GetZeroCount()); n > 0 {
		counts[0] += n
	}
	if h.Schema != nil && len(h.PositiveSpan) > 0 {
		base := math.Exp2(math.Exp2(-float64(h.GetSchema())))
		index, n, at := int32(0), int64(0), 0
		for _, span := range h.PositiveSpan {
			index += span.GetOffset()
			for range span.GetLength() {
				if at >= len(h.PositiveDelta) {
					break
				}
				n += h.PositiveDelta[at]
				at++
				// The bucket's own bound is in the bucket.
				counts[to.Index(math.Pow(base, float64(index)))] += n
				index++
			}
		}
	} else {
		before := uint64(0)
		for _, b := range h.GetBucket() {
			if n := b.GetCumulativeCount() - before; n > 0 {
				counts[to.Index(b.GetUpperBound())] += int64(n)
			}
			before = b.GetCumulativeCount()
		}
		if n := h.GetSampleCount() - before; n > 0 {
			counts[to.Index(math.Inf(1))] += int64(n)
		}
	}
	out := make([][2]int64, 0, len(counts))
	for bucket, n := range counts {
		if n > 0 {
			out = append(out, [2]int64{int64(bucket), n})
		}
	}
	slices.SortFunc(out, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	return out
}
