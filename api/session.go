package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/gantry-ops/gantry/auth"
)

// Request gives an operation the raw request.
type Request struct {
	raw    *http.Request
	writer http.ResponseWriter
}

// Resolve implements huma.Resolver.
func (r *Request) Resolve(ctx huma.Context) []error {
	r.raw, r.writer = humago.Unwrap(ctx)
	return nil
}

// cookie is an answer that sets one.
type cookie struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

// Me is who is signed in, what they may do, and where they are.
type Me struct {
	Identity *auth.Identity `json:"identity"`
	// Permissions are actions by project; "*" has those on the server and on all projects.
	Permissions map[string][]auth.Action `json:"permissions"`
	Server      ServerInfo               `json:"server"`
}

// ServerInfo is what everybody who is signed in may know of the server.
type ServerInfo struct {
	Version   string `json:"version"`
	Database  string `json:"database"`
	OIDC      bool   `json:"oidc"`
	StartedAt string `json:"started_at" format:"date-time"`
}

// SignInOptions are the ways to sign in.
type SignInOptions struct {
	OIDC     bool   `json:"oidc"`
	OIDCName string `json:"oidc_name,omitempty"`
	// FirstStart: there is no account yet; the server's log has a link by which to make one.
	FirstStart bool `json:"first_start"`
}

func (s *Server) session() {
	const tag = "Session"
	handle(s, operation{id: "get-me", method: http.MethodGet, path: "/api/v1/me", tag: tag, scope: signedIn, summary: "Who I am and what I may do"},
		func(ctx context.Context, _ *none) (*answer[Me], error) {
			id := identity(ctx)
			return &answer[Me]{Me{id, s.o.Auth.Permissions(id), ServerInfo{s.o.Info.Version, s.o.Info.Database, s.o.Auth.OIDCName() != "", s.o.Info.StartedAt.UTC().Format("2006-01-02T15:04:05Z07:00")}}}, nil
		})
	handle(s, operation{id: "get-sign-in-options", method: http.MethodGet, path: "/api/v1/session/options", tag: tag, scope: public, summary: "How one can sign in"},
		func(ctx context.Context, _ *none) (*answer[SignInOptions], error) {
			first, err := s.o.Auth.FirstStart(ctx)
			name := s.o.Auth.OIDCName()
			return &answer[SignInOptions]{SignInOptions{name != "", name, first}}, err
		})
	handle(s, operation{id: "sign-in", method: http.MethodPost, path: "/api/v1/session", tag: tag, scope: public, status: http.StatusNoContent, errors: []int{401},
		summary: "Sign in with a password", description: "Sets the session's cookie. Failed attempts make later ones wait."},
		func(ctx context.Context, in *struct {
			Request
			Body struct {
				Name     string `json:"name" maxLength:"64"`
				Password string `json:"password" maxLength:"1024"`
			}
		}) (*cookie, error) {
			signed, err := s.o.Auth.Login(ctx, s.o.Auth.Client(in.raw), in.Body.Name, in.Body.Password)
			if err != nil {
				return nil, err
			}
			return &cookie{*signed.Cookie}, nil
		})
	handle(s, operation{id: "sign-in-first", method: http.MethodPost, path: "/api/v1/session/link", tag: tag, scope: public, status: http.StatusNoContent, errors: []int{401},
		summary: "Make the first account by the one-time link of the first start", description: "The account is an administrator. The link is void afterwards. Sets the session's cookie."},
		func(ctx context.Context, in *struct {
			Request
			Body struct {
				Token    string `json:"token" maxLength:"256"`
				Name     string `json:"name" maxLength:"64"`
				Password string `json:"password" maxLength:"1024"`
			}
		}) (*cookie, error) {
			signed, err := s.o.Auth.Redeem(ctx, s.o.Auth.Client(in.raw), in.Body.Token, in.Body.Name, in.Body.Password)
			if err != nil {
				return nil, err
			}
			return &cookie{*signed.Cookie}, nil
		})
	handle(s, operation{id: "sign-out", method: http.MethodDelete, path: "/api/v1/session", tag: tag, scope: signedIn, status: http.StatusNoContent, summary: "End this session, or revoke the token that this is asked with",
		description: "A token may not touch other tokens of its account. It may end itself, so that who finds one can make it void."},
		func(ctx context.Context, _ *none) (*cookie, error) {
			if id := identity(ctx); id.Kind == "token" {
				return &cookie{}, s.o.Auth.RevokeToken(ctx, id.Actor, id.Account, strings.TrimPrefix(id.Actor, "token:"))
			}
			gone, err := s.o.Auth.Logout(ctx, identity(ctx))
			if err != nil {
				return nil, err
			}
			return &cookie{*gone}, nil
		})
	handle(s, operation{id: "change-my-password", method: http.MethodPut, path: "/api/v1/me/password", tag: tag, scope: onServer, action: auth.TokenOwn, status: http.StatusNoContent,
		summary: "Change my password", description: "Ends all other sessions of the account."},
		func(ctx context.Context, in *struct {
			Request
			Body struct {
				Old string `json:"old" maxLength:"1024"`
				New string `json:"new" maxLength:"1024"`
			}
		}) (*cookie, error) {
			signed, err := s.o.Auth.ChangePassword(ctx, s.o.Auth.Client(in.raw), identity(ctx), in.Body.Old, in.Body.New)
			if err != nil {
				return nil, err
			}
			if signed == nil || signed.Cookie == nil {
				return &cookie{}, nil
			}
			return &cookie{*signed.Cookie}, nil
		})
	handle(s, operation{id: "list-my-tokens", method: http.MethodGet, path: "/api/v1/tokens", tag: "Tokens", scope: onServer, action: auth.TokenOwn, summary: "My API tokens"},
		func(ctx context.Context, _ *none) (*answer[items[auth.TokenInfo]], error) {
			list, err := s.o.Auth.Tokens(ctx, identity(ctx).Account)
			return listOf(list), err
		})
	type madeToken struct {
		Token string          `json:"token" doc:"Shown this once."`
		Info  *auth.TokenInfo `json:"info"`
	}
	handle(s, operation{id: "create-token", method: http.MethodPost, path: "/api/v1/tokens", tag: "Tokens", scope: onServer, action: auth.TokenOwn, status: http.StatusCreated,
		summary: "Make an API token", description: "The answer is the only place where the token is shown, so it is not repeated for an Idempotency-Key."},
		func(ctx context.Context, in *struct {
			Body struct {
				Name     string   `json:"name" maxLength:"128"`
				Scopes   []string `json:"scopes,omitempty" maxItems:"64" doc:"Actions, or their first parts such as run; empty: all that the account may."`
				Projects []string `json:"projects,omitempty" maxItems:"256" doc:"Only these projects; empty: all that the account may."`
				Days     int      `json:"expires_in_days,omitempty" doc:"1 to 365; 90 where it is left out."`
			}
		}) (*answer[madeToken], error) {
			token, info, err := s.o.Auth.CreateToken(ctx, identity(ctx), auth.NewToken{Name: in.Body.Name, Scopes: in.Body.Scopes, Projects: in.Body.Projects, Days: in.Body.Days})
			return &answer[madeToken]{madeToken{token, info}}, err
		})
	handle(s, operation{id: "revoke-token", method: http.MethodDelete, path: "/api/v1/tokens/{id}", tag: "Tokens", scope: onServer, action: auth.TokenOwn, status: http.StatusNoContent, summary: "Revoke one of my tokens"},
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"128"`
		}) (*none, error) {
			id := identity(ctx)
			return nil, s.o.Auth.RevokeToken(ctx, id.Actor, id.Account, in.ID)
		})
}
