package auth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// Account is a person, or a machine that is treated as one.
type Account struct {
	Name    string `json:"name"`
	Display string `json:"display"`
	// Disabled accounts cannot sign in; their sessions have ended and their tokens are void while it is so.
	Disabled bool `json:"disabled"`
	// OIDC is whether it signs in by OpenID Connect; then it has no password.
	OIDC        bool       `json:"oidc"`
	Grants      []Grant    `json:"grants"`
	CreatedAt   store.Time `json:"created_at"`
	LastLoginAt store.Time `json:"last_login_at"`
}

// NewAccount is what an account is made of.
type NewAccount struct {
	// Name is 1 to 64 of a-z, 0-9, ".", "_" and "-", and begins with a letter or digit. It is never changed nor used again.
	Name string `json:"name"`
	// Display is the name for people, at most 128 bytes; empty: Name.
	Display string `json:"display"`
	// Password may be empty: then nobody can sign in with one.
	Password string  `json:"password"`
	Grants   []Grant `json:"grants"`
}

// AccountChange is what an account is to be; it replaces all three.
type AccountChange struct {
	Display  string  `json:"display"`
	Disabled bool    `json:"disabled"`
	Grants   []Grant `json:"grants"`
}

// maxName and maxDisplay bound an account's names in bytes, maxGrants its grants.
const (
	maxName    = 64
	maxDisplay = 128
	maxGrants  = 1000
)

func checkName(name string) error {
	ok := len(name) >= 1 && len(name) <= maxName
	for i := range len(name) {
		c := name[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || i > 0 && (c == '.' || c == '_' || c == '-'))
	}
	if !ok {
		return invalid("name", "an account's name is 1 to %d of a-z, 0-9, '.', '_' and '-', and begins with a letter or digit", maxName)
	}
	return nil
}

// checkText checks a name for people.
func checkText(field, text string, least, most int) error {
	switch {
	case len(text) < least:
		return invalid(field, "this is needed")
	case len(text) > most:
		return invalid(field, "%d bytes are too long: at most %d are possible", len(text), most)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return printable(r) < 0 }):
		return invalid(field, "control characters and invalid UTF-8 are not possible here")
	}
	return nil
}

// checkGrants checks grants and returns them sorted, each once.
func checkGrants(grants []Grant) ([]Grant, error) {
	if len(grants) > maxGrants {
		return nil, invalid("grants", "%d are too many: at most %d are possible", len(grants), maxGrants)
	}
	for i, g := range grants {
		if !slices.Contains(Roles(), g.Role) {
			return nil, invalid(fmt.Sprintf("grants[%d].role", i), "%q is not a role: there are %s", cut(string(g.Role)), joined(Roles()))
		}
		if err := checkText(fmt.Sprintf("grants[%d].project", i), g.Project, 1, maxDisplay); err != nil {
			return nil, err
		}
	}
	out := slices.Clone(grants)
	slices.SortFunc(out, compareGrants)
	return slices.Compact(out), nil
}

func compareGrants(a, b Grant) int {
	if c := strings.Compare(a.Project, b.Project); c != 0 {
		return c
	}
	return strings.Compare(string(a.Role), string(b.Role))
}

