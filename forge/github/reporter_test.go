package github

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/forge/forgetest"
)

func statusCall(answer func(int) (int, http.Header, string)) *forgetest.Call {
	// https://docs.github.com/en/rest/commits/statuses#create-a-commit-status
	return &forgetest.Call{
		Method: "POST", Path: "/api/v3/repos/shop/api/statuses/" + commitA, Required: []string{"state"}, Answer: answer,
		Fields: map[string]func(any) error{
			"state": forgetest.OneOf("error", "failure", "pending", "success"), "target_url": nil, "description": forgetest.Text(140), "context": nil,
		},
	}
}

func newReporter(t *testing.T, s *forgetest.Server) *Reporter {
	t.Helper()
	r, err := New(forge.ReporterOptions{BaseURL: s.URL, Repository: "shop/api", Token: "t0ken", HTTP: s.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSetStatus(t *testing.T) {
	s := forgetest.New(t, "Authorization", "Bearer ", "t0ken", statusCall(forgetest.Always(201, `{}`)))
	r := newReporter(t, s)
	for state := range states {
		err := r.SetStatus(t.Context(), forge.Status{SHA: commitA, State: state, Context: "gantry / ci", Description: strings.Repeat("ä", 200), TargetURL: "https://ci.example.com/runs/1"})
		if err != nil {
			t.Errorf("%s: %v", state, err)
		}
	}
	if err := r.SetStatus(t.Context(), forge.Status{SHA: commitA, State: "odd"}); err == nil {
		t.Error("an unknown state was sent")
	}
}

func TestSetStatusRepeats(t *testing.T) {
	s := forgetest.New(t, "Authorization", "Bearer ", "t0ken", statusCall(func(n int) (int, http.Header, string) {
		switch n {
		case 1:
			return 502, nil, "bad gateway"
		case 2:
			return 403, http.Header{"Retry-After": {"7"}}, `{"message":"You have exceeded a secondary rate limit"}`
		}
		return 201, nil, `{}`
	}))
	if err := newReporter(t, s).SetStatus(t.Context(), forge.Status{SHA: commitA, State: forge.StateSuccess, Context: "c"}); err != nil {
		t.Fatal(err)
	}
	if got := s.Slept(); len(got) != 2 || got[0] != time.Second || got[1] != 7*time.Second {
		t.Errorf("waited %v", got)
	}
	if b := s.Bodies(); len(b) != 3 || b[0] != b[2] {
		t.Errorf("the bodies differ: %q", b)
	}
}

func TestSetStatusFails(t *testing.T) {
	for _, tt := range []struct {
		status int
		header http.Header
		want   string
		calls  int
	}{
		{404, nil, "404", 1},
		{422, nil, "422", 1},
		{500, nil, "500", 4},
		{429, http.Header{"Retry-After": {"3600"}}, "429", 1},
	} {
		s := forgetest.New(t, "Authorization", "Bearer ", "t0ken", statusCall(func(int) (int, http.Header, string) { return tt.status, tt.header, `{"message":"no"}` }))
		err := newReporter(t, s).SetStatus(t.Context(), forge.Status{SHA: commitA, State: forge.StateSuccess, Context: "c"})
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "t0ken") {
			t.Errorf("%d: got %v", tt.status, err)
		}
		if n := len(s.Bodies()); n != tt.calls {
			t.Errorf("%d: %d requests, want %d", tt.status, n, tt.calls)
		}
	}
}

func TestComment(t *testing.T) {
	const path = "/api/v3/repos/shop/api/issues/7/comments"
	fields := map[string]func(any) error{"body": forgetest.Text(65536)}
	list := func(body string) *forgetest.Call {
		// https://docs.github.com/en/rest/issues/comments#list-issue-comments
		return &forgetest.Call{Method: "GET", Path: path, Query: []string{"per_page", "page", "since"}, Answer: forgetest.Always(200, body)}
	}
	create := &forgetest.Call{Method: "POST", Path: path, Fields: fields, Required: []string{"body"}, Answer: forgetest.Always(201, `{}`)}
	edit := &forgetest.Call{Method: "PATCH", Path: "/api/v3/repos/shop/api/issues/comments/42", Fields: fields, Required: []string{"body"}, Answer: forgetest.Always(200, `{}`)}
	for _, tt := range []struct{ name, there, want string }{
		{"none yet", `[{"id":1,"body":"hello"}]`, "GET " + path + "\nPOST " + path},
		{"another text", `[{"id":1,"body":"hello"},{"id":42,"body":"<!-- gantry:runs -->\nold"}]`, "GET " + path + "\nPATCH /api/v3/repos/shop/api/issues/comments/42"},
		{"the same text", `[{"id":42,"body":"<!-- gantry:runs -->\nall green"}]`, "GET " + path},
		{"somebody quotes the mark", `[{"id":1,"body":"> <!-- gantry:runs -->"}]`, "GET " + path + "\nPOST " + path},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := forgetest.New(t, "Authorization", "Bearer ", "t0ken", list(tt.there), create, edit)
			if err := newReporter(t, s).Comment(t.Context(), 7, "runs", "all green"); err != nil {
				t.Fatal(err)
			}
			if got := s.Log(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestNew(t *testing.T) {
	if _, err := New(forge.ReporterOptions{Repository: "api"}); err == nil {
		t.Error("a repository without an owner was accepted")
	}
}
