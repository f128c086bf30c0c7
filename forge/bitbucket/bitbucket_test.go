package bitbucket

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/forge/forgetest"
)

const (
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	zeros   = "0000000000000000000000000000000000000000"
)

func sign(event, body, secret string) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	h := http.Header{}
	h.Set("X-Hub-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	h.Set("X-Event-Key", event)
	h.Set("X-Request-UUID", "5e3c0b4e-6b6c-4d4c-9b1f-000000000001")
	return h
}

func short(d *forge.Delivery) string {
	s := fmt.Sprintf("%s %s repo=%s ref=%s sha=%.3s before=%.3s deleted=%v #%d %s->%s head=%s fork=%v by=%s",
		d.Event, d.Action, d.Repository, d.Ref, d.SHA, d.Before, d.Deleted, d.Number, d.HeadRef, d.BaseRef, d.HeadRepository, d.Fork, d.Actor)
	for _, m := range d.More {
		s += " | " + short(m)
	}
	return s
}

func change(kind, name, sha string) string {
	if sha == "" {
		return "null"
	}
	return fmt.Sprintf(`{"type":%q,"name":%q,"target":{"type":"commit","hash":%q}}`, kind, name, sha)
}

func pushBody(changes ...string) string {
	return `{"actor":{"nickname":"ann"},"repository":{"full_name":"shop/api"},"push":{"changes":[` + strings.Join(changes, ",") + `]}}`
}

func pullBody(from string) string {
	return fmt.Sprintf(`{"actor":{"display_name":"bo"},"repository":{"full_name":"shop/api"},"pullrequest":{"id":9,
		"source":{"branch":{"name":"topic"},"commit":{"hash":%q},"repository":{"full_name":%q}},
		"destination":{"branch":{"name":"main"},"commit":{"hash":%q},"repository":{"full_name":"shop/api"}}}}`, commitB, from, commitA)
}

