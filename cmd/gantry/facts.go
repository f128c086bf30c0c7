package main

import (
	"cmp"
	"context"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/pipeline"
)

// newRun gathers the facts of a run of one workflow, with the event's payload.
func (c *chosen) newRun(ctx context.Context, s *selection, p *pipeline.Pipeline, event string, extra *pipeline.Map) (*pipeline.Run, error) {
	if c.began.IsZero() {
		c.began = time.Now()
	}
	c.considered++
	run := &pipeline.Run{
		// Like the forge's, an ID is a number that grows; microseconds keep it within what JavaScript can count.
		ID:     strconv.FormatInt(c.began.UnixMicro()+int64(c.considered-1), 10),
		Number: 1, Attempt: 1,
		Pipeline: p.Name, File: p.File, Started: c.began,
		Event:      pipeline.Event{Name: event},
		Repository: repositoryFacts(c.local),
		Change:     changeFacts(c.local),
		Actor:      actor(c.local),
		Debug:      s.debug,
		Token:      c.token(),
	}
	if action, ok := extra.Get("action"); ok {
		run.Event.Action = pipeline.Text(action)
	}
	if schedule, ok := extra.Get("schedule"); ok {
		run.Event.Schedule = pipeline.Text(schedule)
	}
	if s.ref != "" {
		run.Change.Ref = fullRef(s.ref)
	}
	run.Change.Base = cmp.Or(s.base, run.Repository.DefaultBranch)
	if filtersPaths(p, event) {
		base := ""
		if strings.HasPrefix(event, "pull_request") {
			base = run.Change.Base
		}
		var err error
		if run.Change.Files, run.Change.FilesKnown, err = c.local.ChangedFiles(ctx, base); err != nil {
			return nil, err
		}
	}
	return run, nil
}

// fullRef takes a branch's name for what it is.
func fullRef(ref string) string {
	if strings.HasPrefix(ref, "refs/") {
		return ref
	}
	return "refs/heads/" + ref
}

// filtersPaths reports whether the files of the change matter, which costs a call of git.
func filtersPaths(p *pipeline.Pipeline, event string) bool {
	return slices.ContainsFunc(p.Triggers, func(t pipeline.Trigger) bool { return t.Event == event && t.Paths != nil })
}

// actor is who starts the run: the account on this machine, as there is none at a forge.
func actor(l *forge.Local) string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return cmp.Or(l.Author, "gantry")
}

// repositoryFacts are those of the repository for a run.
func repositoryFacts(l *forge.Local) pipeline.Repository {
	return pipeline.Repository{
		// Toolkits of actions take a name without an owner for a mistake.
		Owner: cmp.Or(l.Owner, "local"), Name: l.Name, Server: l.Server, CloneURL: l.URL, DefaultBranch: l.DefaultBranch,
	}
}

// changeFacts are those of HEAD. A commit that no branch is checked out for is its tag's, or else the default branch's.
func changeFacts(l *forge.Local) pipeline.Change {
	c := pipeline.Change{
		SHA: l.Commit, Before: forge.ZeroCommit, Message: l.Message, AuthorName: l.Author, AuthorEmail: l.Email, Time: l.Time,
		Head: l.Branch, Dirty: l.Dirty,
	}
	if len(l.Parents) > 0 {
		c.Before = l.Parents[0]
	}
	switch {
	case l.Branch != "":
		c.Ref = "refs/heads/" + l.Branch
	case len(l.Tags) > 0:
		c.Ref = "refs/tags/" + l.Tags[0]
	default:
		c.Ref = "refs/heads/" + l.DefaultBranch
	}
	return c
}
