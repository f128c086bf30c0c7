package bitbucket

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/gantry-ops/gantry/forge"
)

// Parse checks the signature of a webhook (X-Hub-Signature) and reads it. A push of several refs is one delivery with the others in More.
// Errors are forge.ErrSignature and *forge.MalformedError.
func Parse(header http.Header, body []byte, secret string) (*forge.Delivery, error) {
	sum, ok := strings.CutPrefix(header.Get("X-Hub-Signature"), "sha256=")
	if !ok || !forge.SignedBy(secret, body, sum) {
		return nil, forge.ErrSignature
	}
	d := &forge.Delivery{ID: header.Get("X-Request-UUID"), Name: header.Get("X-Event-Key"), Payload: body}
	if d.ID == "" {
		d.ID = header.Get("X-Request-Id") // Data Center
	}
	var err error
	switch kind, action, _ := strings.Cut(d.Name, ":"); {
	case d.Name == "":
		return nil, &forge.MalformedError{Message: "the header X-Event-Key is missing"}
	case d.Name == "repo:push":
		err = push(d, body)
	case d.Name == "repo:refs_changed":
		err = refsChanged(d, body)
	case d.Name == "diagnostics:ping":
		d.Event = forge.Ping
	case kind == "pullrequest" && actions[action] != "":
		err = pullRequest(d, body, actions[action])
	case kind == "pr" && actions[action] != "":
		err = serverPullRequest(d, body, actions[action])
	default:
		d.Event = forge.Other
	}
	if err != nil {
		return nil, err
	}
	for i, m := range d.More {
		m.ID = fmt.Sprintf("%s/%d", d.ID, i+2)
		m.Name, m.Repository, m.Actor, m.Payload = d.Name, d.Repository, d.Actor, d.Payload
		if err := m.Check(); err != nil {
			return nil, err
		}
	}
	return d, d.Check()
}

// actions are both products' words for what happens to a pull request.
var actions = map[string]string{
	"created": forge.Opened, "updated": forge.Synchronize, "fulfilled": forge.Closed, "rejected": forge.Closed,
	"opened": forge.Opened, "from_ref_updated": forge.Synchronize, "merged": forge.Closed, "declined": forge.Closed, "deleted": forge.Closed,
}

// target is a ref of Bitbucket Cloud.
type target struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Target struct {
		Hash string `json:"hash"`
	} `json:"target"`
}

func (t *target) ref() (forge.Event, string) {
	if t.Type == "tag" || t.Type == "annotated_tag" {
		return forge.Tag, "refs/tags/" + t.Name
	}
	return forge.Push, "refs/heads/" + t.Name
}

type repository struct {
	FullName string `json:"full_name"`
}

type actor struct {
	Nickname    string `json:"nickname"`
	DisplayName string `json:"display_name"`
}

func (a actor) name() string {
	if a.Nickname != "" {
		return a.Nickname
	}
	return a.DisplayName
}

// push reads the "repo:push" of Bitbucket Cloud.
func push(d *forge.Delivery, body []byte) error {
	var e struct {
		Actor      actor      `json:"actor"`
		Repository repository `json:"repository"`
		Push       struct {
			Changes []struct {
				New    *target `json:"new"`
				Old    *target `json:"old"`
				Forced bool    `json:"forced"`
			} `json:"changes"`
		} `json:"push"`
	}
	if err := forge.Decode(body, &e); err != nil {
		return err
	}
	d.Repository, d.Actor = e.Repository.FullName, e.Actor.name()
	if len(e.Push.Changes) == 0 {
		return &forge.MalformedError{Path: "push.changes", Message: "is empty"}
	}
	for i, c := range e.Push.Changes {
		to := d
		if i > 0 {
			to = &forge.Delivery{}
			d.More = append(d.More, to)
		}
		switch {
		case c.New != nil:
			to.Event, to.Ref = c.New.ref()
			to.SHA, to.Forced = c.New.Target.Hash, c.Forced
		case c.Old != nil:
			to.Event, to.Ref = c.Old.ref()
			to.Deleted = true
		default:
			return &forge.MalformedError{Path: fmt.Sprintf("push.changes[%d]", i), Message: "has neither an old nor a new ref"}
		}
		if c.Old != nil {
			to.Before = c.Old.Target.Hash
		}
	}
	return nil
}

