package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gantry-ops/gantry/agent"
)

// Problem is what a server refuses (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

// Error implements error.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return fmt.Sprintf("the server answers %d %s", p.Status, p.Title)
}

// refused reports whether asking again leads nowhere: the certificate or the token is not good.
func refused(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == http.StatusUnauthorized
}

// Limits of a client.
const (
	// answerLimit bounds what a server may answer but bundles.
	answerLimit = 64 << 20
	// callWithin bounds a call but long polls and bundles.
	callWithin = 30 * time.Second
	// pollFor is how long the server may wait for something newer.
	pollFor = 25 * time.Second
)

// client speaks to the server as the agent that it is.
type client struct {
	server *url.URL
	now    func() time.Time
	// id is who it is; it changes when the certificate is renewed.
	id   atomic.Pointer[identity]
	http *http.Client
	// transport is the client's, for its idle connections.
	transport *http.Transport
}

// newClient checks the server's address. Nothing is sent yet.
func newClient(server string, now func() time.Time) (*client, error) {
	u, err := url.Parse(strings.TrimSuffix(server, "/"))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "" {
		return nil, fmt.Errorf("%q is no address for agents; expected one such as https://ci.example.com:7071", server)
	}
	c := &client{server: u, now: now}
	c.transport = &http.Transport{
		DialContext: (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout: 90 * time.Second, TLSClientConfig: c.tls("h2", "http/1.1"),
		// A server whose machine has gone does not say so.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 10 * time.Second},
	}
	c.http = &http.Client{Transport: c.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// tls is mutual: the server by the authority that the agent has joined under, the agent by its certificate.
func (c *client) tls(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protocols, Time: c.now, ServerName: c.server.Hostname(),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if id := c.id.Load(); id != nil {
				return &id.pair, nil
			}
			return &tls.Certificate{}, nil
		},
		// The pool is the identity's, which may come after the client.
		InsecureSkipVerify: true,
		VerifyConnection:   c.verify,
	}
}

// verify holds the server against the authority that is kept.
func (c *client) verify(s tls.ConnectionState) error {
	id := c.id.Load()
	if id == nil {
		return errors.New("the agent has not joined yet")
	}
	return verifyBy(id, c.server.Hostname(), c.now())(s)
}

// join makes the agent known by a token, and keeps what it is known by from then on.
func (c *client) join(ctx context.Context, dir, token, name string, info Info) (*identity, error) {
	fail := func(err error) (*identity, error) { return nil, fmt.Errorf("join %s: %w", c.server, err) }
	print, err := fingerprint(token)
	if err != nil {
		return fail(err)
	}
	private, public, err := keptKey(dir)
	if err != nil {
		return fail(err)
	}
	t := &http.Transport{TLSHandshakeTimeout: 10 * time.Second, TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: c.server.Hostname(), Time: c.now, InsecureSkipVerify: true, VerifyConnection: pinned(print, c.server.Hostname(), c.now),
	}}
	defer t.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	var joined Joined
	// A token goes nowhere but to the server that it is from.
	err = call(ctx, &http.Client{Transport: t, CheckRedirect: c.http.CheckRedirect}, http.MethodPost, c.server.String()+PathJoin, Join{Token: strings.TrimSpace(token), Name: name, PublicKey: public, Info: info}, &joined)
	if err != nil {
		return fail(err)
	}
	if !holds(joined.Authority, print) {
		return fail(errors.New("the server answers with another authority than the token's"))
	}
	id := &identity{Name: joined.Name, Server: c.server.String(), Key: private, Certificate: joined.Certificate, Authority: joined.Authority}
	if err := id.complete(); err != nil {
		return fail(fmt.Errorf("the server's answer cannot be used: %w", err))
	}
	if err := id.write(dir); err != nil {
		return fail(err)
	}
	forgetKey(dir)
	return id, nil
}

// renew replaces the certificate by one for a new key.
func (c *client) renew(ctx context.Context, dir string) error {
	before := c.id.Load()
	private, public, err := newKey()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	var r Renewed
	if err := call(ctx, c.http, http.MethodPost, c.server.String()+PathRenew, Renewal{PublicKey: public}, &r); err != nil {
		return fmt.Errorf("renew the agent's certificate: %w", err)
	}
	id := &identity{Name: before.Name, Server: before.Server, Key: private, Certificate: r.Certificate, Authority: before.Authority}
	if err := id.complete(); err != nil {
		return fmt.Errorf("renew the agent's certificate: the server's answer cannot be used: %w", err)
	}
	if err := id.write(dir); err != nil {
		return err
	}
	c.id.Store(id)
	c.transport.CloseIdleConnections()
	return nil
}

// desired asks for what is newer than a generation; false when there is nothing.
func (c *client) desired(ctx context.Context, generation int64) (d agent.Desired, newer bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollFor+callWithin)
	defer cancel()
	q := url.Values{"generation": {strconv.FormatInt(generation, 10)}, "wait": {strconv.Itoa(int(pollFor.Seconds()))}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.String()+PathDesired+"?"+q.Encode(), nil)
	if err != nil {
		return d, false, err
	}
	res, err := c.http.Do(r)
	if err != nil {
		return d, false, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNoContent {
		return d, false, nil
	}
	return d, true, answer(res, &d)
}

// report says what is on the host.
func (c *client) report(ctx context.Context, r Report) error {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	return call(ctx, c.http, http.MethodPost, c.server.String()+PathReport, r, nil)
}

// call sends a document and reads the answer into out, which may be nil.
func call(ctx context.Context, h *http.Client, method, url string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := h.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return answer(res, out)
}

// answer reads a good answer into out, and makes an error of any other.
func answer(res *http.Response, out any) error {
	body := io.LimitReader(res.Body, answerLimit+1)
	if res.StatusCode >= 300 {
		p := &Problem{}
		if err := json.NewDecoder(body).Decode(p); err != nil || p.Status == 0 {
			p = &Problem{Status: res.StatusCode, Title: http.StatusText(res.StatusCode)}
		}
		return p
	}
	if out == nil {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if len(b) > answerLimit {
		return fmt.Errorf("the server's answer is longer than %d bytes", answerLimit)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return nil
}
