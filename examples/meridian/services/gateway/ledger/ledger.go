// Package ledger keeps orders in the ledger service, by HTTP. It promises never to say that an order is placed before the
// ledger has it, and never that it is not placed where that is not certain: then the error is order.ErrUnknown, and the
// same request with the same key finds out. It keeps nothing itself, so any number of gateways may work next to each other.
package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"meridian.example/gateway/order"
)

const (
	// firstPause and longestPause bound the time between two attempts, which doubles.
	firstPause, longestPause = 10 * time.Millisecond, 250 * time.Millisecond
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 64 << 10
)

// Client speaks to a ledger. Make one with New. It is safe for concurrent use.
type Client struct {
	base    string
	http    *http.Client
	options Options
}

// Options of a Client.
type Options struct {
	// Limit is how much notional an account may have open, in ticks. The ledger holds it, as it alone knows all orders.
	Limit uint64
	// Deadline bounds a request with all its attempts, Attempt one of them.
	Deadline, Attempt time.Duration
	// Observe is told of each attempt: how long it took and how it ended, as ok, refused or failed.
	Observe func(took time.Duration, result string)
}

// New returns a client for the ledger at an http or https URL.
func New(address string, o Options) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is no URL of a ledger, such as http://127.0.0.1:8081", address)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil                // a ledger is next door
	transport.MaxIdleConnsPerHost = 1024 // the default of 2 would open a connection for most requests
	transport.MaxIdleConns = 1024
	// Below the two minutes after which the ledger closes: a request on a connection being closed would need a second attempt.
	transport.IdleConnTimeout = 30 * time.Second
	return &Client{base: strings.TrimRight(u.String(), "/"), http: &http.Client{Transport: transport}, options: o}, nil
}

// trade is an order as the ledger knows it.
type trade struct {
	ID         string     `json:"id"`
	Account    string     `json:"account"`
	Symbol     string     `json:"symbol"`
	Side       order.Side `json:"side"`
	Quantity   int64      `json:"quantity"`
	PriceTicks int64      `json:"price_ticks"`
	LimitTicks uint64     `json:"limit_ticks,omitempty"`
	Status     string     `json:"status,omitempty"`
	Posted     time.Time  `json:"posted,omitzero"`
}

func (t trade) order() order.Order {
	o := order.Order{ID: t.ID, Status: order.Open, Accepted: t.Posted, Request: order.Request{
		Account: t.Account, Symbol: t.Symbol, Side: t.Side, Quantity: t.Quantity, LimitPriceTicks: t.PriceTicks}}
	if t.Status == "reversed" {
		o.Status = order.Cancelled
	}
	return o
}

// refusal is what the ledger says where it does not do something.
type refusal struct {
	Type       string `json:"type"`
	Detail     string `json:"detail"`
	OpenTicks  uint64 `json:"open_ticks"`
	LimitTicks uint64 `json:"limit_ticks"`
}

// id makes an order's number of its account and key: any gateway makes the same one.
func id(account, key string) string {
	sum := sha256.Sum256([]byte(account + "\x00" + key))
	return base32.StdEncoding.EncodeToString(sum[:])[:26]
}

// Place posts an order, or says why not: *order.Invalid, *order.OverLimit, order.ErrKeyReused or order.ErrUnknown.
func (c *Client) Place(ctx context.Context, key string, r order.Request) (o order.Order, replayed bool, err error) {
	if err := r.Validate(); err != nil {
		return order.Order{}, false, err
	}
	body, err := json.Marshal(trade{ID: id(r.Account, key), Account: r.Account, Symbol: r.Symbol, Side: r.Side,
		Quantity: r.Quantity, PriceTicks: r.LimitPriceTicks, LimitTicks: c.options.Limit})
	if err != nil {
		return order.Order{}, false, fmt.Errorf("write a trade: %w", err)
	}
	a, err := c.ask(ctx, http.MethodPost, "/trades", r.Account+"/"+key, body)
	if err != nil {
		return order.Order{}, false, err
	}
	switch a.refusal.Type {
	case "":
	case "urn:meridian:key-reused":
		return order.Order{}, false, order.ErrKeyReused
	case "urn:meridian:over-limit":
		if a.doubt {
			// An attempt before may still be on its way, and find room.
			return order.Order{}, false, fmt.Errorf("%w: %s", order.ErrUnknown, a.refusal.Detail)
		}
		return order.Order{}, false, &order.OverLimit{Account: r.Account, Open: a.refusal.OpenTicks, Order: r.Notional(), Limit: a.refusal.LimitTicks}
	default:
		return order.Order{}, false, fmt.Errorf("the ledger refuses: %d %s", a.status, a.refusal.Detail)
	}
	o = a.trade.order()
	if o.Request != r {
		return order.Order{}, false, fmt.Errorf("%w: the ledger answers for another order: %+v", order.ErrUnknown, a.trade)
	}
	// What an attempt of ours has posted is no replay to the client.
	return o, a.status == http.StatusOK && !a.doubt, nil
}

