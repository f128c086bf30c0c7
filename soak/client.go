package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"
)

// client speaks to the servers' API as a script would.
type client struct {
	http  *http.Client
	token string
}

// apiError is an answer other than 2xx.
type apiError struct {
	Status int
	Body   string
}

func (e *apiError) Error() string { return fmt.Sprintf("%d: %.300s", e.Status, e.Body) }

// do makes one request. The error is an *apiError where there was an answer.
func (c *client) do(ctx context.Context, method, address, path string, in, out any, header ...string) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, body)
	if err != nil {
		return err
	}
	if in != nil {
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
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return &apiError{res.StatusCode, string(answer)}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// signIn makes the first account by the one-time link, and a token of it.
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
	c := &client{http: &http.Client{Jar: jar}}
	origin := []string{"Origin", "http://" + address}
	if err := c.do(ctx, http.MethodPost, address, "/api/v1/session/link", map[string]string{"token": token, "name": "ann", "password": "correct horse battery"}, nil, origin...); err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	var me struct {
		Identity struct {
			CSRF string `json:"csrf"`
		} `json:"identity"`
	}
	if err := c.do(ctx, http.MethodGet, address, "/api/v1/me", nil, &me); err != nil {
		return nil, fmt.Errorf("ask who I am: %w", err)
	}
	var made struct {
		Token string `json:"token"`
	}
	if err := c.do(ctx, http.MethodPost, address, "/api/v1/tokens", map[string]any{"name": "soak", "expires_in_days": 1}, &made, append(origin, "X-CSRF-Token", me.Identity.CSRF)...); err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	if made.Token == "" {
		return nil, errors.New("make a token: there is none in the answer")
	}
	return &client{http: &http.Client{}, token: made.Token}, nil
}

// page is a part of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// all reads a whole list.
func all[T any](ctx context.Context, c *client, address, path string) ([]T, error) {
	var out []T
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	after := ""
	for {
		var p page[T]
		if err := c.do(ctx, http.MethodGet, address, path+sep+"limit=200&after="+url.QueryEscape(after), nil, &p); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		out = append(out, p.Items...)
		if p.Next == "" {
			return out, nil
		}
		after = p.Next
	}
}
