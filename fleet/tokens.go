package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/store"
)

// TokenRequest says what a join token is for.
type TokenRequest struct {
	// Name is what the agent has to be called; empty leaves it to the agent. The token of an agent that there is already gives that one's name to the
	// host that uses it, as after it was set up anew.
	Name string
	// Labels are those by which targets find the agent. With any, what the host says of its labels does not count.
	Labels map[string]string
	// TTL is how long the token holds, up to 30 days; 0 is an hour.
	TTL time.Duration
}

// Token is a join token. The token itself is only known when it is made.
type Token struct {
	ID        string            `json:"id"`
	Token     string            `json:"token,omitempty"`
	Name      string            `json:"name,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	CreatedBy string            `json:"created_by"`
	CreatedAt store.Time        `json:"created_at"`
	ExpiresAt store.Time        `json:"expires_at"`
	// UsedAt and UsedBy say which agent has used it.
	UsedAt    store.Time `json:"used_at,omitzero"`
	UsedBy    string     `json:"used_by,omitempty"`
	RevokedAt store.Time `json:"revoked_at,omitzero"`
}

const (
	defaultTTL = time.Hour
	longestTTL = 30 * 24 * time.Hour
	// keepTokens is how long a token is shown after its end.
	keepTokens = 30 * 24 * time.Hour
)

// ErrToken: a token cannot be made as it was asked for.
var ErrToken = errors.New("the token is not possible")

// MakeToken makes a token by which one host may join. Its errors are [ErrToken], with all that is wrong.
func (s *Service) MakeToken(ctx context.Context, actor string, r TokenRequest) (Token, error) {
	var errs []error
	if r.TTL == 0 {
		r.TTL = defaultTTL
	}
	if r.TTL < 0 || r.TTL > longestTTL {
		errs = append(errs, fmt.Errorf("it holds for %v, which is not up to 30 days", r.TTL))
	}
	if r.Name != "" && !nameForm.MatchString(r.Name) {
		errs = append(errs, fmt.Errorf("the name %q is not made of 1 to 63 small letters, digits and hyphens", r.Name))
	}
	errs = append(errs, checkLabels(r.Labels))
	if err := errors.Join(errs...); err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrToken, err)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails (crypto/rand)
	text := base64.RawURLEncoding.EncodeToString(secret)
	id := make([]byte, 6)
	_, _ = rand.Read(id)
	if r.Labels == nil {
		r.Labels = map[string]string{}
	}
	made := make([]tokenRow, 1)
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		now := s.o.Now()
		made[0] = tokenRow{ID: hex.EncodeToString(id), Hash: hashToken(text), Name: r.Name, Labels: store.AsJSON(r.Labels), CreatedBy: actor, CreatedAt: store.At(now), ExpiresAt: store.At(now.Add(r.TTL))}
		if _, err := tx.NewInsert().Model(&made[0]).Exec(ctx); err != nil {
			return err
		}
		return tx.Append(store.Event{Type: "agent-token.made", Subject: made[0].ID, Actor: actor}, map[string]any{"name": r.Name, "labels": r.Labels, "expires_at": made[0].ExpiresAt})
	})
	if err != nil {
		return Token{}, fmt.Errorf("make a join token: %w", err)
	}
	t := made[0].token()
	t.Token = link.TokenPrefix + text + "." + s.o.Authority.Fingerprint()
	return t, nil
}

// hashToken is what is kept of a token's secret: 256 random bits need no salt.
func hashToken(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func (r *tokenRow) token() Token {
	return Token{ID: r.ID, Name: r.Name, Labels: r.Labels.V, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, UsedAt: r.UsedAt, UsedBy: r.UsedBy, RevokedAt: r.RevokedAt}
}

// Tokens are those that hold and those that have ended in the last 30 days, the newest first.
func (s *Service) Tokens(ctx context.Context) ([]Token, error) {
	var rows []tokenRow
	if err := s.o.DB.NewSelect().Model(&rows).Order("created_at DESC", "id").Limit(1000).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the join tokens: %w", err)
	}
	all := make([]Token, len(rows))
	for i := range rows {
		all[i] = rows[i].token()
	}
	return all, nil
}

// RevokeToken has a token not hold any more. One that was used or has ended already stays as it is. Its error is [ErrNotFound].
func (s *Service) RevokeToken(ctx context.Context, actor, id string) error {
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		there, err := tx.NewSelect().Table("agent_tokens").Where("id = ?", id).Exists(ctx)
		if err != nil {
			return err
		}
		if !there {
			return ErrNotFound
		}
		res, err := tx.NewUpdate().Table("agent_tokens").Set("revoked_at = ?", store.At(s.o.Now())).Where("id = ? AND revoked_at = 0 AND used_at = 0", id).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return tx.Append(store.Event{Type: "agent-token.revoked", Subject: id, Actor: actor}, nil)
	})
	if err != nil {
		return fmt.Errorf("revoke the join token %s: %w", id, err)
	}
	return nil
}
