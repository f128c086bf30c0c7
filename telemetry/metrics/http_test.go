package metrics

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// mounted serves both halves of the API below /prom, as a server would.
func mounted(t testing.TB, s *Store) string {
	mux := http.NewServeMux()
	read, write := s.Handler("/prom"), s.Ingest("/prom")
	mux.Handle("/prom/", read)
	mux.Handle("POST /prom/api/v1/write", write)
	mux.Handle("POST /prom/api/v1/otlp/", write)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/prom"
}

// body returns the status and the body of an answer.
func body(t testing.TB, resp *http.Response, err error) (int, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestAPI asks all that Grafana and promtool ask, and finds the shapes that Prometheus documents.
func TestAPI(t *testing.T) {
	s := opened(t, func(o *Options) {
		o.remoteFlush = time.Millisecond // There is nobody who takes what is left.
		o.RemoteWrites = []RemoteWrite{{Name: "elsewhere", URL: "http://localhost:9/", Headers: map[string]string{"X-Key": "hush"}}}
	})
	address := mounted(t, s)
	begin := start()
	for i := range 3 {
		kept(t, s, sample(begin.Add(time.Duration(i)*time.Minute), float64(i), "__name__", "m", "x", "y"))
	}
	if err := s.SetTargets([]Target{{Address: served(t, text("# HELP n What it is.\n# TYPE n gauge\nn 1\n")), Service: "gateway", Interval: quick}}); err != nil {
		t.Fatal(err)
	}
	is(t, s, "n", 1)
	if err := s.SetRules(written(t, testRules)); err != nil {
		t.Fatal(err)
	}
	at := begin.Add(2 * time.Minute).Format(time.RFC3339)
	for _, tt := range []struct {
		path   string
		query  url.Values
		status int
		// want is found in the answer, in this order.
		want []string
	}{
		{"query", url.Values{"query": {"m"}, "time": {at}}, 200, []string{`"status":"success"`, `"resultType":"vector"`, `"metric":{"__name__":"m","x":"y"}`, `"value":[`, `"2"]`}},
		{"query", url.Values{"query": {"m(("}}, 400, []string{`"status":"error"`, `"errorType":"bad_data"`, `"error":"`}},
		{"query", nil, 400, []string{`"errorType":"bad_data"`}},
		{"query_range", url.Values{"query": {"m"}, "start": {begin.Format(time.RFC3339)}, "end": {at}, "step": {"60"}}, 200, []string{`"resultType":"matrix"`, `"values":[[`, `"0"]`, `"1"]`, `"2"]]`}},
		{"query_exemplars", url.Values{"query": {"m"}, "start": {begin.Format(time.RFC3339)}, "end": {at}}, 200, []string{`"data":[]`}},
		{"series", url.Values{"match[]": {"m"}}, 200, []string{`"data":[{"__name__":"m","x":"y"}]`}},
		{"labels", nil, 200, []string{`"__name__"`, `"x"`}},
		{"label/x/values", nil, 200, []string{`"data":["y"]`}},
		{"targets", nil, 200, []string{`"activeTargets":[{`, `"service":"gateway"`, `"scrapeUrl":"http://`, `"health":"up"`}},
		{"metadata", nil, 200, []string{`"n":[{"type":"gauge"`, `"help":"What it is."`}},
		{"rules", nil, 200, []string{`"groups":[{"name":"orders"`, `"type":"recording"`, `"type":"alerting"`}},
		{"alerts", nil, 200, []string{`"alerts":[`}},
		{"alertmanagers", nil, 200, []string{`"activeAlertmanagers":[]`}},
		{"status/buildinfo", nil, 200, []string{`"version":"3.`}},
		{"status/flags", nil, 200, []string{`"web.enable-admin-api":"false"`}},
		{"status/runtimeinfo", nil, 200, []string{`"storageRetention":"15d"`}},
		{"status/tsdb", nil, 200, []string{`"headStats":{"numSeries":`}},
		{"status/config", nil, 200, []string{`job_name: gantry`, `secret`}},
		{"format_query", url.Values{"query": {"sum( m )"}}, 200, []string{`"data":"sum(m)"`}},
		{"no/such/path", nil, 404, nil},
	} {
		t.Run(tt.path, func(t *testing.T) {
			resp, err := http.Get(address + "/api/v1/" + tt.path + "?" + tt.query.Encode())
			status, got := body(t, resp, err)
			if status != tt.status {
				t.Errorf("status %d: %s", status, got)
			}
			if strings.Contains(got, "hush") {
				t.Error("it tells the secret")
			}
			if tt.status != 404 && !json.Valid([]byte(got)) {
				t.Errorf("no JSON: %s", got)
			}
			rest := got
			for _, want := range tt.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Errorf("%q is not where it should be in %s", want, got)
				}
				rest = after
			}
		})
	}
	t.Run("by POST", func(t *testing.T) {
		resp, err := http.PostForm(address+"/api/v1/query", url.Values{"query": {"m"}, "time": {at}})
		if status, got := body(t, resp, err); status != 200 || !strings.Contains(got, `"2"]`) {
			t.Errorf("%d %s", status, got)
		}
	})
	t.Run("nothing is changed over HTTP", func(t *testing.T) {
		for _, path := range []string{"delete_series?match[]=m", "clean_tombstones", "snapshot"} {
			resp, err := http.Post(address+"/api/v1/admin/tsdb/"+path, "", nil)
			if status, got := body(t, resp, err); status/100 == 2 {
				t.Errorf("%s: %d %s", path, status, got)
			}
		}
		if got, _ := value(t, s, "m", begin); got != 0 {
			t.Errorf("m is %v", got)
		}
	})
	t.Run("who reads does not write", func(t *testing.T) {
		read, write := s.Handler(""), s.Ingest("")
		for path, h := range map[string]http.Handler{"/api/v1/write": read, "/api/v1/otlp/v1/metrics": read, "/api/v1/query": write, "/-/ready": write} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
			if w.Code != http.StatusNotFound {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
	})
	t.Run("no other site's scripts", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/api/v1/query?query=m", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", "https://example.com")
		resp, err := http.DefaultClient.Do(r)
		if status, got := body(t, resp, err); status != 200 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%d %s %v", status, got, resp.Header)
		}
	})
	t.Run("ready", func(t *testing.T) {
		resp, err := http.Get(address + "/-/ready")
		if status, got := body(t, resp, err); status != 200 {
			t.Errorf("%d %s", status, got)
		}
	})
	t.Run("promtool", func(t *testing.T) {
		tool, err := exec.LookPath("promtool")
		if err != nil {
			t.Skip("promtool is not installed")
		}
		for _, tt := range []struct {
			args []string
			want string
		}{
			{[]string{"query", "instant", "--time", at, address, "m"}, `m{x="y"} => 2`},
			{[]string{"query", "range", "--start", begin.Format(time.RFC3339), "--end", at, "--step", "1m", address, "m"}, "1 @["},
			{[]string{"query", "series", "--match", "m", address}, `{__name__="m", x="y"}`},
			{[]string{"query", "labels", address, "x"}, "y"},
		} {
			out, err := exec.Command(tool, tt.args...).CombinedOutput()
			if err != nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("promtool %v: %v\n%s", tt.args, err, out)
			}
		}
	})
}

