package api

import (
	"context"
	"net/http"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs/jobs"
)

// Paged are the parameters of a list.
type Paged struct {
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many to return at most."`
	After string `query:"after" maxLength:"512" doc:"The next of the part before."`
}

func (p Paged) options() jobs.ListOptions { return jobs.ListOptions{Limit: p.Limit, After: p.After} }

// grants are those of an account in a request.
type grantBody struct {
	Project string `json:"project" maxLength:"64" doc:"A project's ID, or * for all."`
	Role    string `json:"role" enum:"viewer,developer,releaser,auditor,admin"`
}

func grantsOf(list []grantBody) []auth.Grant {
	out := make([]auth.Grant, len(list))
	for i, g := range list {
		out[i] = auth.Grant{Project: g.Project, Role: auth.Role(g.Role)}
	}
	return out
}

func (s *Server) accounts() {
	const tag = "Accounts"
	type ByName struct {
		Name string `path:"name" maxLength:"64"`
	}
	handle(s, operation{id: "list-accounts", method: http.MethodGet, path: "/api/v1/accounts", tag: tag, scope: onServer, action: auth.AccountRead, summary: "All accounts"},
		func(ctx context.Context, in *Paged) (*answer[jobs.Page[auth.Account]], error) {
			list, next, err := s.o.Auth.Accounts(ctx, in.After, in.Limit)
			if list == nil {
				list = []auth.Account{}
			}
			return &answer[jobs.Page[auth.Account]]{jobs.Page[auth.Account]{Items: list, Next: next}}, err
		})
	handle(s, operation{id: "create-account", method: http.MethodPost, path: "/api/v1/accounts", tag: tag, scope: onServer, action: auth.AccountWrite, status: http.StatusCreated, once: true, summary: "Make an account"},
		func(ctx context.Context, in *struct {
			Body struct {
				Name     string      `json:"name" maxLength:"64"`
				Display  string      `json:"display,omitempty" maxLength:"128"`
				Password string      `json:"password,omitempty" maxLength:"1024" doc:"Empty: only by OpenID Connect, or after one was set."`
				Grants   []grantBody `json:"grants,omitempty" maxItems:"1000"`
			}
		}) (*answer[*auth.Account], error) {
			a, err := s.o.Auth.CreateAccount(ctx, identity(ctx).Actor, auth.NewAccount{Name: in.Body.Name, Display: in.Body.Display, Password: in.Body.Password, Grants: grantsOf(in.Body.Grants)})
			return &answer[*auth.Account]{a}, err
		})
	handle(s, operation{id: "get-account", method: http.MethodGet, path: "/api/v1/accounts/{name}", tag: tag, scope: onServer, action: auth.AccountRead, summary: "One account"},
		func(ctx context.Context, in *ByName) (*answer[*auth.Account], error) {
			a, err := s.o.Auth.Account(ctx, in.Name)
			return &answer[*auth.Account]{a}, err
		})
	handle(s, operation{id: "update-account", method: http.MethodPut, path: "/api/v1/accounts/{name}", tag: tag, scope: onServer, action: auth.AccountWrite, summary: "Change an account and its grants"},
		func(ctx context.Context, in *struct {
			ByName
			Body struct {
				Display  string      `json:"display,omitempty" maxLength:"128"`
				Disabled bool        `json:"disabled,omitempty"`
				Grants   []grantBody `json:"grants,omitempty" maxItems:"1000"`
			}
		}) (*answer[*auth.Account], error) {
			a, err := s.o.Auth.UpdateAccount(ctx, identity(ctx).Actor, in.Name, auth.AccountChange{Display: in.Body.Display, Disabled: in.Body.Disabled, Grants: grantsOf(in.Body.Grants)})
			return &answer[*auth.Account]{a}, err
		})
	handle(s, operation{id: "delete-account", method: http.MethodDelete, path: "/api/v1/accounts/{name}", tag: tag, scope: onServer, action: auth.AccountWrite, status: http.StatusNoContent, summary: "Remove an account with its tokens and sessions"},
		func(ctx context.Context, in *ByName) (*none, error) {
			return nil, s.o.Auth.DeleteAccount(ctx, identity(ctx).Actor, in.Name)
		})
	handle(s, operation{id: "set-password", method: http.MethodPost, path: "/api/v1/accounts/{name}/password", tag: tag, scope: onServer, action: auth.AccountWrite, status: http.StatusNoContent, summary: "Set an account's password"},
		func(ctx context.Context, in *struct {
			ByName
			Body struct {
				Password string `json:"password" maxLength:"1024"`
			}
		}) (*none, error) {
			return nil, s.o.Auth.SetPassword(ctx, identity(ctx).Actor, in.Name, in.Body.Password)
		})
}
