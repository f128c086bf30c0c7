package process

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// wait is long enough for any answer that comes at all.
const wait = 2 * time.Minute

func TestProbeHTTP(t *testing.T) {
	forever := make(chan struct{})
	defer close(forever)
	hang := func(r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-forever:
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "example.com" || r.Header.Get("User-Agent") != "gantry-check" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	mux.HandleFunc("/none", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/ill", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "the token hunter2 has\x1b expired\nmore", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("/hang", func(w http.ResponseWriter, r *http.Request) { hang(r) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "o")
		w.(http.Flusher).Flush()
		hang(r)
	})
	mux.HandleFunc("/huge", func(w http.ResponseWriter, r *http.Request) {
		for block := make([]byte, 1<<16); r.Context().Err() == nil; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/header", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) })
	mux.HandleFunc("/close", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		fmt.Fprint(w, "o")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port

	tests := []struct {
		path    string
		timeout time.Duration
		want    string
	}{
		{"/ok", wait, ""},
		{"/none", wait, ""},
		{"/huge", wait, ""},
		{"/redirect", wait, `GET /redirect: status 302, a redirect to "/ok", which a check does not follow`},
		{"/ill", wait, "GET /ill: status 503: the token *** has expired"},
		{"/missing", wait, "GET /missing: status 404: 404 page not found"},
		{"/hang", 20 * time.Millisecond, "gave no answer within 20ms"},
		{"/slow", 200 * time.Millisecond, "within 200ms"},
		{"/header", wait, "exceeded"},
		{"/close", wait, "closed the connection without an answer"},
		{"/cut", wait, "the answer broke off"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
			defer cancel()
			n := &network{masker: hunter{}}
			reason, refused := n.probe(ctx, Check{Kind: CheckHTTP, Path: tt.path, Host: "example.com", Timeout: tt.timeout}, port)
			if refused || tt.want == "" && reason != "" || !strings.Contains(reason, tt.want) {
				t.Errorf("got %q, %v\nwant %q", reason, refused, tt.want)
			}
		})
	}
}

type hunter struct{}

func (hunter) Mask(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), "hunter2", "***")) }

func TestProbeTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	n := &network{}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if reason, _ := n.probe(ctx, Check{Kind: CheckTCP}, port); reason != "" {
		t.Errorf("got %q", reason)
	}
	l.Close()
	for _, kind := range []string{CheckTCP, CheckHTTP} {
		if reason, refused := n.probe(ctx, Check{Kind: kind, Path: "/"}, port); !refused || !strings.Contains(reason, "nothing listens on 127.0.0.1:") {
			t.Errorf("%s: got %q, %v", kind, reason, refused)
		}
	}
}
