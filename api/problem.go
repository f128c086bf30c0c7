package api

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/fleet"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/judge"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/secret"
	"github.com/gantry-ops/gantry/ship"
)

// Problem is an error as RFC 9457 has it, with the places of what is wrong.
type Problem struct {
	// Type is a relative reference that is the same for all problems of a sort: /problems/invalid.
	Type   string  `json:"type" format:"uri-reference" doc:"The sort of problem." example:"/problems/invalid"`
	Title  string  `json:"title" doc:"What the sort is about."`
	Status int     `json:"status" doc:"The HTTP status."`
	Detail string  `json:"detail,omitempty" doc:"What is wrong this time, and what to do."`
	Errors []Place `json:"errors,omitempty" doc:"The places of what is wrong."`

	retry time.Duration
}

// Place is where something is wrong.
type Place struct {
	Location string `json:"location" doc:"body.source.url, query.limit, path.run" example:"body.source.url"`
	Message  string `json:"message" doc:"What is expected there."`
	Value    any    `json:"value,omitempty" doc:"What was given, where it is no secret."`
}

// Error implements error.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return p.Title
}

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	if p.retry <= 0 {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(p.retry.Seconds())))}}
}

// sorts are the kinds of problems with their titles.
var sorts = map[string]string{
	"invalid": "the request cannot be accepted as it is", "not-found": "there is no such thing, or you may not see it", "conflict": "that cannot be done in this state",
	"fenced": "the job is not this worker's any longer", "refused": "you may not do that", "another-person": "another person has to do that", "credentials": "sign in first", "expired": "the credentials have expired",
	"csrf": "the request did not come from this server's own pages", "too-many": "too many requests", "too-large": "the request is too large",
	"unavailable": "the server cannot do that at the moment", "internal": "the server could not do its part", "key-reused": "the Idempotency-Key was used for another request",
}

func newProblem(status int, sort, detail string, places ...Place) *Problem {
	return &Problem{Type: "/problems/" + sort, Title: sorts[sort], Status: status, Detail: detail, Errors: places}
}

var errNotFound = newProblem(http.StatusNotFound, "not-found", "")

func init() {
	// huma's own errors (validation, sizes, unknown fields) take the same form.
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		sort := "invalid"
		switch {
		case status == http.StatusNotFound:
			sort = "not-found"
		case status == http.StatusRequestEntityTooLarge:
			sort = "too-large"
		case status >= 500:
			sort = "internal"
		}
		p := newProblem(status, sort, msg)
		for _, err := range errs {
			if len(p.Errors) == maxPlaces {
				break // a list of a thousand wrong things is wrong in one way
			}
			var d huma.ErrorDetailer
			if errors.As(err, &d) {
				p.Errors = append(p.Errors, place(d.ErrorDetail()))
			} else if err != nil && status < 500 {
				p.Errors = append(p.Errors, Place{Location: "body", Message: err.Error()})
			}
		}
		if len(p.Errors) == 0 && status < 500 {
			p.Errors = []Place{{Location: "body", Message: msg}} // huma looks at nothing else without saying where
		}
		return p
	}
	huma.NewErrorWithContext = func(_ huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return huma.NewError(status, msg, errs...)
	}
}

// What an answer repeats of a request is bounded.
const (
	maxPlaces = 20
	maxEcho   = 200
)

// place is huma's in the API's words.
func place(e *huma.ErrorDetail) Place {
	p := Place{Location: e.Location, Message: e.Message, Value: bounded(e)}
	if location, message, ok := splitBodyError(e.Message); ok && e.Location == "body" {
		p.Location, p.Message = location, message
	}
	if len(p.Location) > maxEcho {
		p.Location = strings.ToValidUTF8(p.Location[:maxEcho], "") + "…"
	}
	return p
}

// bounded is a value as it may be echoed: small, and not of a field that is secret. The whole body may have such fields.
func bounded(e *huma.ErrorDetail) any {
	if e.Location == "body" {
		return nil
	}
	for _, word := range []string{"password", "token", "secret", "value", "old"} {
		if strings.Contains(e.Location, word) {
			return nil
		}
	}
	switch v := e.Value.(type) {
	case string:
		if len(v) > maxEcho {
			return strings.ToValidUTF8(v[:maxEcho], "") + "…"
		}
		return v
	case float64, bool, int, int64:
		return v
	}
	return nil
}

