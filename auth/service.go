package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/store"
)

// Defaults of Options.
const (
	DefaultSessionIdle     = 12 * time.Hour
	DefaultSessionLifetime = 7 * 24 * time.Hour
)

// Options are what a Service is made of.
type Options struct {
	// URL is where browsers reach the server: "https://ci.example.com". With https, cookies are Secure and have the name prefix __Host-
	// (RFC 6265bis, section 4.1.3). A browser's request may come from pages of this origin or of the request's own host, no other. Empty:
	// plain HTTP, and the request's own host alone.
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
	db       *store.DB
	o        Options
	url      *url.URL // nil where there is none
	origins  *http.CrossOriginProtection
	hasher   *hasher
	limits   *limits
	refusals *refusals
	touches  touches
	oidc     *provider // nil where there is none
}

// New makes the room's tables where they are missing. It reaches no other machine than the database's.
func New(ctx context.Context, db *store.DB, o Options) (*Service, error) {
	if o.SessionIdle <= 0 {
		o.SessionIdle = DefaultSessionIdle
	}
	if o.SessionLifetime <= 0 {
		o.SessionLifetime = DefaultSessionLifetime
	}
	if o.Cost == (Cost{}) {
		o.Cost = RecommendedCost
	}
	if o.Now == nil {
		o.Now = db.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if err := o.Cost.check(); err != nil {
		return nil, fmt.Errorf("hashing of passwords: %w", err)
	}
	s := &Service{db: db, o: o, origins: http.NewCrossOriginProtection(), hasher: newHasher(o.Cost), limits: newLimits(o.Now), refusals: newRefusals(db, o.Now, o.Log)}
	if o.URL != "" {
		u, err := url.Parse(o.URL)
		if err != nil {
			return nil, fmt.Errorf("the server's URL: %w", err)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("the server's URL %q is not one that a browser can go to: write it like https://ci.example.com", o.URL)
		}
		// Browsers leave the port out of Origin where it is the scheme's own (RFC 6454, section 6.2).
		host := strings.TrimSuffix(u.Host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
		if err := s.origins.AddTrustedOrigin(u.Scheme + "://" + strings.ToLower(host)); err != nil {
			return nil, fmt.Errorf("the server's URL: %w", err)
		}
		s.url = u
	}
	if o.OIDC != nil {
		if s.url == nil {
			return nil, errors.New("sign-in by OpenID Connect needs the server's URL: browsers are sent back to it")
		}
		p, err := newProvider(*o.OIDC)
		if err != nil {
			return nil, fmt.Errorf("sign-in by OpenID Connect: %w", err)
		}
		s.oidc = p
	}
	if err := db.Migrate(ctx, "auth", migrations); err != nil {
		return nil, err
	}
	return s, nil
}

// secure is whether browsers reach the server by TLS.
func (s *Service) secure() bool { return s.url != nil && s.url.Scheme == "https" }

// keepExpired is how long what has expired is remembered, so that its owner is told that it has.
const keepExpired = 30 * 24 * time.Hour

// Tidy removes what has expired, and writes the refusals that were only counted so far. The server calls it about hourly.
func (s *Service) Tidy(ctx context.Context) error {
	counted := s.refusals.flush(ctx, false)
	now := s.o.Now()
	err := s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.NewDelete().Model((*sessionRow)(nil)).Where("expires_at < ? OR seen_at < ?", store.At(now), store.At(now.Add(-s.o.SessionIdle))).Exec(ctx); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*tokenRow)(nil)).Where("expires_at < ?", store.At(now.Add(-keepExpired))).Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewDelete().Model((*linkRow)(nil)).Where("expires_at < ?", store.At(now)).Exec(ctx)
		return err
	})
	if err != nil {
		err = fmt.Errorf("remove expired sessions, tokens and links: %w", err)
	}
	return errors.Join(counted, err)
}

// Close writes the refusals that were only counted so far.
func (s *Service) Close(ctx context.Context) error {
	return s.refusals.flush(ctx, true)
}
