package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/gantry-ops/gantry/store"
)

// signInOIDC signs somebody in whom the provider has identified. Issuer and subject are who they are, and nothing else: a name or an
// e-mail address may be given to somebody else, and some providers let people choose theirs. So an account with the same name is never
// taken for theirs; they get one whose name has a number behind.
func (s *Service) signInOIDC(ctx context.Context, from Client, who *person) (*SignIn, error) {
	var in *SignIn
	account := ""
	err := s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := lockAdmins(ctx, tx); err != nil {
			return err
		}
		link := &identityRow{Issuer: who.issuer, Subject: who.subject}
		err := tx.NewSelect().Model(link).WherePK().Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			link.Account, err = s.makeOIDC(ctx, tx, who)
		}
		if err != nil {
			return err
		}
		account = link.Account
		row, err := readRow(ctx, tx, account, tx.ForUpdate())
		if errors.Is(err, ErrNotFound) || err == nil && row.Disabled {
			return ErrDisabled // also where it was deleted: coming back would be a new person in an old name
		}
		if err != nil {
			return err
		}
		if who.groups != nil {
			if err := s.syncGroups(ctx, tx, account, who.groups); err != nil {
				return err
			}
		}
		in, err = s.begin(ctx, tx, from, account, "oidc")
		return err
	})
	if errors.Is(err, ErrDisabled) {
		s.refusedOIDC(ctx, from, account, "disabled")
	}
	if err != nil {
		return nil, fmt.Errorf("sign in by OpenID Connect: %w", err)
	}
	return in, nil
}

// makeOIDC makes the account of somebody's first sign-in and returns its name.
func (s *Service) makeOIDC(ctx context.Context, tx *store.Tx, who *person) (string, error) {
	name := who.name
	for n := 2; ; n++ {
		taken, err := tx.NewSelect().Model((*accountRow)(nil)).Where("a.name = ?", name).Exists(ctx)
		if err != nil {
			return "", fmt.Errorf("look for a free name: %w", err)
		}
		if !taken {
			break
		}
		if n > 9999 {
			return "", fmt.Errorf("account %q: %w, and so are all with a number behind", who.name, ErrExists)
		}
		name = who.name + "-" + strconv.Itoa(n)
	}
	row := &accountRow{Name: name, Display: who.display, CreatedAt: store.At(s.o.Now())}
	if err := insertAccount(ctx, tx, accountActor(name), row, s.oidc.Default); err != nil {
		return "", err
	}
	if _, err := tx.NewInsert().Model(&identityRow{Issuer: who.issuer, Subject: who.subject, Account: name}).Exec(ctx); err != nil {
		return "", fmt.Errorf("make account %q: %w", name, err)
	}
	return name, nil
}

// syncGroups brings the grants by groups up to date. The last administrator keeps that grant, whatever the groups say: the server would
// have none, and anybody who can read its output could make themselves one at its next start.
func (s *Service) syncGroups(ctx context.Context, tx *store.Tx, account string, groups []string) error {
	grants := s.oidc.byGroups(groups)
	before, err := admins(ctx, tx)
	if err != nil {
		return err
	}
	had := &grantRow{Account: account, Project: AllProjects, Role: Admin}
	kept, err := tx.NewSelect().Model(had).WherePK().Exists(ctx)
	if err != nil {
		return err
	}
	if before == 1 && kept {
		grants = append(grants, Grant{Project: AllProjects, Role: Admin})
	}
	return setGrants(ctx, tx, oidcActor, account, grants, true)
}

// oidcActor is who changes grants by groups.
const oidcActor = "oidc"

// loginRefused is the event of a sign-in that was refused, of an account where it is known.
func loginRefused(account string) store.Event {
	return store.Event{Type: eventLoginRefused, Actor: anonymous, Subject: account}
}