// TestClosedAPI asks a store that was closed.
func TestClosedAPI(t *testing.T) {
	s, err := Open(options(t))
	if err != nil {
		t.Fatal(err)
	}
	h := s.Handler("")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/query?query=1", "/-/ready"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func post(t testing.TB, address string, header map[string]string, b []byte) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	return body(t, resp, err)
}

func TestRemoteWriteIn(t *testing.T) {
	s := opened(t)
	address := mounted(t, s) + "/api/v1/write"
	now := time.Now()
	v1 := map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
	v2 := map[string]string{
		"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "2.0.0",
	}
	old := func(at time.Time, value float64) []byte {
		r := prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{
			Labels: []prompb.Label{{Name: "__name__", Value: "one"}, {Name: "a", Value: "b"}}, Samples: []prompb.Sample{{Value: value, Timestamp: at.UnixMilli()}},
		}}}
		b, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return snappy.Encode(nil, b)
	}
	if status, got := post(t, address, v1, old(now, 1)); status/100 != 2 {
		t.Errorf("version 1: %d %s", status, got)
	}
	if got, _ := value(t, s, `one{a="b"}`, now); got != 1 {
		t.Errorf("version 1 wrote %v", got)
	}
	if status, got := post(t, address, v1, old(now.Add(-time.Minute), 2)); status/100 != 2 {
		t.Errorf("a minute late: %d %s", status, got)
	}
	if status, got := post(t, address, v1, old(now.Add(-time.Hour), 2)); status != 400 {
		t.Errorf("an hour late: %d %s", status, got)
	}

	r := writev2.Request{Symbols: []string{"", "__name__", "two", "a", "b", "What it is."}, Timeseries: []writev2.TimeSeries{{
		LabelsRefs: []uint32{1, 2, 3, 4}, Samples: []writev2.Sample{{Value: 2, Timestamp: now.UnixMilli()}},
		Metadata: writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_GAUGE, HelpRef: 5},
	}}}
	b, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if status, got := post(t, address, v2, snappy.Encode(nil, b)); status/100 != 2 {
		t.Errorf("version 2: %d %s", status, got)
	}
	if got, _ := value(t, s, `two{a="b"}`, now); got != 2 {
		t.Errorf("version 2 wrote %v", got)
	}

	for name, bad := range map[string][]byte{"no snappy": []byte("garbage"), "no protobuf": snappy.Encode(nil, []byte("garbage")), "a bomb": snappy.Encode(nil, make([]byte, 33<<20))} {
		if status, got := post(t, address, v1, bad); status/100 != 4 {
			t.Errorf("%s: %d %s", name, status, got)
		}
	}
}

