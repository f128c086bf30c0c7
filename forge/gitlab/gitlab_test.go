package gitlab

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/forge/forgetest"
)

const (
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	zeros   = "0000000000000000000000000000000000000000"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func token(event string) http.Header {
	h := http.Header{}
	h.Set("X-Gitlab-Event", event)
	h.Set("X-Gitlab-Token", "s3cret")
	h.Set("X-Gitlab-Event-UUID", "13792a34-cac6-4fda-95a8-c58e00a3954e")
	return h
}

// signedHeader signs as Standard Webhooks does.
func signedHeader(event, body, key string, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("msg-1." + stamp + "." + body))
	h := http.Header{}
	h.Set("X-Gitlab-Event", event)
	h.Set("webhook-id", "msg-1")
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", "v1,bm90IHRoaXM= v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}

func short(d *forge.Delivery) string {
	return fmt.Sprintf("%s %s repo=%s ref=%s sha=%.3s before=%.3s deleted=%v #%d %s->%s head=%s fork=%v by=%s",
		d.Event, d.Action, d.Repository, d.Ref, d.SHA, d.Before, d.Deleted, d.Number, d.HeadRef, d.BaseRef, d.HeadRepository, d.Fork, d.Actor)
}

func pushBody(kind, ref, before, after, checkout string) string {
	return fmt.Sprintf(`{"object_kind":%q,"ref":%q,"before":%q,"after":%q,"checkout_sha":%s,"user_username":"ann","project_id":15,"project":{"path_with_namespace":"group/sub/api"},"commits":[]}`, kind, ref, before, after, checkout)
}

func mergeBody(action, oldrev string, source int, from string) string {
	return fmt.Sprintf(`{"object_kind":"merge_request","user":{"username":"bo"},"project":{"path_with_namespace":"group/sub/api"},
		"object_attributes":{"iid":3,"action":%q,"oldrev":%q,"source_branch":"topic","target_branch":"main","source_project_id":%d,"target_project_id":15,
		"last_commit":{"id":%q},"source":{"path_with_namespace":%q},"target":{"path_with_namespace":"group/sub/api"}}}`, action, oldrev, source, commitB, from)
}

func TestParse(t *testing.T) {
	const api = "group/sub/api"
	for _, tt := range []struct{ name, event, body, want string }{
		{"push", "Push Hook", pushBody("push", "refs/heads/main", commitA, commitB, `"`+commitB+`"`), "push  repo=" + api + " ref=refs/heads/main sha=bbb before=aaa deleted=false #0 -> head= fork=false by=ann"},
		{"deleted", "Push Hook", pushBody("push", "refs/heads/old", commitA, zeros, "null"), "push  repo=" + api + " ref=refs/heads/old sha= before=aaa deleted=true #0 -> head= fork=false by=ann"},
		{"annotated tag", "Tag Push Hook", pushBody("tag_push", "refs/tags/v1", zeros, commitA, `"`+commitB+`"`), "tag  repo=" + api + " ref=refs/tags/v1 sha=bbb before= deleted=false #0 -> head= fork=false by=ann"},
		{"opened", "Merge Request Hook", mergeBody("open", "", 15, api), "pull_request opened repo=" + api + " ref=refs/merge-requests/3/head sha=bbb before= deleted=false #3 topic->main head=" + api + " fork=false by=bo"},
		{"new commits", "Merge Request Hook", mergeBody("update", commitA, 15, api), "pull_request synchronize repo=" + api + " ref=refs/merge-requests/3/head sha=bbb before= deleted=false #3 topic->main head=" + api + " fork=false by=bo"},
		{"another title", "Merge Request Hook", mergeBody("update", "", 15, api), "pull_request update repo=" + api + " ref=refs/merge-requests/3/head sha=bbb before= deleted=false #3 topic->main head=" + api + " fork=false by=bo"},
		{"fork", "Merge Request Hook", mergeBody("reopen", "", 99, "bo/api"), "pull_request reopened repo=" + api + " ref=refs/merge-requests/3/head sha=bbb before= deleted=false #3 topic->main head=bo/api fork=true by=bo"},
		{"something else", "Note Hook", `{}`, "other  repo= ref= sha= before= deleted=false #0 -> head= fork=false by="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, h := range []http.Header{token(tt.event), signedHeader(tt.event, tt.body, "s3cret", now)} {
				d, err := Parse(h, []byte(tt.body), "s3cret", now)
				if err != nil {
					t.Fatal(err)
				}
				if got := short(d); got != tt.want {
					t.Errorf("got  %s\nwant %s", got, tt.want)
				}
			}
		})
	}
}

