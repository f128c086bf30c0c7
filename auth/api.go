package auth

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/gantry-ops/gantry/store"
)

// Cost is what hashing a password costs (RFC 9106).
type Cost struct {
	// Time is the number of passes, Memory KiB, Threads lanes.
	Time, Memory uint32
	Threads      uint8
}

// Client is where a request comes from.
type Client struct {
	// Address is the client's, behind trusted proxies what they say.
	Address netip.Addr
	// Agent is its User-Agent, cut to 200 bytes.
	Agent string
}

// Client returns where a request comes from.
func (s *Service) Client(r *http.Request) Client { panic("to be written") }

// Authenticate finds who makes a request: by "Authorization: Bearer TOKEN" where there is that header, by the session's cookie else.
// With a cookie, a request of another method than GET, HEAD and OPTIONS must also come from the server's own pages and carry the
// session's CSRF token in X-CSRF-Token, otherwise the error is ErrCSRF. The errors are ErrNoCredentials, ErrBadCredentials, ErrExpired,
// ErrDisabled, ErrCSRF, and what the database has to say. Refusals but the first are events.
func (s *Service) Authenticate(ctx context.Context, r *http.Request) (*Identity, error) {
	panic("to be written")
}

// CheckOrigin returns ErrCSRF for a request that a browser makes from a page of another site. Operations that need no identity but
// change something (Login, Redeem) are to call it; Authenticate does so itself.
func (s *Service) CheckOrigin(r *http.Request) error { panic("to be written") }

// Authorize decides whether an identity may do something in a project, or on the server (project "" or AllProjects). Actions that are
// the server's are decided for the server whatever the project. It returns nil or a *RefusedError, and writes the event of the refusal.
func (s *Service) Authorize(ctx context.Context, id *Identity, action Action, project string) error {
	panic("to be written")
}

// Allowed is Authorize for who only wants to know: no event is written.
func (s *Service) Allowed(id *Identity, action Action, project string) bool { panic("to be written") }

// Permissions returns what an identity may do: on the server, under AllProjects, and in each project that its grants or its token name.
// What it may do in all projects is under AllProjects too, and repeated for those projects only.
func (s *Service) Permissions(id *Identity) map[string][]Action { panic("to be written") }

// ReadableProjects returns the IDs of the projects that an identity may read, sorted; nil: all of them. An empty list is not nil.
func (s *Service) ReadableProjects(id *Identity) []string { panic("to be written") }

// SignIn is a sign-in that succeeded.
type SignIn struct {
	Identity *Identity
	// Cookie is to be set with the response.
	Cookie *http.Cookie
}

// Login signs an account in with its password. The errors are ErrBadCredentials, ErrDisabled (only with the right password) and
// *LimitedError.
func (s *Service) Login(ctx context.Context, from Client, name, password string) (*SignIn, error) {
	panic("to be written")
}

// Logout ends the identity's session, and returns the cookie that takes its own away. For tokens it is nothing but that.
func (s *Service) Logout(ctx context.Context, id *Identity) (*http.Cookie, error) {
	panic("to be written")
}

// ChangePassword sets an account's own password and ends all of its sessions; the identity's own goes on with the new cookie that is
// returned. The errors are ErrBadCredentials where the old one is wrong, *LimitedError, *InvalidError.
func (s *Service) ChangePassword(ctx context.Context, from Client, id *Identity, old, new string) (*SignIn, error) {
	panic("to be written")
}

// FirstLink returns a new one-time token that makes the first administrator, and makes all earlier ones void; empty where there is an
// administrator already. It goes to the server's standard output, in a link to the UI's sign-in page, and nowhere else.
func (s *Service) FirstLink(ctx context.Context) (token string, err error) { panic("to be written") }

// FirstStart reports whether the server has no administrator yet.
func (s *Service) FirstStart(ctx context.Context) (bool, error) { panic("to be written") }

// Redeem makes the first administrator from a token of FirstLink, which is void afterwards, and signs it in. The errors are
// ErrBadCredentials (wrong or used), ErrExpired, ErrExists, *LimitedError, *InvalidError.
func (s *Service) Redeem(ctx context.Context, from Client, token, name, password string) (*SignIn, error) {
	panic("to be written")
}

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

// Accounts returns accounts by name, those after one ("": from the first), and the name to go on after ("": there are no more).
// limit is 1 to 1000; 0: 100.
func (s *Service) Accounts(ctx context.Context, after string, limit int) (items []Account, next string, err error) {
	panic("to be written")
}