func serverPull(fork string) string {
	return fmt.Sprintf(`{"actor":{"name":"bo"},"pullRequest":{"id":9,
		"fromRef":{"displayId":"topic","latestCommit":%q,"repository":{"slug":"api","project":{"key":%q}}},
		"toRef":{"displayId":"main","latestCommit":%q,"repository":{"slug":"api","project":{"key":"SHOP"}}}}}`, commitB, fork, commitA)
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, event, body, want string }{
		{"push", "repo:push", pushBody(`{"new":` + change("branch", "main", commitB) + `,"old":` + change("branch", "main", commitA) + `}`),
			"push  repo=shop/api ref=refs/heads/main sha=bbb before=aaa deleted=false #0 -> head= fork=false by=ann"},
		{"several refs", "repo:push", pushBody(`{"new":`+change("branch", "x", commitB)+`,"old":null}`, `{"new":null,"old":`+change("branch", "y", commitA)+`}`, `{"new":`+change("tag", "v1", commitB)+`,"old":null}`),
			"push  repo=shop/api ref=refs/heads/x sha=bbb before= deleted=false #0 -> head= fork=false by=ann" +
				" | push  repo=shop/api ref=refs/heads/y sha= before=aaa deleted=true #0 -> head= fork=false by=ann" +
				" | tag  repo=shop/api ref=refs/tags/v1 sha=bbb before= deleted=false #0 -> head= fork=false by=ann"},
		{"pull request", "pullrequest:created", pullBody("shop/api"), "pull_request opened repo=shop/api ref=refs/heads/topic sha=bbb before= deleted=false #9 topic->main head=shop/api fork=false by=bo"},
		{"fork", "pullrequest:updated", pullBody("bo/api"), "pull_request synchronize repo=shop/api ref=refs/heads/topic sha=bbb before= deleted=false #9 topic->main head=bo/api fork=true by=bo"},
		{"a comment", "pullrequest:comment_created", `{}`, "other  repo= ref= sha= before= deleted=false #0 -> head= fork=false by="},
		{"Data Center's push", "repo:refs_changed", fmt.Sprintf(`{"actor":{"name":"ann"},"repository":{"slug":"api","project":{"key":"SHOP"}},"changes":[
			{"ref":{"id":"refs/heads/main","displayId":"main","type":"BRANCH"},"refId":"refs/heads/main","fromHash":%q,"toHash":%q,"type":"UPDATE"},
			{"ref":{"id":"refs/tags/v1","displayId":"v1","type":"TAG"},"fromHash":%q,"toHash":%q,"type":"DELETE"}]}`, commitA, commitB, commitA, zeros),
			"push  repo=SHOP/api ref=refs/heads/main sha=bbb before=aaa deleted=false #0 -> head= fork=false by=ann | tag  repo=SHOP/api ref=refs/tags/v1 sha= before=aaa deleted=true #0 -> head= fork=false by=ann"},
		{"Data Center's pull request", "pr:from_ref_updated", serverPull("SHOP"), "pull_request synchronize repo=SHOP/api ref=refs/pull-requests/9/from sha=bbb before= deleted=false #9 topic->main head=SHOP/api fork=false by=bo"},
		{"Data Center's ping", "diagnostics:ping", `{"test":true}`, "ping  repo= ref= sha= before= deleted=false #0 -> head= fork=false by="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Parse(sign(tt.event, tt.body, "s3cret"), []byte(tt.body), "s3cret")
			if err != nil {
				t.Fatal(err)
			}
			if got := short(d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			for _, m := range d.More {
				if m.ID == d.ID || m.ID == "" {
					t.Errorf("the further refs have the ID %q", m.ID)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	good := pushBody(`{"new":` + change("branch", "main", commitB) + `}`)
	for _, tt := range []struct{ name, event, body, secret, want string }{
		{"signed by another", "repo:push", good, "other", "signature is missing or wrong"},
		{"no event", "", good, "s3cret", "X-Event-Key is missing"},
		{"no JSON", "repo:push", "nope", "s3cret", "no JSON"},
		{"wrong kind", "repo:push", `{"push":{"changes":{}}}`, "s3cret", "push.changes is a JSON object where it should be a list"},
		{"no changes", "repo:push", pushBody(), "s3cret", "push.changes is empty"},
		{"an empty change", "repo:push", pushBody(`{}`), "s3cret", "push.changes[0] has neither"},
		{"a bad ref behind a good one", "repo:push", pushBody(`{"new":`+change("branch", "main", commitB)+`}`, `{"new":`+change("branch", "a b", commitB)+`}`), "s3cret", "ref is neither a branch nor a tag"},
		{"no pull request", "pullrequest:created", `{}`, "s3cret", "number is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(sign(tt.event, tt.body, tt.secret), []byte(tt.body), "s3cret")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("repo:push", pushBody(`{"new":`+change("branch", "main", commitB)+`}`))
	f.Add("pullrequest:created", pullBody("a/b"))
	f.Add("pr:opened", serverPull("X"))
	f.Fuzz(func(t *testing.T, event, body string) {
		d, err := Parse(sign(event, body, "s"), []byte(body), "s")
		if err == nil && strings.HasPrefix(d.Ref, "-") {
			t.Errorf("ref %q", d.Ref)
		}
	})
}

// toFake sends requests for Bitbucket Cloud to the fake.
type toFake struct{ url string }

func (f toFake) RoundTrip(r *http.Request) (*http.Response, error) {
	to := r.Clone(r.Context())
	u := strings.Replace(r.URL.String(), "https://api.bitbucket.org", f.url, 1)
	req, err := http.NewRequestWithContext(r.Context(), r.Method, u, r.Body)
	if err != nil {
		return nil, err
	}
	req.Header = to.Header
	return http.DefaultTransport.RoundTrip(req)
}

func reporter(t *testing.T, s *forgetest.Server, server bool) *Reporter {
	t.Helper()
	o := forge.ReporterOptions{Repository: "shop/api", Token: "t0ken", HTTP: &http.Client{Transport: toFake{s.URL}}}
	if server {
		o.BaseURL, o.Repository, o.HTTP = s.URL+"/bitbucket/", "SHOP/api", s.Client()
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSetStatus(t *testing.T) {
	fields := func(states ...string) map[string]func(any) error {
		return map[string]func(any) error{
			"key": forgetest.Text(40), "state": forgetest.OneOf(states...), "name": forgetest.Text(255), "url": nil, "description": forgetest.Text(255),
		}
	}
	for _, tt := range []struct {
		server bool
		call   *forgetest.Call
	}{
		// https://developer.atlassian.com/cloud/bitbucket/rest/api-group-commit-statuses/
		{false, &forgetest.Call{Path: "/2.0/repositories/shop/api/commit/" + commitA + "/statuses/build", Fields: fields("SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED")}},
		// https://developer.atlassian.com/server/bitbucket/rest/v811/api-group-builds-and-deployments/
		{true, &forgetest.Call{Path: "/bitbucket/rest/api/latest/projects/SHOP/repos/api/commits/" + commitA + "/builds", Fields: fields("SUCCESSFUL", "FAILED", "INPROGRESS", "CANCELLED", "UNKNOWN")}},
	} {
		tt.call.Method, tt.call.Required, tt.call.Answer = "POST", []string{"key", "state", "url"}, forgetest.Always(201, `{}`)
		s := forgetest.New(t, "Authorization", "Bearer ", "t0ken", tt.call)
		r := reporter(t, s, tt.server)
		for state := range states {
			for _, context := range []string{"gantry / ci", strings.Repeat("c", 300)} {
				err := r.SetStatus(t.Context(), forge.Status{SHA: commitA, State: state, Context: context, Description: strings.Repeat("d", 300), TargetURL: "https://ci.example.com/runs/1"})
				if err != nil {
					t.Errorf("%s: %v", state, err)
				}
			}
		}
		if err := r.SetStatus(t.Context(), forge.Status{SHA: commitA, State: forge.StateSuccess, Context: "c"}); err == nil || !strings.Contains(err.Error(), "--url") {
			t.Errorf("without an address: %v", err)
		}
	}
}

func TestErrors(t *testing.T) {
	call := &forgetest.Call{
		Method: "POST", Path: "/2.0/repositories/shop/api/commit/" + commitA + "/statuses/build",
		Fields: map[string]func(any) error{"key": nil, "state": nil, "name": nil, "url": nil}, Answer: forgetest.Always(404, `{"type":"error","error":{"message":"Repository shop/api not found"}}`),
	}
	err := reporter(t, forgetest.New(t, "Authorization", "Bearer ", "t0ken", call), false).SetStatus(t.Context(), forge.Status{SHA: commitA, State: forge.StateSuccess, Context: "c", TargetURL: "https://ci.example.com"})
	if err == nil || !strings.Contains(err.Error(), "404 Not Found: Repository shop/api not found") || strings.Contains(err.Error(), "t0ken") {
		t.Errorf("got %v", err)
	}
	if _, err := New(forge.ReporterOptions{Repository: "a/b", BaseURL: "ftp://x"}); err == nil {
		t.Error("an address that is not http was accepted")
	}
}

func TestComment(t *testing.T) {
	const cloudPath = "/2.0/repositories/shop/api/pullrequests/9/comments"
	const serverPath = "/bitbucket/rest/api/latest/projects/SHOP/repos/api/pull-requests/9"
	text := map[string]func(any) error{"text": forgetest.Text(32768), "version": forgetest.Number}
	for _, tt := range []struct {
		name, there, want string
		server            bool
	}{
		{"none yet", `{"values":[{"id":1,"content":{"raw":"hello"}}]}`, "GET " + cloudPath + "\nPOST " + cloudPath, false},
		{"another text", `{"values":[{"id":42,"content":{"raw":"[//]: # (gantry:runs)\n\nold"}}]}`, "GET " + cloudPath + "\nPUT " + cloudPath + "/42", false},
		{"the same text", `{"values":[{"id":42,"content":{"raw":"[//]: # (gantry:runs)\n\nall green"}}]}`, "GET " + cloudPath, false},
		{"a deleted one", `{"values":[{"id":42,"deleted":true,"content":{"raw":"[//]: # (gantry:runs)\n\nold"}}]}`, "GET " + cloudPath + "\nPOST " + cloudPath, false},
		{"Data Center, none yet", `{"isLastPage":true,"values":[{"action":"OPENED"}]}`, "GET " + serverPath + "/activities\nPOST " + serverPath + "/comments", true},
		{"Data Center, another text", `{"isLastPage":true,"values":[{"action":"COMMENTED","comment":{"id":42,"version":3,"text":"[//]: # (gantry:runs)\n\nold"}}]}`, "GET " + serverPath + "/activities\nPUT " + serverPath + "/comments/42", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := map[string]func(any) error{"content.raw": forgetest.Text(32768)}
			s := forgetest.New(t, "Authorization", "Bearer ", "t0ken",
				&forgetest.Call{Method: "GET", Path: cloudPath, Query: []string{"pagelen", "page"}, Answer: forgetest.Always(200, tt.there)},
				&forgetest.Call{Method: "POST", Path: cloudPath, Fields: raw, Required: []string{"content.raw"}, Answer: forgetest.Always(201, `{}`)},
				&forgetest.Call{Method: "PUT", Path: cloudPath + "/42", Fields: raw, Required: []string{"content.raw"}, Answer: forgetest.Always(200, `{}`)},
				&forgetest.Call{Method: "GET", Path: serverPath + "/activities", Query: []string{"limit", "start"}, Answer: forgetest.Always(200, tt.there)},
				&forgetest.Call{Method: "POST", Path: serverPath + "/comments", Fields: text, Required: []string{"text"}, Answer: forgetest.Always(201, `{}`)},
				&forgetest.Call{Method: "PUT", Path: serverPath + "/comments/42", Fields: text, Required: []string{"text", "version"}, Answer: forgetest.Always(200, `{}`)},
			)
			if err := reporter(t, s, tt.server).Comment(t.Context(), 9, "runs", "all green"); err != nil {
				t.Fatal(err)
			}
			if got := s.Log(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
