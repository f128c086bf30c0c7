package api

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs/jobs"
)

// plus is headers with one more; an empty value takes one out.
func plus(h map[string]string, name, value string) map[string]string {
	out := maps.Clone(h)
	if out == nil {
		out = map[string]string{}
	}
	if out[name] = value; value == "" {
		delete(out, name)
	}
	return out
}

// TestCSRF makes every change from a browser's session in all ways that another site could have it made.
func TestCSRF(t *testing.T) {
	s := newShop(t)
	everywhere := auth.Grant{Project: auth.AllProjects, Role: auth.Admin}
	mine, others := s.session("mia", everywhere), s.session("olly", everywhere)
	const own, foreign = "http://ci.example.com", "https://example.org"
	for _, c := range s.calls() {
		if c.action == auth.RunnerWork {
			continue
		}
		reads := c.method == http.MethodGet
		for _, try := range []struct {
			what   string
			header map[string]string
			// refused without regard to a session, where the operation needs none.
			public bool
			ok     bool
		}{
			{"as the pages do", mine, false, true},
			{"as the pages do, with an origin", plus(mine, "Origin", s.http.URL), false, true},
			{"as the pages do, in a browser that says so", plus(plus(mine, "Origin", own), "Sec-Fetch-Site", "same-origin"), false, true},
			{"without the token", plus(mine, "X-CSRF-Token", ""), false, false},
			{"with another's token", plus(mine, "X-CSRF-Token", others["X-CSRF-Token"]), false, false},
			{"with a token that is too long", plus(mine, "X-CSRF-Token", mine["X-CSRF-Token"]+"a"), false, false},
			{"from another site", plus(mine, "Sec-Fetch-Site", "cross-site"), true, false},
			{"from a neighbour of the site", plus(mine, "Sec-Fetch-Site", "same-site"), true, false},
			{"from another site's page", plus(mine, "Origin", foreign), true, false},
			{"from a page without an origin", plus(mine, "Origin", "null"), true, false},
		} {
			r := s.do(request{method: c.method, path: c.url(s.params, probe+"=1"), header: try.header})
			refused := r.status == http.StatusForbidden && r.sort() == "csrf"
			if want := !reads && !try.ok && (try.public || c.scope != public); refused != want {
				t.Errorf("%s %s: answered %s; refused: %v, should be: %v", c.id, try.what, r, refused, want)
			}
		}
		// Programs have no cookies that somebody else could use.
		if c.scope != public && c.action != auth.TokenOwn {
			h := plus(bearer(s.admin()), "Origin", foreign)
			if r := s.do(request{method: c.method, path: c.url(s.params, probe+"=1"), header: h}); r.status != http.StatusUnprocessableEntity {
				t.Errorf("%s with a token: answered %s", c.id, r)
			}
		}
	}
}

// TestBadCredentials calls every operation with credentials that are none, beside a session that would do.
func TestBadCredentials(t *testing.T) {
	s := newShop(t)
	good := s.session("mia", auth.Grant{Project: auth.AllProjects, Role: auth.Admin})
	token := s.admin()
	for _, c := range s.calls() {
		if c.scope == public {
			continue
		}
		for what, header := range map[string]map[string]string{
			"half a token":       bearer(token[:len(token)-4]),
			"a token and more":   bearer(token + "aaaa"),
			"another token":      bearer(token[:len(token)-4] + "aaaa"),
			"nothing":            {"Authorization": "Bearer "},
			"a password":         {"Authorization": "Basic YW5uOmE="},
			"a cookie's text":    {"Authorization": good["Cookie"]},
			"another cookie":     {"Cookie": good["Cookie"][:len(good["Cookie"])-4] + "aaaa"},
			"a token as cookie":  {"Cookie": "gantry=" + token},
			"a header and sense": plus(good, "Authorization", "Bearer x"),
		} {
			r := s.do(request{method: c.method, path: c.url(s.params, probe+"=1"), header: header})
			if r.status != http.StatusUnauthorized || r.sort() != "credentials" && r.sort() != "expired" {
				t.Errorf("%s with %s: answered %s", c.id, what, r)
			}
			if strings.Contains(string(r.body), token) {
				t.Errorf("%s with %s: the answer has the token", c.id, what)
			}
		}
	}
}

