package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/forge/bitbucket"
	"github.com/gantry-ops/gantry/forge/github"
	"github.com/gantry-ops/gantry/forge/gitlab"
	"github.com/gantry-ops/gantry/runs"
)

// hooks turns the forges' webhooks into triggers.
type hooks struct {
	secrets ownSecrets
	now     func() time.Time
}

// receive checks and reads a delivery for a project. One without triggers starts nothing, and reason says why; delivery is the forge's ID
// of it, where it could be read. Errors are the forge package's.
func (h *hooks) receive(ctx context.Context, p *runs.Project, header http.Header, body []byte) (triggers []runs.Trigger, reason, delivery string, err error) {
	if p.Forge.Kind == "" {
		return nil, "", "", fmt.Errorf("the project %s has no forge: %w", p.ID, forge.ErrSignature)
	}
	key, err := own(ctx, h.secrets, p.ID, webhookSecretValue)
	if err != nil {
		return nil, "", "", err
	}
	if key == "" {
		return nil, "", "", fmt.Errorf("the project %s has no webhook secret yet: %w", p.ID, forge.ErrSignature)
	}
	var d *forge.Delivery
	switch p.Forge.Kind {
	case "github":
		d, err = github.Parse(header, body, key)
	case "gitlab":
		d, err = gitlab.Parse(header, body, key, h.now())
	case "bitbucket":
		d, err = bitbucket.Parse(header, body, key)
	default:
		err = fmt.Errorf("the forge %q is not known", p.Forge.Kind)
	}
	if err != nil {
		return nil, "", "", err
	}
	if d.Repository != "" && p.Forge.Repository != "" && !strings.EqualFold(d.Repository, p.Forge.Repository) {
		return nil, fmt.Sprintf("it is about %s, and the project is %s", d.Repository, p.Forge.Repository), d.ID, nil
	}
	for i, part := range append([]*forge.Delivery{d}, d.More...) {
		t, why := triggerOf(p, part)
		if t == nil {
			reason = why
			continue
		}
		if i > 0 {
			// Each ref of the push is taken once, by an ID of its own.
			t.Delivery = fmt.Sprintf("%s:%s/%d", p.Forge.Kind, d.ID, i)
		}
		triggers = append(triggers, *t)
	}
	return triggers, reason, d.ID, nil
}

// refusal is the status that a sender of a delivery is answered with; 0: the error is this server's own.
func refusal(err error) int {
	var malformed *forge.MalformedError
	switch {
	case errors.Is(err, forge.ErrSignature), errors.Is(err, forge.ErrStale):
		return http.StatusUnauthorized
	case errors.As(err, &malformed):
		return http.StatusBadRequest
	}
	return 0
}

// triggerOf says what a delivery starts.
func triggerOf(p *runs.Project, d *forge.Delivery) (*runs.Trigger, string) {
	t := &runs.Trigger{
		Project: p.ID, Ref: d.Ref, SHA: d.SHA, Before: d.Before, Actor: "forge:" + p.Forge.Kind, ActorName: d.Actor,
		Delivery: p.Forge.Kind + ":" + d.ID,
	}
	if t.ActorName == "" {
		t.ActorName = p.Forge.Kind
	}
	if p.Forge.Kind == "github" {
		t.Payload = d.Payload
	}
	switch d.Event {
	case forge.Push, forge.Tag:
		if d.Deleted {
			return nil, d.Ref + " was deleted"
		}
		t.Event = "push"
		if d.Event == forge.Tag {
			t.Event = "tag"
		}
		return t, ""
	case forge.PullRequest:
		if d.Action == forge.Closed {
			return nil, "the pull request was closed"
		}
		t.Event, t.Action, t.PullRequest = "pull_request", d.Action, d.Number
		t.HeadRef, t.BaseRef, t.BaseSHA, t.Fork = d.HeadRef, d.BaseRef, d.BaseSHA, d.Fork
		return t, ""
	case forge.Ping:
		return nil, "it is a test of the connection"
	}
	return nil, fmt.Sprintf("nothing starts on %s", d.Name)
}

