package auth

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/store"
)

// maxSessions bounds how many an account has at a time; the oldest ends for a new one.
const maxSessions = 50

// touchEvery is how exactly the last use of sessions and tokens is known: not each request is to write.
const touchEvery = time.Minute

// SignIn is a sign-in that succeeded.
type SignIn struct {
	Identity *Identity
	// Cookie is to be set with the response.
	Cookie *http.Cookie
}

// cookieName is the session's cookie. The prefix makes browsers take it from this very host, over TLS, and from nobody else.
func (s *Service) cookieName() string {
	if s.secure() {
		return "__Host-gantry"
	}
	return "gantry"
}

// cookie makes one of this server's; age < 0 takes it away.
func (s *Service) cookie(name, value string, age time.Duration) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, Secure: s.secure(), SameSite: http.SameSiteLaxMode, MaxAge: int(age / time.Second)}
	if age < 0 {
		c.MaxAge = -1
	}
	return c
}

// ClearCookie takes the session's cookie away: for who comes with one that is no session's any more.
func (s *Service) ClearCookie() *http.Cookie { return s.cookie(s.cookieName(), "", -1) }

// begin begins a session in a transaction; it always has a new secret, whatever the browser had before.
func (s *Service) begin(ctx context.Context, tx *store.Tx, from Client, account, method string) (*SignIn, error) {
	now := s.o.Now()
	secret := newSecret(prefixSession)
	row := &sessionRow{Hash: hashSecret(secret), ID: newID(), Account: account, Method: method, Address: from.text(), Agent: from.Agent,
		CreatedAt: store.At(now), SeenAt: store.At(now), ExpiresAt: store.At(now.Add(s.o.SessionLifetime))}
	if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
		return nil, fmt.Errorf("begin a session: %w", err)
	}
	var keep []string
	if err := tx.NewSelect().Model((*sessionRow)(nil)).Column("id").Where("account = ?", account).Order("created_at DESC", "id DESC").Limit(maxSessions+1).Scan(ctx, &keep); err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	if len(keep) > maxSessions {
		oldest := tx.NewSelect().Model((*sessionRow)(nil)).Column("created_at").Where("id = ?", keep[maxSessions])
		if _, err := tx.NewDelete().Model((*sessionRow)(nil)).Where("account = ? AND id <> ? AND created_at <= (?)", account, row.ID, oldest).Exec(ctx); err != nil {
			return nil, fmt.Errorf("end the oldest session: %w", err)
		}
	}
	if _, err := tx.NewUpdate().Model((*accountRow)(nil)).Set("last_login_at = ?", store.At(now)).Where("name = ?", account).Exec(ctx); err != nil {
		return nil, fmt.Errorf("begin a session: %w", err)
	}
	a, err := readAccount(ctx, tx, account)
	if err != nil {
		return nil, err
	}
	if err := tx.Append(store.Event{Type: eventLogin, Subject: account, Actor: accountActor(account)}, map[string]any{"method": method, "address": row.Address, "agent": row.Agent}); err != nil {
		return nil, err
	}
	return &SignIn{
		Identity: &Identity{Kind: KindAccount, Account: account, Actor: accountActor(account), Display: a.Display, Grants: a.Grants, Session: row.ID, CSRF: derive("csrf", secret)},
		Cookie:   s.cookie(s.cookieName(), secret, s.o.SessionLifetime),
	}, nil
}

// endSessions ends all of an account's.
func endSessions(ctx context.Context, tx *store.Tx, account string) error {
	if _, err := tx.NewDelete().Model((*sessionRow)(nil)).Where("account = ?", account).Exec(ctx); err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

// Logout ends the identity's session, and returns the cookie that takes its own away. For tokens it is nothing but that.
func (s *Service) Logout(ctx context.Context, id *Identity) (*http.Cookie, error) {
	gone := s.ClearCookie()
	if id == nil || id.Session == "" {
		return gone, nil
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		res, err := tx.NewDelete().Model((*sessionRow)(nil)).Where("id = ?", id.Session).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return tx.Append(store.Event{Type: eventLogout, Subject: id.Account, Actor: id.Actor}, nil)
	})
	if err != nil {
		return nil, fmt.Errorf("sign out: %w", err)
	}
	return gone, nil
}

// CheckOrigin returns ErrCSRF for a request that changes something and that a browser makes from a page of another site, as Sec-Fetch-Site
// and Origin tell. Operations that need no identity but change something (Login, Redeem) are to call it; Authenticate does so itself for
// sessions. The refusal is recorded.
func (s *Service) CheckOrigin(r *http.Request) error {
	if err := s.origins.Check(r); err != nil {
		s.refused(r.Context(), s.Client(r), store.Event{Type: eventAccessRefused, Actor: anonymous}, "csrf", "the page is another site's: "+cut(r.Header.Get("Origin")))
		return ErrCSRF
	}
	return nil
}

// checkCSRF also asks for the token that only the server's own pages can read.
func (s *Service) checkCSRF(r *http.Request, id *Identity) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	detail := ""
	if s.origins.Check(r) != nil {
		detail = "the page is another site's: " + cut(r.Header.Get("Origin"))
	} else if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-CSRF-Token")), []byte(id.CSRF)) != 1 {
		detail = "X-CSRF-Token is not the session's"
	}
	if detail == "" {
		return nil
	}
	s.refused(r.Context(), s.Client(r), store.Event{Type: eventAccessRefused, Actor: id.Actor, Subject: id.Account}, "csrf", detail)
	return ErrCSRF
}

// touches keeps requests that come together from all writing when a session or token was last used. It is safe for concurrent use.
type touches struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// due reports whether a use at now is to be written, once in touchEvery for each key.
func (t *touches) due(key string, now, written time.Time) bool {
	if now.Sub(written) < touchEvery {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.last[key]) < touchEvery {
		return false
	}
	if t.last == nil || len(t.last) >= 10000 {
		t.last = map[string]time.Time{}
	}
	t.last[key] = now
	return true
}
