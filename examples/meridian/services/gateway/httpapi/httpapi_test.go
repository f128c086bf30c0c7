package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"meridian.example/gateway/internal/kit"
	"meridian.example/gateway/order"
	"meridian.example/gateway/rate"
)

const buy = `{"account":"ACC00001","symbol":"ACME","side":"buy","quantity":10,"limit_price_ticks":10050}`

// server is a gateway's handler and its metrics.
type server struct {
	http.Handler
	metrics *kit.Registry
}

func newServer(limit uint64) server {
	return serverOf(order.NewBook(limit, 100, time.Now), nil)
}

func serverOf(orders Orders, limit Limiter) server {
	reg := &kit.Registry{}
	return server{New(Options{Orders: orders, Limit: limit, Log: slog.New(slog.DiscardHandler), Metrics: reg, Faults: &kit.Faults{}}).Mux(), reg}
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
		{"key with a line feed", "k\n2", buy, 400, "Idempotency-Key"},
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
	var text strings.Builder
	if _, err := s.metrics.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`meridian_orders_total{result="accepted"} 1`, `meridian_orders_total{result="replayed"} 1`, `meridian_orders_total{result="cancelled"} 1`,
		`meridian_orders_total{result="key_reused"} 1`, `meridian_orders_total{result="unknown"} 0`,
	} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("metrics lack %s", want)
		}
	}
}

// broken keeps nothing and knows nothing.
type broken struct{ err error }

func (b broken) Place(context.Context, string, order.Request) (order.Order, bool, error) {
	return order.Order{}, false, b.err
}
func (b broken) Get(context.Context, string) (order.Order, error) { return order.Order{}, b.err }
func (b broken) Cancel(context.Context, string) (order.Order, bool, error) {
	return order.Order{}, false, b.err
}

func TestWhatIsNotKnownIsNotSaid(t *testing.T) {
	s := serverOf(broken{fmt.Errorf("%w: no route", order.ErrUnknown)}, nil)
	for method, path := range map[string]string{"POST": "/orders", "GET": "/orders/1", "DELETE": "/orders/1"} {
		w := do(s, method, path, "k", buy)
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "outcome not known") || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
	if w := do(serverOf(broken{errors.New("secret")}, nil), "POST", "/orders", "k", buy); w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestRateLimit(t *testing.T) {
	s := serverOf(order.NewBook(1<<40, 100, time.Now), rate.New(0.5, 2, func() time.Time { return time.Time{} }))
	for i, want := range []int{201, 201, 429} {
		w := do(s, "POST", "/orders", fmt.Sprint(i), buy)
		if w.Code != want {
			t.Errorf("order %d: %d %s", i, w.Code, w.Body)
		}
		if want == 429 && w.Header().Get("Retry-After") != "2" {
			t.Errorf("Retry-After: %v", w.Header())
		}
	}
	if w := do(s, "POST", "/orders", "k", strings.Replace(buy, "ACC00001", "ACC00002", 1)); w.Code != 201 {
		t.Errorf("another account: %d", w.Code)
	}
}

func TestWrongOnPurpose(t *testing.T) {
	book := order.NewBook(1<<40, 100, time.Now)
	h := New(Options{Orders: book, Log: slog.New(slog.DiscardHandler), Metrics: &kit.Registry{}, Faults: &kit.Faults{Wrong: 1}}).Mux()
	if w := do(h, "POST", "/orders", "k", buy); w.Code != 201 || !strings.Contains(w.Body.String(), `"quantity":11,`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := book.OpenTicks("ACC00001"); got != 10*10050 {
		t.Errorf("only the answer is to be wrong; open are %d", got)
	}
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
