package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/secret"
)

// TestProblems has each error that the rooms tell by answered in its form (RFC 9457), and nothing said of those that are nobody's business.
func TestProblems(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		err    error
		status int
		sort   string
	}{
		{&runs.InvalidError{Field: "source.url", Value: "x", Message: "must be one"}, 422, "invalid"},
		{&auth.InvalidError{Field: "name", Message: "must be one"}, 422, "invalid"},
		{&secret.InvalidError{Field: "value", Message: "must be one"}, 422, "invalid"},
		{&auth.LimitedError{After: 1500 * time.Millisecond}, 429, "too-many"},
		{auth.ErrCSRF, 403, "csrf"}, {auth.ErrExpired, 401, "expired"},
		{auth.ErrNoCredentials, 401, "credentials"}, {auth.ErrBadCredentials, 401, "credentials"}, {auth.ErrDisabled, 401, "credentials"},
		{runs.ErrFenced, 410, "fenced"},
		{runs.ErrNotFound, 404, "not-found"}, {auth.ErrNotFound, 404, "not-found"}, {secret.ErrNotFound, 404, "not-found"},
		{runs.ErrConflict, 409, "conflict"}, {auth.ErrExists, 409, "conflict"}, {auth.ErrLastAdmin, 409, "conflict"},
		{context.Canceled, 499, "unavailable"},
		{context.DeadlineExceeded, 503, "unavailable"}, {&net.OpError{Op: "dial", Err: errors.New("refused")}, 503, "unavailable"},
		{errors.New("SQL logic error in /var/lib/x"), 500, "internal"},
	} {
		p := w.problem(t.Context(), fmt.Errorf("do something: %w", c.err))
		rec := httptest.NewRecorder()
		writeProblem(rec, p)
		r := &reply{rec.Code, rec.Header(), rec.Body.Bytes()}
		if err := checkForm(r); err != nil || r.status != c.status || p.Type != "/problems/"+c.sort {
			t.Errorf("%v: answered %s, %v", c.err, r, err)
		}
		if waits := r.header.Get("Retry-After") != ""; waits != (c.status == 429 || c.status == 503) {
			t.Errorf("%v: Retry-After is %q", c.err, r.header.Get("Retry-After"))
		}
		if c.status == 500 && strings.Contains(string(r.body), "logic") {
			t.Errorf("the answer tells of the inside: %s", r)
		}
	}
}

// TestNoEcho sees that what was sent for a secret is not sent back, whatever is wrong around it.
func TestNoEcho(t *testing.T) {
	w := newWorld(t)
	w.project("shop")
	ann := w.admin()
	const hidden = "correct-horse"
	for _, q := range []request{
		{method: "POST", path: "/api/v1/session", body: `{"name": 5, "password": "` + hidden + `"}`},
		{method: "POST", path: "/api/v1/session", body: `{"name": "ann", "password": ["` + hidden + `"]}`},
		{method: "POST", path: "/api/v1/session", body: `{"name": "ann", "password": "` + hidden + `", "x": 1}`},
		{method: "POST", path: "/api/v1/session", body: `{"name": "ann", "passwort": "` + hidden + `"}`},
		{method: "POST", path: "/api/v1/session", body: `{"name": "ann", "password": "` + hidden + `"`},
		{method: "POST", path: "/api/v1/session", body: `"` + hidden + `"`},
		{method: "POST", path: "/api/v1/session", body: `{"name": "ann", "password": "` + hidden + `\u0000"}`},
		{method: "PUT", path: "/api/v1/projects/shop/secrets/KEY", body: `{"value": "` + hidden + strings.Repeat("x", 70_000) + `"}`, token: ann},
		{method: "PUT", path: "/api/v1/projects/shop/secrets/1-bad", body: `{"value": "` + hidden + `"}`, token: ann},
		{method: "PUT", path: "/api/v1/projects/shop/forge", body: `{"token": {"a": "` + hidden + `"}}`, token: ann},
		{method: "POST", path: "/api/v1/accounts", body: `{"name": "Not A Name", "password": "` + hidden + `"}`, token: ann},
	} {
		r := w.do(q)
		if err := checkProblem(r); err != nil || strings.Contains(string(r.body), hidden) {
			t.Errorf("%s %s with %.60s was answered %s, %v", q.method, q.path, q.body, r, err)
		}
	}
	for _, line := range w.log.take() {
		if strings.Contains(line, hidden) {
			t.Errorf("the log has it: %s", line)
		}
	}
}

