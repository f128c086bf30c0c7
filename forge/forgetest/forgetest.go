// Package forgetest is a server for tests of the forges' clients: it answers what it was told to expect, and fails the test on every
// request, header or field that the vendor does not document.
package forgetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/forge"
)

// Call is one request that a vendor documents.
type Call struct {
	Method, Path string
	// Query are the parameters that it may have.
	Query []string
	// Fields are those of the body by dotted path, with what is wrong with a value; nil: any text. Required ones must be there.
	Fields   map[string]func(v any) error
	Required []string
	// Answer is the status and the body, by the number of the call from 1.
	Answer func(n int) (int, http.Header, string)
}

// Server is a fake forge.
type Server struct {
	*httptest.Server
	t *testing.T
	// Token is what requests have to carry in the header Auth, after Prefix.
	token, header, prefix string
	calls                 []*Call

	mu     sync.Mutex
	counts map[*Call]int
	log    []string
	bodies []string
	slept  []time.Duration
}

// New starts a server that wants a token in a header.
func New(t *testing.T, header, prefix, token string, calls ...*Call) *Server {
	s := &Server{t: t, header: header, prefix: prefix, token: token, calls: calls, counts: map[*Call]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// Client is one that does not wait between repeated requests, but remembers how long it should have.
func (s *Server) Client() *http.Client {
	return forge.WithRetries(http.DefaultTransport, func(_ context.Context, d time.Duration) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.slept = append(s.slept, d)
		return nil
	})
}

// Log returns the requests so far, a line each; Bodies their bodies; Slept the waits.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}

// Bodies returns the bodies of the requests that had one.
func (s *Server) Bodies() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bodies)
}

// Slept returns the waits between repeated requests.
func (s *Server) Slept() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.slept)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	s.log = append(s.log, r.Method+" "+r.URL.EscapedPath())
	if len(body) > 0 {
		s.bodies = append(s.bodies, string(body))
	}
	s.mu.Unlock()
	if got := r.Header.Get(s.header); got != s.prefix+s.token {
		s.t.Errorf("%s %s: the header %s is %q", r.Method, r.URL, s.header, got)
	}
	if r.Header.Get("User-Agent") == "" {
		s.t.Errorf("%s %s has no user agent", r.Method, r.URL)
	}
	i := slices.IndexFunc(s.calls, func(c *Call) bool { return c.Method == r.Method && c.Path == r.URL.EscapedPath() })
	if i < 0 {
		s.t.Errorf("%s %s is not documented", r.Method, r.URL)
		http.Error(w, "{}", http.StatusNotFound)
		return
	}
	c := s.calls[i]
	for name := range r.URL.Query() {
		if !slices.Contains(c.Query, name) {
			s.t.Errorf("%s %s: the parameter %q is not documented", r.Method, r.URL.Path, name)
		}
	}
	if c.Fields != nil {
		if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
			s.t.Errorf("%s %s: the content type is %q", r.Method, r.URL.Path, kind)
		}
		if err := c.check(body); err != nil {
			s.t.Errorf("%s %s: %v in %s", r.Method, r.URL.Path, err, body)
		}
	} else if len(body) > 0 {
		s.t.Errorf("%s %s has a body: %s", r.Method, r.URL.Path, body)
	}
	s.mu.Lock()
	s.counts[c]++
	n := s.counts[c]
	s.mu.Unlock()
	status, header, answer := c.Answer(n)
	for k, v := range header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprint(w, answer)
}

// check compares a body with the documented fields.
func (c *Call) check(body []byte) error {
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	seen := map[string]bool{}
	var walk func(prefix string, v map[string]any) error
	walk = func(prefix string, v map[string]any) error {
		for name, value := range v {
			path := prefix + name
			seen[path] = true
			if inner, ok := value.(map[string]any); ok {
				if err := walk(path+".", inner); err != nil {
					return err
				}
				continue
			}
			check, ok := c.Fields[path]
			if !ok {
				return fmt.Errorf("the field %q is not documented", path)
			}
			if check == nil {
				check = Text(1 << 20)
			}
			if err := check(value); err != nil {
				return fmt.Errorf("the field %q: %w", path, err)
			}
		}
		return nil
	}
	if err := walk("", v); err != nil {
		return err
	}
	for _, name := range c.Required {
		if !seen[name] {
			return fmt.Errorf("the field %q is missing", name)
		}
	}
	return nil
}

// Text is a text of at most n characters.
func Text(n int) func(any) error {
	return func(v any) error {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("%v is no text", v)
		}
		if len([]rune(s)) > n {
			return fmt.Errorf("%d characters are more than %d", len([]rune(s)), n)
		}
		return nil
	}
}

// OneOf is one of some words.
func OneOf(words ...string) func(any) error {
	return func(v any) error {
		if s, ok := v.(string); !ok || !slices.Contains(words, s) {
			return fmt.Errorf("%v is none of %q", v, words)
		}
		return nil
	}
}

// Number is a number.
func Number(v any) error {
	if _, ok := v.(float64); !ok {
		return fmt.Errorf("%v is no number", v)
	}
	return nil
}

// Always answers the same.
func Always(status int, body string) func(int) (int, http.Header, string) {
	return func(int) (int, http.Header, string) { return status, nil, body }
}
