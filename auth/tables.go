package auth

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

var migrations = []store.Migration{{
	Name: "0001 accounts, grants, sessions, tokens",
	SQL: `
CREATE TABLE auth_accounts (
	name TEXT PRIMARY KEY,
	display TEXT NOT NULL,
	password TEXT NOT NULL,
	disabled BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	last_login_at BIGINT NOT NULL,
	deleted_at BIGINT NOT NULL
);
CREATE TABLE auth_identities (
	issuer TEXT NOT NULL,
	subject TEXT NOT NULL,
	account TEXT NOT NULL REFERENCES auth_accounts (name),
	PRIMARY KEY (issuer, subject)
);
CREATE INDEX auth_identities_by_account ON auth_identities (account);
CREATE TABLE auth_grants (
	account TEXT NOT NULL REFERENCES auth_accounts (name),
	project TEXT NOT NULL,
	role TEXT NOT NULL,
	by_group BOOLEAN NOT NULL,
	PRIMARY KEY (account, project, role)
);
CREATE INDEX auth_grants_by_project ON auth_grants (project);
CREATE TABLE auth_sessions (
	hash TEXT PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	account TEXT NOT NULL REFERENCES auth_accounts (name),
	method TEXT NOT NULL,
	address TEXT NOT NULL,
	agent TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	seen_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL
);
CREATE INDEX auth_sessions_by_account ON auth_sessions (account, created_at);
CREATE INDEX auth_sessions_by_expiry ON auth_sessions (expires_at);
CREATE TABLE auth_tokens (
	hash TEXT PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	account TEXT NOT NULL REFERENCES auth_accounts (name),
	name TEXT NOT NULL,
	scopes $JSON NOT NULL,
	projects $JSON NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	last_used_at BIGINT NOT NULL
);
CREATE INDEX auth_tokens_by_account ON auth_tokens (account, created_at);
CREATE INDEX auth_tokens_by_expiry ON auth_tokens (expires_at);
CREATE TABLE auth_runners (
	runner TEXT PRIMARY KEY,
	hash TEXT NOT NULL UNIQUE,
	created_at BIGINT NOT NULL
);
CREATE TABLE auth_links (
	hash TEXT PRIMARY KEY,
	expires_at BIGINT NOT NULL
);
CREATE TABLE auth_admins (
	id BIGINT PRIMARY KEY,
	changes BIGINT NOT NULL
);
INSERT INTO auth_admins (id, changes) VALUES (1, 0);
`,
}}

type accountRow struct {
	bun.BaseModel `bun:"table:auth_accounts,alias:a"`

	Name        string `bun:",pk"`
	Display     string
	Password    string // PHC form; empty: none
	Disabled    bool
	CreatedAt   store.Time
	LastLoginAt store.Time
	// DeletedAt is not zero for a name that is only kept so that nobody else gets it.
	DeletedAt store.Time
}

type identityRow struct {
	bun.BaseModel `bun:"table:auth_identities"`

	Issuer  string `bun:",pk"`
	Subject string `bun:",pk"`
	Account string
}

type grantRow struct {
	bun.BaseModel `bun:"table:auth_grants,alias:g"`

	Account string `bun:",pk"`
	Project string `bun:",pk"`
	Role    Role   `bun:",pk"`
	// ByGroup grants come and go with the groups of an OpenID Connect provider.
	ByGroup bool
}

type sessionRow struct {
	bun.BaseModel `bun:"table:auth_sessions"`

	Hash    string `bun:",pk"`
	ID      string
	Account string
	// Method is how it was begun: "password", "oidc" or "link".
	Method    string
	Address   string
	Agent     string
	CreatedAt store.Time
	SeenAt    store.Time
	ExpiresAt store.Time
}

type tokenRow struct {
	bun.BaseModel `bun:"table:auth_tokens"`

	Hash       string `bun:",pk"`
	ID         string
	Account    string
	Name       string
	Scopes     string // JSON, as Projects
	Projects   string
	CreatedAt  store.Time
	ExpiresAt  store.Time
	LastUsedAt store.Time
}

type runnerRow struct {
	bun.BaseModel `bun:"table:auth_runners"`

	Runner    string `bun:",pk"`
	Hash      string
	CreatedAt store.Time
}

type linkRow struct {
	bun.BaseModel `bun:"table:auth_links"`

	Hash      string `bun:",pk"`
	ExpiresAt store.Time
}

// lockAdmins makes transactions that could take away an administrator wait for each other. Without it, two servers on PostgreSQL could
// each take away one of the last two, and neither would see what the other does.
func lockAdmins(ctx context.Context, tx *store.Tx) error {
	_, err := tx.ExecContext(ctx, "UPDATE auth_admins SET changes = changes + 1 WHERE id = 1")
	return err
}

// admins counts the accounts that may sign in and administer the server.
func admins(ctx context.Context, db bun.IDB) (int64, error) {
	return db.NewSelect().Model((*accountRow)(nil)).
		Join("JOIN auth_grants AS g ON g.account = a.name").
		Where("g.role = ? AND g.project = ?", Admin, AllProjects).
		Where("NOT a.disabled AND a.deleted_at = 0").
		WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.Where("a.password <> ''").WhereOr("EXISTS (SELECT 1 FROM auth_identities AS i WHERE i.account = a.name)")
		}).
		Count(ctx)
}
