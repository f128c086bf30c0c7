package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gitlab "gitlab.com/gitlab-org/api/client-go"

	"github.com/gantry-ops/gantry/forge"
)

// Reporter sets statuses and writes notes on one project. It implements forge.Reporter.
type Reporter struct {
	client  *gitlab.Client
	project string
}

var _ forge.Reporter = (*Reporter)(nil)

// What GitLab takes. The description is bounded by its database, a note by https://docs.gitlab.com/administration/instance_limits/.
const (
	maxDescription = 255
	maxName        = 255
	maxNote        = 1_000_000
	pages          = 20
)

// New returns a reporter for a project. BaseURL is that of the installation, without /api/v4.
func New(o forge.ReporterOptions) (*Reporter, error) {
	if _, _, err := forge.SplitRepository(o.Repository); err != nil {
		return nil, err
	}
	client := o.HTTP
	if client == nil {
		client = forge.NewHTTPClient()
	}
	options := []gitlab.ClientOptionFunc{gitlab.WithHTTPClient(client), gitlab.WithoutRetries(), gitlab.WithUserAgent("gantry")}
	if o.BaseURL != "" {
		options = append(options, gitlab.WithBaseURL(o.BaseURL))
	}
	c, err := gitlab.NewClient(o.Token, options...)
	if err != nil {
		return nil, fmt.Errorf("speak to GitLab at %s: %w", o.BaseURL, err)
	}
	return &Reporter{c, o.Repository}, nil
}

var states = map[forge.State]gitlab.BuildStateValue{
	forge.StatePending: gitlab.Pending, forge.StateRunning: gitlab.Running, forge.StateSuccess: gitlab.Success, forge.StateSkipped: gitlab.Skipped,
	forge.StateFailure: gitlab.Failed, forge.StateCancelled: gitlab.Canceled, forge.StateError: gitlab.Failed,
}

// SetStatus implements forge.Reporter.
func (r *Reporter) SetStatus(ctx context.Context, s forge.Status) error {
	state, ok := states[s.State]
	if !ok {
		return fmt.Errorf("set the status of %s: %q is no state", s.SHA, s.State)
	}
	o := &gitlab.SetCommitStatusOptions{State: state, Name: gitlab.Ptr(forge.Cut(s.Context, maxName)), Description: gitlab.Ptr(forge.Cut(s.Description, maxDescription))}
	if s.TargetURL != "" {
		o.TargetURL = &s.TargetURL
	}
	if name := strings.TrimPrefix(strings.TrimPrefix(s.Ref, "refs/heads/"), "refs/tags/"); name != "" && !strings.HasPrefix(name, "refs/") {
		o.Ref = &name
	}
	_, _, err := r.client.Commits.SetCommitStatus(r.project, s.SHA, o, gitlab.WithContext(ctx))
	if err == nil || same(err) {
		return nil
	}
	return fmt.Errorf("set the status of %s: %w", s.SHA, err)
}

// same reports whether GitLab refused because the status is in that state already: it says so instead of accepting it again.
func same(err error) bool {
	var answer *gitlab.ErrorResponse
	return errors.As(err, &answer) && answer.Response != nil && answer.Response.StatusCode == http.StatusBadRequest &&
		strings.Contains(answer.Message, "Cannot transition status via")
}

// Comment implements forge.Reporter.
func (r *Reporter) Comment(ctx context.Context, number int, marker, text string) error {
	body := forge.Cut(forge.Marked(marker, text), maxNote)
	fail := func(err error) error { return fmt.Errorf("comment on merge request %d: %w", number, err) }
	o := &gitlab.ListMergeRequestNotesOptions{ListOptions: gitlab.ListOptions{PerPage: 100, Page: 1}}
	for range pages {
		notes, res, err := r.client.Notes.ListMergeRequestNotes(r.project, int64(number), o, gitlab.WithContext(ctx))
		if err != nil {
			return fail(err)
		}
		for _, n := range notes {
			if !strings.HasPrefix(n.Body, forge.Mark(marker)) {
				continue
			}
			if n.Body == body {
				return nil
			}
			if _, _, err := r.client.Notes.UpdateMergeRequestNote(r.project, int64(number), n.ID, &gitlab.UpdateMergeRequestNoteOptions{Body: &body}, gitlab.WithContext(ctx)); err != nil {
				return fail(err)
			}
			return nil
		}
		if res.NextPage == 0 {
			break
		}
		o.Page = res.NextPage
	}
	if _, _, err := r.client.Notes.CreateMergeRequestNote(r.project, int64(number), &gitlab.CreateMergeRequestNoteOptions{Body: &body}, gitlab.WithContext(ctx)); err != nil {
		return fail(err)
	}
	return nil
}