func TestOTLP(t *testing.T) {
	s := opened(t)
	address := mounted(t, s) + "/api/v1/otlp/v1/metrics"
	now := time.Now()
	metrics := func(name string) pmetricotlp.ExportRequest {
		m := pmetric.NewMetrics()
		rm := m.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutStr("service.name", "ledger")
		rm.Resource().Attributes().PutStr("service.instance.id", "host-1")
		rm.Resource().Attributes().PutStr("service.version", "7")
		gauge := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		gauge.SetName(name)
		p := gauge.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetDoubleValue(4)
		p.SetTimestamp(pcommon.NewTimestampFromTime(now))
		return pmetricotlp.NewExportRequestFromMetrics(m)
	}
	proto, err := metrics("by.proto").MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	if status, got := post(t, address, map[string]string{"Content-Type": "application/x-protobuf"}, proto); status != 200 {
		t.Errorf("protobuf: %d %s", status, got)
	}
	asJSON, err := metrics("by.json").MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if status, got := post(t, address, map[string]string{"Content-Type": "application/json"}, asJSON); status != 200 {
		t.Errorf("JSON: %d %s", status, got)
	}
	for _, name := range []string{"by_proto", "by_json"} {
		if got, _ := value(t, s, name+`{job="ledger",instance="host-1",service_version="7"}`, now); got != 4 {
			r, err := s.Query(t.Context(), `{job="ledger"}`, now)
			t.Errorf("%s is %v among %+v, %v", name, got, r, err)
		}
	}
	t.Run("deltas are added up", func(t *testing.T) {
		for i := range 3 {
			m := pmetric.NewMetrics()
			sum := m.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
			sum.SetName("by.delta")
			sum.SetEmptySum().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
			sum.Sum().SetIsMonotonic(true)
			p := sum.Sum().DataPoints().AppendEmpty()
			p.SetIntValue(5)
			p.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Duration(i) * time.Second)))
			p.SetTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Duration(i+1) * time.Second)))
			b, err := pmetricotlp.NewExportRequestFromMetrics(m).MarshalProto()
			if err != nil {
				t.Fatal(err)
			}
			if status, got := post(t, address, map[string]string{"Content-Type": "application/x-protobuf"}, b); status != 200 {
				t.Errorf("%d %s", status, got)
			}
		}
		if got, _ := value(t, s, "by_delta_total", now.Add(3*time.Second)); got != 15 {
			t.Errorf("the sum is %v", got)
		}
	})
	if status, got := post(t, address, map[string]string{"Content-Type": "application/json"}, []byte("{")); status != 400 {
		t.Errorf("half of it: %d %s", status, got)
	}
}