func TestParseSigned(t *testing.T) {
	body := pushBody("push", "refs/heads/main", commitA, commitB, "null")
	key := "0123456789abcdef0123456789abcdef"
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(key))
	if d, err := Parse(signedHeader("Push Hook", body, key, now), []byte(body), secret, now); err != nil || d.ID != "msg-1" || !d.At.Equal(now) {
		t.Errorf("got %+v, %v", d, err)
	}
	for name, tt := range map[string]struct {
		h    http.Header
		want error
	}{
		"another key": {signedHeader("Push Hook", body, "x", now), forge.ErrSignature},
		"too old":     {signedHeader("Push Hook", body, key, now.Add(-6*time.Minute)), forge.ErrStale},
		"too new":     {signedHeader("Push Hook", body, key, now.Add(6*time.Minute)), forge.ErrStale},
		"other body":  {signedHeader("Push Hook", body+" ", key, now), forge.ErrSignature},
		"no time": {func() http.Header {
			h := signedHeader("Push Hook", body, key, now)
			h.Del("webhook-timestamp")
			return h
		}(), forge.ErrSignature},
		"a wrong signature is not made good by the token": {func() http.Header {
			h := signedHeader("Push Hook", body, "x", now)
			h.Set("X-Gitlab-Token", secret)
			return h
		}(), forge.ErrSignature},
	} {
		if _, err := Parse(tt.h, []byte(body), secret, now); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := pushBody("push", "refs/heads/main", commitA, commitB, "null")
	for _, tt := range []struct {
		name, event, body, secret, want string
	}{
		{"another token", "Push Hook", good, "other", "signature is missing or wrong"},
		{"no secret was agreed on", "Push Hook", good, "", "signature is missing or wrong"},
		{"no event", "", good, "s3cret", "X-Gitlab-Event is missing"},
		{"no JSON", "Push Hook", "[", "s3cret", "no JSON"},
		{"wrong kind", "Merge Request Hook", `{"object_attributes":{"iid":"x"}}`, "s3cret", "object_attributes.iid is a JSON string where it should be a number"},
		{"no commit", "Push Hook", pushBody("push", "refs/heads/main", commitA, "x", "null"), "s3cret", "after is no commit in full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(token(tt.event), []byte(tt.body), tt.secret, now)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Push Hook", pushBody("push", "refs/heads/main", commitA, commitB, "null"))
	f.Add("Merge Request Hook", mergeBody("open", "", 15, "a/b"))
	f.Fuzz(func(t *testing.T, event, body string) {
		d, err := Parse(token(event), []byte(body), "s3cret", now)
		if err == nil && strings.HasPrefix(d.Ref, "-") {
			t.Errorf("ref %q", d.Ref)
		}
	})
}

const project = "/api/v4/projects/group%2Fsub%2Fapi"

func newReporter(t *testing.T, s *forgetest.Server) *Reporter {
	t.Helper()
	r, err := New(forge.ReporterOptions{BaseURL: s.URL, Repository: "group/sub/api", Token: "t0ken", HTTP: s.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func statusCall(answer func(int) (int, http.Header, string)) *forgetest.Call {
	// https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
	return &forgetest.Call{
		Method: "POST", Path: project + "/statuses/" + commitA, Required: []string{"state"}, Answer: answer,
		Fields: map[string]func(any) error{
			"state": forgetest.OneOf("pending", "running", "success", "failed", "canceled", "skipped"), "ref": nil, "name": forgetest.Text(255),
			"context": nil, "target_url": nil, "description": forgetest.Text(255), "coverage": forgetest.Number, "pipeline_id": forgetest.Number,
		},
	}
}

func TestSetStatus(t *testing.T) {
	s := forgetest.New(t, "Private-Token", "", "t0ken", statusCall(forgetest.Always(201, `{}`)))
	r := newReporter(t, s)
	for state := range states {
		err := r.SetStatus(t.Context(), forge.Status{SHA: commitA, Ref: "refs/heads/main", State: state, Context: strings.Repeat("c", 300), Description: strings.Repeat("d", 300), TargetURL: "https://ci.example.com/runs/1"})
		if err != nil {
			t.Errorf("%s: %v", state, err)
		}
	}
	for _, b := range s.Bodies() {
		if !strings.Contains(b, `"ref":"main"`) {
			t.Errorf("the branch is missing in %s", b)
		}
	}
}

// GitLab refuses a status that stands already; that is no failure.
func TestSetStatusAgain(t *testing.T) {
	s := forgetest.New(t, "Private-Token", "", "t0ken", statusCall(forgetest.Always(400, `{"message":"Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")"}`)))
	if err := newReporter(t, s).SetStatus(t.Context(), forge.Status{SHA: commitA, State: forge.StateRunning, Context: "c"}); err != nil {
		t.Error(err)
	}
	s = forgetest.New(t, "Private-Token", "", "t0ken", statusCall(forgetest.Always(400, `{"message":"state is invalid"}`)))
	if err := newReporter(t, s).SetStatus(t.Context(), forge.Status{SHA: commitA, State: forge.StateRunning, Context: "c"}); err == nil {
		t.Error("another refusal was taken for success")
	}
}

func TestComment(t *testing.T) {
	const notes = project + "/merge_requests/3/notes"
	fields := map[string]func(any) error{"body": forgetest.Text(1_000_000), "created_at": nil}
	create := &forgetest.Call{Method: "POST", Path: notes, Fields: fields, Required: []string{"body"}, Answer: forgetest.Always(201, `{}`)}
	edit := &forgetest.Call{Method: "PUT", Path: notes + "/42", Fields: fields, Required: []string{"body"}, Answer: forgetest.Always(200, `{}`)}
	for _, tt := range []struct{ name, there, want string }{
		{"none yet", `[{"id":1,"body":"hello"}]`, "GET " + notes + "\nPOST " + notes},
		{"another text", `[{"id":42,"body":"<!-- gantry:runs -->\nold"}]`, "GET " + notes + "\nPUT " + notes + "/42"},
		{"the same text", `[{"id":42,"body":"<!-- gantry:runs -->\nall green"}]`, "GET " + notes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := &forgetest.Call{Method: "GET", Path: notes, Query: []string{"per_page", "page", "sort", "order_by"}, Answer: forgetest.Always(200, tt.there)}
			s := forgetest.New(t, "Private-Token", "", "t0ken", list, create, edit)
			if err := newReporter(t, s).Comment(t.Context(), 3, "runs", "all green"); err != nil {
				t.Fatal(err)
			}
			if got := s.Log(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
