package auth

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

func accountActor(name string) string { return "account:" + name }

// Authenticate finds who makes a request: by "Authorization: Bearer TOKEN" where there is that header, by the session's cookie else.
// With a cookie, a request of another method than GET, HEAD and OPTIONS must also come from the server's own pages and carry the
// session's CSRF token in X-CSRF-Token, otherwise the error is ErrCSRF. The errors are ErrNoCredentials, ErrBadCredentials, ErrExpired,
// ErrDisabled, ErrCSRF, and what the database has to say. Refusals but the first are recorded.
func (s *Service) Authenticate(ctx context.Context, r *http.Request) (*Identity, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		return s.authenticateToken(ctx, r, header)
	}
	c, err := r.Cookie(s.cookieName())
	if err != nil {
		return nil, ErrNoCredentials
	}
	id, err := s.authenticateSession(ctx, r, c.Value)
	if err != nil {
		return nil, err
	}
	if err := s.checkCSRF(r, id); err != nil {
		return nil, err
	}
	return id, nil
}

// found is what one query tells about who has a secret: a row for each of the account's grants, or one without.
type found struct {
	ID        string
	Account   string
	Display   string
	Disabled  bool
	Name      string
	Scopes    string
	Projects  string
	UsedAt    store.Time
	ExpiresAt store.Time
	Project   string
	Role      Role
}

// find reads who has a secret from a table of sessions or tokens, with the columns that differ.
func (s *Service) find(ctx context.Context, table, columns, secret string) ([]found, error) {
	var rows []found
	err := s.db.NewSelect().TableExpr("? AS s", bun.Ident(table)).
		ColumnExpr("s.id, s.account, s.expires_at, "+columns).
		ColumnExpr("a.display, a.disabled").
		ColumnExpr("COALESCE(g.project, '') AS project, COALESCE(g.role, '') AS role").
		Join("JOIN auth_accounts AS a ON a.name = s.account AND a.deleted_at = 0").
		Join("LEFT JOIN auth_grants AS g ON g.account = a.name").
		Where("s.hash = ?", hashSecret(secret)).
		Order("g.project", "g.role").
		Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("find who makes the request: %w", err)
	}
	return rows, nil
}

// grants of what was found.
func grants(rows []found) []Grant {
	out := []Grant{}
	for _, r := range rows {
		if r.Role != "" {
			out = append(out, Grant{Project: r.Project, Role: r.Role})
		}
	}
	return out
}

// authenticateSession finds who has a session's cookie.
func (s *Service) authenticateSession(ctx context.Context, r *http.Request, secret string) (*Identity, error) {
	e := store.Event{Type: eventAccessRefused, Actor: anonymous}
	if !wellFormed(prefixSession, secret) {
		s.refused(ctx, s.Client(r), e, "malformed", "session")
		return nil, ErrBadCredentials
	}
	rows, err := s.find(ctx, "auth_sessions", "s.seen_at AS used_at", secret)
	if err != nil {
		return nil, err
	}
	now := s.o.Now()
	if len(rows) == 0 {
		// A session that has ended leaves nothing behind, so this is one, or somebody who has invented a cookie.
		s.refused(ctx, s.Client(r), e, "expired", "session")
		return nil, ErrExpired
	}
	f := rows[0]
	e.Subject = f.Account
	switch {
	case !now.Before(f.ExpiresAt.Time), now.Sub(f.UsedAt.Time) >= s.o.SessionIdle:
		s.refused(ctx, s.Client(r), e, "expired", "session")
		return nil, ErrExpired
	case f.Disabled:
		s.refused(ctx, s.Client(r), e, "disabled", "session")
		return nil, ErrDisabled
	}
	s.touch(ctx, "auth_sessions", "seen_at", f.ID, f.UsedAt.Time)
	return &Identity{Kind: KindAccount, Account: f.Account, Actor: accountActor(f.Account), Display: f.Display, Grants: grants(rows),
		Session: f.ID, CSRF: derive("csrf", secret)}, nil
}

