package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/fleet"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/judge"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/secret"
	"github.com/gantry-ops/gantry/ship"
	"github.com/gantry-ops/gantry/store"
)

// Webhook checks and reads a forge's delivery for a project. No triggers and a reason: it starts nothing. delivery is the forge's ID of
// it. A wrong signature is ErrSignature, a body that does not fit a *MalformedError of forge's; the api tells them apart by Refusal.
type Webhook func(ctx context.Context, p *runs.Project, header http.Header, body []byte) (triggers []runs.Trigger, reason, delivery string, err error)

// Refusal says how an error of a Webhook is answered: 401 for a signature, 400 for a body, 0 for an error of the server's own.
type Refusal func(error) (status int)

// Check is a thing that has to be well for the server to be ready.
type Check struct {
	Name string
	Run  func(context.Context) error
}

// Options are what the API is made of. Runs, Auth, Secrets and DB are required.
type Options struct {
	Runs    *runs.Service
	Auth    *auth.Service
	Secrets *secret.Store
	DB      *store.DB
	// UI answers what is no operation; nil: 404.
	UI http.Handler
	// Webhook and Refusal read deliveries; nil: there are none.
	Webhook Webhook
	Refusal Refusal
	// Checks are for /readyz.
	Checks []Check
	Info   Info
	// TokenSecret and HookSecret are the names that a forge's token and the secret of webhooks are kept under.
	TokenSecret, HookSecret string
	// Changed, where set, is called after secrets of a project that sources use have changed.
	Changed func(project string)
	// Fleet knows the hosts, Ship releases and Rollouts their parts; nil: there are no releases. All are set, or none.
	Fleet    *fleet.Service
	Ship     *ship.Service
	Rollouts *release.Service
	Judge    *judge.Service
	// Metrics and MetricsIngest are Prometheus' HTTP API below /prometheus, its reading and its writing part; nil: there is none.
	Metrics, MetricsIngest http.Handler
	// PublicMetrics lets others than this machine read /metrics.
	PublicMetrics bool
	Now           func() time.Time
	Log           *slog.Logger
}

// Info is what the server says of itself.
type Info struct {
	Version string `json:"version"`
	// Database is "sqlite" or "postgresql".
	Database string `json:"database"`
	// URL is where people reach the server, Listen the address that it listens on.
	URL    string `json:"url"`
	Listen string `json:"listen"`
	TLS    bool   `json:"tls"`
	// OIDCIssuer is the provider that people may sign in by; empty: none.
	OIDCIssuer string    `json:"oidc_issuer,omitempty"`
	StartedAt  time.Time `json:"started_at"`
}

// Server is the API. It is an http.Handler.
type Server struct {
	o       Options
	api     huma.API
	handler http.Handler
	metrics *metrics
	keys    *idempotency
	hooks   chan struct{}
	// operations are all that there are, by ID.
	operations map[string]*operation
}

// Limits of requests.
const (
	maxBody      = 1 << 20
	maxHookBody  = 25 << 20
	maxBatchBody = 8 << 20
	bodyTimeout  = 15 * time.Second
	writeTimeout = time.Minute
	// hooksAtATime bounds the webhooks that are worked on; a storm of more is told to come again.
	hooksAtATime = 16
)

// New makes the API.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Runs == nil || o.Auth == nil || o.Secrets == nil || o.DB == nil {
		return nil, errors.New("make the API: runs, auth, secrets and a database are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	keys, err := newIdempotency(ctx, o.DB, o.Now)
	if err != nil {
		return nil, fmt.Errorf("make the API: %w", err)
	}
	s := &Server{o: o, keys: keys, hooks: make(chan struct{}, hooksAtATime), operations: map[string]*operation{}}
	s.metrics = newMetrics(o.Runs, o.DB)
	mux := http.NewServeMux()
	s.api = humago.New(mux, s.config())
	s.api.UseMiddleware(s.guard)
	s.session()
	s.accounts()
	s.projects()
	s.settings()
	s.runs()
	s.logs()
	s.approvals()
	s.runners()
	s.agents()
	s.releases()
	s.events()
	s.worker()
	s.plain(mux)
	s.handler = s.outer(mux)
	return s, nil
}

