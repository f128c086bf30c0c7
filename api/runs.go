package api

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
)

// OfRun is the parameter of everything below a run.
type OfRun struct {
	Run string `path:"run" maxLength:"32"`
}

// OfAttempt is that of everything below an attempt.
type OfAttempt struct {
	OfRun
	Attempt int `query:"attempt" minimum:"0" maximum:"1000000" doc:"0: the newest."`
}

// visible narrows the projects asked for to those that the caller may do the list's action in; nil: all.
func (s *Server) visible(ctx context.Context, action auth.Action, asked []string) []string {
	if len(asked) == 0 {
		return s.o.Auth.ProjectsFor(identity(ctx), action)
	}
	out := []string{}
	for _, p := range asked {
		if s.o.Auth.Allowed(identity(ctx), action, p) {
			out = append(out, p)
		}
	}
	return out
}

func (s *Server) runs() {
	const tag = "Runs"
	handle(s, operation{id: "list-runs", method: http.MethodGet, path: "/api/v1/runs", tag: tag, scope: onList, action: auth.RunRead, summary: "Runs, the newest first"},
		func(ctx context.Context, in *struct {
			Paged
			Project     []string `query:"project,explode" maxItems:"100" doc:"May be repeated."`
			Status      []string `query:"status,explode" maxItems:"16" enum:"queued,waiting,running,success,failure,cancelled,skipped" doc:"May be repeated."`
			Branch      string   `query:"branch" maxLength:"256"`
			Event       string   `query:"event" maxLength:"64"`
			Actor       string   `query:"actor" maxLength:"128"`
			File        string   `query:"file" maxLength:"1024"`
			SHA         string   `query:"sha" maxLength:"64"`
			PullRequest int      `query:"pull_request" minimum:"0"`
			Text        string   `query:"text" maxLength:"256" doc:"Looked for in titles, pipelines, branches and commits."`
		}) (*answer[jobs.Page[runs.Run]], error) {
			q := runs.RunQuery{Projects: s.visible(ctx, auth.RunRead, in.Project), Branch: in.Branch, Event: in.Event, Actor: in.Actor, File: in.File, SHA: in.SHA, PullRequest: in.PullRequest, Text: in.Text, ListOptions: in.options()}
			for _, st := range in.Status {
				q.Status = append(q.Status, runs.Status(st))
			}
			p, err := s.o.Runs.Runs(ctx, q)
			return &answer[jobs.Page[runs.Run]]{p}, err
		})
	handle(s, operation{id: "start-run", method: http.MethodPost, path: "/api/v1/projects/{project}/runs", tag: tag, scope: onProject, action: auth.RunStart, status: http.StatusCreated, once: true,
		summary: "Start runs by hand", description: "Acknowledged once the runs are recorded. Without a file, all pipelines that a person may start are."},
		func(ctx context.Context, in *struct {
			OfProject
			Body struct {
				File   string            `json:"file,omitempty" maxLength:"1024" doc:"The pipeline's file." example:".github/workflows/ci.yml"`
				Ref    string            `json:"ref,omitempty" maxLength:"512" doc:"A branch, a tag or a commit; empty: the default branch."`
				Inputs map[string]string `json:"inputs,omitempty" maxProperties:"256"`
			}
		}) (*answer[*runs.Started], error) {
			id := identity(ctx)
			started, err := s.o.Runs.Trigger(ctx, runs.Trigger{
				Project: in.Project, Event: "manual", Ref: in.Body.Ref, File: in.Body.File, Inputs: in.Body.Inputs, Actor: id.Actor, ActorName: id.Display, Account: id.Account,
				Delivery: delivery(ctx),
			})
			return &answer[*runs.Started]{started}, err
		})
	handle(s, operation{id: "get-run", method: http.MethodGet, path: "/api/v1/runs/{run}", tag: tag, scope: onRun, action: auth.RunRead, summary: "One run"},
		func(ctx context.Context, in *OfRun) (*answer[*runs.Run], error) {
			r, err := s.o.Runs.Run(ctx, in.Run)
			return &answer[*runs.Run]{r}, err
		})
	handle(s, operation{id: "delete-run", method: http.MethodDelete, path: "/api/v1/runs/{run}", tag: tag, scope: onRun, action: auth.RunDelete, status: http.StatusNoContent, summary: "Remove an ended run with its logs and artifacts"},
		func(ctx context.Context, in *OfRun) (*none, error) {
			return nil, s.o.Runs.DeleteRun(ctx, by(identity(ctx)), in.Run)
		})
	handle(s, operation{id: "list-jobs", method: http.MethodGet, path: "/api/v1/runs/{run}/jobs", tag: tag, scope: onRun, action: auth.RunRead, summary: "The jobs of an attempt, in the file's order"},
		func(ctx context.Context, in *OfAttempt) (*answer[items[jobs.Job]], error) {
			list, err := s.o.Runs.Jobs(ctx, in.Run, in.Attempt)
			return listOf(list), err
		})
	handle(s, operation{id: "list-annotations", method: http.MethodGet, path: "/api/v1/runs/{run}/annotations", tag: tag, scope: onRun, action: auth.RunRead, summary: "Errors, warnings and notices with their places"},
		func(ctx context.Context, in *OfAttempt) (*answer[items[jobs.Annotation]], error) {
			n, err := s.attempt(ctx, in)
			if err != nil {
				return nil, err
			}
			list, err := s.o.Runs.Annotations(ctx, in.Run, n)
			return listOf(list), err
		})
	handle(s, operation{id: "list-tests", method: http.MethodGet, path: "/api/v1/runs/{run}/tests", tag: tag, scope: onRun, action: auth.RunRead, summary: "JUnit reports that jobs have left as artifacts"},
		func(ctx context.Context, in *OfAttempt) (*answer[items[jobs.TestSuite]], error) {
			n, err := s.attempt(ctx, in)
			if err != nil {
				return nil, err
			}
			list, err := s.o.Runs.Tests(ctx, in.Run, n)
			return listOf(list), err
		})
	handle(s, operation{id: "list-artifacts", method: http.MethodGet, path: "/api/v1/runs/{run}/artifacts", tag: tag, scope: onRun, action: auth.RunRead, summary: "A run's artifacts"},
		func(ctx context.Context, in *OfRun) (*answer[items[jobs.Artifact]], error) {
			list, err := s.o.Runs.Artifacts(ctx, in.Run)
			return listOf(list), err
		})
	handle(s, operation{id: "download-artifact", method: http.MethodGet, path: "/api/v1/runs/{run}/artifacts/{name}", tag: tag, scope: onRun, action: auth.RunRead, slow: true, media: map[int]string{200: "application/zip", 206: "application/zip", 304: ""}, summary: "Download an artifact", description: "A zip archive; ranges are served."},
		func(ctx context.Context, in *struct {
			OfRun
			Name string `path:"name" maxLength:"256"`
		}) (*huma.StreamResponse, error) {
			a, content, err := s.o.Runs.OpenArtifact(ctx, in.Run, in.Name)
			if err != nil {
				return nil, err
			}
			return &huma.StreamResponse{Body: func(hc huma.Context) {
				defer content.Close()
				r, w := humago.Unwrap(hc)
				w.Header().Set("Content-Type", "application/zip")
				w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": a.Name + ".zip"}))
				w.Header().Set("ETag", fmt.Sprintf("%q", a.Digest))
				http.ServeContent(&inProblems{ResponseWriter: w}, r, "", a.CreatedAt.Time, content)
			}}, nil
		})
	handle(s, operation{id: "cancel-run", method: http.MethodPost, path: "/api/v1/runs/{run}/cancel", tag: tag, scope: onRun, action: auth.RunCancel, status: http.StatusAccepted, summary: "Ask a run to stop"},
		func(ctx context.Context, in *struct {
			OfRun
			Body *struct {
				Kill bool `json:"kill,omitempty" doc:"End everything at once; nothing cleans up."`
			}
		}) (*answer[*runs.Run], error) {
			r, err := s.o.Runs.Cancel(ctx, by(identity(ctx)), in.Run, in.Body != nil && in.Body.Kill)
			return &answer[*runs.Run]{r}, err
		})
	handle(s, operation{id: "rerun-run", method: http.MethodPost, path: "/api/v1/runs/{run}/rerun", tag: tag, scope: onRun, action: auth.RunRerun, status: http.StatusAccepted, once: true, summary: "Run an ended run again"},
		func(ctx context.Context, in *struct {
			OfRun
			Body struct {
				Mode string `json:"mode,omitempty" enum:"all,failed,job" default:"all" doc:"All jobs; those that did not succeed, with what depends on them; one job with what depends on it."`
				Job  string `json:"job,omitempty" maxLength:"1024" doc:"The job's path or key, for the mode job."`
			}
		}) (*answer[*runs.Run], error) {
			r, err := s.o.Runs.Rerun(ctx, by(identity(ctx)), in.Run, runs.RerunMode(in.Body.Mode), in.Body.Job)
			return &answer[*runs.Run]{r}, err
		})
	handle(s, operation{id: "get-overview", method: http.MethodGet, path: "/api/v1/overview", tag: "Server", scope: onList, action: auth.RunRead, summary: "What is red, what runs, and what waits for me"},
		func(ctx context.Context, _ *none) (*answer[*runs.Overview], error) {
			o, err := s.o.Runs.Overview(ctx, s.visible(ctx, auth.RunRead, nil))
			if err != nil {
				return nil, err
			}
			o.Waiting = slices.DeleteFunc(o.Waiting, func(a runs.Approval) bool { return !s.o.Auth.Allowed(identity(ctx), auth.ApprovalRead, a.Project) })
			return &answer[*runs.Overview]{o}, nil
		})
}

