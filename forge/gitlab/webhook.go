package gitlab

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"github.com/gantry-ops/gantry/forge"
)

// tolerance is how far the time that a delivery is signed with may be from now, as Standard Webhooks recommends
// (https://github.com/standard-webhooks/standard-webhooks, "Verifying webhook authenticity").
const tolerance = 5 * time.Minute

// Parse checks a webhook and reads it. A delivery with a webhook-signature (Standard Webhooks: HMAC-SHA256 over ID, time and body) is checked
// by that, and by its time; one without has to carry the secret itself in X-Gitlab-Token. Errors are forge.ErrSignature, forge.ErrStale and
// *forge.MalformedError.
func Parse(header http.Header, body []byte, secret string, now time.Time) (*forge.Delivery, error) {
	d := &forge.Delivery{Name: header.Get("X-Gitlab-Event"), Payload: body}
	if signatures := header.Get("webhook-signature"); signatures != "" {
		d.ID = header.Get("webhook-id")
		at, err := signed(signatures, d.ID, header.Get("webhook-timestamp"), body, secret, now)
		if err != nil {
			return nil, err
		}
		d.At = at
	} else if secret == "" || subtle.ConstantTimeCompare([]byte(header.Get("X-Gitlab-Token")), []byte(secret)) != 1 {
		return nil, forge.ErrSignature
	}
	// The idempotency key stays the same when a delivery is repeated.
	for _, name := range []string{"Idempotency-Key", "X-Gitlab-Event-UUID"} {
		if d.ID == "" {
			d.ID = header.Get(name)
		}
	}
	var err error
	switch d.Name {
	case "":
		return nil, &forge.MalformedError{Message: "the header X-Gitlab-Event is missing"}
	case "Push Hook":
		err = push(d, body)
	case "Tag Push Hook":
		err = tag(d, body)
	case "Merge Request Hook":
		err = mergeRequest(d, body)
	default:
		d.Event = forge.Other
	}
	if err != nil {
		return nil, err
	}
	return d, d.Check()
}

// signed checks a signature of Standard Webhooks: "v1,BASE64" once or several times, with blanks between.
func signed(signatures, id, timestamp string, body []byte, secret string, now time.Time) (time.Time, error) {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" || secret == "" {
		return time.Time{}, forge.ErrSignature
	}
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return time.Time{}, forge.ErrSignature
		}
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, timestamp)
	mac.Write(body)
	want := mac.Sum(nil)
	for s := range strings.FieldsSeq(signatures) {
		version, encoded, _ := strings.Cut(s, ",")
		got, err := base64.StdEncoding.DecodeString(encoded)
		if version != "v1" || err != nil || !hmac.Equal(got, want) {
			continue
		}
		at := time.Unix(seconds, 0)
		if at.Before(now.Add(-tolerance)) || at.After(now.Add(tolerance)) {
			return time.Time{}, forge.ErrStale
		}
		return at, nil
	}
	return time.Time{}, forge.ErrSignature
}

func push(d *forge.Delivery, body []byte) error {
	var e gitlab.PushEvent
	if err := forge.Decode(body, &e); err != nil {
		return err
	}
	d.Event = forge.Push
	d.Ref, d.SHA, d.Before = e.Ref, forge.OrNone(e.After), forge.OrNone(e.Before)
	d.Deleted, d.Repository, d.Actor = d.SHA == "", e.Project.PathWithNamespace, e.UserUsername
	return nil
}

func tag(d *forge.Delivery, body []byte) error {
	var e gitlab.TagEvent
	if err := forge.Decode(body, &e); err != nil {
		return err
	}
	d.Event = forge.Tag
	d.Ref, d.SHA, d.Before = e.Ref, forge.OrNone(e.After), forge.OrNone(e.Before)
	d.Deleted, d.Repository, d.Actor = d.SHA == "", e.Project.PathWithNamespace, e.UserUsername
	// An annotated tag is an object of its own; what it is of is checked out.
	if !d.Deleted && e.CheckoutSHA != "" {
		d.SHA = e.CheckoutSHA
	}
	return nil
}

// actions are GitLab's words for what happens to a merge request.
var actions = map[string]string{"open": forge.Opened, "reopen": forge.Reopened, "close": forge.Closed, "merge": forge.Closed}

func mergeRequest(d *forge.Delivery, body []byte) error {
	var e gitlab.MergeEvent
	if err := forge.Decode(body, &e); err != nil {
		return err
	}
	a := e.ObjectAttributes
	d.Event, d.Number = forge.PullRequest, int(a.IID)
	d.Action = a.Action
	if to, ok := actions[a.Action]; ok {
		d.Action = to
	} else if a.Action == "update" && a.OldRev != "" {
		d.Action = forge.Synchronize // an update with another commit before
	}
	d.Repository = e.Project.PathWithNamespace
	d.HeadRef, d.BaseRef, d.SHA = a.SourceBranch, a.TargetBranch, a.LastCommit.ID
	if a.Source != nil {
		d.HeadRepository = a.Source.PathWithNamespace
	}
	d.Fork = a.SourceProjectID != a.TargetProjectID
	if e.User != nil {
		d.Actor = e.User.Username
	}
	d.Ref = fmt.Sprintf("refs/merge-requests/%d/head", d.Number)
	return nil
}
