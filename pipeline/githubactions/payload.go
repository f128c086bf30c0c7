package githubactions

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
)

// Payload makes the document that the forge would send for an event, from the facts of a run, and puts extra over it, mapping
// by mapping. It also sets what the event decides of the run's change: a pull request and a release have refs of their own,
// and refs that extra names count, so that the github context and the document agree. The commit stays the one that is checked
// out. Events that the forge runs for the default branch keep the branch that is checked out, since that is what is being tried.
//
// Source of the members: https://docs.github.com/en/webhooks/webhook-events-and-payloads. They are those that workflows use and
// that a repository on a disk can tell; what only the forge knows has to come from extra.
func Payload(run *pipeline.Run, event string, extra *pipeline.Map) *pipeline.Map {
	c := &run.Change
	adoptRefs(run, event, extra)
	server, _, _ := forgeURLs(run.Repository.Server)
	repository, sender := repositoryObject(run), userObject(run.Actor)
	p := pipeline.NewMap()
	switch {
	case event == "push":
		commit := commitObject(run)
		p.Set("ref", c.Ref)
		p.Set("before", c.Before)
		p.Set("after", c.SHA)
		p.Set("base_ref", nil)
		p.Set("created", c.Before != "" && strings.Trim(c.Before, "0") == "")
		p.Set("deleted", false)
		p.Set("forced", false)
		p.Set("commits", []any{commit})
		p.Set("head_commit", commit)
		p.Set("compare", server+"/"+run.Repository.FullName()+"/compare/"+short(c.Before)+"..."+short(c.SHA))
		p.Set("pusher", pipeline.NewMap("name", run.Actor, "email", c.AuthorEmail))
	case strings.HasPrefix(event, "pull_request"):
		p.Set("action", orDefault(run.Event.Action, "synchronize"))
		p.Set("number", float64(c.Number))
		p.Set("pull_request", pullRequestObject(run, repository, sender))
	case event == "workflow_dispatch":
		p.Set("ref", c.Ref)
		p.Set("workflow", run.File)
		p.Set("inputs", pipeline.NewMap())
	case event == "schedule":
		p.Set("schedule", run.Event.Schedule)
		p.Set("workflow", run.File)
	case event == "release":
		tag, _ := refParts(*c)
		p.Set("action", orDefault(run.Event.Action, "published"))
		p.Set("release", pipeline.NewMap("tag_name", tag, "name", tag, "target_commitish", c.SHA, "body", "", "draft", false, "prerelease", false, "author", sender))
	case event == "create" || event == "delete":
		name, kind := refParts(*c)
		p.Set("ref", name)
		p.Set("ref_type", kind)
		p.Set("master_branch", run.Repository.DefaultBranch)
	case event == "repository_dispatch":
		p.Set("action", run.Event.Action)
		p.Set("branch", run.Repository.DefaultBranch)
		p.Set("client_payload", pipeline.NewMap())
	case event == "merge_group":
		p.Set("action", orDefault(run.Event.Action, "checks_requested"))
		p.Set("merge_group", pipeline.NewMap("head_sha", c.SHA, "head_ref", c.Ref, "base_ref", "refs/heads/"+c.Base, "head_commit", commitObject(run)))
	case run.Event.Action != "":
		p.Set("action", run.Event.Action)
	}
	p.Set("repository", repository)
	p.Set("sender", sender)
	mergeDeep(p, extra)
	return p
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func short(sha string) string { return sha[:min(12, len(sha))] }

// adoptRefs sets the refs of a run's change by the event.
// https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows
func adoptRefs(run *pipeline.Run, event string, extra *pipeline.Map) {
	c := &run.Change
	text := func(path ...string) string {
		var v pipeline.Data = extra
		for _, key := range path {
			o, ok := v.(*pipeline.Map)
			if !ok {
				return ""
			}
			v, _ = o.Get(key)
		}
		s, _ := v.(string)
		return s
	}
	switch {
	case strings.HasPrefix(event, "pull_request"):
		c.Number = pullRequestNumber(run, extra)
		c.Head = orDefault(text("pull_request", "head", "ref"), c.Head)
		c.Base = orDefault(text("pull_request", "base", "ref"), c.Base)
		c.Ref = "refs/pull/" + strconv.Itoa(c.Number) + "/merge"
		if event == "pull_request_target" {
			c.Ref = "refs/heads/" + c.Base
		}
	case event == "push", event == "workflow_dispatch":
		if ref := text("ref"); strings.HasPrefix(ref, "refs/") {
			c.Ref = ref
		}
	case event == "create":
		if ref := text("ref"); ref != "" {
			c.Ref = map[bool]string{true: "refs/tags/", false: "refs/heads/"}[text("ref_type") == "tag"] + ref
		}
	case event == "release":
		if tag := text("release", "tag_name"); tag != "" {
			c.Ref = "refs/tags/" + tag
		}
	case event == "merge_group":
		c.Ref = orDefault(text("merge_group", "head_ref"), c.Ref)
		c.Base = strings.TrimPrefix(orDefault(text("merge_group", "base_ref"), c.Base), "refs/heads/")
	}
}

// pullRequestNumber is what an event file says, or 1.
func pullRequestNumber(run *pipeline.Run, extra *pipeline.Map) int {
	pr, _ := extra.Get("pull_request")
	for _, o := range []any{extra, pr} {
		if m, ok := o.(*pipeline.Map); ok {
			if n, ok := m.Get("number"); ok {
				if f, ok := n.(float64); ok && f >= 1 && f <= math.MaxInt32 {
					return int(f)
				}
			}
		}
	}
	return max(run.Change.Number, 1)
}

func repositoryObject(run *pipeline.Run) *pipeline.Map {
	r := run.Repository
	server, api, _ := forgeURLs(r.Server)
	full := r.FullName()
	return pipeline.NewMap(
		"id", numberOf(full), "name", r.Name, "full_name", full, "private", r.Private,
		"owner", pipeline.NewMap("login", r.Owner, "name", r.Owner, "id", numberOf(r.Owner), "type", "Organization"),
		"html_url", server+"/"+full, "url", api+"/repos/"+full, "clone_url", r.CloneURL, "git_url", r.CloneURL,
		"default_branch", r.DefaultBranch, "master_branch", r.DefaultBranch, "fork", false, "archived", false,
	)
}

func numberOf(name string) pipeline.Data {
	n, ok, err := pipeline.Literal(pipeline.Pos{}, identifier(name)).Number(nil)
	if err != nil || !ok {
		return nil
	}
	return n
}

func userObject(name string) *pipeline.Map {
	return pipeline.NewMap("login", name, "id", numberOf(name), "type", "User")
}

func commitObject(run *pipeline.Run) *pipeline.Map {
	c := run.Change
	person := func() *pipeline.Map {
		return pipeline.NewMap("name", c.AuthorName, "email", c.AuthorEmail, "username", run.Actor)
	}
	when := ""
	if !c.Time.IsZero() {
		when = c.Time.Format(time.RFC3339)
	}
	server, _, _ := forgeURLs(run.Repository.Server)
	return pipeline.NewMap("id", c.SHA, "message", c.Message, "timestamp", when, "distinct", true,
		"url", server+"/"+run.Repository.FullName()+"/commit/"+c.SHA, "author", person(), "committer", person())
}

func pullRequestObject(run *pipeline.Run, repository, sender *pipeline.Map) *pipeline.Map {
	c := run.Change
	server, _, _ := forgeURLs(run.Repository.Server)
	title, body, _ := strings.Cut(c.Message, "\n")
	side := func(ref, sha string) *pipeline.Map {
		return pipeline.NewMap("ref", ref, "sha", sha, "label", run.Repository.Owner+":"+ref, "user", pipeline.NewMap("login", run.Repository.Owner), "repo", repository)
	}
	return pipeline.NewMap(
		"number", float64(c.Number), "state", "open", "title", title, "body", strings.TrimSpace(body), "draft", false, "merged", false,
		"html_url", server+"/"+run.Repository.FullName()+"/pull/"+strconv.Itoa(c.Number),
		"user", sender, "head", side(c.Head, c.SHA), "base", side(c.Base, c.Before),
		"labels", []any{}, "assignees", []any{}, "requested_reviewers", []any{}, "merge_commit_sha", c.SHA,
	)
}

// mergeDeep puts from over to; what is a mapping on both sides is merged.
func mergeDeep(to, from *pipeline.Map) {
	for _, k := range from.Keys() {
		v, _ := from.Get(k)
		if inner, ok := v.(*pipeline.Map); ok {
			if have, _ := to.Get(k); have != nil {
				if m, ok := have.(*pipeline.Map); ok {
					c := m.Clone()
					mergeDeep(c, inner)
					to.Set(k, c)
					continue
				}
			}
		}
		to.Set(k, v)
	}
}