// authenticateToken finds who has the token of an Authorization header (RFC 6750).
func (s *Service) authenticateToken(ctx context.Context, r *http.Request, header string) (*Identity, error) {
	scheme, secret, _ := strings.Cut(header, " ")
	secret = strings.TrimSpace(secret)
	e := store.Event{Type: eventAccessRefused, Actor: anonymous}
	if !strings.EqualFold(scheme, "Bearer") {
		s.refused(ctx, s.Client(r), e, "malformed", "the scheme is not Bearer")
		return nil, fmt.Errorf("%w: the header is Authorization: Bearer TOKEN", ErrBadCredentials)
	}
	if wellFormed(prefixRunner, secret) {
		return s.authenticateRunner(ctx, r, secret)
	}
	if !wellFormed(prefixToken, secret) {
		s.refused(ctx, s.Client(r), e, "malformed", "token")
		return nil, fmt.Errorf("%w: this is not a token, or not all of one", ErrBadCredentials)
	}
	rows, err := s.find(ctx, "auth_tokens", "s.last_used_at AS used_at, s.name, s.scopes, s.projects", secret)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		s.refused(ctx, s.Client(r), e, "unknown", "token")
		return nil, ErrBadCredentials
	}
	f := rows[0]
	e.Actor, e.Subject = "token:"+f.ID, f.Account
	switch {
	case !s.o.Now().Before(f.ExpiresAt.Time):
		s.refused(ctx, s.Client(r), e, "expired", "token")
		return nil, ErrExpired
	case f.Disabled:
		s.refused(ctx, s.Client(r), e, "disabled", "token")
		return nil, ErrDisabled
	}
	id := &Identity{Kind: KindToken, Account: f.Account, Actor: e.Actor, Display: f.Display + " (" + f.Name + ")", Grants: grants(rows)}
	// What restricts must not be lost: a list that cannot be read is an error, not an empty one.
	if err := errors.Join(json.Unmarshal([]byte(f.Scopes), &id.Scopes), json.Unmarshal([]byte(f.Projects), &id.Projects)); err != nil {
		return nil, fmt.Errorf("read what token %s is restricted to: %w", f.ID, err)
	}
	s.touch(ctx, "auth_tokens", "last_used_at", f.ID, f.UsedAt.Time)
	return id, nil
}

// authenticateRunner finds which runner has a token.
func (s *Service) authenticateRunner(ctx context.Context, r *http.Request, secret string) (*Identity, error) {
	row := &runnerRow{}
	err := s.db.NewSelect().Model(row).Where("hash = ?", hashSecret(secret)).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		s.refused(ctx, s.Client(r), store.Event{Type: eventAccessRefused, Actor: anonymous}, "unknown", "runner's token")
		return nil, fmt.Errorf("%w: the runner was removed, or has got another token", ErrBadCredentials)
	}
	if err != nil {
		return nil, fmt.Errorf("find who makes the request: %w", err)
	}
	return &Identity{Kind: KindRunner, Runner: row.Runner, Actor: "runner:" + row.Runner, Display: "runner " + row.Runner, Grants: []Grant{}}, nil
}

// touch writes when a session or token was last used, at most once a minute. That it cannot be written is no reason to refuse a
// request that only reads.
func (s *Service) touch(ctx context.Context, table, column, id string, written time.Time) {
	now := s.o.Now()
	if !s.touches.due(table+"\x00"+id, now, written) {
		return
	}
	err := s.db.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.NewUpdate().Table(table).Set("? = ?", bun.Ident(column), store.At(now)).Where("id = ? AND ? < ?", id, bun.Ident(column), store.At(now)).Exec(ctx)
		return err
	})
	if err != nil {
		s.o.Log.Warn("the last use of a session or token could not be written", "error", err, "table", table, "id", id)
	}
}