// cut shortens what is shown of somebody's input.
func cut(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

func joined[T ~string](all []T) string {
	var out []string
	for _, v := range all {
		out = append(out, string(v))
	}
	return strings.Join(out, ", ")
}

// Accounts returns accounts by name, those after one ("": from the first), and the name to go on after ("": there are no more).
// limit is 1 to 1000; 0: 100.
func (s *Service) Accounts(ctx context.Context, after string, limit int) (items []Account, next string, err error) {
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	var rows []accountRow
	err = s.db.NewSelect().Model(&rows).Where("a.name > ? AND a.deleted_at = 0", after).Order("a.name").Limit(int64(limit) + 1).Scan(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("read accounts: %w", err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		next = rows[limit-1].Name
	}
	items, err = complete(ctx, s.db, rows)
	return items, next, err
}

// Account returns one, or ErrNotFound.
func (s *Service) Account(ctx context.Context, name string) (*Account, error) {
	return readAccount(ctx, s.db, name)
}

// readAccount reads one that is not deleted.
func readAccount(ctx context.Context, db bun.IDB, name string) (*Account, error) {
	row, err := readRow(ctx, db, name, "")
	if err != nil {
		return nil, err
	}
	all, err := complete(ctx, db, []accountRow{*row})
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

// readRow reads an account's row; lock is store.Tx.ForUpdate in transactions that will change it.
func readRow(ctx context.Context, db bun.IDB, name, lock string) (*accountRow, error) {
	row := &accountRow{}
	q := db.NewSelect().Model(row).Where("a.name = ? AND a.deleted_at = 0", name)
	if lock != "" {
		q = q.For(lock)
	}
	err := q.Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("account %q: %w", cut(name), ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read account %q: %w", cut(name), err)
	}
	return row, nil
}

// complete adds what other tables have of accounts.
func complete(ctx context.Context, db bun.IDB, rows []accountRow) ([]Account, error) {
	out := make([]Account, len(rows))
	at := map[string]*Account{}
	var names []string
	for i, r := range rows {
		out[i] = Account{Name: r.Name, Display: r.Display, Disabled: r.Disabled, Grants: []Grant{}, CreatedAt: r.CreatedAt, LastLoginAt: r.LastLoginAt}
		at[r.Name] = &out[i]
		names = append(names, r.Name)
	}
	if len(names) == 0 {
		return out, nil
	}
	var grants []grantRow
	if err := db.NewSelect().Model(&grants).Where("g.account IN (?)", bun.In(names)).Order("g.account", "g.project", "g.role").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read grants: %w", err)
	}
	for _, g := range grants {
		a := at[g.Account]
		a.Grants = append(a.Grants, Grant{Project: g.Project, Role: g.Role})
	}
	var linked []string
	if err := db.NewSelect().Model((*identityRow)(nil)).Column("account").Where("account IN (?)", bun.In(names)).Scan(ctx, &linked); err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	for _, name := range linked {
		at[name].OIDC = true
	}
	return out, nil
}

// CreateAccount makes an account. The errors are *InvalidError, ErrExists and *LimitedError.
func (s *Service) CreateAccount(ctx context.Context, actor string, a NewAccount) (*Account, error) {
	row, grants, err := s.prepare(ctx, a)
	if err != nil {
		return nil, err
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return insertAccount(ctx, tx, actor, row, grants)
	})
	if err != nil {
		return nil, err
	}
	return readAccount(ctx, s.db, a.Name)
}

// prepare checks a new account and hashes its password, which no transaction is to wait for.
func (s *Service) prepare(ctx context.Context, a NewAccount) (*accountRow, []Grant, error) {
	if err := checkName(a.Name); err != nil {
		return nil, nil, err
	}
	if err := checkText("display", a.Display, 0, maxDisplay); err != nil {
		return nil, nil, err
	}
	grants, err := checkGrants(a.Grants)
	if err != nil {
		return nil, nil, err
	}
	row := &accountRow{Name: a.Name, Display: a.Display, CreatedAt: store.At(s.o.Now())}
	if row.Display == "" {
		row.Display = a.Name
	}
	if a.Password != "" {
		if err := checkPassword("password", a.Name, a.Password); err != nil {
			return nil, nil, err
		}
		if row.Password, err = s.hasher.hash(ctx, a.Password); err != nil {
			return nil, nil, err
		}
	}
	return row, grants, nil
}

// insertAccount writes a new account with its grants and events.
func insertAccount(ctx context.Context, tx *store.Tx, actor string, row *accountRow, grants []Grant) error {
	old := &accountRow{}
	switch err := tx.NewSelect().Model(old).Where("a.name = ?", row.Name).Scan(ctx); {
	case err == nil && !old.DeletedAt.IsZero():
		return fmt.Errorf("account %q: %w: it was deleted, and the audit trail still calls somebody by it", row.Name, ErrExists)
	case err == nil:
		return fmt.Errorf("account %q: %w", row.Name, ErrExists)
	case !errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("read account %q: %w", row.Name, err)
	}
	if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
		if store.IsDuplicate(err) {
			return fmt.Errorf("account %q: %w", row.Name, ErrExists)
		}
		return fmt.Errorf("make account %q: %w", row.Name, err)
	}
	if err := tx.Append(store.Event{Type: eventAccountCreated, Subject: row.Name, Actor: actor}, map[string]any{"display": row.Display}); err != nil {
		return err
	}
	return setGrants(ctx, tx, actor, row.Name, grants, false)
}

