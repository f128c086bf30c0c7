package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

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
	// GroupsClaim is the ID token's claim that lists a person's groups; empty: "groups". Groups is what being in one gives; nil: nothing is
	// read. Grants by groups are brought up to date at each sign-in; other grants are left alone.
	GroupsClaim string
	Groups      map[string][]Grant
	// Client makes the requests; nil: a plain one. Without a timeout it gets one of 10 s.
	Client *http.Client
}

// oidcPath is where the provider sends browsers back to.
const oidcPath = "/auth/oidc/callback"

// maxAnswer bounds what a provider may answer with, in bytes.
const maxAnswer = 1 << 20

// provider is the configured one. What it says about itself is asked for at the first sign-in: the server starts without it.
type provider struct {
	OIDC
	client *http.Client

	mu       sync.Mutex
	endpoint *oidc.Provider
	style    oauth2.AuthStyle
	// failed is why it could not be asked at the time at.
	failed error
	at     time.Time
}

// askAgain is how long a provider that could not be asked is left alone: sign-ins fail at once meanwhile, in place of all waiting for it.
const askAgain = 5 * time.Second

func newProvider(o OIDC) (*provider, error) {
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the issuer: %w", err)
	case u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		return nil, fmt.Errorf("the issuer %q has to be an https URL", o.Issuer)
	case o.ClientID == "":
		return nil, errors.New("the client ID is missing: register this server with the provider")
	}
	if o.Default, err = checkGrants(o.Default); err != nil {
		return nil, fmt.Errorf("default %w", err)
	}
	for group, grants := range o.Groups {
		if _, err := checkGrants(grants); err != nil {
			return nil, fmt.Errorf("group %q: %w", group, err)
		}
	}
	if o.Name == "" {
		o.Name = u.Host
	}
	if o.GroupsClaim == "" {
		o.GroupsClaim = "groups"
	}
	client := http.Client{}
	if o.Client != nil {
		client = *o.Client
	}
	if client.Timeout == 0 {
		client.Timeout = 10 * time.Second
	}
	client.Transport = bounded{client.Transport}
	return &provider{OIDC: o, client: &client}, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// bounded cuts answers that are longer than any provider's, which then do not parse.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	t := b.RoundTripper
	if t == nil {
		t = http.DefaultTransport
	}
	res, err := t.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxAnswer), res.Body}
	}
	return res, err
}

// discover asks the provider about itself; once it has answered never again.
func (p *provider) discover(ctx context.Context, now time.Time) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.endpoint != nil {
		return p.endpoint, nil
	}
	if p.failed != nil && now.Sub(p.at) < askAgain {
		return nil, p.failed
	}
	// The keys are fetched with this context later on, so it must not end with the request.
	e, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.Issuer)
	var more struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err == nil {
		err = e.Claims(&more)
	}
	if err != nil {
		p.failed, p.at = fmt.Errorf("ask %s about itself: %w", p.Name, err), now
		return nil, p.failed
	}
	// How to prove who this server is (OpenID Connect Discovery 1.0, section 3: basic where nothing is said). Trying both in turn would
	// spend the code, which can be used once, on the wrong one.
	p.style = oauth2.AuthStyleInHeader
	if p.ClientSecret == "" || len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		p.style = oauth2.AuthStyleInParams
	}
	p.endpoint = e
	return e, nil
}

func (p *provider) oauth2(e *oidc.Provider, server *url.URL) *oauth2.Config {
	back := *server
	back.Path, back.RawQuery, back.Fragment = strings.TrimSuffix(back.Path, "/")+oidcPath, "", ""
	endpoint := e.Endpoint()
	endpoint.AuthStyle = p.style
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: endpoint, RedirectURL: back.String(),
		Scopes: append([]string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail}, p.Scopes...)}
}

// OIDCName is what the button says that signs in by OpenID Connect; empty where there is no provider.
func (s *Service) OIDCName() string {
	if s.oidc == nil {
		return ""
	}
	return s.oidc.Name
}

