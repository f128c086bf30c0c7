package github

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-github/v88/github"

	"github.com/gantry-ops/gantry/forge"
)

// Parse checks the signature of a webhook (X-Hub-Signature-256) and reads it. Nothing of the body is looked at before. Errors are
// forge.ErrSignature and *forge.MalformedError.
func Parse(header http.Header, body []byte, secret string) (*forge.Delivery, error) {
	sum, ok := strings.CutPrefix(header.Get("X-Hub-Signature-256"), "sha256=")
	if !ok || !forge.SignedBy(secret, body, sum) {
		return nil, forge.ErrSignature
	}
	if kind := header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		return nil, &forge.MalformedError{Message: fmt.Sprintf("its content type is %.80q; choose application/json for the webhook", kind)}
	}
	d := &forge.Delivery{ID: header.Get("X-GitHub-Delivery"), Name: header.Get("X-GitHub-Event"), Payload: body}
	var err error
	switch d.Name {
	case "":
		return nil, &forge.MalformedError{Message: "the header X-GitHub-Event is missing"}
	case "push":
		err = push(d, body)
	case "pull_request":
		err = pullRequest(d, body)
	case "ping":
		d.Event = forge.Ping
		var e github.PingEvent
		if err = forge.Decode(body, &e); err == nil {
			d.Repository = e.GetRepo().GetFullName()
		}
	default:
		d.Event = forge.Other
	}
	if err != nil {
		return nil, err
	}
	return d, d.Check()
}

func push(d *forge.Delivery, body []byte) error {
	var e github.PushEvent
	if err := forge.Decode(body, &e); err != nil {
		return err
	}
	d.Event = forge.Push
	if strings.HasPrefix(e.GetRef(), "refs/tags/") {
		d.Event = forge.Tag
	}
	d.Ref, d.SHA, d.Before = e.GetRef(), forge.OrNone(e.GetAfter()), forge.OrNone(e.GetBefore())
	d.Deleted, d.Forced = e.GetDeleted(), e.GetForced()
	d.Repository, d.Actor = e.GetRepo().GetFullName(), e.GetSender().GetLogin()
	if d.Actor == "" {
		d.Actor = e.GetPusher().GetName()
	}
	// An annotated tag is an object of its own; what it is of is the head commit.
	if d.Event == forge.Tag && !d.Deleted && e.HeadCommit != nil && e.HeadCommit.GetID() != "" {
		d.SHA = e.HeadCommit.GetID()
	}
	return nil
}

func pullRequest(d *forge.Delivery, body []byte) error {
	var e github.PullRequestEvent
	if err := forge.Decode(body, &e); err != nil {
		return err
	}
	p := e.GetPullRequest()
	d.Event, d.Action = forge.PullRequest, e.GetAction()
	d.Number = e.GetNumber()
	if d.Number == 0 {
		d.Number = p.GetNumber()
	}
	d.Repository, d.Actor = e.GetRepo().GetFullName(), e.GetSender().GetLogin()
	d.HeadRef, d.SHA = p.GetHead().GetRef(), p.GetHead().GetSHA()
	d.BaseRef, d.BaseSHA = p.GetBase().GetRef(), p.GetBase().GetSHA()
	d.HeadRepository = p.GetHead().GetRepo().GetFullName()
	// The head's repository is absent once a fork was deleted.
	d.Fork = d.HeadRepository != d.Repository
	d.Ref = fmt.Sprintf("refs/pull/%d/head", d.Number)
	return nil
}
