package metrics

import (
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestExternalErrors asks those who are no Prometheus, or one in trouble.
func TestExternalErrors(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, tt := range []struct {
		name  string
		serve http.HandlerFunc
		kind  error
		says  string
	}{
		{"a web page", answer(200, "<html>"), ErrUnavailable, ""},
		{"nothing", answer(200, ""), ErrUnavailable, ""},
		{"no data", answer(200, `{"status":"success"}`), ErrUnavailable, ""},
		{"other data", answer(200, `{"status":"success","data":{"resultType":"cake","result":[]}}`), ErrUnavailable, ""},
		{"half of it", answer(200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"val`), ErrUnavailable, ""},
		{"who are you", answer(401, "who are you?\nsecond line"), ErrUnavailable, "who are you?"},
		{"not found", answer(404, "404 page not found"), ErrUnavailable, "404"},
		{"broken", answer(502, "Bad Gateway"), ErrUnavailable, "Bad Gateway"},
		{"timed out", answer(503, `{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}`), ErrTimeout, "expression evaluation"},
		{"unavailable", answer(503, `{"status":"error","errorType":"unavailable","error":"TSDB not ready"}`), ErrUnavailable, "TSDB not ready"},
		{"too much", answer(422, `{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}`), ErrTooManySamples, ""},
		{"long", answer(200, `{"status":"success","data":"`+strings.Repeat("x", 1<<16)+`"}`), ErrUnavailable, "longer than it may be"},
		{"hanging", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // Else the server does not notice that the client went away.
			<-r.Context().Done()
		}, ErrTimeout, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.serve)
			defer server.Close()
			o := ExternalOptions{URL: server.URL, MaxBytes: 1 << 15}
			if tt.name == "hanging" {
				o.Timeout = 50 * time.Millisecond
			}
			q, err := External(o)
			if err != nil {
				t.Fatal(err)
			}
			r, err := q.Query(t.Context(), "up", time.Now())
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %+v, %v", r, err)
			}
			if err != nil && strings.Contains(err.Error(), "second line") {
				t.Errorf("the error is a whole page: %v", err)
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		server := httptest.NewServer(nil)
		server.Close()
		q, err := External(ExternalOptions{URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Query(t.Context(), "up", time.Now()); !errors.Is(err, ErrUnavailable) {
			t.Error(err)
		}
	})
}

// TestExternalOptions holds that what is sent along arrives, and that what cannot be right is refused.
func TestExternalOptions(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.Header.Get("X-Scope-OrgID") != "us" || r.URL.Path != "/prometheus/api/v1/query" {
			http.Error(w, "not as it should be", http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"scalar","result":[1,"5"]}}`)
	}))
	defer server.Close()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	o := ExternalOptions{URL: server.URL + "/prometheus/", Headers: map[string]string{"X-Scope-OrgID": "us"}, BearerTokenFile: token, TLS: TLS{CAFile: ca}}
	q, err := External(o)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := value(t, q, "5", time.Now()); got != 5 {
		t.Errorf("got %v", got)
	}
	o.TLS.CAFile = ""
	if q, err = External(o); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Query(t.Context(), "5", time.Now()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
	for _, bad := range []ExternalOptions{
		{}, {URL: "localhost:9090"}, {URL: "http://"}, {URL: "http://ann:hush@localhost"},
		{URL: "http://localhost", TLS: TLS{KeyFile: "x"}}, {URL: "http://localhost", TLS: TLS{CAFile: "/does/not/exist"}},
	} {
		if _, err := External(bad); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