var errNoOIDC = fmt.Errorf("sign-in by OpenID Connect is not set up: %w", ErrNotFound)

// StartOIDC begins a sign-in by OpenID Connect: the browser is to be redirected (303) with the cookie set, and comes back to
// URL/auth/oidc/callback. returnTo is the path that it goes to in the end; what is not a path of this server becomes "/". The errors are
// ErrNotFound where no provider is set up, and what the provider has to say.
func (s *Service) StartOIDC(ctx context.Context, returnTo string) (redirect string, cookie *http.Cookie, err error) {
	if s.oidc == nil {
		return "", nil, errNoOIDC
	}
	e, err := s.oidc.discover(ctx, s.o.Now())
	if err != nil {
		return "", nil, err
	}
	f := newFlow(s.o.Now(), localPath(returnTo))
	redirect = s.oidc.oauth2(e, s.url).AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier))
	return redirect, s.cookie(s.flowCookie(), f.String(), flowLifetime), nil
}

// FinishOIDC ends it with the request that came back. done is set whatever the result: it takes the cookie of the start away. The
// errors are ErrBadCredentials (wrapped with what is wrong), ErrDisabled, *LimitedError, ErrNotFound where no provider is set up, and
// what the provider has to say.
func (s *Service) FinishOIDC(ctx context.Context, r *http.Request) (in *SignIn, returnTo string, done *http.Cookie, err error) {
	done = s.cookie(s.flowCookie(), "", -1)
	if s.oidc == nil {
		return nil, "/", done, errNoOIDC
	}
	from := s.Client(r)
	t, err := s.attempt(ctx, from, "")
	if err != nil {
		return nil, "/", done, err
	}
	f, who, err := s.identify(ctx, r)
	var refused *oidcError
	if errors.As(err, &refused) {
		s.refusedOIDC(ctx, from, "", refused.reason)
		return nil, "/", done, fmt.Errorf("%w: %s", ErrBadCredentials, refused.reason)
	}
	if err != nil {
		t.unused()
		return nil, "/", done, err
	}
	in, err = s.signInOIDC(ctx, from, who)
	if err != nil {
		return nil, "/", done, err
	}
	t.succeeded()
	return in, f.Return, done, nil
}

// oidcError says why what came back signs nobody in.
type oidcError struct{ reason string }

func (e *oidcError) Error() string { return e.reason }

func badOIDC(format string, args ...any) error {
	return &oidcError{fmt.Sprintf(format, args...)}
}

// person is who a provider says that somebody is.
type person struct {
	issuer, subject string
	// name is what an account made for them would best be called.
	name, display string
	// groups that they are in; nil where the provider has not said.
	groups []string
}

