package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/forge"
)

const (
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	zeros   = "0000000000000000000000000000000000000000"
)

func sign(body, secret string) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	h := http.Header{}
	h.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	h.Set("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	h.Set("Content-Type", "application/json")
	return h
}

// short shows what matters of a delivery.
func short(d *forge.Delivery) string {
	return fmt.Sprintf("%s %s repo=%s ref=%s sha=%.3s before=%.3s deleted=%v forced=%v #%d %s->%s head=%s fork=%v by=%s",
		d.Event, d.Action, d.Repository, d.Ref, d.SHA, d.Before, d.Deleted, d.Forced, d.Number, d.HeadRef, d.BaseRef, d.HeadRepository, d.Fork, d.Actor)
}

func pushBody(ref, before, after, extra string) string {
	return fmt.Sprintf(`{"ref":%q,"before":%q,"after":%q,"repository":{"full_name":"shop/api"},"sender":{"login":"ann"},"commits":[]%s}`, ref, before, after, extra)
}

func pullBody(action, headRepo string) string {
	return fmt.Sprintf(`{"action":%q,"number":7,"repository":{"full_name":"shop/api"},"sender":{"login":"bo"},
		"pull_request":{"number":7,"head":{"ref":"topic","sha":%q,"repo":%s},"base":{"ref":"main","sha":%q,"repo":{"full_name":"shop/api"}}}}`, action, commitB, headRepo, commitA)
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, event, body, want string }{
		{"push", "push", pushBody("refs/heads/main", commitA, commitB, ""), "push  repo=shop/api ref=refs/heads/main sha=bbb before=aaa deleted=false forced=false #0 -> head= fork=false by=ann"},
		{"new branch", "push", pushBody("refs/heads/x/y", zeros, commitB, `,"created":true`), "push  repo=shop/api ref=refs/heads/x/y sha=bbb before= deleted=false forced=false #0 -> head= fork=false by=ann"},
		{"forced", "push", pushBody("refs/heads/main", commitA, commitB, `,"forced":true`), "push  repo=shop/api ref=refs/heads/main sha=bbb before=aaa deleted=false forced=true #0 -> head= fork=false by=ann"},
		{"deleted", "push", pushBody("refs/heads/main", commitA, zeros, `,"deleted":true`), "push  repo=shop/api ref=refs/heads/main sha= before=aaa deleted=true forced=false #0 -> head= fork=false by=ann"},
		{"annotated tag", "push", pushBody("refs/tags/v1", zeros, commitA, `,"head_commit":{"id":"`+commitB+`"}`), "tag  repo=shop/api ref=refs/tags/v1 sha=bbb before= deleted=false forced=false #0 -> head= fork=false by=ann"},
		{"pull request", "pull_request", pullBody("synchronize", `{"full_name":"shop/api"}`), "pull_request synchronize repo=shop/api ref=refs/pull/7/head sha=bbb before= deleted=false forced=false #7 topic->main head=shop/api fork=false by=bo"},
		{"fork", "pull_request", pullBody("opened", `{"full_name":"bo/api"}`), "pull_request opened repo=shop/api ref=refs/pull/7/head sha=bbb before= deleted=false forced=false #7 topic->main head=bo/api fork=true by=bo"},
		{"fork that is gone", "pull_request", pullBody("closed", `null`), "pull_request closed repo=shop/api ref=refs/pull/7/head sha=bbb before= deleted=false forced=false #7 topic->main head= fork=true by=bo"},
		{"ping", "ping", `{"zen":"x","repository":{"full_name":"shop/api"}}`, "ping  repo=shop/api ref= sha= before= deleted=false forced=false #0 -> head= fork=false by="},
		{"something else", "star", `{"action":"created"}`, "other  repo= ref= sha= before= deleted=false forced=false #0 -> head= fork=false by="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := sign(tt.body, "s3cret")
			h.Set("X-GitHub-Event", tt.event)
			d, err := Parse(h, []byte(tt.body), "s3cret")
			if err != nil {
				t.Fatal(err)
			}
			if got := short(d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	good := pushBody("refs/heads/main", commitA, commitB, "")
	for _, tt := range []struct {
		name, event, body string
		change            func(http.Header)
		want              string
	}{
		{"not signed", "push", good, func(h http.Header) { h.Del("X-Hub-Signature-256") }, "signature is missing or wrong"},
		{"signed by another", "push", good, func(h http.Header) {
			h.Set("X-Hub-Signature-256", sign(good, "other").Get("X-Hub-Signature-256"))
		}, "signature is missing or wrong"},
		{"signed by SHA-1", "push", good, func(h http.Header) { h.Set("X-Hub-Signature-256", "sha1=00") }, "signature is missing or wrong"},
		{"a form", "push", good, func(h http.Header) { h.Set("Content-Type", "application/x-www-form-urlencoded") }, "choose application/json"},
		{"no event", "", good, nil, "X-GitHub-Event is missing"},
		{"no delivery", "push", good, func(h http.Header) { h.Del("X-GitHub-Delivery") }, "no ID of a delivery"},
		{"no JSON", "push", "{", nil, "no JSON"},
		{"wrong kind", "push", `{"ref":7}`, nil, "ref is a JSON number where it should be a string"},
		{"an option for a ref", "push", pushBody("--upload-pack=x", commitA, commitB, ""), nil, "ref is neither a branch nor a tag"},
		{"two dots in a ref", "push", pushBody("refs/heads/a..b", commitA, commitB, ""), nil, "ref is neither a branch nor a tag"},
		{"half a commit", "push", pushBody("refs/heads/main", commitA, "bbb", ""), nil, "after is no commit in full"},
		{"no commit", "pull_request", `{"action":"opened","number":7,"pull_request":{"head":{"ref":"a"},"base":{"ref":"b"}}}`, nil, "head commit is no commit in full"},
		{"no number", "pull_request", `{"action":"opened"}`, nil, "number is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := sign(tt.body, "s3cret")
			h.Set("X-GitHub-Event", tt.event)
			if tt.change != nil {
				tt.change(h)
			}
			_, err := Parse(h, []byte(tt.body), "s3cret")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	// An empty secret signs nothing: a project without one takes no webhooks.
	h := sign(good, "")
	h.Set("X-GitHub-Event", "push")
	if _, err := Parse(h, []byte(good), ""); !errors.Is(err, forge.ErrSignature) {
		t.Errorf("an empty secret: %v", err)
	}
}

// Whatever is signed gives a delivery that git can be asked about, or an error.
func FuzzParse(f *testing.F) {
	f.Add("push", pushBody("refs/heads/main", commitA, commitB, ""))
	f.Add("pull_request", pullBody("opened", "null"))
	f.Fuzz(func(t *testing.T, event, body string) {
		h := sign(body, "s")
		h.Set("X-GitHub-Event", event)
		d, err := Parse(h, []byte(body), "s")
		if err == nil && d.Event != forge.Ping && d.Event != forge.Other && strings.HasPrefix(d.Ref, "-") {
			t.Errorf("ref %q", d.Ref)
		}
	})
}
