package runs

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gantry-ops/gantry/pipeline"
)

// facts are what the server itself knows of a run that a trigger may start.
func (s *Service) facts(ctx context.Context, p *Project, t *Trigger, snapshot *Snapshot) (*pipeline.Run, error) {
	run := &pipeline.Run{Attempt: 1, Started: s.now().UTC(), Repository: snapshot.Repository, Change: snapshot.Change, Actor: t.ActorName}
	c := &run.Change
	if p.Source.DefaultBranch != "" {
		run.Repository.DefaultBranch = p.Source.DefaultBranch
	}
	if t.Ref != "" {
		c.Ref = fullRef(t.Ref, c.Ref)
	}
	if c.Ref == "" && run.Repository.DefaultBranch != "" {
		c.Ref = "refs/heads/" + run.Repository.DefaultBranch
	}
	if t.SHA != "" {
		c.SHA = t.SHA
	}
	if strings.Trim(t.Before, "0") != "" {
		c.Before = t.Before
	}
	c.Message = valid(c.Message)
	var err error
	switch t.Event {
	case "push", "tag":
		c.Files, c.FilesKnown, err = s.pushed(ctx, p, run)
	case "pull_request":
		c.Head, c.Base, c.Number = t.HeadRef, t.BaseRef, t.PullRequest
		base := t.BaseSHA
		if base == "" {
			if base, err = s.head(ctx, p, "refs/heads/"+t.BaseRef); err != nil {
				return nil, err
			}
		}
		c.Files, c.FilesKnown, err = s.differ(ctx, p, base, c.SHA, true)
	default:
		c.Files, c.FilesKnown = nil, false
	}
	if err != nil {
		return nil, err
	}
	return run, nil
}

// pushed returns the files that a push has changed: since the commit that the ref had; on a new branch since it left the default one.
func (s *Service) pushed(ctx context.Context, p *Project, run *pipeline.Run) ([]string, bool, error) {
	c := &run.Change
	if c.Before != "" {
		return s.differ(ctx, p, c.Before, c.SHA, false)
	}
	main := "refs/heads/" + run.Repository.DefaultBranch
	if run.Repository.DefaultBranch == "" || c.Ref == main || !strings.HasPrefix(c.Ref, "refs/heads/") {
		return nil, false, nil
	}
	base, err := s.head(ctx, p, main)
	if err != nil {
		return nil, false, err
	}
	return s.differ(ctx, p, base, c.SHA, true)
}

func (s *Service) differ(ctx context.Context, p *Project, base, head string, mergeBase bool) ([]string, bool, error) {
	if base == "" || head == "" {
		return nil, false, nil
	}
	files, known, err := s.o.Sources.ChangedFiles(ctx, p, base, head, mergeBase)
	if err != nil {
		return nil, false, fmt.Errorf("find the changed files: %w", err)
	}
	return files, known, nil
}

// head returns the commit of a ref at the source; empty where it has none.
func (s *Service) head(ctx context.Context, p *Project, ref string) (string, error) {
	refs, _, err := s.o.Sources.Heads(ctx, p)
	if err != nil {
		return "", fmt.Errorf("find the commit of %s: %w", ref, err)
	}
	return refs[ref], nil
}

// fullRef makes a full ref of what a person gave: the name of a branch or tag, for which seen is the ref that the source found.
func fullRef(ref, seen string) string {
	switch {
	case strings.HasPrefix(ref, "refs/"):
		return ref
	case seen == "refs/heads/"+ref, seen == "refs/tags/"+ref:
		return seen
	case isCommit(ref):
		return seen
	}
	return "refs/heads/" + ref
}

// isCommit reports whether a text is a commit's ID in full.
func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

// valid is a text from outside as UTF-8 without NUL, which PostgreSQL refuses.
func valid(s string) string {
	if utf8.ValidString(s) && !strings.ContainsRune(s, 0) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
