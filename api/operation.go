package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/judge"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/ship"
)

// scope says what an operation's action is decided for.
type scope int

const (
	// public needs no identity.
	public scope = iota + 1
	// signedIn needs an identity and no more.
	signedIn
	// onServer is decided for the whole server.
	onServer
	// onList is decided for each thing in a list: it shows what the caller may read.
	onList
	// onProject and those after it are decided for the project of the parameter of that name.
	onProject
	onRun
	onJob
	onApproval
	onRelease
	onRollout
	onJudgement
)

// operation is what there is to know of one before it is called.
type operation struct {
	id, method, path string
	tag, summary     string
	description      string
	scope            scope
	action           auth.Action
	// status of success where it is not 200.
	status int
	// body bounds the request in bytes; 0: maxBody.
	body int64
	// slow: the request's body may take long (a stream).
	slow bool
	// raw: the body is of the media type takes, and the operation reads it itself.
	raw bool
	// once: a repeated Idempotency-Key gives the first answer again.
	once   bool
	errors []int
	// media describes answers that huma does not see, by their statuses; takes is the media type of such a body of a request.
	media map[int]string
	takes string
}

// describe completes what huma knows of an operation's bodies.
func (op *operation) describe(o *huma.Operation) {
	for status, kind := range op.media {
		if o.Responses == nil {
			o.Responses = map[string]*huma.Response{}
		}
		resp := &huma.Response{Description: http.StatusText(status)}
		if kind != "" {
			resp.Content = map[string]*huma.MediaType{kind: {Schema: schemaOf(kind)}}
		}
		o.Responses[strconv.Itoa(status)] = resp
	}
	if op.takes != "" {
		o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{op.takes: {Schema: schemaOf(op.takes)}}}
	}
}

// schemaOf is what there is to say of a media type's content: a new schema each time, as the framework writes to those it is given.
func schemaOf(kind string) *huma.Schema {
	switch {
	case strings.HasPrefix(kind, "text/"):
		return &huma.Schema{Type: huma.TypeString}
	case kind == "application/json":
		return &huma.Schema{Type: huma.TypeObject}
	}
	return &huma.Schema{Type: huma.TypeString, Format: "binary"} // bytes that are no text
}

// readOf is the action that lets somebody know that a thing of the scope exists.
func readOf(s scope) auth.Action {
	switch s {
	case onProject:
		return auth.ProjectRead
	case onRun, onJob:
		return auth.RunRead
	case onApproval:
		return auth.ApprovalRead
	case onRelease, onRollout, onJudgement:
		return auth.ReleaseRead
	}
	return ""
}

// none is for operations without parameters or without a body in the answer.
type none struct{}

// answer is a body.
type answer[T any] struct{ Body T }

// items is a whole list.
type items[T any] struct {
	Items []T `json:"items"`
}

func listOf[T any](list []T) *answer[items[T]] {
	if list == nil {
		list = []T{}
	}
	return &answer[items[T]]{items[T]{list}}
}

// handle registers an operation. That one without a scope, or a decision without an action, panics: the program is wrong then.
func handle[I, O any](s *Server, op operation, h func(context.Context, *I) (*O, error)) {
	needs := op.scope != public && op.scope != signedIn
	if op.scope == 0 || needs == (op.action == "") || s.operations[op.id] != nil {
		panic("api: the operation " + op.id + " has no scope or action, or is there twice")
	}
	s.operations[op.id] = &op
	o := huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Tags: []string{op.tag}, Summary: op.summary, Description: op.description,
		DefaultStatus: op.status, MaxBodyBytes: op.body, BodyReadTimeout: bodyTimeout, SkipValidateBody: op.raw, Metadata: map[string]any{"operation": &op},
		Errors: append([]int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}, op.errors...),
	}
	if o.MaxBodyBytes == 0 {
		o.MaxBodyBytes = maxBody
	}
	if op.slow {
		o.BodyReadTimeout = -1
	}
	if op.scope != public {
		o.Security = []map[string][]string{{"token": {}}, {"session": {}}}
		o.Errors = append(o.Errors, http.StatusUnauthorized)
	}
	if needs {
		o.Errors = append(o.Errors, http.StatusForbidden, http.StatusNotFound)
		o.Description += "\n\nNeeds `" + string(op.action) + "`."
	}
	if op.method == http.MethodPost || op.method == http.MethodPut || op.method == http.MethodDelete {
		o.Errors = append(o.Errors, http.StatusConflict, http.StatusRequestEntityTooLarge)
	}
	slices.Sort(o.Errors)
	o.Errors = slices.Compact(o.Errors)
	if op.once {
		o.Parameters = append(o.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: fmt.Sprintf("The same request with the same key is answered as it was the first time, for %v. At most %d bytes.", keyLife, keyLimit),
		})
	}
	op.describe(&o)
	huma.Register(s.api, o, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		// The time for writing begins now: work, such as the fetching of a repository, may take longer.
		if hurry, ok := ctx.Value(hurryKey{}).(func()); ok {
			hurry()
		}
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		if out == nil {
			out = new(O)
		}
		return out, nil
	})
	if op.raw {
		// huma takes what an operation reads itself for bytes.
		described(s.OpenAPI(), &op).RequestBody.Content[op.takes].Schema = schemaOf(op.takes)
	}
}

type identityKey struct{}

// hurryKey is what begins the time in which an answer has to be written.
type hurryKey struct{}