// reporter tells the forges how runs stand. It implements [runs.Reporter].
type reporter struct {
	secrets ownSecrets
	// url is where people reach this server; empty: statuses have no link.
	url  string
	http *http.Client
}

var _ runs.Reporter = (*reporter)(nil)

// Report implements [runs.Reporter]. A project without a token is told nothing.
func (r *reporter) Report(ctx context.Context, p *runs.Project, run *runs.Run, jobs []runs.Job, others []runs.Run) error {
	if !p.Forge.HasToken || p.Forge.Repository == "" {
		return nil
	}
	token, err := own(ctx, r.secrets, p.ID, forgeTokenSecret)
	if err != nil || token == "" {
		return err
	}
	o := forge.ReporterOptions{BaseURL: p.Forge.BaseURL, Repository: p.Forge.Repository, Token: token, HTTP: r.http}
	var to forge.Reporter
	switch p.Forge.Kind {
	case "github":
		to, err = github.New(o)
	case "gitlab":
		to, err = gitlab.New(o)
	case "bitbucket":
		to, err = bitbucket.New(o)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	err = to.SetStatus(ctx, forge.Status{
		SHA: run.SHA, Ref: run.Ref, Context: "gantry / " + run.Pipeline, State: stateOf(run.Status), Description: describeRun(run, jobs), TargetURL: r.link(run),
	})
	if p.Forge.Comment && run.PullRequest > 0 {
		err = errors.Join(err, to.Comment(ctx, run.PullRequest, "runs-"+p.ID, r.comment(run, others)))
	}
	return err
}

func (r *reporter) link(run *runs.Run) string {
	if r.url == "" {
		return ""
	}
	return r.url + "/runs/" + run.ID
}

// stateOf is a run's status in the words of the forges.
func stateOf(s runs.Status) forge.State {
	switch s {
	case runs.Running:
		return forge.StateRunning
	case runs.Success:
		return forge.StateSuccess
	case runs.Failure:
		return forge.StateFailure
	case runs.Cancelled:
		return forge.StateCancelled
	case runs.Skipped:
		return forge.StateSkipped
	}
	return forge.StatePending
}

// describeRun says in a line how a run stands.
func describeRun(run *runs.Run, jobs []runs.Job) string {
	switch {
	case run.Status == runs.Waiting:
		return "waits for an approval"
	case !run.Status.Ended():
		done := 0
		for _, j := range jobs {
			if j.Status.Ended() {
				done++
			}
		}
		return fmt.Sprintf("%s: %d of %d jobs have ended", run.Status, done, len(jobs))
	}
	var failed []string
	for _, j := range jobs {
		if j.Status == runs.Failure && !j.Tolerated {
			failed = append(failed, j.Name)
		}
	}
	if len(failed) > 0 {
		return "failed: " + strings.Join(failed, ", ")
	}
	line, _, _ := strings.Cut(run.Reason, "\n")
	took := ""
	if !run.StartedAt.IsZero() && !run.FinishedAt.IsZero() {
		took = " in " + run.FinishedAt.Sub(run.StartedAt.Time).Round(time.Second).String()
	}
	if line != "" {
		return string(run.Status) + took + ": " + line
	}
	return string(run.Status) + took
}

// comment is the table of all runs of the commit, the newest of each pipeline.
func (r *reporter) comment(run *runs.Run, others []runs.Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| Pipeline | Status | Run |\n|---|---|---|\n")
	seen := map[string]bool{}
	all := others
	if len(all) == 0 {
		all = []runs.Run{*run}
	}
	cell := strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "`", "'", "@", "@\u200b")
	for i := range all {
		o := &all[i]
		if seen[o.File] {
			continue // they come the newest first
		}
		seen[o.File] = true
		number := fmt.Sprintf("#%d", o.Number)
		if link := r.link(o); link != "" {
			number = fmt.Sprintf("[%s](%s)", number, link)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", cell.Replace(o.Pipeline), o.Status, number)
	}
	return b.String()
}