// OpenAPI is the description of the API.
func (s *Server) OpenAPI() *huma.OpenAPI { return s.api.OpenAPI() }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// timeSchema describes store.Time.
type timeSchema struct{}

// Schema implements huma.SchemaProvider.
func (timeSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Nullable: true, Description: "RFC 3339 in UTC; null where there is none"}
}

func (s *Server) config() huma.Config {
	c := huma.DefaultConfig("Gantry", s.o.Info.Version)
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	c.Info.Description = "The HTTP API of a Gantry server. Sign in by POST /api/v1/session and send X-CSRF-Token with changes, or send a token as \"Authorization: Bearer TOKEN\"."
	c.DocsPath = "" // its page would load scripts from elsewhere
	c.SchemasPath = ""
	c.CreateHooks = nil // no $schema links in every answer
	c.RejectUnknownQueryParameters = true
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}
	c.Formats = map[string]huma.Format{"application/json": format, "json": format}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "An API token, or a runner's."},
		"session": {Type: "apiKey", In: "cookie", Name: "__Host-gantry", Description: "A browser's session; without TLS the cookie is called gantry."},
	}
	c.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[store.Time](), reflect.TypeFor[timeSchema]())
	return c
}

// roomsOfReleases are packages whose types' names go with the package's in the document: several rooms have a Status, a Service, an Info of their own.
var roomsOfReleases = map[string]string{
	"ship": "Release", "release": "Rollout", "release/judge": "Judge", "release/analysis": "Analysis", "fleet": "Fleet", "agent/process": "Process", "agent/link": "Agent",
}

// schemaName names a type in the document.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	_, room, _ := strings.Cut(t.PkgPath(), "github.com/gantry-ops/gantry/")
	prefix := roomsOfReleases[room]
	if prefix == "" || t.Name() == "" || strings.HasPrefix(name, prefix) {
		return name
	}
	return prefix + name
}

// outer is around everything: identity of the request, headers, log, panics, metrics.
func (s *Server) outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.o.Now()
		id := uuid.NewString()
		h := w.Header()
		h.Set("X-Request-Id", id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Frame-Options", "DENY")
		if s.o.Info.TLS {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/auth/") {
			h.Set("Cache-Control", "no-store")
		}
		rec := &recorder{ResponseWriter: w}
		note := &note{}
		r = r.WithContext(context.WithValue(r.Context(), noteKey{}, note))
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.o.Log.Error("a request panicked", "request", id, "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				if rec.status == 0 {
					writeProblem(rec, newProblem(http.StatusInternalServerError, "internal", "the server could not do its part; its log has the request "+id))
				}
			}
			took := s.o.Now().Sub(began)
			if note.operation != "" {
				s.metrics.observe(note.operation, rec.code(), took)
			}
			level := slog.LevelDebug
			if rec.code() >= 500 {
				level = slog.LevelWarn
			}
			s.o.Log.Log(r.Context(), level, "request", "request", id, "method", r.Method, "path", r.URL.Path, "operation", note.operation, "actor", note.actor, "status", rec.code(), "took", took)
		}()
		if p := checkURL(r.URL); p != nil {
			writeProblem(rec, p)
			return
		}
		next.ServeHTTP(rec, r)
	})
}

// note is what is learnt of a request on its way in.
type note struct{ operation, actor string }

type noteKey struct{}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 || r.status < 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Flush implements http.Flusher.
func (r *recorder) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }

// by is who asks, for the rooms.
func by(id *auth.Identity) jobs.By {
	return jobs.By{Actor: id.Actor, Name: id.Display, Account: id.Account}
}
