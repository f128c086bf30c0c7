package metrics_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/telemetry/metrics"
)

// TestProxy holds what goes to the other side, and what comes from it.
func TestProxy(t *testing.T) {
	var seen []*http.Request
	var bodies []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen, bodies = append(seen, r), append(bodies, string(b))
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Set-Cookie", "theirs=1")
		_, _ = io.WriteString(w, `{"status":"success"}`)
	}))
	defer other.Close()
	e, err := metrics.External(metrics.ExternalOptions{URL: other.URL + "/tenant", Headers: map[string]string{"X-Scope-OrgID": "one"}})
	if err != nil {
		t.Fatal(err)
	}
	h := e.Handler("/prometheus")
	ask := func(method, target, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer ours")
		r.Header.Set("Cookie", "gantry=ours")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := ask("GET", "/prometheus/api/v1/query?query=up%7Ba%3D%22b%22%7D", ""); w.Code != 200 || w.Body.String() != `{"status":"success"}` || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("query: %d %s %v", w.Code, w.Body, w.Header())
	}
	if w := ask("POST", "/prometheus/api/v1/query_range", "query=up"); w.Code != 200 || bodies[len(bodies)-1] != "query=up" {
		t.Errorf("query_range: %d, the body was %q", w.Code, bodies)
	}
	if w := ask("GET", "/prometheus/api/v1/label/job/values", ""); w.Code != 200 {
		t.Errorf("label values: %d", w.Code)
	}
	if len(seen) != 3 || seen[0].URL.Path != "/tenant/api/v1/query" || seen[0].URL.Query().Get("query") != `up{a="b"}` {
		t.Fatalf("the other side saw %v", seen[0].URL)
	}
	for _, r := range seen {
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("X-Scope-OrgID") != "one" {
			t.Errorf("%s was asked with %v", r.URL, r.Header)
		}
	}
	for _, c := range [][2]string{
		{"POST", "/prometheus/api/v1/admin/tsdb/delete_series"}, {"POST", "/prometheus/api/v1/write"}, {"PUT", "/prometheus/api/v1/query"},
		{"GET", "/prometheus/api/v1/label/../admin"}, {"GET", "/elsewhere/api/v1/query"}, {"GET", "/prometheus/config"},
	} {
		if w := ask(c[0], c[1], ""); w.Code != http.StatusNotFound {
			t.Errorf("%s %s: %d", c[0], c[1], w.Code)
		}
	}
	other.Close()
	if w := ask("GET", "/prometheus/api/v1/query?query=up", ""); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "does not answer") {
		t.Errorf("without the other side: %d %s", w.Code, w.Body)
	}
}