// Get returns an order, or order.ErrNotFound.
func (c *Client) Get(ctx context.Context, id string) (order.Order, error) {
	a, err := c.ask(ctx, http.MethodGet, "/trades/"+url.PathEscape(id), "", nil)
	if err != nil {
		return order.Order{}, err
	}
	return a.orderOrNone()
}

// Cancel reverses an order, or says order.ErrNotFound or order.ErrUnknown. Cancelling twice is no error; changed tells the first time.
func (c *Client) Cancel(ctx context.Context, id string) (o order.Order, changed bool, err error) {
	a, err := c.ask(ctx, http.MethodPost, "/trades/"+url.PathEscape(id)+"/reversal", "", nil)
	if err != nil {
		return order.Order{}, false, err
	}
	o, err = a.orderOrNone()
	return o, err == nil && (a.status == http.StatusCreated || a.doubt), err
}

// answer is what the ledger says for certain.
type answer struct {
	status  int
	trade   trade
	refusal refusal
	// doubt: an attempt before this one may have been the one that did it.
	doubt bool
}

func (a answer) orderOrNone() (order.Order, error) {
	switch {
	case a.status == http.StatusNotFound:
		return order.Order{}, order.ErrNotFound
	case a.refusal.Type != "":
		return order.Order{}, fmt.Errorf("the ledger refuses: %d %s", a.status, a.refusal.Detail)
	}
	return a.trade.order(), nil
}

// ask sends a request until there is a certain answer or the deadline has passed. All requests may be sent again: the
// ledger does the same one once.
func (c *Client) ask(ctx context.Context, method, path, key string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Deadline)
	defer cancel()
	doubt, pause := false, firstPause
	for {
		begin := time.Now()
		a, err := c.once(ctx, method, path, key, body)
		if c.options.Observe != nil {
			result := "ok"
			if err != nil {
				result = "failed"
			} else if a.refusal.Type != "" {
				result = "refused"
			}
			c.options.Observe(time.Since(begin), result)
		}
		if err == nil {
			a.doubt = doubt
			return a, nil
		}
		doubt = true
		// Some of it is chance, so that gateways that failed together do not come back together.
		t := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return answer{}, fmt.Errorf("%w: %w", order.ErrUnknown, err)
		}
		pause = min(2*pause, longestPause)
	}
}

// once sends a request. An error means that nothing is certain.
func (c *Client) once(ctx context.Context, method, path, key string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Attempt)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("read the ledger's answer: %w", err)
	}
	a := answer{status: res.StatusCode}
	switch {
	case res.StatusCode == http.StatusOK || res.StatusCode == http.StatusCreated:
		err = json.Unmarshal(text, &a.trade)
		if err == nil && a.trade.ID == "" {
			err = errors.New("there is no trade in it")
		}
	case res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests:
		return answer{}, fmt.Errorf("the ledger answers %s", res.Status)
	default:
		err = json.Unmarshal(text, &a.refusal)
		if err == nil && a.refusal.Type == "" {
			err = fmt.Errorf("%s without a type", res.Status) // of something in front of the ledger
		}
	}
	if err != nil {
		return answer{}, fmt.Errorf("the ledger's answer: %w", err)
	}
	return a, nil
}
