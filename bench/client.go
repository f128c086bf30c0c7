package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// client speaks to one server's API as a script would.
type client struct {
	http  *http.Client
	url   string
	token string
}

// do makes one request and reads all of the answer; out may be nil.
func (c *client) do(ctx context.Context, method, path string, in, out any, header ...string) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	res, err := c.send(ctx, method, path, body, header...)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if out == nil {
		_, err := io.Copy(io.Discard, res.Body) // a connection is used again only when its answer is read
		return err
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// send makes one request. An answer other than 2xx is an error with what it says.
func (c *client) send(ctx context.Context, method, path string, body io.Reader, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		defer res.Body.Close()
		said, _ := io.ReadAll(io.LimitReader(res.Body, 300))
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, said)
	}
	return res, nil
}

// signIn makes the first account by the one-time link, and a token of it whose requests go over as many connections as are
// needed at a time.
func signIn(ctx context.Context, address, link string) (*client, error) {
	u, err := url.Parse(link)
	if err != nil {
		return nil, err
	}
	token, ok := strings.CutPrefix(u.Fragment, "token=")
	if !ok {
		return nil, fmt.Errorf("no sign-in link: %q", link)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := &client{http: &http.Client{Jar: jar}, url: address}
	person := map[string]string{"token": token, "name": "ann", "password": "correct horse battery"}
	if err := c.do(ctx, http.MethodPost, "/api/v1/session/link", person, nil, "Origin", address); err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	var me struct {
		Identity struct {
			CSRF string `json:"csrf"`
		} `json:"identity"`
	}
	if err := c.do(ctx, http.MethodGet, "/api/v1/me", nil, &me); err != nil {
		return nil, fmt.Errorf("ask who I am: %w", err)
	}
	var made struct {
		Token string `json:"token"`
	}
	if err := c.do(ctx, http.MethodPost, "/api/v1/tokens", map[string]any{"name": "bench", "expires_in_days": 1}, &made, "Origin", address, "X-CSRF-Token", me.Identity.CSRF); err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	many := http.DefaultTransport.(*http.Transport).Clone()
	many.MaxIdleConnsPerHost = followers
	return &client{http: &http.Client{Transport: many}, url: address, token: made.Token}, nil
}
