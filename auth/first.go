package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/gantry-ops/gantry/store"
)

// LinkLifetime is how long the one-time link of the first start can be used.
const LinkLifetime = 24 * time.Hour

// FirstStart reports whether the server has no administrator yet.
func (s *Service) FirstStart(ctx context.Context) (bool, error) {
	n, err := admins(ctx, s.db)
	if err != nil {
		return false, fmt.Errorf("count administrators: %w", err)
	}
	return n == 0, nil
}

// FirstLink returns a new one-time token that makes the first administrator, and makes all earlier ones void; empty where there is an
// administrator already. It goes to the server's standard output, in a link to the UI's sign-in page, and nowhere else.
func (s *Service) FirstLink(ctx context.Context) (token string, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		token = ""
		if err := lockAdmins(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*linkRow)(nil)).Where("1 = 1").Exec(ctx); err != nil {
			return err
		}
		n, err := admins(ctx, tx)
		if err != nil || n > 0 {
			return err
		}
		secret := newSecret(prefixLink)
		row := &linkRow{Hash: hashSecret(secret), ExpiresAt: store.At(s.o.Now().Add(LinkLifetime))}
		if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
			return err
		}
		token = secret
		return tx.Append(store.Event{Type: eventLink, Actor: "gantry"}, map[string]any{"expires_at": row.ExpiresAt})
	})
	if err != nil {
		return "", fmt.Errorf("make the link of the first start: %w", err)
	}
	return token, nil
}

// Redeem makes the first administrator from a token of FirstLink, which is void afterwards, and signs it in. The errors are
// ErrBadCredentials (wrong or used), ErrExpired, ErrExists, *LimitedError, *InvalidError.
func (s *Service) Redeem(ctx context.Context, from Client, token, name, password string) (*SignIn, error) {
	if password == "" {
		return nil, invalid("password", "this is needed")
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := checkPassword("password", name, password); err != nil {
		return nil, err
	}
	t, err := s.attempt(ctx, from, "")
	if err != nil {
		return nil, err
	}
	// The link is looked at before anything is hashed for it, and again in the transaction that uses it.
	link := &linkRow{Hash: hashSecret(token)}
	err = sql.ErrNoRows
	if wellFormed(prefixLink, token) {
		err = s.db.NewSelect().Model(link).WherePK().Scan(ctx)
	}
	e := store.Event{Type: eventLoginRefused, Actor: anonymous}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		s.refused(ctx, from, e, "link", "")
		return nil, fmt.Errorf("%w: the link was used already, or a later start of the server has made another one", ErrBadCredentials)
	case err != nil:
		return nil, fmt.Errorf("read the link: %w", err)
	case !s.o.Now().Before(link.ExpiresAt.Time):
		s.refused(ctx, from, e, "link", "expired")
		return nil, fmt.Errorf("%w: the link has lasted %s; start the server again for another one", ErrExpired, LinkLifetime)
	}
	row, grants, err := s.prepare(ctx, NewAccount{Name: name, Password: password, Grants: []Grant{{Project: AllProjects, Role: Admin}}})
	if err != nil {
		t.unused()
		return nil, err
	}
	var in *SignIn
	err = s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := lockAdmins(ctx, tx); err != nil {
			return err
		}
		res, err := tx.NewDelete().Model(link).WherePK().Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, ErrBadCredentials)
		}
		if n, err := admins(ctx, tx); err != nil || n > 0 {
			return errors.Join(err, ErrBadCredentials)
		}
		if err := insertAccount(ctx, tx, accountActor(name), row, grants); err != nil {
			return err
		}
		in, err = s.begin(ctx, tx, from, name, "link")
		return err
	})
	if err != nil {
		if errors.Is(err, ErrBadCredentials) {
			s.refused(ctx, from, e, "link", "used")
		}
		return nil, fmt.Errorf("make the first administrator: %w", err)
	}
	t.succeeded()
	return in, nil
}