// UpdateAccount changes an account. The errors are ErrNotFound, *InvalidError and ErrLastAdmin.
func (s *Service) UpdateAccount(ctx context.Context, actor, name string, c AccountChange) (*Account, error) {
	if err := checkText("display", c.Display, 0, maxDisplay); err != nil {
		return nil, err
	}
	grants, err := checkGrants(c.Grants)
	if err != nil {
		return nil, err
	}
	if c.Display == "" {
		c.Display = name
	}
	var out *Account
	err = s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := lockAdmins(ctx, tx); err != nil {
			return err
		}
		row, err := readRow(ctx, tx, name, tx.ForUpdate())
		if err != nil {
			return err
		}
		before, err := admins(ctx, tx)
		if err != nil {
			return err
		}
		if row.Display != c.Display || row.Disabled != c.Disabled {
			row.Display, row.Disabled = c.Display, c.Disabled
			if _, err := tx.NewUpdate().Model(row).Column("display", "disabled").WherePK().Exec(ctx); err != nil {
				return err
			}
			if err := tx.Append(store.Event{Type: eventAccountChanged, Subject: name, Actor: actor}, map[string]any{"display": c.Display, "disabled": c.Disabled}); err != nil {
				return err
			}
		}
		if c.Disabled {
			if err := endSessions(ctx, tx, name); err != nil {
				return err
			}
		}
		if err := setGrants(ctx, tx, actor, name, grants, false); err != nil {
			return err
		}
		if err := keepAdmin(ctx, tx, before); err != nil {
			return err
		}
		out, err = readAccount(ctx, tx, name)
		return err
	})
	if err != nil {
		return nil, located("change account", name, err)
	}
	return out, nil
}

// DeleteAccount removes an account with its grants, sessions and tokens. Its name is kept from being used again, and who signed in to it
// by OpenID Connect cannot do so any more. The errors are ErrNotFound and ErrLastAdmin.
func (s *Service) DeleteAccount(ctx context.Context, actor, name string) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := lockAdmins(ctx, tx); err != nil {
			return err
		}
		row, err := readRow(ctx, tx, name, tx.ForUpdate())
		if err != nil {
			return err
		}
		before, err := admins(ctx, tx)
		if err != nil {
			return err
		}
		if err := setGrants(ctx, tx, actor, name, nil, false); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, name); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model((*tokenRow)(nil)).Where("account = ?", name).Exec(ctx); err != nil {
			return err
		}
		row.Password, row.DeletedAt = "", store.At(s.o.Now())
		if _, err := tx.NewUpdate().Model(row).Column("password", "deleted_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		if err := tx.Append(store.Event{Type: eventAccountDeleted, Subject: name, Actor: actor}, nil); err != nil {
			return err
		}
		return keepAdmin(ctx, tx, before)
	})
	return located("delete account", name, err)
}

// keepAdmin fails where a transaction has taken the last administrator away. before is how many there were.
func keepAdmin(ctx context.Context, tx *store.Tx, before int64) error {
	after, err := admins(ctx, tx)
	if err != nil {
		return err
	}
	if before > 0 && after == 0 {
		return ErrLastAdmin
	}
	return nil
}

// located adds to an error what was being done to which account, unless it says so already.
func located(doing, name string, err error) error {
	var bad *InvalidError
	if err == nil || errors.As(err, &bad) || errors.Is(err, ErrNotFound) {
		return err
	}
	return fmt.Errorf("%s %q: %w", doing, cut(name), err)
}
