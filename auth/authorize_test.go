package auth

import (
	"errors"
	"slices"
	"testing"
)

func TestPermissions(t *testing.T) {
	f := lite(t)
	tests := []struct {
		name     string
		id       Identity
		readable []string
		all      bool
		may      map[string]Action // one action that is there, by project
		mayNot   map[string]Action
	}{
		{"nothing", Identity{Kind: KindAccount}, []string{}, false, map[string]Action{AllProjects: TokenOwn}, map[string]Action{AllProjects: ProjectRead}},
		{"two projects", Identity{Kind: KindAccount, Grants: []Grant{{"web", Viewer}, {"api", Releaser}}}, []string{"api", "web"}, false,
			map[string]Action{"web": RunRead, "api": ApprovalDecide}, map[string]Action{"web": RunStart, AllProjects: ProjectRead}},
		{"all", Identity{Kind: KindAccount, Grants: []Grant{{AllProjects, Viewer}, {"web", Developer}}}, nil, true,
			map[string]Action{AllProjects: ProjectRead, "web": RunStart}, map[string]Action{AllProjects: RunStart, "web": ApprovalDecide}},
		{"a token for one", Identity{Kind: KindToken, Grants: []Grant{{AllProjects, Admin}}, Projects: []string{"web"}}, []string{"web"}, false,
			map[string]Action{"web": RunDelete}, map[string]Action{AllProjects: AccountRead}},
		{"a token for other things", Identity{Kind: KindToken, Grants: []Grant{{AllProjects, Admin}}, Scopes: []string{"secret"}}, []string{}, false,
			map[string]Action{AllProjects: SecretWrite}, map[string]Action{AllProjects: RunRead}},
		{"a runner", Identity{Kind: KindRunner, Runner: "r1"}, []string{}, false,
			map[string]Action{AllProjects: RunnerWork}, map[string]Action{AllProjects: ProjectRead}},
	}
	for _, tt := range tests {
		readable := f.ReadableProjects(&tt.id)
		same(t, tt.name, readable, tt.readable)
		if (readable == nil) != tt.all {
			t.Errorf("%s: nil means all, got %#v", tt.name, readable)
		}
		got := f.Permissions(&tt.id)
		for p, a := range tt.may {
			if !slices.Contains(got[p], a) {
				t.Errorf("%s: %s is not among what it may in %s: %v", tt.name, a, p, got[p])
			}
		}
		for p, a := range tt.mayNot {
			if slices.Contains(got[p], a) {
				t.Errorf("%s: %s is among what it may in %s", tt.name, a, p)
			}
		}
		for p, list := range got {
			if list == nil {
				t.Errorf("%s: nothing in %s is null in JSON", tt.name, p)
			}
			for _, a := range list {
				if err := f.Authorize(t.Context(), &tt.id, a, p); err != nil {
					t.Errorf("%s: %v", tt.name, err)
				}
			}
		}
	}
}

func TestAuthorizeRecords(t *testing.T) {
	each(t, func(f *fixture) {
		var seq int64
		id := &Identity{Kind: KindAccount, Account: "ann", Actor: "account:ann", Grants: []Grant{{"web", Viewer}}}
		if err := f.Authorize(t.Context(), id, RunRead, "web"); err != nil {
			t.Error(err)
		}
		var refused *RefusedError
		if err := f.Authorize(t.Context(), id, RunStart, "web"); !errors.As(err, &refused) || *refused != (RefusedError{"account:ann", RunStart, "web"}) {
			t.Errorf("got %v", err)
		}
		if err := f.Authorize(t.Context(), id, AccountWrite, "web"); !errors.As(err, &refused) || refused.Project != AllProjects {
			t.Errorf("got %v", err)
		}
		if err := f.Authorize(t.Context(), nil, RunRead, "web"); !errors.As(err, &refused) {
			t.Errorf("nobody: got %v", err)
		}
		same(t, "events", f.events(&seq), []string{
			"access.refused in web of run:start by account:ann: role",
			"access.refused of account:write by account:ann: role",
			"access.refused in web of run:read by anonymous: role",
		})
	})
}

func TestNobodyMayNothing(t *testing.T) {
	f := lite(t)
	if got := f.Permissions(nil); len(got) != 1 || len(got[AllProjects]) != 0 {
		t.Errorf("got %v", got)
	}
	if got := f.ReadableProjects(nil); got == nil || len(got) != 0 {
		t.Errorf("got %#v", got)
	}
	var refused *RefusedError
	if _, _, err := f.CreateToken(t.Context(), nil, NewToken{Name: "ci"}); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
	if _, err := f.ChangePassword(t.Context(), home, nil, goodPassword, "another handful of words"); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}
