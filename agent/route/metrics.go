package route

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// metrics are what the router tells of its traffic. Labels are service and version; each series exists from the table on in which the version
// appears, so that no traffic is a zero and not a gap.
type metrics struct {
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	inflight *prometheus.GaugeVec
	failures *prometheus.CounterVec
	sessions *prometheus.CounterVec
	active   *prometheus.GaugeVec
	bytes    *prometheus.CounterVec
	mirrored *prometheus.CounterVec
	refused  *prometheus.CounterVec
}

// Codes of requests as their label has them: a class, or "canceled" for who went away before an answer.
var codes = [...]string{"canceled", "1xx", "2xx", "3xx", "4xx", "5xx"}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	arm := []string{"service", "version"}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gantry_requests_total",
			Help: "Requests that ended, by the class of their status, or canceled when the caller went away before there was one."}, append(arm[:2:2], "code")),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "gantry_request_duration_seconds",
			Help:    "From a request's head until the head of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}, NativeHistogramBucketFactor: 1.1,
			NativeHistogramMaxBucketNumber: 160, NativeHistogramMinResetDuration: time.Hour}, arm),
		inflight: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gantry_requests_in_flight", Help: "Requests that have not ended."}, arm),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gantry_upstream_failures_total",
			Help: "What the router had to answer itself because an instance did not, by reason: dial, timeout, broken, drained."}, append(arm[:2:2], "reason")),
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gantry_sessions_total", Help: "TCP sessions and upgraded connections that began."}, arm),
		active:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gantry_sessions", Help: "TCP sessions and upgraded connections that are open."}, arm),
		bytes:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gantry_session_bytes_total", Help: "Bytes of ended sessions, by direction: in, out."}, append(arm[:2:2], "direction")),
		mirrored: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gantry_mirrored_total", Help: "Copies of requests, by what came of them: 2xx to 5xx, failed, skipped."}, append(arm[:2:2], "outcome")),
		refused:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gantry_refused_total", Help: "Requests and sessions for which there was no route or no instance."}, []string{"listener", "reason"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.latency, m.inflight, m.failures, m.sessions, m.active, m.bytes, m.mirrored, m.refused} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// armMetrics are a version's, looked up once.
type armMetrics struct {
	codes              [len(codes)]prometheus.Counter
	latency            prometheus.Observer
	inflight, active   prometheus.Gauge
	sessions           prometheus.Counter
	in, out            prometheus.Counter
	dial, slow, broken prometheus.Counter
	drained            prometheus.Counter
}

func (m *metrics) arm(service, version string) *armMetrics {
	a := &armMetrics{
		latency: m.latency.WithLabelValues(service, version), inflight: m.inflight.WithLabelValues(service, version),
		active: m.active.WithLabelValues(service, version), sessions: m.sessions.WithLabelValues(service, version),
		in: m.bytes.WithLabelValues(service, version, "in"), out: m.bytes.WithLabelValues(service, version, "out"),
		dial: m.failures.WithLabelValues(service, version, "dial"), slow: m.failures.WithLabelValues(service, version, "timeout"),
		broken: m.failures.WithLabelValues(service, version, "broken"), drained: m.failures.WithLabelValues(service, version, "drained"),
	}
	for i, code := range codes {
		a.codes[i] = m.requests.WithLabelValues(service, version, code)
	}
	return a
}

// forget drops the series of a version that no table has any more.
func (m *metrics) forget(service, version string) {
	l := prometheus.Labels{"service": service, "version": version}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{m.requests, m.latency, m.inflight, m.failures, m.sessions, m.active, m.bytes, m.mirrored} {
		v.DeletePartialMatch(l)
	}
}

// ended counts a request. Status 0 is one whose caller went away.
func (a *armMetrics) ended(status int, took time.Duration) {
	class := status / 100
	if class < 0 || class >= len(codes) {
		class = 5
	}
	a.codes[class].Inc()
	if status != 0 {
		a.latency.Observe(took.Seconds())
	}
}

// outcome is a label for a copy's status.
func outcome(status int) string {
	if status < 100 || status > 599 {
		return "failed"
	}
	return strconv.Itoa(status/100) + "xx"
}

// Requests are those that ended, by service, version and class of status.
func (r *Router) Requests() map[string]map[string]map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]map[string]map[string]int64{}
	for k, a := range r.arms {
		if all[k[0]] == nil {
			all[k[0]] = map[string]map[string]int64{}
		}
		counts := map[string]int64{}
		for i, c := range a.codes {
			var m dto.Metric
			if c.Write(&m) == nil && m.GetCounter().GetValue() > 0 {
				counts[codes[i]] = int64(m.GetCounter().GetValue())
			}
		}
		all[k[0]][k[1]] = counts
	}
	return all
}