// refsChanged reads the "repo:refs_changed" of Bitbucket Data Center.
func refsChanged(d *forge.Delivery, body []byte) error {
	var e struct {
		Actor      serverActor      `json:"actor"`
		Repository serverRepository `json:"repository"`
		Changes    []struct {
			Ref struct {
				ID   string `json:"id"`
				Type string `json:"type"`
			} `json:"ref"`
			From string `json:"fromHash"`
			To   string `json:"toHash"`
		} `json:"changes"`
	}
	if err := forge.Decode(body, &e); err != nil {
		return err
	}
	d.Repository, d.Actor = e.Repository.fullName(), e.Actor.Name
	if len(e.Changes) == 0 {
		return &forge.MalformedError{Path: "changes", Message: "is empty"}
	}
	for i, c := range e.Changes {
		to := d
		if i > 0 {
			to = &forge.Delivery{}
			d.More = append(d.More, to)
		}
		to.Event = forge.Push
		if c.Ref.Type == "TAG" {
			to.Event = forge.Tag
		}
		to.Ref, to.SHA, to.Before = c.Ref.ID, forge.OrNone(c.To), forge.OrNone(c.From)
		to.Deleted = to.SHA == ""
	}
	return nil
}

type serverActor struct {
	Name string `json:"name"`
}

type serverRepository struct {
	Slug    string `json:"slug"`
	Project struct {
		Key string `json:"key"`
	} `json:"project"`
}

func (r serverRepository) fullName() string { return r.Project.Key + "/" + r.Slug }

// pullRequest reads a pull request's event of Bitbucket Cloud.
func pullRequest(d *forge.Delivery, body []byte, action string) error {
	type end struct {
		Branch struct {
			Name string `json:"name"`
		} `json:"branch"`
		Commit struct {
			Hash string `json:"hash"`
		} `json:"commit"`
		Repository repository `json:"repository"`
	}
	var e struct {
		Actor       actor      `json:"actor"`
		Repository  repository `json:"repository"`
		PullRequest struct {
			ID          int `json:"id"`
			Source      end `json:"source"`
			Destination end `json:"destination"`
		} `json:"pullrequest"`
	}
	if err := forge.Decode(body, &e); err != nil {
		return err
	}
	p := e.PullRequest
	d.Event, d.Action, d.Number = forge.PullRequest, action, p.ID
	d.Repository, d.Actor = e.Repository.FullName, e.Actor.name()
	d.HeadRef, d.SHA, d.HeadRepository = p.Source.Branch.Name, p.Source.Commit.Hash, p.Source.Repository.FullName
	d.BaseRef, d.BaseSHA = p.Destination.Branch.Name, p.Destination.Commit.Hash
	d.Fork = d.HeadRepository != d.Repository
	// Cloud has no refs for pull requests; the head is a branch of its own repository.
	d.Ref = "refs/heads/" + d.HeadRef
	return nil
}

// serverPullRequest reads a pull request's event of Bitbucket Data Center.
func serverPullRequest(d *forge.Delivery, body []byte, action string) error {
	type end struct {
		DisplayID    string           `json:"displayId"`
		LatestCommit string           `json:"latestCommit"`
		Repository   serverRepository `json:"repository"`
	}
	var e struct {
		Actor       serverActor `json:"actor"`
		PullRequest struct {
			ID      int `json:"id"`
			FromRef end `json:"fromRef"`
			ToRef   end `json:"toRef"`
		} `json:"pullRequest"`
	}
	if err := forge.Decode(body, &e); err != nil {
		return err
	}
	p := e.PullRequest
	d.Event, d.Action, d.Number = forge.PullRequest, action, p.ID
	d.Repository, d.HeadRepository, d.Actor = p.ToRef.Repository.fullName(), p.FromRef.Repository.fullName(), e.Actor.Name
	d.HeadRef, d.SHA = p.FromRef.DisplayID, p.FromRef.LatestCommit
	d.BaseRef, d.BaseSHA = p.ToRef.DisplayID, p.ToRef.LatestCommit
	d.Fork = d.HeadRepository != d.Repository
	d.Ref = fmt.Sprintf("refs/pull-requests/%d/from", d.Number)
	return nil
}
