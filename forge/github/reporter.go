package github

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-github/v88/github"

	"github.com/gantry-ops/gantry/forge"
)

// Reporter sets statuses and writes comments on one repository. It implements forge.Reporter.
type Reporter struct {
	client      *github.Client
	owner, name string
}

var _ forge.Reporter = (*Reporter)(nil)

// What GitHub takes: https://docs.github.com/en/rest/commits/statuses#create-a-commit-status,
// https://docs.github.com/en/rest/issues/comments (a body of 65536 characters).
const (
	maxDescription = 140
	maxContext     = 255
	maxComment     = 65536
	pages          = 20
)

// New returns a reporter for a repository.
func New(o forge.ReporterOptions) (*Reporter, error) {
	owner, name, err := forge.SplitRepository(o.Repository)
	if err != nil {
		return nil, err
	}
	client := o.HTTP
	if client == nil {
		client = forge.NewHTTPClient()
	}
	options := []github.ClientOptionsFunc{github.WithHTTPClient(client), github.WithUserAgent("gantry"), github.WithAuthToken(o.Token)}
	if o.BaseURL != "" {
		options = append(options, github.WithEnterpriseURLs(o.BaseURL, o.BaseURL))
	}
	c, err := github.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("speak to GitHub at %s: %w", o.BaseURL, err)
	}
	return &Reporter{c, owner, name}, nil
}

// states are GitHub's: it knows no running, and takes what was cancelled for an error.
var states = map[forge.State]string{
	forge.StatePending: "pending", forge.StateRunning: "pending", forge.StateSuccess: "success", forge.StateSkipped: "success",
	forge.StateFailure: "failure", forge.StateCancelled: "error", forge.StateError: "error",
}

// SetStatus implements forge.Reporter.
func (r *Reporter) SetStatus(ctx context.Context, s forge.Status) error {
	state, ok := states[s.State]
	if !ok {
		return fmt.Errorf("set the status of %s: %q is no state", s.SHA, s.State)
	}
	status := github.RepoStatus{State: &state, Context: github.Ptr(forge.Cut(s.Context, maxContext)), Description: github.Ptr(forge.Cut(s.Description, maxDescription))}
	if s.TargetURL != "" {
		status.TargetURL = &s.TargetURL
	}
	if _, _, err := r.client.Repositories.CreateStatus(ctx, r.owner, r.name, s.SHA, status); err != nil {
		return fmt.Errorf("set the status of %s: %w", s.SHA, err)
	}
	return nil
}

// Comment implements forge.Reporter.
func (r *Reporter) Comment(ctx context.Context, number int, marker, text string) error {
	body := forge.Cut(forge.Marked(marker, text), maxComment)
	fail := func(err error) error { return fmt.Errorf("comment on pull request %d: %w", number, err) }
	o := &github.IssueListCommentsOptions{ListOptions: github.ListOptions{PerPage: 100}}
	for range pages {
		comments, res, err := r.client.Issues.ListComments(ctx, r.owner, r.name, number, o)
		if err != nil {
			return fail(err)
		}
		for _, c := range comments {
			if !strings.HasPrefix(c.GetBody(), forge.Mark(marker)) {
				continue
			}
			if c.GetBody() == body {
				return nil
			}
			if _, _, err := r.client.Issues.EditComment(ctx, r.owner, r.name, c.GetID(), &github.IssueComment{Body: &body}); err != nil {
				return fail(err)
			}
			return nil
		}
		if res.NextPage == 0 {
			break
		}
		o.Page = res.NextPage
	}
	if _, _, err := r.client.Issues.CreateComment(ctx, r.owner, r.name, number, &github.IssueComment{Body: &body}); err != nil {
		return fail(err)
	}
	return nil
}