// TestHidden holds that who may not see a thing cannot tell it from one that there is not.
func TestHidden(t *testing.T) {
	s := newShop(t)
	stranger := bearer(s.account("stranger", auth.Grant{Project: "other", Role: auth.Admin}))
	none := map[string]string{"project": "shed", "run": "1", "job": "1.1.1", "approval": "1", "name": "ann", "id": "none", "runner": "none", "release": "999", "rollout": "999", "judgement": "999"}
	for _, c := range s.calls() {
		if c.scope < onProject {
			continue
		}
		there := s.do(request{method: c.method, path: c.url(s.params), header: stranger})
		missing := s.do(request{method: c.method, path: c.url(none), header: stranger})
		a, b := there.String(), missing.String()
		for _, name := range []string{"approval", "job", "run", "project", "release", "rollout", "judgement"} {
			a, b = strings.ReplaceAll(a, fmt.Sprintf("%q", s.params[name]), "ID"), strings.ReplaceAll(b, fmt.Sprintf("%q", none[name]), "ID")
			a, b = strings.ReplaceAll(a, fmt.Sprintf(`\"%s\"`, s.params[name]), "ID"), strings.ReplaceAll(b, fmt.Sprintf(`\"%s\"`, none[name]), "ID")
		}
		if a != b || there.status != http.StatusNotFound {
			t.Errorf("%s: a hidden thing is answered\n %s, one that is not there\n %s", c.id, a, b)
		}
	}
}

// TestNarrowToken starts a run by a token for that alone, and does nothing else by it.
func TestNarrowToken(t *testing.T) {
	s := newShop(t)
	token := s.apiToken(auth.NewToken{Scopes: []string{"run:start"}, Projects: []string{"shop"}})
	s.do(request{method: "POST", path: "/api/v1/projects/shop/runs", token: token, body: "{}"}).into(t, http.StatusCreated, nil)
	for _, path := range []string{"/api/v1/projects/other/runs", "/api/v1/runs/" + s.params["run"] + "/cancel"} {
		if r := s.do(request{method: "POST", path: path, token: token, body: "{}"}); r.status != http.StatusNotFound {
			t.Errorf("POST %s: answered %s", path, r)
		}
	}
	for _, path := range []string{"/api/v1/runs", "/api/v1/projects", "/api/v1/events"} {
		if r := s.do(request{method: "GET", path: path, token: token}); r.status != http.StatusForbidden {
			t.Errorf("GET %s: answered %s", path, r)
		}
	}
}

