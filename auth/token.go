package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gantry-ops/gantry/store"
)

// TokenInfo is what is known of an API token.
type TokenInfo struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Scopes   []string `json:"scopes"`
	Projects []string `json:"projects"`
	// LastUsedAt is right to a minute.
	CreatedAt  store.Time `json:"created_at"`
	ExpiresAt  store.Time `json:"expires_at"`
	LastUsedAt store.Time `json:"last_used_at"`
}

// NewToken is what an API token is made of.
type NewToken struct {
	// Name says what it is for, 1 to 128 bytes.
	Name string `json:"name"`
	// Scopes are actions ("run:start") or their first parts ("run"), Projects project IDs. They restrict what the account may do, and
	// give nothing. Empty: no restriction. With Projects, nothing of the server's own may be done.
	Scopes   []string `json:"scopes"`
	Projects []string `json:"projects"`
	// Days is how long it lasts, 1 to 365; 0: 90.
	Days int `json:"expires_in_days"`
}

// Bounds of API tokens: of their days, and of how many an account has.
const (
	DefaultTokenDays = 90
	MaxTokenDays     = 365
	maxTokens        = 100
	maxTokenProjects = 100
)

// check returns what is wrong, or the token with its lists sorted.
func (t NewToken) check() (NewToken, error) {
	if err := checkText("name", t.Name, 1, maxDisplay); err != nil {
		return t, err
	}
	if t.Days == 0 {
		t.Days = DefaultTokenDays
	}
	if t.Days < 1 || t.Days > MaxTokenDays {
		return t, invalid("expires_in_days", "%d are not possible: a token lasts from 1 to %d days", t.Days, MaxTokenDays)
	}
	families := map[string]bool{}
	for a := range actions {
		families[a.family()] = true
	}
	for i, s := range t.Scopes {
		if _, ok := actions[Action(s)]; !ok && !families[s] {
			return t, invalid(fmt.Sprintf("scopes[%d]", i), "%q is neither an action, like run:start, nor the first part of one, like run", cut(s))
		}
		if Action(s) == RunnerWork {
			return t, invalid(fmt.Sprintf("scopes[%d]", i), "only runners' tokens may do this: register a runner")
		}
	}
	if len(t.Projects) > maxTokenProjects {
		return t, invalid("projects", "%d are too many: at most %d are possible", len(t.Projects), maxTokenProjects)
	}
	for i, p := range t.Projects {
		field := fmt.Sprintf("projects[%d]", i)
		if err := checkText(field, p, 1, maxDisplay); err != nil {
			return t, err
		}
		if p == AllProjects {
			return t, invalid(field, "leave projects empty for a token that is not restricted to some")
		}
	}
	sorted := func(in []string) []string {
		out := slices.Clone(in)
		slices.Sort(out)
		return append([]string{}, slices.Compact(out)...)
	}
	t.Scopes, t.Projects = sorted(t.Scopes), sorted(t.Projects)
	return t, nil
}

