package auth

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/gantry-ops/gantry/store"
)

// Defaults of Options.
const (
	DefaultSessionIdle     = 12 * time.Hour
	DefaultSessionLifetime = 7 * 24 * time.Hour
	// LinkLifetime is how long the one-time link of the first start can be used.
	LinkLifetime = 24 * time.Hour
	// MaxTokenLifetime bounds that of API tokens, DefaultTokenLifetime is what they get when nothing is said.
	MaxTokenLifetime     = 365 * 24 * time.Hour
	DefaultTokenLifetime = 90 * 24 * time.Hour
)

// Options are what a Service is made of.
type Options struct {
	// URL is where browsers reach the server: "https://ci.example.com". With https, cookies are Secure and have the name prefix __Host-
	// (RFC 6265bis, section 4.1.3). A browser's request may come from pages of this origin or of the request's own host, no other.
	URL string
	// TrustedProxies are the proxies whose X-Forwarded-For is believed; empty: nobody's.
	TrustedProxies []netip.Prefix
	// SessionIdle is how long a session lasts without a request, SessionLifetime how long at all. 0: the defaults.
	SessionIdle, SessionLifetime time.Duration
	// Cost is that of hashing passwords; zero: RecommendedCost. Tests make it cheaper.
	Cost Cost
	// OIDC is the provider that accounts may sign in by; nil: none.
	OIDC *OIDC
	// Now is the clock; nil: the database's.
	Now func() time.Time
	// Log is told what could not be written while a request was refused; nil: slog.Default.
	Log *slog.Logger
}

// Service is the room's one door. It is safe for concurrent use, and several servers may have one on the same database.
type Service struct {
	db *store.DB
	o  Options
}

// New makes the room's tables where they are missing. It makes no request.
func New(ctx context.Context, db *store.DB, o Options) (*Service, error) { panic("to be written") }

// Tidy removes what has expired. The server calls it about hourly.
func (s *Service) Tidy(ctx context.Context) error { panic("to be written") }

// Close writes the refusals that were only counted so far.
func (s *Service) Close(ctx context.Context) error { panic("to be written") }
