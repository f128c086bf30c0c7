package httpapi

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"meridian.example/gateway/metrics"
	"meridian.example/gateway/order"
)

const buy = `{"account":"ACC00001","symbol":"ACME","side":"buy","quantity":10,"limit_price_ticks":10050}`

func newServer(limit uint64) *Server {
	book := order.NewBook(limit, 100, time.Now)
	return New(book, slog.New(slog.DiscardHandler), &metrics.Registry{})
}

func do(h http.Handler, method, path, key, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPlaceRefuses(t *testing.T) {
	tests := []struct {
		name, key, body string
		status          int
		contains        string
	}{
		{"no key", "", buy, 400, "Idempotency-Key"},
		{"long key", strings.Repeat("k", 65), buy, 400, "Idempotency-Key"},
		{"not JSON", "k", `{"account":`, 400, "unreadable order"},
		{"misspelt member", "k", `{"account":"ACC00001","limit_price":1}`, 400, "limit_price"},
		{"fractional price", "k", strings.Replace(buy, "10050", "100.5", 1), 400, "unreadable order"},
		{"two orders", "k", buy + buy, 400, "more after the order"},
		{"huge", "k", `{"account":"` + strings.Repeat("A", maxBody) + `"}`, 413, "too large"},
		{"invalid", "k", strings.Replace(buy, `"buy"`, `"hold"`, 1), 422, `"field":"side"`},
		{"over the limit", "k", strings.Replace(buy, `:10,`, `:1000,`, 1), 422, "the limit is 1000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := do(newServer(1_000_000), "POST", "/orders", tt.key, tt.body)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) {
				t.Errorf("status %d, body %s; want %d and %q", w.Code, w.Body, tt.status, tt.contains)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q", got)
			}
		})
	}
	t.Run("media type", func(t *testing.T) {
		r := httptest.NewRequest("POST", "/orders", strings.NewReader(buy))
		r.Header.Set("Idempotency-Key", "k")
		r.Header.Set("Content-Type", "text/plain")
		w := httptest.NewRecorder()
		newServer(1).ServeHTTP(w, r)
		if w.Code != http.StatusUnsupportedMediaType {
			t.Errorf("status %d", w.Code)
		}
	})
}

func TestLifeOfAnOrder(t *testing.T) {
	s := newServer(1_000_000)
	w := do(s, "POST", "/orders", "k1", buy)
	if w.Code != http.StatusCreated {
		t.Fatalf("place: %d %s", w.Code, w.Body)
	}
	var o order.Order
	if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil {
		t.Fatal(err)
	}
	at := w.Header().Get("Location")
	if at != "/orders/"+o.ID || o.Status != order.Open {
		t.Errorf("location %q, order %+v", at, o)
	}
	if w := do(s, "POST", "/orders", "k1", buy); w.Code != http.StatusOK || w.Header().Get("Idempotent-Replayed") != "true" || w.Header().Get("Location") != at {
		t.Errorf("replay: %d %v", w.Code, w.Header())
	}
	if w := do(s, "POST", "/orders", "k1", strings.Replace(buy, "buy", "sell", 1)); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("key reused: %d", w.Code)
	}
	if w := do(s, "GET", at, "", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"status":"open"`) {
		t.Errorf("get: %d %s", w.Code, w.Body)
	}
	for range 2 {
		if w := do(s, "DELETE", at, "", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"status":"cancelled"`) {
			t.Errorf("cancel: %d %s", w.Code, w.Body)
		}
	}
	for _, method := range []string{"GET", "DELETE"} {
		if w := do(s, method, "/orders/none", "", ""); w.Code != http.StatusNotFound {
			t.Errorf("%s of nothing: %d", method, w.Code)
		}
	}
	text := do(s, "GET", "/metrics", "", "").Body.String()
	for _, want := range []string{
		`gateway_orders_total{result="accepted"} 1`, `gateway_orders_total{result="replayed"} 1`, `gateway_orders_total{result="cancelled"} 1`,
		`gateway_orders_total{result="key_reused"} 1`, `gateway_http_responses_total{class="4xx"} 3`,
		`gateway_http_request_duration_seconds_count{route="POST /orders"} 3`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestHealthAndReadiness(t *testing.T) {
	s := newServer(1)
	want := func(path string, status int) {
		t.Helper()
		if w := do(s, "GET", path, "", ""); w.Code != status {
			t.Errorf("%s: %d, want %d", path, w.Code, status)
		}
	}
	want("/healthz", 200)
	want("/readyz", 503)
	s.SetReady(true)
	want("/readyz", 200)
	s.SetReady(false)
	want("/readyz", 503)
	want("/healthz", 200)
}

func FuzzPlace(f *testing.F) {
	f.Add(buy)
	f.Add(`{"quantity":1e99}`)
	f.Add(`[]`)
	s := newServer(1_000_000)
	f.Fuzz(func(t *testing.T, body string) {
		if w := do(s, "POST", "/orders", "k", body); w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d for %q", w.Code, body)
		}
	})
}