// TestEveryAnswer looks at what all answers have: a request ID of their own, and headers that keep browsers from guessing.
func TestEveryAnswer(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Info.TLS = true
		o.UI = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the UI") })
		o.Checks = []Check{{"well", func(context.Context) error { return nil }}, {"ill", func(context.Context) error { return errors.New("the password is x") }}}
	})
	ann := w.admin()
	ids := map[string]bool{}
	for _, c := range []struct {
		request
		status int
	}{
		{request{method: "GET", path: "/"}, 200},
		{request{method: "GET", path: "/healthz"}, 200},
		{request{method: "GET", path: "/readyz"}, 503},
		{request{method: "GET", path: "/metrics"}, 200},
		{request{method: "GET", path: "/openapi.json"}, 200},
		{request{method: "GET", path: "/api/v1/me", token: ann}, 200},
		{request{method: "GET", path: "/api/v1/me"}, 401},
		{request{method: "GET", path: "/api/v1/me", token: "nonsense"}, 401},
		{request{method: "GET", path: "/api/v1/nothing", token: ann}, 404},
		{request{method: "PATCH", path: "/api/v1/me", token: ann}, 404},
		{request{method: "GET", path: "/api/v1/runs/1", token: ann}, 404},
		{request{method: "GET", path: "/api/v1/runs?limit=0", token: ann}, 422},
		{request{method: "GET", path: "/api/v1/runs?limit=%zz", token: ann}, 422},
		{request{method: "GET", path: "/%00", token: ann}, 422},
	} {
		c.header = map[string]string{"X-Request-Id": "chosen by the client"}
		r := w.do(c.request)
		name := c.method + " " + c.path
		if r.status != c.status {
			t.Errorf("%s was answered %s, not %d", name, r, c.status)
		}
		id := r.header.Get("X-Request-Id")
		if len(id) < 16 || ids[id] || id == "chosen by the client" {
			t.Errorf("%s: the request ID is %q", name, id)
		}
		ids[id] = true
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Strict-Transport-Security": "max-age=31536000"} {
			if got := r.header.Get(header); got != want {
				t.Errorf("%s: %s is %q, not %q", name, header, got, want)
			}
		}
		if strings.HasPrefix(c.path, "/api/") && r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept: %q", name, r.header.Get("Cache-Control"))
		}
		if strings.HasPrefix(c.path, "/api/") && r.status >= 400 {
			if err := checkProblem(r); err != nil {
				t.Errorf("%s: %v: %s", name, err, r)
			}
		}
		if strings.Contains(string(r.body), "the password is x") {
			t.Errorf("%s tells why a check fails: %s", name, r)
		}
	}
	// A panic is the server's own affair, and the answer has what to look for in its log.
	w.log.take()
	rec := httptest.NewRecorder()
	w.outer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a secret thing") })).ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/me", nil))
	r := &reply{rec.Code, rec.Header(), rec.Body.Bytes()}
	id := r.header.Get("X-Request-Id")
	if err := checkForm(r); err != nil || r.status != 500 || !strings.Contains(string(r.body), id) || strings.Contains(string(r.body), "secret thing") {
		t.Errorf("a panic was answered %s, %v", r, err)
	}
	if lines := strings.Join(w.log.take(), "\n"); !strings.Contains(lines, "a secret thing") || !strings.Contains(lines, id) {
		t.Errorf("the log of a panic is %s", lines)
	}
}
