package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gantry-ops/gantry/store"
)

// refused records a refusal of a client.
func (s *Service) refused(ctx context.Context, from Client, e store.Event, reason, detail string) {
	s.refusals.record(ctx, e, refusal{Reason: reason, Address: from.text(), Detail: detail})
}

// RefusedDelivery records that a webhook for a project was not signed as it has to be. Like other refusals, floods of them are counted.
func (s *Service) RefusedDelivery(ctx context.Context, from Client, project string, why error) {
	s.refused(ctx, from, store.Event{Type: eventDeliveryRefused, Actor: anonymous, Project: project}, "signature", why.Error())
}

// attempt takes one for an account from a client, and records when there is none left. Attempts from where the account has signed in
// before are counted apart: an attacker who locks an account elsewhere does not lock its owner out.
func (s *Service) attempt(ctx context.Context, from Client, account string) (*attempt, error) {
	key := account
	if account != "" {
		var seen []string
		err := s.db.NewSelect().Model((*sessionRow)(nil)).Distinct().Column("address").Where("account = ?", account).Scan(ctx, &seen)
		if err != nil {
			return nil, fmt.Errorf("read sessions: %w", err)
		}
		here := block(from.Address)
		for _, text := range seen {
			if a, err := netip.ParseAddr(text); err == nil && block(a) == here {
				key += "\x00" + here.String()
				break
			}
		}
	}
	t, err := s.limits.take(from.Address, key)
	if err != nil {
		s.refused(ctx, from, store.Event{Type: eventLoginRefused, Actor: anonymous}, "limited", "")
	}
	return t, err
}

// verify compares an account's password, taking as long and answering the same for an account that is not there.
func (s *Service) verify(ctx context.Context, from Client, name, password string) (row *accountRow, outdated bool, err error) {
	t, err := s.attempt(ctx, from, name)
	if err != nil {
		return nil, false, err
	}
	row, err = readRow(ctx, s.db, name, "")
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, false, err
	}
	stored := ""
	// What is typed into the wrong field may be a password: only names of accounts go to the audit trail. But each name that is unknown is
	// counted by itself, as those that are known: if it took one write fewer, the time would tell that there is no such account.
	e := store.Event{Type: eventLoginRefused, Actor: anonymous}
	data := refusal{Reason: "unknown", Address: from.text(), apart: hashSecret(name)}
	if row != nil {
		stored, e.Subject, data.Reason = row.Password, row.Name, "password"
	}
	same, outdated, err := s.hasher.compare(ctx, stored, password)
	if err != nil {
		t.unused()
		return nil, false, err
	}
	if !same {
		s.refusals.record(ctx, e, data)
		return nil, false, ErrBadCredentials
	}
	if row.Disabled {
		s.refused(ctx, from, e, "disabled", "")
		return nil, false, ErrDisabled
	}
	t.succeeded()
	return row, outdated, nil
}

// Login signs an account in with its password. The errors are ErrBadCredentials, ErrDisabled (only with the right password) and
// *LimitedError.
func (s *Service) Login(ctx context.Context, from Client, name, password string) (*SignIn, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	row, outdated, err := s.verify(ctx, from, name, password)
	if err != nil {
		return nil, err
	}
	again := ""
	if outdated {
		// The right password at an older cost: make it the present one while it is known. If there is no place now, the next time will do.
		again, _ = s.hasher.hash(ctx, password)
	}
	var in *SignIn
	err = s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		now, err := readRow(ctx, tx, name, tx.ForUpdate())
		if errors.Is(err, ErrNotFound) || err == nil && (now.Disabled || now.Password != row.Password) {
			return ErrBadCredentials // it was changed while the password was compared
		}
		if err != nil {
			return err
		}
		if again != "" {
			if _, err := tx.NewUpdate().Model((*accountRow)(nil)).Set("password = ?", again).Where("name = ?", name).Exec(ctx); err != nil {
				return err
			}
		}
		in, err = s.begin(ctx, tx, from, name, "password")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	return in, nil
}

// ChangePassword sets an account's own password and ends all of its sessions; the identity's own goes on with the new cookie that is
// returned. The errors are ErrBadCredentials where the old one is wrong, *LimitedError, *InvalidError, and *RefusedError for tokens.
func (s *Service) ChangePassword(ctx context.Context, from Client, id *Identity, old, password string) (*SignIn, error) {
	if id == nil || id.Kind != KindAccount {
		return nil, refuseOwn(id)
	}
	if err := checkPassword("new", id.Account, password); err != nil {
		return nil, err
	}
	if normal(old) == normal(password) {
		return nil, invalid("new", "this is the old password")
	}
	row, _, err := s.verify(ctx, from, id.Account, old)
	if err != nil {
		return nil, err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return nil, err
	}
	var in *SignIn
	err = s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		now, err := readRow(ctx, tx, id.Account, tx.ForUpdate())
		if err != nil {
			return err
		}
		if now.Disabled || now.Password != row.Password {
			return ErrBadCredentials
		}
		if err := storePassword(ctx, tx, id.Actor, id.Account, hash); err != nil {
			return err
		}
		in, err = s.begin(ctx, tx, from, id.Account, "password")
		return err
	})
	if err != nil {
		return nil, located("change the password of", id.Account, err)
	}
	return in, nil
}

// SetPassword sets an account's password without knowing the old one, and ends its sessions. The errors are ErrNotFound,
// *InvalidError (also where the account signs in by OpenID Connect) and *LimitedError.
func (s *Service) SetPassword(ctx context.Context, actor, name, password string) error {
	a, err := s.Account(ctx, name)
	if err != nil {
		return err
	}
	if a.OIDC {
		return invalid("password", "%s signs in by OpenID Connect and has no password here", name)
	}
	if err := checkPassword("password", name, password); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := readRow(ctx, tx, name, tx.ForUpdate()); err != nil {
			return err
		}
		return storePassword(ctx, tx, actor, name, hash)
	})
	return located("set the password of", name, err)
}

// storePassword replaces a password and ends the sessions that the old one began.
func storePassword(ctx context.Context, tx *store.Tx, actor, name, hash string) error {
	if _, err := tx.NewUpdate().Model((*accountRow)(nil)).Set("password = ?", hash).Where("name = ?", name).Exec(ctx); err != nil {
		return err
	}
	if err := endSessions(ctx, tx, name); err != nil {
		return err
	}
	return tx.Append(store.Event{Type: eventPassword, Subject: name, Actor: actor}, nil)
}
