package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs/jobs"
)

// longestClaim bounds how long a claim waits for a job.
const longestClaim = 55

// maxArtifact bounds one artifact, in bytes.
const maxArtifact = 16 << 30

// TryOf names a try of a job and proves the right to it.
type TryOf struct {
	Job   string `path:"job" maxLength:"64"`
	Token int64  `query:"token" required:"true" doc:"The fencing token of the try."`
}

func (t TryOf) ref() jobs.TaskRef { return jobs.TaskRef{Job: t.Job, Token: t.Token} }

// mine returns an error unless the try is held by the runner that asks.
func (s *Server) mine(ctx context.Context, ref jobs.TaskRef) error {
	return s.o.Runs.HeldBy(ctx, ref, identity(ctx).Runner)
}

func (s *Server) worker() {
	const tag = "Runner protocol"
	handle(s, operation{id: "claim-job", method: http.MethodPost, path: "/api/v1/worker/claim", tag: tag, scope: onServer, action: auth.RunnerWork, slow: true,
		media: map[int]string{200: "application/json", 204: ""}, summary: "Take a job", description: "Waits for one; 204 where there was none. A job whose answer does not arrive comes back to the queue."},
		func(ctx context.Context, in *struct {
			Body struct {
				Worker struct {
					ID       string   `json:"id,omitempty" doc:"Has no effect: the token says which runner it is."`
					Session  string   `json:"session" maxLength:"128" doc:"Different for each process of the runner."`
					Name     string   `json:"name,omitempty" maxLength:"128"`
					Labels   []string `json:"labels,omitempty" maxItems:"64"`
					OS       string   `json:"os,omitempty" maxLength:"64"`
					Arch     string   `json:"arch,omitempty" maxLength:"64"`
					Version  string   `json:"version,omitempty" maxLength:"128"`
					Places   int      `json:"places" minimum:"1" maximum:"1000"`
					Embedded bool     `json:"embedded,omitempty" doc:"Has no effect."`
				} `json:"worker"`
				Wait float64 `json:"wait_seconds,omitempty" minimum:"0"`
			}
		}) (*huma.StreamResponse, error) {
			w, id := in.Body.Worker, identity(ctx)
			wait := time.Duration(min(in.Body.Wait, longestClaim) * float64(time.Second))
			return &huma.StreamResponse{Body: func(hc huma.Context) {
				r, rw := humago.Unwrap(hc)
				_ = http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(wait + time.Minute))
				t, err := s.o.Runs.Claim(r.Context(), jobs.Worker{
					ID: id.Runner, Session: w.Session, Name: w.Name, Labels: w.Labels, OS: w.OS, Arch: w.Arch, Version: w.Version, Places: w.Places,
				}, wait)
				switch {
				case err != nil:
					writeProblem(rw, s.problem(r.Context(), err))
				case t == nil:
					rw.WriteHeader(http.StatusNoContent)
				default:
					writeJSON(rw, http.StatusOK, t)
				}
			}}, nil
		})
	handle(s, operation{id: "renew-job", method: http.MethodPost, path: "/api/v1/worker/jobs/{job}/renew", tag: tag, scope: onServer, action: auth.RunnerWork, errors: []int{410}, summary: "Keep a job, and hear what is asked of it"},
		func(ctx context.Context, in *TryOf) (*answer[jobs.Control], error) {
			if err := s.mine(ctx, in.ref()); err != nil {
				return nil, err
			}
			c, err := s.o.Runs.Renew(ctx, in.ref())
			return &answer[jobs.Control]{c}, err
		})
	handle(s, operation{id: "report-job", method: http.MethodPost, path: "/api/v1/worker/jobs/{job}/report", tag: tag, scope: onServer, action: auth.RunnerWork, body: maxBatchBody, raw: true, takes: "application/json", errors: []int{410}, status: http.StatusNoContent,
		summary: "Report what happened in a job", description: "Batches are numbered from 1 without gaps; one that comes again has no effect."},
		func(ctx context.Context, in *struct {
			TryOf
			RawBody []byte `contentType:"application/json"`
		}) (*none, error) {
			var b jobs.Batch
			if err := decode(in.RawBody, &b); err != nil {
				return nil, err
			}
			if err := s.mine(ctx, in.ref()); err != nil {
				return nil, err
			}
			return nil, s.o.Runs.Report(ctx, in.ref(), b)
		})
	handle(s, operation{id: "finish-job", method: http.MethodPost, path: "/api/v1/worker/jobs/{job}/finish", tag: tag, scope: onServer, action: auth.RunnerWork, body: maxBatchBody, raw: true, takes: "application/json", errors: []int{410}, status: http.StatusNoContent, summary: "Record a job's outcome"},
		func(ctx context.Context, in *struct {
			TryOf
			RawBody []byte `contentType:"application/json"`
		}) (*none, error) {
			var end jobs.TaskEnd
			if err := decode(in.RawBody, &end); err != nil {
				return nil, err
			}
			if err := s.mine(ctx, in.ref()); err != nil {
				return nil, err
			}
			return nil, s.o.Runs.Finish(ctx, in.ref(), end)
		})
	type Named struct {
		TryOf
		Name string `path:"name" maxLength:"256"`
	}
	handle(s, operation{id: "put-artifact", method: http.MethodPut, path: "/api/v1/worker/jobs/{job}/artifacts/{name}", tag: tag, scope: onServer, action: auth.RunnerWork, slow: true, body: -1, errors: []int{410}, status: http.StatusNoContent, takes: "application/zip", summary: "Store an artifact"},
		func(ctx context.Context, in *Named) (*huma.StreamResponse, error) {
			if err := s.mine(ctx, in.ref()); err != nil {
				return nil, err
			}
			return &huma.StreamResponse{Body: func(hc huma.Context) {
				r, w := humago.Unwrap(hc)
				if r.ContentLength < 0 || r.ContentLength > maxArtifact {
					writeProblem(w, newProblem(http.StatusLengthRequired, "invalid", "the size must be known", Place{Location: "header.Content-Length", Message: fmt.Sprintf("must be from 0 to %d", int64(maxArtifact))}))
					return
				}
				if err := s.o.Runs.PutArtifact(r.Context(), in.ref(), in.Name, r.ContentLength, http.MaxBytesReader(w, r.Body, maxArtifact)); err != nil {
					writeProblem(w, s.problem(r.Context(), err))
					return
				}
				w.WriteHeader(http.StatusNoContent)
			}}, nil
		})
	handle(s, operation{id: "get-job-artifact", method: http.MethodGet, path: "/api/v1/worker/jobs/{job}/artifacts/{name}", tag: tag, scope: onServer, action: auth.RunnerWork, slow: true, errors: []int{410}, media: map[int]string{200: "application/zip"}, summary: "Read an artifact of the run"},
		func(ctx context.Context, in *Named) (*huma.StreamResponse, error) {
			if err := s.mine(ctx, in.ref()); err != nil {
				return nil, err
			}
			content, err := s.o.Runs.GetArtifact(ctx, in.ref(), in.Name)
			if err != nil {
				return nil, err
			}
			return s.copyOut(content, "application/zip"), nil
		})
	handle(s, operation{id: "list-job-artifacts", method: http.MethodGet, path: "/api/v1/worker/jobs/{job}/artifacts", tag: tag, scope: onServer, action: auth.RunnerWork, errors: []int{410}, summary: "The artifacts of the job's run"},
		func(ctx context.Context, in *TryOf) (*answer[items[jobs.Artifact]], error) {
			if err := s.mine(ctx, in.ref()); err != nil {
				return nil, err
			}
			list, err := s.o.Runs.ListArtifacts(ctx, in.ref())
			return listOf(list), err
		})
	handle(s, operation{id: "get-job-source", method: http.MethodGet, path: "/api/v1/worker/jobs/{job}/source", tag: tag, scope: onServer, action: auth.RunnerWork, slow: true, errors: []int{410}, media: map[int]string{200: "application/x-git-bundle"}, summary: "The repository as a git bundle"},
		func(ctx context.Context, in *TryOf) (*huma.StreamResponse, error) {
			if err := s.mine(ctx, in.ref()); err != nil {
				return nil, err
			}
			content, err := s.o.Runs.Source(ctx, in.ref())
			if err != nil {
				return nil, err
			}
			return s.copyOut(content, "application/x-git-bundle"), nil
		})
}

// copyOut answers with a stream of bytes; one that breaks off is cut, so that nobody takes it for whole.
func (s *Server) copyOut(content io.ReadCloser, kind string) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer content.Close()
		_, w := humago.Unwrap(hc)
		w.Header().Set("Content-Type", kind)
		if _, err := io.Copy(w, content); err != nil {
			s.o.Log.Warn("a download broke off", "error", err)
			panic(http.ErrAbortHandler)
		}
	}}
}