// identity is who makes the request; nil in public operations.
func identity(ctx context.Context) *auth.Identity {
	id, _ := ctx.Value(identityKey{}).(*auth.Identity)
	return id
}

// guard lets requests through that may be made.
func (s *Server) guard(ctx huma.Context, next func(huma.Context)) {
	op, _ := ctx.Operation().Metadata["operation"].(*operation)
	r, w := humago.Unwrap(ctx)
	if n, ok := r.Context().Value(noteKey{}).(*note); ok && op != nil {
		n.operation = op.id
	}
	if op == nil {
		writeProblem(w, newProblem(http.StatusForbidden, "refused", "this operation is not open to anybody"))
		return
	}
	if op.scope != public {
		id, err := s.o.Auth.Authenticate(r.Context(), r)
		if err != nil {
			writeProblem(w, s.problem(r.Context(), err))
			return
		}
		if n, ok := r.Context().Value(noteKey{}).(*note); ok {
			n.actor = id.Actor
		}
		if err := s.allow(r.Context(), id, op, ctx.Param); err != nil {
			writeProblem(w, s.problem(r.Context(), err))
			return
		}
		ctx = huma.WithValue(ctx, identityKey{}, id)
	} else if op.method != http.MethodGet {
		if err := s.o.Auth.CheckOrigin(r); err != nil {
			writeProblem(w, s.problem(r.Context(), err))
			return
		}
	}
	if !op.slow {
		// Streams have no end of their own; everything else does.
		ctx = huma.WithValue(ctx, hurryKey{}, func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)) })
	}
	if key := r.Header.Get("Idempotency-Key"); key != "" && op.once {
		s.keys.serve(s, ctx, op, key, next)
		return
	}
	next(ctx)
}

// allow decides whether an identity may call an operation.
func (s *Server) allow(ctx context.Context, id *auth.Identity, op *operation, param func(string) string) error {
	switch op.scope {
	case signedIn, onList:
		if id.Kind == auth.KindRunner {
			return s.o.Auth.Authorize(ctx, id, readable(op.action), auth.AllProjects)
		}
		if op.action != "" && !s.o.Auth.Covers(id, op.action) {
			// An empty list would say that there is nothing; the token is what is wrong.
			return s.o.Auth.Authorize(ctx, id, op.action, auth.AllProjects)
		}
		return nil
	case onServer:
		return s.o.Auth.Authorize(ctx, id, op.action, auth.AllProjects)
	}
	project, err := s.projectOf(ctx, op.scope, param)
	if errors.Is(err, runs.ErrNotFound) || errors.Is(err, ship.ErrNotFound) || errors.Is(err, release.ErrNotFound) || errors.Is(err, judge.ErrNotFound) {
		return hidden(op.scope, param)
	}
	if err != nil {
		return err
	}
	// A token may be for starting runs alone, so what may be done comes before what may be read.
	if s.o.Auth.Allowed(id, op.action, project) {
		return nil
	}
	if !s.o.Auth.Allowed(id, readOf(op.scope), project) {
		// What one may not read does not exist; that it was asked for is recorded all the same.
		if err := s.o.Auth.Authorize(ctx, id, readOf(op.scope), project); err != nil {
			return hidden(op.scope, param)
		}
	}
	return s.o.Auth.Authorize(ctx, id, op.action, project)
}

// hidden answers alike for what there is not and for what the caller may not know of.
func hidden(sc scope, param func(string) string) *Problem {
	name := map[scope]string{onProject: "project", onRun: "run", onJob: "job", onApproval: "approval", onRelease: "release", onRollout: "rollout", onJudgement: "judgement"}[sc]
	return newProblem(http.StatusNotFound, "not-found", fmt.Sprintf("there is no %s %.80q, or you may not see it", name, param(name)))
}

// readable is the action of a list for identities that may read no list.
func readable(a auth.Action) auth.Action {
	if a == "" {
		return auth.TokenOwn
	}
	return a
}

// projectOf finds the project that a parameter belongs to.
func (s *Server) projectOf(ctx context.Context, sc scope, param func(string) string) (string, error) {
	switch sc {
	case onProject:
		p, err := s.o.Runs.Project(ctx, param("project"))
		if err != nil {
			return "", err
		}
		return p.ID, nil
	case onRun:
		r, err := s.o.Runs.Run(ctx, param("run"))
		if err != nil {
			return "", err
		}
		return r.Project, nil
	case onJob:
		j, err := s.o.Runs.Job(ctx, param("job"))
		if err != nil {
			return "", err
		}
		return j.Project, nil
	case onRelease:
		r, err := s.o.Ship.Release(ctx, param("release"))
		return r.Project, err
	case onRollout:
		return s.projectOfRollout(ctx, param("rollout"))
	case onJudgement:
		id, err := strconv.ParseInt(param("judgement"), 10, 64)
		if err != nil {
			return "", release.ErrNotFound
		}
		j, err := s.o.Judge.Judgement(ctx, id)
		if err != nil {
			return "", err
		}
		return s.projectOfRollout(ctx, strconv.FormatInt(j.Rollout, 10))
	}
	a, err := s.o.Runs.Approval(ctx, param("approval"))
	if err != nil {
		return "", err
	}
	return a.Project, nil
}

// projectOfRollout is that of a rollout by its ID as text.
func (s *Server) projectOfRollout(ctx context.Context, id string) (string, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return "", release.ErrNotFound
	}
	r, err := s.o.Rollouts.Get(ctx, n)
	return r.Project, err
}