// attempt is the one asked for; the newest where none is.
func (s *Server) attempt(ctx context.Context, in *OfAttempt) (int, error) {
	if in.Attempt > 0 {
		return in.Attempt, nil
	}
	r, err := s.o.Runs.Run(ctx, in.Run)
	if err != nil {
		return 0, err
	}
	return r.Attempt, nil
}

func (s *Server) approvals() {
	const tag = "Approvals"
	type OfApproval struct {
		Approval string `path:"approval" maxLength:"64"`
	}
	handle(s, operation{id: "list-approvals", method: http.MethodGet, path: "/api/v1/approvals", tag: tag, scope: onList, action: auth.ApprovalRead, summary: "Approvals, the newest first"},
		func(ctx context.Context, in *struct {
			Paged
			Project []string `query:"project,explode" maxItems:"100"`
			Run     string   `query:"run" maxLength:"32"`
			Status  []string `query:"status,explode" maxItems:"16" enum:"waiting,success,failure,cancelled"`
		}) (*answer[jobs.Page[runs.Approval]], error) {
			q := runs.ApprovalQuery{Projects: s.visible(ctx, auth.ApprovalRead, in.Project), Run: in.Run, ListOptions: in.options()}
			for _, st := range in.Status {
				q.Status = append(q.Status, runs.Status(st))
			}
			p, err := s.o.Runs.Approvals(ctx, q)
			return &answer[jobs.Page[runs.Approval]]{p}, err
		})
	handle(s, operation{id: "get-approval", method: http.MethodGet, path: "/api/v1/approvals/{approval}", tag: tag, scope: onApproval, action: auth.ApprovalRead, summary: "One approval"},
		func(ctx context.Context, in *OfApproval) (*answer[*runs.Approval], error) {
			a, err := s.o.Runs.Approval(ctx, in.Approval)
			return &answer[*runs.Approval]{a}, err
		})
	handle(s, operation{id: "decide-approval", method: http.MethodPost, path: "/api/v1/approvals/{approval}/decision", tag: tag, scope: onApproval, action: auth.ApprovalDecide, summary: "Approve or reject"},
		func(ctx context.Context, in *struct {
			OfApproval
			Body struct {
				Approve bool   `json:"approve"`
				Comment string `json:"comment,omitempty" maxLength:"4096"`
			}
		}) (*answer[*runs.Approval], error) {
			a, err := s.o.Runs.Decide(ctx, by(identity(ctx)), in.Approval, in.Body.Approve, in.Body.Comment)
			return &answer[*runs.Approval]{a}, err
		})
}