// identify checks what came back, and exchanges its code for an ID token, which it checks (OpenID Connect Core 1.0, section 3.1.3.7).
func (s *Service) identify(ctx context.Context, r *http.Request) (flow, *person, error) {
	q := r.URL.Query()
	c, err := r.Cookie(s.flowCookie())
	if err != nil {
		return flow{}, nil, badOIDC("the sign-in was not begun in this browser, or was finished already")
	}
	f, err := parseFlow(c.Value)
	if err != nil {
		return flow{}, nil, badOIDC("the cookie of the sign-in is damaged")
	}
	if !f.matches(q.Get("state")) {
		return flow{}, nil, badOIDC("this answer belongs to another sign-in")
	}
	if now := s.o.Now(); f.Begun.After(now) || now.Sub(f.Begun) > flowLifetime {
		return flow{}, nil, badOIDC("the sign-in has taken longer than %s", flowLifetime)
	}
	if code := q.Get("error"); code != "" {
		return flow{}, nil, badOIDC("the provider refuses: %s", cut(strings.Map(printable, strings.ToValidUTF8(code, ""))))
	}
	// RFC 9207: a provider that says who it is must be the one that was asked.
	if iss := q.Get("iss"); iss != "" && iss != s.oidc.Issuer {
		return flow{}, nil, badOIDC("the answer is another provider's")
	}
	if q.Get("code") == "" {
		return flow{}, nil, badOIDC("the provider has sent no code")
	}
	e, err := s.oidc.discover(ctx, s.o.Now())
	if err != nil {
		return flow{}, nil, err
	}
	token, err := s.oidc.oauth2(e, s.url).Exchange(oidc.ClientContext(ctx, s.oidc.client), q.Get("code"), oauth2.VerifierOption(f.Verifier))
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < 500 {
		return flow{}, nil, badOIDC("the provider does not take the code: %s", cut(refused.ErrorCode))
	}
	if err != nil {
		return flow{}, nil, fmt.Errorf("exchange the code with %s: %w", s.oidc.Name, withoutBody(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return flow{}, nil, badOIDC("the provider has sent no ID token")
	}
	verifier := e.Verifier(&oidc.Config{ClientID: s.oidc.ClientID, Now: s.o.Now})
	id, err := verifier.Verify(oidc.ClientContext(ctx, s.oidc.client), raw)
	if err != nil {
		return flow{}, nil, badOIDC("the ID token is not valid: %s", err)
	}
	if !f.hasNonce(id.Nonce) {
		return flow{}, nil, badOIDC("the ID token belongs to another sign-in")
	}
	who, err := s.oidc.person(id)
	return f, who, err
}

// withoutBody keeps what a provider has answered out of errors: it may hold tokens.
func withoutBody(err error) error {
	var r *oauth2.RetrieveError
	if errors.As(err, &r) && r.Response != nil {
		return fmt.Errorf("the provider answers %s", r.Response.Status)
	}
	return err
}

// person reads the claims of a token that was verified.
func (p *provider) person(id *oidc.IDToken) (*person, error) {
	var claims struct {
		Username string `json:"preferred_username"`
		Email    string `json:"email"`
		Name     string `json:"name"`
	}
	if err := id.Claims(&claims); err != nil {
		return nil, badOIDC("the ID token's claims cannot be read: %s", err)
	}
	// OpenID Connect Core 1.0, section 2: at most 255 characters of ASCII.
	if id.Subject == "" || len(id.Subject) > 255 {
		return nil, badOIDC("the ID token names nobody")
	}
	who := &person{issuer: id.Issuer, subject: id.Subject, display: strings.TrimSpace(claims.Name)}
	local, _, _ := strings.Cut(claims.Email, "@")
	for _, name := range []string{claims.Username, local, claims.Name, "user"} {
		if who.name = accountName(name); who.name != "" {
			break
		}
	}
	if checkText("display", who.display, 1, maxDisplay) != nil {
		who.display = who.name
	}
	if p.Groups == nil {
		return who, nil
	}
	var all map[string]any
	if err := id.Claims(&all); err != nil {
		return nil, badOIDC("the ID token's claims cannot be read: %s", err)
	}
	// Providers leave the claim out for who is in no group, so what is missing is none. One group may come as a string.
	who.groups = []string{}
	switch v := all[p.GroupsClaim].(type) {
	case string:
		who.groups = append(who.groups, v)
	case []any:
		for _, g := range v {
			if name, ok := g.(string); ok {
				who.groups = append(who.groups, name)
			}
		}
	}
	return who, nil
}

// byGroups is what somebody's groups give.
func (p *provider) byGroups(groups []string) []Grant {
	var out []Grant
	for _, g := range groups {
		out = append(out, p.Groups[g]...)
	}
	slices.SortFunc(out, compareGrants)
	return slices.Compact(out)
}

// accountName makes an account's name from what a provider calls somebody; empty where nothing is left of it.
func accountName(s string) string {
	s, _, _ = strings.Cut(strings.ToLower(s), "@")
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		case r == ' ':
			return '.'
		}
		return -1
	}, s)
	s = strings.TrimLeft(s, "._-")
	// Room for what tells it from others with the same name.
	return s[:min(len(s), maxName-6)]
}