// problem makes the answer to an error. What the server cannot account for is logged, and not told.
func (s *Server) problem(ctx context.Context, err error) *Problem {
	var (
		p        *Problem
		status   huma.StatusError
		invalid  *jobs.InvalidError
		inAuth   *auth.InvalidError
		inSecret *secret.InvalidError
		limited  *auth.LimitedError
		refused  *auth.RefusedError
		forbids  *runs.ForbiddenError
		inShip   *ship.InvalidError
		unknown  *ship.UnknownError
		inFile   *ship.FileError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &status):
		return newProblem(status.GetStatus(), "invalid", status.Error())
	case errors.As(err, &invalid):
		return newProblem(http.StatusUnprocessableEntity, "invalid", err.Error(), s.place(ctx, invalid.Field, invalid.Message, invalid.Value))
	case errors.As(err, &inAuth):
		return newProblem(http.StatusUnprocessableEntity, "invalid", err.Error(), s.place(ctx, inAuth.Field, inAuth.Message, nil))
	case errors.As(err, &inSecret):
		return newProblem(http.StatusUnprocessableEntity, "invalid", err.Error(), s.place(ctx, inSecret.Field, inSecret.Message, nil))
	case errors.As(err, &inShip):
		return newProblem(http.StatusUnprocessableEntity, "invalid", err.Error(), s.place(ctx, inShip.Field, inShip.Message, inShip.Value))
	case errors.As(err, &unknown):
		return newProblem(http.StatusUnprocessableEntity, "invalid", err.Error(), s.place(ctx, unknown.What+"s", err.Error(), unknown.Name))
	case errors.As(err, &inFile):
		return fileProblem(inFile)
	case errors.As(err, &limited):
		p := newProblem(http.StatusTooManyRequests, "too-many", err.Error())
		p.retry = limited.After
		return p
	case errors.Is(err, ship.ErrNotYours):
		return newProblem(http.StatusForbidden, "another-person", err.Error())
	case errors.As(err, &refused), errors.As(err, &forbids):
		return newProblem(http.StatusForbidden, "refused", err.Error())
	case errors.Is(err, auth.ErrCSRF):
		return newProblem(http.StatusForbidden, "csrf", err.Error())
	case errors.Is(err, auth.ErrExpired):
		return newProblem(http.StatusUnauthorized, "expired", err.Error())
	case errors.Is(err, auth.ErrNoCredentials), errors.Is(err, auth.ErrBadCredentials), errors.Is(err, auth.ErrDisabled):
		return newProblem(http.StatusUnauthorized, "credentials", err.Error())
	case errors.Is(err, runs.ErrFenced):
		return newProblem(http.StatusGone, "fenced", err.Error())
	case errors.Is(err, runs.ErrNotFound), errors.Is(err, auth.ErrNotFound), errors.Is(err, secret.ErrNotFound), errors.Is(err, fleet.ErrNotFound),
		errors.Is(err, ship.ErrNotFound), errors.Is(err, release.ErrNotFound), errors.Is(err, judge.ErrNotFound):
		return newProblem(http.StatusNotFound, "not-found", err.Error())
	case errors.Is(err, fleet.ErrToken):
		return newProblem(http.StatusUnprocessableEntity, "invalid", err.Error(), Place{Location: "body", Message: err.Error()})
	case errors.Is(err, runs.ErrConflict), errors.Is(err, auth.ErrExists), errors.Is(err, auth.ErrLastAdmin),
		errors.Is(err, ship.ErrNotNow), errors.Is(err, ship.ErrRefused), errors.Is(err, release.ErrEnded), errors.Is(err, release.ErrNotNow), errors.Is(err, release.ErrContracted):
		return newProblem(http.StatusConflict, "conflict", err.Error())
	case errors.Is(err, context.Canceled):
		return newProblem(499, "unavailable", "the request was given up")
	case away(err):
		s.o.Log.Warn("the database is away", "error", err)
		p := newProblem(http.StatusServiceUnavailable, "unavailable", "the database does not answer; try again soon")
		p.retry = 2 * time.Second
		return p
	}
	operation := ""
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		operation = n.operation
	}
	s.o.Log.Error("an operation failed", "operation", operation, "error", err)
	return newProblem(http.StatusInternalServerError, "internal", "the server's log says more")
}

// fileProblem says what is wrong with a project's files at a commit: each mistake with the line and column that it has there.
func fileProblem(e *ship.FileError) *Problem {
	p := newProblem(http.StatusUnprocessableEntity, "invalid", e.Error())
	for _, d := range e.Diagnostics {
		if len(p.Errors) == maxPlaces {
			break
		}
		if d.Severity != pipeline.Error {
			continue
		}
		message := d.Message
		if d.Hint != "" {
			message += " (" + d.Hint + ")"
		}
		p.Errors = append(p.Errors, Place{Location: d.Pos.String(), Message: message})
	}
	return p
}

// away reports whether the database, and not the request, is what is wrong.
func away(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, context.DeadlineExceeded)
}

// place puts a field of a room's input where the request has it: rooms know no paths and queries.
func (s *Server) place(ctx context.Context, field, message string, value any) Place {
	var op *operation
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		op = s.operations[n.operation]
	}
	return place(&huma.ErrorDetail{Location: s.located(op, field), Message: message, Value: value})
}

func (s *Server) located(op *operation, field string) string {
	// What the rooms call a batch or an end is the body.
	for _, whole := range []string{"batch", "end"} {
		if rest, ok := strings.CutPrefix(field, whole); ok && (rest == "" || rest[0] == '.') {
			return "body" + rest
		}
	}
	if field == "" {
		return "body"
	}
	if op != nil {
		root := field
		if i := strings.IndexAny(field, ".["); i > 0 {
			root = field[:i]
		}
		for _, p := range described(s.OpenAPI(), op).Parameters {
			if p.Name == root {
				return p.In + "." + field
			}
		}
	}
	return "body." + field
}

// described is an operation in the document.
func described(doc *huma.OpenAPI, op *operation) *huma.Operation {
	item := doc.Paths[op.path]
	for _, o := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete} {
		if o != nil && o.OperationID == op.id {
			return o
		}
	}
	return &huma.Operation{}
}

// writeProblem answers with a problem.
func writeProblem(w http.ResponseWriter, p *Problem) {
	for k, v := range p.GetHeaders() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		return // nobody listens any more
	}
}

// invalidQuery is a problem with a parameter.
func invalidQuery(name, format string, args ...any) *Problem {
	message := fmt.Sprintf(format, args...)
	return newProblem(http.StatusUnprocessableEntity, "invalid", name+" "+message, Place{Location: "query." + name, Message: message})
}