func (s *Server) runners() {
	const tag = "Runners"
	handle(s, operation{id: "list-runners", method: http.MethodGet, path: "/api/v1/runners", tag: tag, scope: onServer, action: auth.RunnerRead, summary: "Machines that take jobs"},
		func(ctx context.Context, _ *none) (*answer[items[jobs.Runner]], error) {
			list, err := s.o.Runs.Runners(ctx)
			return listOf(list), err
		})
	type madeRunner struct {
		Runner *jobs.Runner `json:"runner"`
		Token  string       `json:"token" doc:"Shown this once."`
	}
	handle(s, operation{id: "create-runner", method: http.MethodPost, path: "/api/v1/runners", tag: tag, scope: onServer, action: auth.RunnerWrite, status: http.StatusCreated, summary: "Let a machine take jobs"},
		func(ctx context.Context, in *struct {
			Body struct {
				Name   string   `json:"name" maxLength:"128"`
				Labels []string `json:"labels,omitempty" maxItems:"64" doc:"What a job's runs-on may name."`
			}
		}) (*answer[madeRunner], error) {
			id := identity(ctx)
			r, err := s.o.Runs.RegisterRunner(ctx, by(id), in.Body.Name, in.Body.Labels)
			if err != nil {
				return nil, err
			}
			token, err := s.o.Auth.IssueRunnerToken(ctx, id.Actor, r.ID)
			return &answer[madeRunner]{madeRunner{r, token}}, err
		})
	handle(s, operation{id: "delete-runner", method: http.MethodDelete, path: "/api/v1/runners/{runner}", tag: tag, scope: onServer, action: auth.RunnerWrite, status: http.StatusNoContent, summary: "Take a machine out", description: "Its jobs go back to the queue."},
		func(ctx context.Context, in *struct {
			Runner string `path:"runner" maxLength:"64"`
		}) (*none, error) {
			id := identity(ctx)
			if err := s.o.Auth.RevokeRunner(ctx, id.Actor, in.Runner); err != nil {
				return nil, err
			}
			return nil, s.o.Runs.RemoveRunner(ctx, by(id), in.Runner)
		})
}