// Tokens returns an account's tokens that are not revoked, the newest first; those that have expired for a month more.
func (s *Service) Tokens(ctx context.Context, account string) ([]TokenInfo, error) {
	var rows []tokenRow
	if err := s.db.NewSelect().Model(&rows).Where("account = ?", account).Order("created_at DESC", "id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	out := []TokenInfo{}
	for _, r := range rows {
		i, err := r.info()
		if err != nil {
			return nil, err
		}
		out = append(out, *i)
	}
	return out, nil
}

// info is what may be shown of a token.
func (r *tokenRow) info() (*TokenInfo, error) {
	i := &TokenInfo{ID: r.ID, Name: r.Name, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, LastUsedAt: r.LastUsedAt}
	if err := json.Unmarshal([]byte(r.Scopes), &i.Scopes); err != nil {
		return nil, fmt.Errorf("read the scopes of token %s: %w", r.ID, err)
	}
	if err := json.Unmarshal([]byte(r.Projects), &i.Projects); err != nil {
		return nil, fmt.Errorf("read the projects of token %s: %w", r.ID, err)
	}
	return i, nil
}

// CreateToken makes a token for the identity's account and returns it; it cannot be read again. Tokens make no tokens (the policies
// refuse TokenOwn to them). The errors are *InvalidError, *RefusedError and ErrNotFound.
func (s *Service) CreateToken(ctx context.Context, id *Identity, t NewToken) (token string, info *TokenInfo, err error) {
	if id == nil || id.Kind != KindAccount {
		return "", nil, refuseOwn(id)
	}
	if t, err = t.check(); err != nil {
		return "", nil, err
	}
	scopes, err := json.Marshal(t.Scopes)
	if err != nil {
		return "", nil, err
	}
	projects, err := json.Marshal(t.Projects)
	if err != nil {
		return "", nil, err
	}
	now := s.o.Now()
	token = newSecret(prefixToken)
	row := &tokenRow{Hash: hashSecret(token), ID: newID(), Account: id.Account, Name: t.Name, Scopes: string(scopes), Projects: string(projects),
		CreatedAt: store.At(now), ExpiresAt: store.At(now.Add(time.Duration(t.Days) * 24 * time.Hour))}
	err = s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := readRow(ctx, tx, id.Account, tx.ForUpdate()); err != nil {
			return err
		}
		n, err := tx.NewSelect().Model((*tokenRow)(nil)).Where("account = ? AND expires_at > ?", id.Account, store.At(now)).Count(ctx)
		if err != nil {
			return err
		}
		if n >= maxTokens {
			return invalid("name", "there are %d tokens already: revoke one first", n)
		}
		if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
			return err
		}
		return tx.Append(store.Event{Type: eventTokenCreated, Subject: row.ID, Actor: id.Actor},
			map[string]any{"account": id.Account, "name": t.Name, "scopes": t.Scopes, "projects": t.Projects, "expires_at": row.ExpiresAt})
	})
	if err != nil {
		return "", nil, located("make a token for", id.Account, err)
	}
	info, err = row.info()
	return token, info, err
}

// refuseOwn is the refusal of what only somebody who has signed in may do for themselves.
func refuseOwn(id *Identity) error {
	actor := anonymous
	if id != nil {
		actor = id.Actor
	}
	return &RefusedError{Actor: actor, Action: TokenOwn, Project: AllProjects}
}

// RevokeToken makes an account's token void, or returns ErrNotFound.
func (s *Service) RevokeToken(ctx context.Context, actor, account, id string) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		res, err := tx.NewDelete().Model((*tokenRow)(nil)).Where("id = ? AND account = ?", id, account).Exec(ctx)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("token %q: %w", cut(id), ErrNotFound)
		}
		return tx.Append(store.Event{Type: eventTokenRevoked, Subject: id, Actor: actor}, map[string]any{"account": account})
	})
	return located("revoke a token of", account, err)
}

// IssueRunnerToken makes the token that a runner proves itself with, and makes an earlier one void. It may do RunnerWork and nothing
// else, and lasts until it is revoked.
func (s *Service) IssueRunnerToken(ctx context.Context, actor, runner string) (token string, err error) {
	if err := checkText("runner", runner, 1, maxDisplay); err != nil {
		return "", err
	}
	token = newSecret(prefixRunner)
	row := &runnerRow{Runner: runner, Hash: hashSecret(token), CreatedAt: store.At(s.o.Now())}
	err = s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.NewInsert().Model(row).On("CONFLICT (runner) DO UPDATE").Set("hash = EXCLUDED.hash").Set("created_at = EXCLUDED.created_at").Exec(ctx)
		if err != nil {
			return err
		}
		return tx.Append(store.Event{Type: eventRunnerToken, Subject: runner, Actor: actor}, nil)
	})
	if err != nil {
		return "", fmt.Errorf("issue a token to the runner %q: %w", runner, err)
	}
	return token, nil
}

// RevokeRunner makes a runner's token void. That it had none is no error.
func (s *Service) RevokeRunner(ctx context.Context, actor, runner string) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		res, err := tx.NewDelete().Model((*runnerRow)(nil)).Where("runner = ?", runner).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return tx.Append(store.Event{Type: eventRunnerRevoked, Subject: runner, Actor: actor}, nil)
	})
	if err != nil {
		return fmt.Errorf("revoke the token of the runner %q: %w", cut(runner), err)
	}
	return nil
}
