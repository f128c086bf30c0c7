// Package client speaks to a Gantry server by its HTTP API, for the command line and for runners on other machines.
//
// Requests that may be repeated without harm (reading, replacing, removing, and POSTs that carry an Idempotency-Key) are repeated a few
// times when the server does not answer or says that it cannot at the moment. Errors that the server explains are *Problem.
//
// The package must not know what is behind the API.
package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Problem is an error as the server explains it (RFC 9457).
type Problem struct {
	Type   string  `json:"type"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Errors []Place `json:"errors"`
	// RetryAfter is how long the server asks to wait; 0: it does not say.
	RetryAfter time.Duration `json:"-"`
}

// AnotherPerson is the type of a refusal that no role mends: somebody else has to do what was asked for.
const AnotherPerson = "/problems/another-person"

// Place is where something is wrong.
type Place struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

// Error implements error.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if text == "" {
		text = fmt.Sprintf("the server answers %d %s", p.Status, http.StatusText(p.Status))
	}
	for _, e := range p.Errors {
		if !strings.Contains(text, e.Message) {
			text += fmt.Sprintf("; %s: %s", e.Location, e.Message)
		}
	}
	return text
}

// Of reports whether a problem is of a sort: "not-found", "fenced".
func (p *Problem) Of(sort string) bool { return p.Type == "/problems/"+sort }

// Client speaks to one server. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
	agent string
	sleep func(context.Context, time.Duration) error
}

// Options are what a client is made of.
type Options struct {
	// URL is the server's address, Token an API token or a runner's.
	URL, Token string
	// HTTP makes the requests; nil: one without a limit of time, as streams have none. Agent is what the server logs.
	HTTP  *http.Client
	Agent string
}

// New checks the address. Nothing is sent yet.
func New(o Options) (*Client, error) {
	u, err := url.Parse(strings.TrimSuffix(o.URL, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("%q is no address of a server; expected one such as https://ci.example.com", o.URL)
	}
	c := &Client{base: &url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(u.Path, "/")}, token: o.Token, http: o.HTTP, agent: o.Agent, sleep: sleep}
	if c.http == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = 90 * time.Second // longer than the longest claim waits
		c.http = &http.Client{Transport: t, CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Host != via[0].URL.Host || len(via) > 5 {
				return http.ErrUseLastResponse // a token stays with its server
			}
			return nil
		}}
	}
	if c.agent == "" {
		c.agent = "gantry"
	}
	return c, nil
}

// URL is the server's address.
func (c *Client) URL() string { return c.base.String() }

// Limits.
const (
	tries       = 4
	answerLimit = 64 << 20
)

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// call is one request.
type call struct {
	method string
	// path is below /api/v1, with every part escaped; query and header are added.
	path   string
	query  url.Values
	header http.Header
	in     any
	// body is sent in place of in, once: it cannot be read again.
	body io.Reader
	size int64
	kind string
	// repeat: the request may be sent again.
	repeat bool
}

// path joins parts, each escaped.
func path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	return b.String()
}

// do makes a request and reads its answer into out, which may be nil.
func (c *Client) do(ctx context.Context, r call, out any) error {
	res, err := c.open(ctx, r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base.Host, err)
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("the answer of %s to %s %s is not what this gantry expects: %w (are both of the same version?)", c.base.Host, r.method, r.path, err)
	}
	return nil
}

// open makes a request and returns an answer of 2xx; the caller closes its body.
func (c *Client) open(ctx context.Context, r call) (*http.Response, error) {
	var body []byte
	if r.in != nil {
		var err error
		if body, err = json.Marshal(r.in); err != nil {
			return nil, err
		}
	}
	if r.method == http.MethodGet || r.method == http.MethodPut && r.body == nil || r.method == http.MethodDelete {
		r.repeat = true
	}
	for n := 1; ; n++ {
		res, err := c.once(ctx, r, body)
		var p *Problem
		again := err != nil && r.repeat && n < tries && ctx.Err() == nil
		wait := time.Duration(100<<(2*n)) * time.Millisecond
		if errors.As(err, &p) {
			again = again && (p.Status == http.StatusServiceUnavailable || p.Status == http.StatusBadGateway || p.Status == http.StatusGatewayTimeout || p.Status == http.StatusTooManyRequests)
			if p.RetryAfter > 0 {
				wait = p.RetryAfter
			}
			again = again && wait <= 10*time.Second
		}
		if !again {
			return res, err
		}
		if err := c.sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func (c *Client) once(ctx context.Context, r call, body []byte) (*http.Response, error) {
	u := *c.base
	address := u.String() + "/api/v1" + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	var in io.Reader
	switch {
	case r.body != nil:
		in = r.body
	case body != nil:
		in = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, in)
	if err != nil {
		return nil, err
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", c.agent)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	switch {
	case r.body != nil:
		req.ContentLength = r.size
		req.Header.Set("Content-Type", r.kind)
	case body != nil:
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address, which is said already
		}
		return nil, fmt.Errorf("reach %s: %w", c.base.Host, err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	p := &Problem{Status: res.StatusCode}
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/problem+json") {
		_ = json.Unmarshal(b, p)
	} else if res.StatusCode == http.StatusNotFound {
		p.Detail = fmt.Sprintf("%s has no such address; is it a Gantry server?", c.base.Host)
	}
	p.Status = res.StatusCode
	if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		p.RetryAfter = time.Duration(n) * time.Second
	}
	return nil, p
}

// post makes a POST that happens once, however often it is sent.
func post(path string, in any) call {
	return call{method: http.MethodPost, path: path, in: in, header: http.Header{"Idempotency-Key": {rand.Text()}}, repeat: true}
}

// get reads.
func get(path string, query url.Values) call {
	return call{method: http.MethodGet, path: path, query: query}
}
