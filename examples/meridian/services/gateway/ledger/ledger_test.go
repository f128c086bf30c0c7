package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"meridian.example/gateway/order"
)

var ctx = context.Background()

func buy() order.Request {
	return order.Request{Account: "ACC00001", Symbol: "ACME", Side: order.Buy, Quantity: 10, LimitPriceTicks: 10050}
}

// posted answers as a ledger that has just posted what it is asked to.
func posted(t *testing.T, w http.ResponseWriter, r *http.Request, status int) {
	var in trade
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		t.Errorf("read the request: %v", err)
	}
	in.Status = "open"
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(in)
}

func client(t *testing.T, deadline time.Duration, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(s.URL, Options{Limit: 1000, Deadline: deadline, Attempt: deadline})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewRefuses(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:80", "ftp://x", "http://", "http://x?y", "http://[", "http://x#y"} {
		if _, err := New(url, Options{}); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

func TestPlacePassesTheKeyOn(t *testing.T) {
	c := client(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Idempotency-Key"); got != "ACC00001/k1" {
			t.Errorf("key %q", got)
		}
		posted(t, w, r, http.StatusCreated)
	})
	o, replayed, err := c.Place(ctx, "k1", buy())
	if err != nil || replayed || o.Request != buy() || o.ID != id("ACC00001", "k1") || o.Status != order.Open {
		t.Errorf("%+v, %v, %v", o, replayed, err)
	}
	if id("A", "BC") == id("AB", "C") {
		t.Error("two orders have the same number")
	}
}

// TestPlaceAgain has the ledger do it at the first attempt and say so at the third: to the client it is one new order.
func TestPlaceAgain(t *testing.T) {
	var n atomic.Int32
	c := client(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1:
			panic(http.ErrAbortHandler) // the connection breaks
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			posted(t, w, r, http.StatusOK)
		}
	})
	if _, replayed, err := c.Place(ctx, "k", buy()); err != nil || replayed || n.Load() != 3 {
		t.Errorf("after %d attempts: replayed %v, error %v", n.Load(), replayed, err)
	}
	if _, replayed, err := c.Place(ctx, "k", buy()); err != nil || !replayed {
		t.Errorf("again: replayed %v, error %v", replayed, err)
	}
}

func TestPlaceRefused(t *testing.T) {
	problem := func(w http.ResponseWriter, status int, kind string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":%q,"open_ticks":7,"limit_ticks":9}`, kind)
	}
	t.Run("over the limit", func(t *testing.T) {
		c := client(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) { problem(w, 422, "urn:meridian:over-limit") })
		_, _, err := c.Place(ctx, "k", buy())
		var over *order.OverLimit
		if !errors.As(err, &over) || over.Open != 7 || over.Limit != 9 || over.Order != 100500 {
			t.Errorf("%v", err)
		}
	})
	t.Run("over the limit after an attempt that may still be under way", func(t *testing.T) {
		var n atomic.Int32
		c := client(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
			if n.Add(1) == 1 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			problem(w, 422, "urn:meridian:over-limit")
		})
		if _, _, err := c.Place(ctx, "k", buy()); !errors.Is(err, order.ErrUnknown) {
			t.Errorf("%v", err)
		}
	})
	t.Run("key reused", func(t *testing.T) {
		c := client(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) { problem(w, 409, "urn:meridian:key-reused") })
		if _, _, err := c.Place(ctx, "k", buy()); !errors.Is(err, order.ErrKeyReused) {
			t.Errorf("%v", err)
		}
	})
	t.Run("for a reason unheard of", func(t *testing.T) {
		c := client(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) { problem(w, 400, "urn:other") })
		if _, _, err := c.Place(ctx, "k", buy()); err == nil || errors.Is(err, order.ErrUnknown) {
			t.Errorf("%v", err)
		}
	})
	t.Run("invalid", func(t *testing.T) {
		c := client(t, time.Minute, func(http.ResponseWriter, *http.Request) { t.Error("the ledger is asked") })
		var invalid *order.Invalid
		if _, _, err := c.Place(ctx, "k", order.Request{}); !errors.As(err, &invalid) {
			t.Errorf("%v", err)
		}
	})
}

// TestNothingCertain has answers that prove nothing: none may become an order or a refusal.
func TestNothingCertain(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"error":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"too many":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) },
		"not JSON":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"empty object":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") },
		"another one":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":"1"}`) },
		"another's 404": func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
		"silence": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // the server looks for the client's end after the body
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, 50*time.Millisecond, h)
			if o, _, err := c.Place(ctx, "k", buy()); !errors.Is(err, order.ErrUnknown) {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
}

func TestGetAndCancel(t *testing.T) {
	c := client(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + r.URL.Path {
		case "GET/trades/1":
			fmt.Fprint(w, `{"id":"1","status":"open"}`)
		case "POST/trades/1/reversal":
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"id":"1","status":"reversed"}`)
		case "POST/trades/2/reversal":
			fmt.Fprint(w, `{"id":"2","status":"reversed"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"type":"urn:meridian:not-found"}`)
		}
	})
	if o, err := c.Get(ctx, "1"); err != nil || o.Status != order.Open {
		t.Errorf("get: %+v, %v", o, err)
	}
	if _, err := c.Get(ctx, "a/b"); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("get nothing: %v", err)
	}
	for id, want := range map[string]bool{"1": true, "2": false} {
		if o, changed, err := c.Cancel(ctx, id); err != nil || changed != want || o.Status != order.Cancelled {
			t.Errorf("cancel %s: %+v, %v, %v", id, o, changed, err)
		}
	}
	if _, _, err := c.Cancel(ctx, "3"); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("cancel nothing: %v", err)
	}
}
