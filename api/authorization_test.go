package api

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/auth"
)

// caller is a column of the table.
type caller struct {
	group, name string
	// header is what the caller sends with a call.
	header func(call) map[string]string
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// short are the names of roles that columns have.
var short = map[auth.Role]string{auth.Viewer: "view", auth.Developer: "dev", auth.Releaser: "rel", auth.Auditor: "audit", auth.Admin: "admin"}

// callers are all sorts of who calls.
func (s *shop) callers() []caller {
	always := func(h map[string]string) func(call) map[string]string {
		return func(call) map[string]string { return h }
	}
	out := []caller{
		{"", "anon", always(nil)},
		{"", "none", always(s.session("stranger"))},
	}
	for _, on := range []struct{ group, project string }{{"on the project", "shop"}, {"on another project", "other"}, {"on the server", auth.AllProjects}} {
		for _, role := range auth.Roles() {
			name := map[string]string{"shop": "here", "other": "there", auth.AllProjects: "everywhere"}[on.project] + "-" + string(role)
			out = append(out, caller{on.group, short[role], always(s.session(name, auth.Grant{Project: on.project, Role: role}))})
		}
	}
	ofProject, ofServer := auth.Actions()
	but := map[auth.Action]string{}
	for _, a := range append([]auth.Action{""}, slices.Concat(ofProject, ofServer)...) {
		var scopes []string
		for _, other := range slices.Concat(ofProject, ofServer) {
			if other != a && other != auth.RunnerWork {
				scopes = append(scopes, string(other))
			}
		}
		but[a] = s.apiToken(auth.NewToken{Scopes: scopes})
	}
	return append(out,
		caller{"as token", "full", always(bearer(s.apiToken(auth.NewToken{})))},
		caller{"as token", "scope", func(c call) map[string]string { return bearer(but[c.action]) }},
		caller{"as token", "other", always(bearer(s.apiToken(auth.NewToken{Projects: []string{"other"}})))},
		caller{"", "runner", always(bearer(s.runner))},
	)
}

// probe is a parameter that no operation has. Who may call an operation is told so, and nothing happens.
const probe = "probe"

// outcome says what a caller comes by: yes, none (a list without the project's), 401, 403 or 404.
func (s *shop) outcome(c call, header map[string]string) string {
	s.t.Helper()
	reads := c.method == http.MethodGet && !c.slow && c.action != auth.RunnerWork
	url := c.url(s.params)
	if !reads {
		url = c.url(s.params, probe+"=1")
	}
	r := s.do(request{method: c.method, path: url, header: header})
	switch {
	case r.status == http.StatusUnauthorized && r.sort() == "credentials", r.status == http.StatusForbidden && r.sort() == "refused", r.status == http.StatusNotFound && r.sort() == "not-found":
		return fmt.Sprint(r.status)
	case reads && r.status == http.StatusOK && c.scope == onList && !bytes.Contains(r.body, []byte(`"shop"`)):
		return "none"
	case reads && r.status == http.StatusOK:
		return "yes"
	case !reads && r.status == http.StatusUnprocessableEntity && bytes.Contains(r.body, []byte(`"query.`+probe+`"`)):
		return "yes"
	}
	s.t.Errorf("%s %s: answered %s", c.method, url, r)
	return "?"
}

const tableHead = `# Who may call which operation: for a thing of the project shop, where the operation is for one. Written by go test -update.
#
# yes   may call it
# none  may call it, and is told nothing of the project (lists only)
# 401   has to sign in
# 403   may know that the thing exists, and not do this
# 404   may not know that the thing exists
#
# anon sends no credentials; none is an account without a grant; scope is the token of a server's admin with all scopes but the one that the
# operation needs; other is such a token that is for another project alone. The roles are viewer, developer, releaser, auditor, admin.
`

// TestAuthorization calls every operation as everybody. The table is a golden file, and the documentation has what it says of roles.
func TestAuthorization(t *testing.T) {
	s := newShop(t)
	all := s.callers()
	var b, roles strings.Builder
	b.WriteString(tableHead + "\n")
	groups, names, last := "", "", ""
	for _, c := range all {
		group := c.group
		if group == last {
			group = ""
		}
		last = c.group
		if group != "" && len(groups) < len(names) {
			groups += strings.Repeat(" ", len(names)-len(groups))
		}
		groups += group
		names += fmt.Sprintf("%-6s", c.name)
	}
	line := func(a, b, c string) string {
		return strings.TrimRight(fmt.Sprintf("%-20s %-16s %s", a, b, c), " ") + "\n"
	}
	b.WriteString(line("", "", groups) + line("operation", "needs", names))
	roles.WriteString("| operation | | needs | viewer | developer | releaser | auditor | admin |\n|---|---|---|---|---|---|---|---|\n")
	for _, c := range s.calls() {
		row := ""
		outcomes := map[string]string{}
		for _, who := range all {
			got := s.outcome(c, who.header(c))
			row += fmt.Sprintf("%-6s", got)
			outcomes[who.group+" "+who.name] = got
			if err := c.mustNot(who, got); err != nil {
				t.Errorf("%s as %s %s: %v", c.id, who.name, who.group, err)
			}
		}
		b.WriteString(line(c.id, string(c.action), row))
		roles.WriteString(c.row(outcomes))
	}
	golden(t, "authorization.txt", []byte(b.String()))
	generated(t, "roles", roles.String())
}

// row is what the documentation says of who may call an operation.
func (c call) row(outcomes map[string]string) string {
	needs := "`" + string(c.action) + "`"
	if c.action == "" {
		needs = ""
	}
	out := fmt.Sprintf("| `%s` | %s `%s` | %s |", c.id, c.method, strings.TrimPrefix(c.path, "/api/v1"), needs)
	switch {
	case outcomes[" anon"] == "yes":
		return out + " everybody | | | | |\n"
	case outcomes[" runner"] == "yes":
		return out + " runners | | | | |\n"
	case outcomes[" none"] == "yes" && c.scope != onList:
		return out + " everybody who has signed in | | | | |\n"
	}
	for _, role := range auth.Roles() {
		switch {
		case outcomes["on the project "+short[role]] == "yes":
			out += " ✓ |"
		case outcomes["on the server "+short[role]] == "yes":
			out += " server |"
		default:
			out += " |"
		}
	}
	return out + "\n"
}

// mustNot says what is wrong with an outcome whatever the table has.
func (c call) mustNot(who caller, got string) error {
	may := got == "yes"
	switch {
	case may && c.scope == public:
		return nil
	case who.name == "anon" && got != "401":
		return fmt.Errorf("is %s without credentials", got)
	case who.name == "runner" && may != (c.action == auth.RunnerWork), who.name != "runner" && may && c.action == auth.RunnerWork:
		return fmt.Errorf("is %s: runners do their work, and nobody else does", got)
	case may && who.group == "as token" && c.action == auth.TokenOwn:
		return fmt.Errorf("is allowed: a token could outlive itself")
	case may && who.name == "scope" && c.action != "":
		return fmt.Errorf("is allowed without the scope")
	case may && (who.group == "on another project" || who.name == "none" || who.name == "other") && c.scope > onList:
		return fmt.Errorf("is allowed for another's project")
	case !may && who.group == "on the server" && who.name == "admin" && c.action != auth.RunnerWork:
		return fmt.Errorf("is %s for who may all", got)
	case may && c.method != http.MethodGet && who.name == "audit" && c.action != "" && c.action != auth.TokenOwn:
		return fmt.Errorf("lets an auditor change something")
	}
	return nil
}
