package api

import (
	"io"
	"net/http"
	"testing"

	"github.com/gantry-ops/gantry/auth"
)

// TestPrometheus holds who reaches Prometheus' HTTP API, by which paths, and what it sees of them.
func TestPrometheus(t *testing.T) {
	var seen []*http.Request
	part := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = append(seen, r)
			_, _ = io.WriteString(w, `"`+name+" "+r.URL.Path+"?"+r.URL.RawQuery+`"`)
		})
	}
	w := newWorld(t, func(o *Options) { o.Metrics, o.MetricsIngest = part("read"), part("write") })
	admin := w.admin()
	viewer := w.account("vi", auth.Grant{Project: auth.AllProjects, Role: auth.Viewer})
	elsewhere := w.account("el", auth.Grant{Project: "web", Role: auth.Admin})
	for _, c := range []struct {
		token, method, path string
		status              int
		body                string
	}{
		{viewer, "GET", "/prometheus/api/v1/query?query=up", 200, `"read /prometheus/api/v1/query?query=up"`},
		{viewer, "POST", "/prometheus/api/v1/query_range", 200, `"read /prometheus/api/v1/query_range?"`},
		{viewer, "GET", "/api/v1/metrics/label/job/values?limit=1", 200, `"read /prometheus/api/v1/label/job/values?limit=1"`},
		{viewer, "POST", "/prometheus/api/v1/write", 403, ""},
		{admin, "POST", "/prometheus/api/v1/write", 200, `"write /prometheus/api/v1/write?"`},
		{admin, "POST", "/prometheus/api/v1/otlp/v1/metrics", 200, `"write /prometheus/api/v1/otlp/v1/metrics?"`},
		{elsewhere, "GET", "/prometheus/api/v1/query?query=up", 403, ""},
		{"", "GET", "/prometheus/api/v1/query?query=up", 401, ""},
		{"", "GET", "/api/v1/metrics/query?query=up", 401, ""},
	} {
		r := w.do(request{method: c.method, path: c.path, token: c.token})
		if r.status != c.status || c.body != "" && string(r.body) != c.body {
			t.Errorf("%s %s: %s", c.method, c.path, r)
		}
	}
	for _, r := range seen {
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("%s: whoever answers sees %v", r.URL, r.Header)
		}
	}
}
