package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// flowLifetime is how long somebody may take to sign in at the provider.
const flowLifetime = 10 * time.Minute

// flow is a sign-in by OpenID Connect that is under way. It is kept in a cookie of the browser that began it and nowhere else: who is
// not signed in can make this server remember nothing. It need not be signed, as changing one's own says nothing to one's advantage: the
// state ties the answer to this browser, the nonce the ID token to this sign-in, and the verifier the code to both (RFC 7636).
type flow struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"`
	Begun    time.Time `json:"t"`
	Return   string    `json:"r"`
}

func (s *Service) flowCookie() string { return s.cookieName() + "-oidc" }

func newFlow(now time.Time, returnTo string) flow {
	return flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Begun: now.UTC(), Return: returnTo}
}

// String is the cookie's value.
func (f flow) String() string {
	b, err := json.Marshal(f)
	if err != nil {
		return "" // a year beyond 9999
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseFlow reads what String writes.
func parseFlow(text string) (flow, error) {
	if len(text) > 4096 {
		return flow{}, errors.New("it is too long")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return flow{}, err
	}
	var f flow
	if err := json.Unmarshal(b, &f); err != nil {
		return flow{}, err
	}
	if f.State == "" || f.Nonce == "" || f.Verifier == "" {
		return flow{}, errors.New("it is not complete")
	}
	f.Return = localPath(f.Return)
	return f, nil
}

func (f flow) matches(state string) bool {
	return subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) == 1
}

func (f flow) hasNonce(nonce string) bool {
	return subtle.ConstantTimeCompare([]byte(f.Nonce), []byte(nonce)) == 1
}

// localPath returns a path of this server, with its query; "/" for what a browser could take for anything else: another scheme, another
// host (also written with backslashes, or after characters that browsers drop), or what is too long.
func localPath(path string) string {
	if len(path) > 1024 || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		strings.ContainsFunc(path, func(r rune) bool { return r == '\\' || r <= ' ' || r >= 0x7f }) {
		return "/"
	}
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return "/"
	}
	// A path that begins with two slashes once its escapes are undone is another host to whoever undoes them.
	if strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, "\\") {
		return "/"
	}
	return path
}

// refusedOIDC records a refusal of a sign-in by OpenID Connect.
func (s *Service) refusedOIDC(ctx context.Context, from Client, account, detail string) {
	s.refused(ctx, from, loginRefused(account), "oidc", detail)
}