// TestEventsToken reads a project's events by tokens that are for events alone.
func TestEventsToken(t *testing.T) {
	s := newShop(t)
	grants := []auth.Grant{{Project: auth.AllProjects, Role: auth.Viewer}}
	s.account("vic", grants...)
	token, _, err := s.auth.CreateToken(t.Context(), &auth.Identity{Kind: auth.KindAccount, Account: "vic", Actor: "account:vic", Grants: grants}, auth.NewToken{Name: "events", Scopes: []string{"event"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/events", "/api/v1/events?project=shop"} {
		r := s.do(request{method: "GET", path: path, token: token})
		if r.status != http.StatusOK || !strings.Contains(string(r.body), `"run.queued"`) && !strings.Contains(string(r.body), `"project.created"`) {
			t.Errorf("GET %s: answered %s", path, r)
		}
		if strings.Contains(string(r.body), `"account.created"`) {
			t.Errorf("GET %s: a viewer is told of the server's accounts", path)
		}
	}
}

// TestAskedProjects asks lists for a project by name that the caller may not read.
func TestAskedProjects(t *testing.T) {
	s := newShop(t)
	stranger := s.account("stranger", auth.Grant{Project: "other", Role: auth.Admin})
	for _, path := range []string{"/api/v1/runs", "/api/v1/approvals", "/api/v1/events"} {
		for _, query := range []string{"project=shop", "project=shop&project=other", "project=*", "project=", "run=" + s.params["run"]} {
			if path == "/api/v1/runs" && strings.HasPrefix(query, "run=") {
				continue
			}
			r := s.do(request{method: "GET", path: path + "?" + query, token: stranger})
			if r.status != http.StatusOK || strings.Contains(string(r.body), `"shop"`) || strings.Contains(string(r.body), "account.created") {
				t.Errorf("GET %s?%s: answered %s", path, query, r)
			}
		}
	}
}

// TestForeignJobs has a runner do every operation of its protocol for a job that another runner has.
func TestForeignJobs(t *testing.T) {
	s := newShop(t)
	task := s.claim(func(w *jobs.Worker) { w.ID, w.Embedded, w.Labels = s.params["runner"], false, []string{"x"} })
	_, far := s.runnerToken("far")
	params := maps.Clone(s.params)
	params["job"], params["name"] = task.Job, "a"
	for _, c := range s.calls() {
		if c.action != auth.RunnerWork || c.id == "claim-job" {
			continue
		}
		for what, try := range map[string]struct {
			token string
			fence int64
			mine  bool
		}{
			"another runner":   {far, task.Token, false},
			"an earlier token": {s.runner, task.Token - 1, false},
			"whose it is":      {s.runner, task.Token, true},
		} {
			if try.mine && (c.id == "finish-job" || c.id == "report-job") {
				continue // would change it
			}
			url := strings.Replace(c.url(params), "token=1", fmt.Sprint("token=", try.fence), 1)
			q := request{method: c.method, path: url, token: try.token}
			if c.method != http.MethodGet {
				q.body = "{}"
			}
			r := s.do(q)
			if (r.status == http.StatusGone && r.sort() == "fenced") == try.mine {
				t.Errorf("%s by %s: answered %s", c.id, what, r)
			}
		}
	}
}

// TestPlaces moves a project as who may change it, and not the server.
func TestPlaces(t *testing.T) {
	s := newShop(t)
	releaser := s.account("rel", auth.Grant{Project: "shop", Role: auth.Releaser}, auth.Grant{Project: "other", Role: auth.Admin})
	put := func(token, source string) *reply {
		p, err := s.runs.Project(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		return s.do(request{method: "PUT", path: "/api/v1/projects/shop", token: token, body: fmt.Sprintf(`{"source": %s, "version": %d}`, source, p.Version)})
	}
	for source, ok := range map[string]bool{
		`{"url": "https://example.com/a.git"}`:     true,
		`{"url": "ssh://git@example.com/a.git"}`:   true,
		`{"url": "git@example.com:a.git"}`:         true,
		`{"url": "/srv/other"}`:                    false,
		`{"url": "./a:b"}`:                         false,
		`{"url": "other"}`:                         false,
		`{"url": "c:/other"}`:                      false,
		`{"url": "file:///srv/other"}`:             false,
		`{"url": "FILE:///srv/other"}`:             false,
		`{"url": "/srv/other", "folder": true}`:    false,
		`{"url": "git@example:a", "folder": true}`: false,
	} {
		r := put(releaser, source)
		if refused := r.status == http.StatusForbidden && r.sort() == "refused"; refused == ok || ok && r.status != http.StatusOK {
			t.Errorf("%s: answered %s", source, r)
		}
	}
	// Where a project is already, whoever may change it may leave it.
	put(s.admin(), `{"url": "/srv/shop"}`).into(t, http.StatusOK, nil)
	put(releaser, `{"url": "/srv/shop", "path": "web"}`).into(t, http.StatusOK, nil)
}
