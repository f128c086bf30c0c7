package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	versionHeader = "X-Meridian-Version"
	// maxAnswer bounds what is read of an answer, in bytes: a full list of the ledger's trades fits.
	maxAnswer = 4 << 20
)

// mix is what is sent, in shares of all requests; the rest are new orders.
type mix struct{ replay, read, cancel float64 }

// trader sends orders to a gateway and checks the answers.
type trader struct {
	gateway string
	http    *http.Client
	timeout time.Duration
	tally   *tally
	mix     mix
	symbols []string
	clients *accounts
	keys    atomic.Uint64
}

func newHTTP(connections int) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.MaxIdleConns, t.MaxIdleConnsPerHost = connections, connections
	return &http.Client{Transport: t}
}

// run sends requests until ctx ends, or there were as many as limit, where that is not 0: rate a second, whatever the answers take, or with rate 0 one after the other on each
// connection. At most connections are under way at a time. It returns when all have been answered.
func (t *trader) run(ctx context.Context, rate float64, connections, limit int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if rate == 0 {
		var sent atomic.Int64
		for range connections {
			wg.Go(func() {
				for ctx.Err() == nil {
					n := int(sent.Add(1)) - 1
					if limit > 0 && n >= limit {
						return
					}
					t.one(n, time.Now())
				}
			})
		}
		return
	}
	slots := make(chan struct{}, connections)
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := 0; limit == 0 || n < limit; n++ {
		at := begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		timer.Reset(time.Until(at))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		select {
		case <-ctx.Done():
			return
		case slots <- struct{}{}:
		}
		wg.Go(func() {
			// The time counts from when it should have been sent: an answer that holds up the next requests is theirs as well.
			t.one(n, at)
			<-slots
		})
	}
}

// one sends one request.
func (t *trader) one(n int, at time.Time) {
	client := t.clients.take(n)
	defer t.clients.release(client)
	client.mu.Lock()
	var old *placed
	if len(client.orders) > 0 {
		old = client.orders[rand.IntN(len(client.orders))]
	}
	what, cancel := rand.Float64(), false
	if old != nil && what < t.mix.cancel {
		cancel, old.touched = true, true
	}
	client.mu.Unlock()
	switch {
	case cancel:
		t.cancel(client, old, at)
	case old != nil && what < t.mix.cancel+t.mix.replay:
		t.replay(client, old, at)
	case old != nil && what < t.mix.cancel+t.mix.replay+t.mix.read:
		t.read(client, old, at)
	default:
		t.place(client, at)
	}
}

// answer is what a gateway says of an order.
type answer struct {
	ID string `json:"id"`
	order
	Status string `json:"status"`
	// of a problem
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// place sends a new order.
func (t *trader) place(client *account, at time.Time) {
	o := order{Account: client.name, Symbol: t.symbols[rand.IntN(len(t.symbols))], Side: []string{"buy", "sell"}[rand.IntN(2)],
		Quantity: 1 + rand.Int64N(10), Price: 100 + rand.Int64N(9_900)}
	key := fmt.Sprintf("k%d", t.keys.Add(1))
	client.mu.Lock()
	client.sent++
	client.doubtful++ // until it is accepted
	client.mu.Unlock()
	a, ok := t.send(at, http.MethodPost, "/orders", key, &o, http.StatusCreated)
	if !ok {
		return
	}
	if a.order != o || a.ID == "" || a.Status != "open" {
		t.tally.wrong("the order %+v was answered with %+v", o, a)
	}
	client.mu.Lock()
	client.doubtful--
	client.orders = append(client.orders, &placed{order: o, id: a.ID, key: key})
	client.mu.Unlock()
	t.tally.with(func(s *summary) { s.Accepted++ })
}

// replay sends an order again: it is the same one, and none is added. The answer may be 201 where the gateway had to ask
// the ledger more than once, and cannot tell its own attempts from the client's.
func (t *trader) replay(client *account, old *placed, at time.Time) {
	done := client.cancelled(old)
	if a, ok := t.send(at, http.MethodPost, "/orders", old.key, &old.order, http.StatusOK, http.StatusCreated); ok {
		t.same(client, old, a, done, "sent again")
		t.tally.with(func(s *summary) { s.Replayed++ })
	}
}

func (t *trader) read(client *account, old *placed, at time.Time) {
	done := client.cancelled(old)
	if a, ok := t.send(at, http.MethodGet, "/orders/"+old.id, "", nil, http.StatusOK); ok {
		t.same(client, old, a, done, "read")
	}
}

func (t *trader) cancel(client *account, old *placed, at time.Time) {
	if a, ok := t.send(at, http.MethodDelete, "/orders/"+old.id, "", nil, http.StatusOK); ok {
		client.mu.Lock()
		old.done = true
		client.mu.Unlock()
		t.same(client, old, a, true, "cancelled")
		t.tally.with(func(s *summary) { s.Cancelled++ })
	}
}

// cancelled says whether an order has been cancelled for certain.
func (at *account) cancelled(o *placed) bool {
	at.mu.Lock()
	defer at.mu.Unlock()
	return o.done
}

// same checks that an answer is about an order as it was accepted. done: it was cancelled before the request was sent.
func (t *trader) same(client *account, old *placed, a answer, done bool, did string) {
	client.mu.Lock()
	touched := old.touched
	client.mu.Unlock()
	if a.ID != old.id || a.order != old.order || !(a.Status == "open" && !done || a.Status == "cancelled" && touched) {
		t.tally.wrong("the order %s %+v was %s and answered with %+v", old.id, old.order, did, a)
	}
}

// send sends a request, once, and reads an answer with one of these statuses. What goes wrong is counted.
func (t *trader) send(at time.Time, method, path, key string, body *order, statuses ...int) (a answer, ok bool) {
	t.tally.with(func(s *summary) { s.Sent++ })
	text, err := t.exchange(method, path, key, body, statuses...)
	if err != nil {
		t.tally.fail("%s %s: %v", method, path, err)
		return answer{}, false
	}
	if err := json.Unmarshal(text, &a); err != nil {
		t.tally.wrong("%s %s was answered with %.100q", method, path, text)
		return answer{}, false
	}
	t.tally.answered(time.Since(at))
	return a, true
}

// exchange sends a request and returns the body of an answer with one of these statuses.
func (t *trader) exchange(method, path, key string, body *order, statuses ...int) ([]byte, error) {
	// net/http would send a request with an idempotency key again by itself when its connection breaks, and so hide what
	// is looked for here.
	attempts := 0
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { attempts++ }})
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, t.gateway+path, nil)
	if err != nil {
		return nil, err
	}
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := t.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	v := res.Header.Get(versionHeader)
	if v == "" {
		return nil, fmt.Errorf("%s without a version: %.100q", res.Status, text)
	}
	t.tally.version(v)
	if !slices.Contains(statuses, res.StatusCode) {
		return nil, fmt.Errorf("%s by version %s: %.200q", res.Status, v, text)
	}
	if attempts > 1 {
		return nil, errors.New("the connection broke, and the request was sent again on another one")
	}
	return text, nil
}