// Account returns one, or ErrNotFound.
func (s *Service) Account(ctx context.Context, name string) (*Account, error) {
	panic("to be written")
}

// CreateAccount makes an account. The errors are *InvalidError, ErrExists and *LimitedError.
func (s *Service) CreateAccount(ctx context.Context, actor string, a NewAccount) (*Account, error) {
	panic("to be written")
}

// UpdateAccount changes an account. The errors are ErrNotFound, *InvalidError and ErrLastAdmin.
func (s *Service) UpdateAccount(ctx context.Context, actor, name string, c AccountChange) (*Account, error) {
	panic("to be written")
}

// DeleteAccount removes an account with its grants, sessions and tokens. Its name is kept from being used again. The errors are
// ErrNotFound and ErrLastAdmin.
func (s *Service) DeleteAccount(ctx context.Context, actor, name string) error {
	panic("to be written")
}

// SetPassword sets an account's password without knowing the old one, and ends its sessions. The errors are ErrNotFound,
// *InvalidError and *LimitedError.
func (s *Service) SetPassword(ctx context.Context, actor, name, password string) error {
	panic("to be written")
}

// RemoveProject takes back all grants on a project that is removed, so that they do not hold for a later one with the same ID. It is
// to be called in the transaction that removes the project.
func (s *Service) RemoveProject(ctx context.Context, tx *store.Tx, actor, project string) error {
	panic("to be written")
}

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

// Tokens returns an account's tokens that are not revoked, the newest first.
func (s *Service) Tokens(ctx context.Context, account string) ([]TokenInfo, error) {
	panic("to be written")
}

// CreateToken makes a token for the identity's account and returns it; it cannot be read again. Tokens make no tokens (the policies
// refuse TokenOwn to them). The errors are *InvalidError and ErrNotFound.
func (s *Service) CreateToken(ctx context.Context, id *Identity, t NewToken) (token string, info *TokenInfo, err error) {
	panic("to be written")
}

// RevokeToken makes an account's token void, or returns ErrNotFound.
func (s *Service) RevokeToken(ctx context.Context, actor, account, id string) error {
	panic("to be written")
}

// IssueRunnerToken makes the token that a runner proves itself with, and makes an earlier one void. It may do RunnerWork and nothing
// else, and lasts until it is revoked.
func (s *Service) IssueRunnerToken(ctx context.Context, actor, runner string) (token string, err error) {
	panic("to be written")
}

// RevokeRunner makes a runner's token void. That it had none is no error.
func (s *Service) RevokeRunner(ctx context.Context, actor, runner string) error {
	panic("to be written")
}

// OIDC is a provider of OpenID Connect and what its claims mean here.
type OIDC struct {
	// Issuer is the provider's URL (https, or http on a loopback address), below which /.well-known/openid-configuration lies.
	Issuer string
	// Name is what the sign-in button says; empty: the issuer's host.
	Name string
	// ClientID and ClientSecret are how the provider knows this server; a public client has no secret.
	ClientID, ClientSecret string
	// Scopes are asked for beside openid, profile and email.
	Scopes []string
	// Default are the grants that an account gets when it is made by its first sign-in.
	Default []Grant
	// GroupsClaim is the ID token's claim that lists a person's groups ("groups"), and Groups what being in one gives. Grants by groups
	// are brought up to date at each sign-in; other grants are left alone.
	GroupsClaim string
	Groups      map[string][]Grant
	// Client makes the requests; nil: one with a timeout of 10 s.
	Client *http.Client
}

// OIDCName is what the button says that signs in by OpenID Connect; empty where there is no provider.
func (s *Service) OIDCName() string { panic("to be written") }

// StartOIDC begins a sign-in by OpenID Connect: the browser is to be redirected (303) with the cookie set, and comes back to
// URL/auth/oidc/callback. returnTo is the path that it goes to in the end; what is not a path of this server becomes "/".
func (s *Service) StartOIDC(ctx context.Context, r *http.Request, returnTo string) (redirect string, cookie *http.Cookie, err error) {
	panic("to be written")
}

// FinishOIDC ends it with the request that came back. done is set whatever the result: it takes the cookie of the start away. The
// errors are ErrBadCredentials (wrapped with what is wrong), ErrDisabled, *LimitedError, and what the provider has to say.
func (s *Service) FinishOIDC(ctx context.Context, r *http.Request) (in *SignIn, returnTo string, done *http.Cookie, err error) {
	panic("to be written")
}
