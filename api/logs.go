package api

import (
	"context"
	"mime"
	"net/http"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs/jobs"
)

// OfJob is the parameter of everything below a job.
type OfJob struct {
	Job string `path:"job" maxLength:"64"`
}

// followLimit is how many lines one message of a stream has at most.
const followLimit = 1000

func (s *Server) logs() {
	const tag = "Jobs and logs"
	handle(s, operation{id: "get-job", method: http.MethodGet, path: "/api/v1/jobs/{job}", tag: tag, scope: onJob, action: auth.RunRead, summary: "One job with its steps"},
		func(ctx context.Context, in *OfJob) (*answer[*jobs.Job], error) {
			j, err := s.o.Runs.Job(ctx, in.Job)
			return &answer[*jobs.Job]{j}, err
		})
	handle(s, operation{id: "read-log", method: http.MethodGet, path: "/api/v1/jobs/{job}/log", tag: tag, scope: onJob, action: auth.RunRead, summary: "A range of a job's log", description: "Costs what the range costs, however long the log is."},
		func(ctx context.Context, in *struct {
			OfJob
			From  int64 `query:"from" default:"1" doc:"The first line's number, from 1; negative: that many from the end."`
			Limit int   `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
		}) (*answer[*jobs.LogPage], error) {
			p, err := s.o.Runs.Log(ctx, in.Job, jobs.LogQuery{From: in.From, Limit: in.Limit})
			return &answer[*jobs.LogPage]{p}, err
		})
	handle(s, operation{id: "search-log", method: http.MethodGet, path: "/api/v1/jobs/{job}/log/search", tag: tag, scope: onJob, action: auth.RunRead, summary: "Find lines by a regular expression", description: "In the syntax of RE2; colours are left out of what is searched."},
		func(ctx context.Context, in *struct {
			OfJob
			Pattern string `query:"pattern" required:"true" minLength:"1" maxLength:"1024"`
			From    int64  `query:"from" minimum:"1" default:"1"`
			Limit   int    `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
		}) (*answer[*jobs.LogMatches], error) {
			pattern, err := regexp.Compile(in.Pattern)
			if err != nil {
				message := err.Error()
				if e, ok := err.(*syntax.Error); ok { //nolint:errorlint // regexp returns it bare
					message = e.Code.String() + ": " + e.Expr
				}
				return nil, invalidQuery("pattern", "is no regular expression: %s", message)
			}
			m, err := s.o.Runs.SearchLog(ctx, in.Job, pattern, in.From, in.Limit)
			return &answer[*jobs.LogMatches]{m}, err
		})
	handle(s, operation{id: "download-log", method: http.MethodGet, path: "/api/v1/jobs/{job}/log/raw", tag: tag, scope: onJob, action: auth.RunRead, slow: true, media: map[int]string{200: "text/plain; charset=utf-8"}, summary: "The whole log as text"},
		func(ctx context.Context, in *struct {
			OfJob
			Timestamps bool `query:"timestamps"`
		}) (*huma.StreamResponse, error) {
			j, err := s.o.Runs.Job(ctx, in.Job)
			if err != nil {
				return nil, err
			}
			return &huma.StreamResponse{Body: func(hc huma.Context) {
				r, w := humago.Unwrap(hc)
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
				w.Header().Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": fileName(j.Path) + "-" + j.ID + ".txt"}))
				if err := s.o.Runs.WriteLog(r.Context(), in.Job, in.Timestamps, w); err != nil && r.Context().Err() == nil {
					s.o.Log.Warn("a log could not be sent whole", "job", in.Job, "error", err)
					panic(http.ErrAbortHandler) // the reader must not take what came for everything
				}
			}}, nil
		})
	handle(s, operation{id: "follow-log", method: http.MethodGet, path: "/api/v1/jobs/{job}/log/follow", tag: tag, scope: onJob, action: auth.RunRead, slow: true, media: map[int]string{200: "text/event-stream"}, summary: "A log as it comes",
		description: "Server-sent events: \"lines\" with the lines and the total so far, numbered by the last line; \"end\" when there will be no more. Last-Event-ID goes on behind that line."},
		func(ctx context.Context, in *struct {
			OfJob
			From   int64  `query:"from" minimum:"1" default:"1" doc:"The first line's number."`
			LastID string `header:"Last-Event-ID" maxLength:"32"`
		}) (*huma.StreamResponse, error) {
			from := in.From
			if n, ok := eventID(in.LastID); ok {
				from = n + 1
			}
			return s.stream(func(st *stream) error { return s.follow(st, in.Job, from) }), nil
		})
}

// fileName makes a name that every system takes.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, s)
}

// follow sends a log's lines until it is complete.
func (s *Server) follow(st *stream, job string, from int64) error {
	grown := s.o.Runs.WatchLog(st.ctx, job)
	for {
		p, err := s.o.Runs.Log(st.ctx, job, jobs.LogQuery{From: from, Limit: followLimit})
		if err != nil {
			return err
		}
		if n := len(p.Lines); n > 0 {
			last := p.Lines[n-1].N
			if err := st.send("lines", last, map[string]any{"lines": p.Lines, "total": p.Total}); err != nil {
				return err
			}
			from = last + 1
		}
		switch {
		case from <= p.Total:
			// There is more already.
			if err := st.check(); err != nil {
				return err
			}
			continue
		case p.Complete:
			return st.send("end", 0, map[string]int64{"total": p.Total})
		}
		if err := st.wait(grown); err != nil {
			return err
		}
	}
}
