package kit

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func none(string) string { return "" }

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func newApp(t *testing.T, getenv func(string) string) *App {
	t.Helper()
	a, err := New("shop", "v1", getenv, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func TestNewRefuses(t *testing.T) {
	for name, value := range map[string]string{"FAULT": "nonsense", "LOG_LEVEL": "loud"} {
		if _, err := New("shop", "v1", env(name, value), io.Discard); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: error %v", name, value, err)
		}
	}
}

func TestAddress(t *testing.T) {
	tests := []struct {
		name, flag string
		getenv     func(string) string
		want       string // or "" for an error
	}{
		{"nothing", "", none, "127.0.0.1:1"},
		{"port", "", env("PORT", "8080"), "127.0.0.1:8080"},
		{"host and port", "", env("PORT", "8080", "HOST", "::"), "[::]:8080"},
		{"the flag goes first", "x:2", env("PORT", "8080"), "x:2"},
		{"no port", "", env("PORT", "http"), ""},
		{"too large", "", env("PORT", "65536"), ""},
	}
	for _, tt := range tests {
		got, err := Address(tt.flag, tt.getenv, "PORT", "127.0.0.1:1")
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

func TestOwnRoutes(t *testing.T) {
	a := newApp(t, env("FAULT", "errors:1"))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "thing") })
	h := a.Handler(mux)
	tests := []struct {
		path, contains string
		status         int
	}{
		{"/healthz", "ok", 200},
		{"/readyz", "starting or draining", 503},
		{"/version", `{"service":"shop","version":"v1"}`, 200},
		{"/metrics", `meridian_build_info{version="v1"} 1`, 200},
		{"/things/1", "on purpose", 500},
	}
	for _, tt := range tests {
		w := get(h, tt.path)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) || w.Header().Get(VersionHeader) != "v1" {
			t.Errorf("%s: %d %s %v", tt.path, w.Code, w.Body, w.Header())
		}
	}
	a.SetReady(true)
	a.Faults.Errors = 0
	for path, status := range map[string]int{"/readyz": 200, "/things/1": 200, "/things/2": 200, "/other": 404} {
		if w := get(h, path); w.Code != status {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	text := get(h, "/metrics").Body.String()
	for _, want := range []string{
		`meridian_http_requests_total{route="GET /things/{id}",code="200"} 2`,
		`meridian_http_requests_total{route="GET /things/{id}",code="500"} 1`,
		`meridian_http_requests_total{route="none",code="404"} 1`,
		`meridian_http_requests_total{route="GET /readyz",code="503"} 1`,
		`meridian_http_request_duration_seconds_count{route="GET /things/{id}"} 3`,
		"process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_start_time_seconds ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s:\n%s", want, text)
		}
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, env("FAULT", "latency:2x"))
		mux := http.NewServeMux()
		mux.HandleFunc("GET /slow", func(w http.ResponseWriter, _ *http.Request) { time.Sleep(time.Second) })
		begin := time.Now()
		get(a.Handler(mux), "/slow")
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// logs is a writer that can be read while it is written to.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestServeFinishes stops a process while a request and a session are under way: both end well, and it is not ready meanwhile.
func TestServeFinishes(t *testing.T) {
	out := &logs{}
	a, err := New("shop", "v1", none, out)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	began, finish, session := make(chan struct{}), make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-finish
		_, _ = io.WriteString(w, "done")
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	h := a.Handler(mux)
	go func() {
		served <- a.Serve(ctx, l, h, Stop{Deadline: time.Hour, Sessions: func(context.Context) error { close(session); return nil }})
	}()
	answer := make(chan string, 1)
	go func() {
		res, err := http.Post("http://"+l.Addr().String()+"/orders", "text/plain", nil)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answer <- string(b)
	}()
	<-began
	stop()
	<-session
	if w := get(h, "/readyz"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("ready while it stops: %d", w.Code)
	}
	close(finish)
	if got := <-answer; got != "done" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
	for _, want := range []string{"listening", "draining", "stopped"} {
		if !strings.Contains(out.String(), `"`+want+`"`) {
			t.Errorf("the log lacks %q: %s", want, out)
		}
	}
}

// TestServeGivesUp stops a process whose request never ends.
func TestServeGivesUp(t *testing.T) {
	a := newApp(t, none)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, l, a.Handler(mux), Stop{Deadline: time.Millisecond}) }()
	go func() {
		if res, err := http.Get("http://" + l.Addr().String() + "/hang"); err == nil {
			res.Body.Close()
		}
	}()
	<-began
	stop()
	if err := <-served; err == nil || !strings.Contains(err.Error(), "still under way") {
		t.Errorf("serve: %v", err)
	}
}
