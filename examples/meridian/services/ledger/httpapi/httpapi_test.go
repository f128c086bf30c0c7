package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meridian.example/ledger/internal/kit"
	"meridian.example/ledger/store"
	"meridian.example/ledger/trade"
)

const buy = `{"id":"T1","account":"ACC00001","symbol":"ACME","side":"buy","quantity":10,"price_ticks":10050,"limit_ticks":150000}`

func newServer(t testing.TB, faults *kit.Faults) http.Handler {
	t.Helper()
	path := filepath.Join(t.TempDir(), "books.db")
	if _, err := store.Migrate(t.Context(), path, store.Expand); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), path, store.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return New(s, slog.New(slog.DiscardHandler), &kit.Registry{}, faults).Mux()
}

func do(h http.Handler, method, path, key, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Idempotency-Key", key)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	h := newServer(t, &kit.Faults{})
	with := func(old, new string) string { return strings.Replace(buy, old, new, 1) }
	tests := []struct {
		name, method, path, key, body string
		status                        int
		contains                      string
	}{
		{"no key", "POST", "/trades", "", buy, 400, "Idempotency-Key"},
		{"long key", "POST", "/trades", strings.Repeat("k", 129), buy, 400, "Idempotency-Key"},
		{"not JSON", "POST", "/trades", "k", "{", 400, "urn:meridian:invalid"},
		{"unknown member", "POST", "/trades", "k", with("limit_ticks", "limit"), 400, `unknown field`},
		{"two", "POST", "/trades", "k", buy + buy, 400, "more after the trade"},
		{"invalid", "POST", "/trades", "k", with("buy", "hold"), 422, "side: must be"},
		{"negative limit", "POST", "/trades", "k", with("150000", "-1"), 422, "limit_ticks"},
		{"posted", "POST", "/trades", "k1", buy, 201, `"status":"open"`},
		{"replayed", "POST", "/trades", "k1", buy, 200, `"status":"open"`},
		{"key reused", "POST", "/trades", "k1", with(":10,", ":11,"), 409, "urn:meridian:key-reused"},
		{"over the limit", "POST", "/trades", "k2", with("T1", "T2"), 422, `"type":"urn:meridian:over-limit","title":"over-limit","status":422,"detail":"account ACC00001: 100500 ticks are open, the trade adds 100500, the limit is 150000","open_ticks":100500,"limit_ticks":150000`},
		{"get", "GET", "/trades/T1", "", "", 200, `"quantity":10`},
		{"get nothing", "GET", "/trades/T9", "", "", 404, "urn:meridian:not-found"},
		{"list", "GET", "/trades?account=ACC00001", "", "", 200, `"more":false`},
		{"list behind", "GET", "/trades?account=ACC00001&after=1", "", "", 200, `{"trades":[],"more":false}`},
		{"list of nobody", "GET", "/trades", "", "", 400, "ask with account"},
		{"list behind nonsense", "GET", "/trades?account=A&after=x", "", "", 400, "ask with account"},
		{"account", "GET", "/accounts/ACC00001", "", "", 200, `{"account":"ACC00001","cash_ticks":-100500,"open_ticks":100500,"positions":{"ACME":10}}`},
		{"reverse", "POST", "/trades/T1/reversal", "", "", 201, `"status":"reversed"`},
		{"reverse again", "POST", "/trades/T1/reversal", "", "", 200, `"status":"reversed"`},
		{"reverse nothing", "POST", "/trades/T9/reversal", "", "", 404, "urn:meridian:not-found"},
		{"check", "GET", "/check", "", "", 200, `{"ok":true,"trades":1,"entries":8}`},
	}
	for _, tt := range tests {
		if w := do(h, tt.method, tt.path, tt.key, tt.body); w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) {
			t.Errorf("%s: %d %s; want %d and %q", tt.name, w.Code, w.Body, tt.status, tt.contains)
		}
	}
	r := httptest.NewRequest("POST", "/trades", strings.NewReader(buy))
	r.Header.Set("Idempotency-Key", "k")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusUnsupportedMediaType {
		t.Errorf("no media type: %d", w.Code)
	}
}

// broken are books that fail, or do not add up.
type broken struct {
	Books
	err error
}

func (b broken) Post(context.Context, string, trade.Request, int64) (trade.Trade, bool, error) {
	return trade.Trade{}, false, b.err
}

func (b broken) Check(context.Context) (store.Report, error) {
	return store.Report{Violations: []string{"the entries in ACME add up to 1"}}, nil
}

func TestFailures(t *testing.T) {
	for err, status := range map[error]int{errors.New("disk full: secret"): 500, store.ErrClosed: 503, &store.TooLarge{Account: "A", Asset: "cash"}: 422} {
		h := New(broken{err: err}, slog.New(slog.DiscardHandler), &kit.Registry{}, &kit.Faults{}).Mux()
		if w := do(h, "POST", "/trades", "k", buy); w.Code != status || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %d %s", err, w.Code, w.Body)
		}
		if w := do(h, "GET", "/check", "", ""); w.Code != 500 || !strings.Contains(w.Body.String(), "add up to 1") {
			t.Errorf("check: %d %s", w.Code, w.Body)
		}
	}
}

func TestWrongOnPurpose(t *testing.T) {
	h := newServer(t, &kit.Faults{Wrong: 1})
	var got trade.Trade
	if w := do(h, "POST", "/trades", "k", buy); json.Unmarshal(w.Body.Bytes(), &got) != nil || got.Quantity != 11 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := do(h, "GET", "/check", "", ""); w.Code != 200 {
		t.Errorf("only the answer is to be wrong: %s", w.Body)
	}
}

func FuzzPost(f *testing.F) {
	f.Add(buy)
	f.Add(`{"quantity":1e99}`)
	f.Add(`[]`)
	h := newServer(f, &kit.Faults{})
	f.Fuzz(func(t *testing.T, body string) {
		if w := do(h, "POST", "/trades", "k", body); w.Code >= 500 {
			t.Errorf("status %d for %q: %s", w.Code, body, w.Body)
		}
	})
}
