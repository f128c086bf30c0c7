package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// withOIDC sets the provider up.
func withOIDC(p *provided, change ...func(*OIDC)) func(*Options) {
	return func(o *Options) {
		c := o.Now
		p.clock = &clock{at: c()}
		o.OIDC = &OIDC{Issuer: p.URL, ClientID: "gantry-client", ClientSecret: "client-secret"}
		for _, f := range change {
			f(o.OIDC)
		}
	}
}

// begin begins a sign-in and returns where the browser is sent and its cookie.
func (f *fixture) start(returnTo string) (redirect string, cookie *http.Cookie) {
	f.t.Helper()
	redirect, cookie, err := f.StartOIDC(f.t.Context(), returnTo)
	if err != nil {
		f.t.Fatal(err)
	}
	return redirect, cookie
}

// back ends it.
func (f *fixture) back(q url.Values, cookie *http.Cookie) (*SignIn, string, error) {
	f.t.Helper()
	r := request("GET", func(r *http.Request) {
		r.URL.Path, r.URL.RawQuery = oidcPath, q.Encode()
		if cookie != nil {
			r.AddCookie(cookie)
		}
	})
	in, returnTo, done, err := f.FinishOIDC(f.t.Context(), r)
	if done == nil || done.MaxAge != -1 || !strings.HasSuffix(done.Name, "-oidc") {
		f.t.Errorf("the cookie of the start stays: %v", done)
	}
	if (in == nil) != (err != nil) {
		f.t.Errorf("got %v and %v", in, err)
	}
	return in, returnTo, err
}

// signIn is all of it.
func (f *fixture) signIn(p *provided, claims map[string]any) (*SignIn, error) {
	f.t.Helper()
	redirect, cookie := f.start("/")
	in, _, err := f.back(p.authorize(redirect, claims), cookie)
	return in, err
}

func TestOIDC(t *testing.T) {
	p := provide(t)
	each(t, func(f *fixture) {
		var seq int64
		redirect, cookie := f.start("/runs/7?line=3")
		if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Name != "__Host-gantry-oidc" {
			t.Errorf("got %v", cookie)
		}
		q := p.authorize(redirect, map[string]any{"preferred_username": "Ann.Lee@example.com", "name": "Ann Lee"})
		in, returnTo, err := f.back(q, cookie)
		if err != nil {
			t.Fatal(err)
		}
		if returnTo != "/runs/7?line=3" {
			t.Errorf("back to %s", returnTo)
		}
		id, err := f.by(in.Cookie)
		if err != nil || id.Account != "ann.lee" || id.Display != "Ann Lee" {
			t.Errorf("got %+v, %v", id, err)
		}
		same(t, "grants", id.Grants, []Grant{{"web", Viewer}})
		same(t, "events", f.events(&seq), []string{"account.created of ann.lee by account:ann.lee", "grant.given in web of ann.lee by account:ann.lee", "login.succeeded of ann.lee by account:ann.lee"})

		// The same person again, under another name: the subject is who they are.
		in, err = f.signIn(p, map[string]any{"preferred_username": "ann.smith"})
		if err != nil || in.Identity.Account != "ann.lee" {
			t.Errorf("got %+v, %v", in, err)
		}
		a, err := f.Account(t.Context(), "ann.lee")
		if err != nil || !a.OIDC {
			t.Errorf("got %+v, %v", a, err)
		}
		// No password opens it, and none can be set.
		if _, err := f.Login(t.Context(), home, "ann.lee", ""); !errors.Is(err, ErrBadCredentials) {
			t.Errorf("got %v", err)
		}
		var bad *InvalidError
		if err := f.SetPassword(t.Context(), "gantry", "ann.lee", goodPassword); !errors.As(err, &bad) {
			t.Errorf("got %v", err)
		}
		// Disabled, and deleted.
		if _, err := f.UpdateAccount(t.Context(), "gantry", "ann.lee", AccountChange{Disabled: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := f.signIn(p, nil); !errors.Is(err, ErrDisabled) {
			t.Errorf("got %v", err)
		}
		if err := f.DeleteAccount(t.Context(), "gantry", "ann.lee"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.signIn(p, nil); !errors.Is(err, ErrDisabled) {
			t.Errorf("got %v", err)
		}
	}, withOIDC(p, func(o *OIDC) { o.Default = []Grant{{"web", Viewer}} }))
}

// TestOIDCNeverMerges: a name at the provider is not the same name here.
func TestOIDCNeverMerges(t *testing.T) {
	p := provide(t)
	each(t, func(f *fixture) {
		f.account("ann", Grant{AllProjects, Admin})
		for i, tt := range []struct {
			claims map[string]any
			want   string
		}{
			{map[string]any{"preferred_username": "ann"}, "ann-2"},
			{map[string]any{"email": "ann@example.com", "email_verified": true}, "ann-3"},
			{map[string]any{"preferred_username": "../../ann"}, "ann-4"},
			{map[string]any{"preferred_username": "Ann Lee"}, "ann.lee"},
			{map[string]any{"preferred_username": "李"}, "user"},
			{map[string]any{"preferred_username": strings.Repeat("x", 300)}, strings.Repeat("x", 58)},
			{map[string]any{"preferred_username": strings.Repeat("x", 300)}, strings.Repeat("x", 58) + "-2"},
			{nil, "user-2"},
		} {
			tt.claims = maps.Clone(tt.claims)
			if tt.claims == nil {
				tt.claims = map[string]any{}
			}
			tt.claims["sub"] = "s-" + string(rune('a'+i))
			in, err := f.signIn(p, tt.claims)
			if err != nil {
				t.Fatal(err)
			}
			if in.Identity.Account != tt.want || len(in.Identity.Grants) != 0 {
				t.Errorf("got %+v, want %s", in.Identity, tt.want)
			}
		}
	}, withOIDC(p))
}

func TestOIDCRefuses(t *testing.T) {
	p := provide(t)
	f := lite(t, withOIDC(p))
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := func(key string, v any) func(map[string]any) { return func(c map[string]any) { c[key] = v } }
	tests := []struct {
		name   string
		token  func(claims map[string]any)
		sign   func(claims map[string]any) string
		answer http.HandlerFunc
		query  func(q url.Values)
		cookie func(c *http.Cookie) *http.Cookie
		pass   time.Duration
		// want is ErrBadCredentials unless fails, and in its text.
		want  string
		fails bool
	}{
		{name: "another nonce", token: set("nonce", "x"), want: "another sign-in"},
		{name: "no nonce", token: func(c map[string]any) { delete(c, "nonce") }, want: "another sign-in"},
		{name: "another audience", token: set("aud", "somebody-else"), want: "audience"},
		{name: "another issuer", token: set("iss", "https://example.org"), want: "issued by a different provider"},
		{name: "expired", token: set("exp", p.clock.now().Add(-time.Hour).Unix()), want: "expired"},
		{name: "no subject", token: set("sub", ""), want: "names nobody"},
		{name: "a subject beyond all bounds", token: set("sub", strings.Repeat("x", 256)), want: "names nobody"},
		{name: "claims of other types", token: set("preferred_username", 7), want: "claims"},
		{name: "alg none", sign: func(c map[string]any) string {
			b, _ := json.Marshal(c)
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(b) + "."
		}, want: "not valid"},
		{name: "signed with the public key as a shared one", sign: func(c map[string]any) string {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: p.key.N.Bytes()}, nil)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := jwt.Signed(s).Claims(c).Serialize()
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}, want: "not valid"},
		{name: "another key", sign: func(c map[string]any) string {
			return (&provided{t: t, key: other}).signed(c)
		}, want: "not valid"},
		{name: "no token", answer: func(w http.ResponseWriter, r *http.Request) {
			writeJSON(w, map[string]any{"access_token": "at", "token_type": "Bearer"})
		}, want: "no ID token"},
		{name: "not a token", sign: func(map[string]any) string { return "x.y" }, want: "not valid"},
		{name: "the provider fails", answer: func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "secret-in-a-page", http.StatusInternalServerError)
		}, want: "500", fails: true},
		{name: "an answer without end", answer: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"access_token":"`+strings.Repeat("x", 2*maxAnswer))
		}, want: "", fails: true},
		{name: "another state", query: func(q url.Values) { q.Set("state", "x") }, want: "another sign-in"},
		{name: "no state", query: func(q url.Values) { q.Del("state") }, want: "another sign-in"},
		{name: "no code", query: func(q url.Values) { q.Del("code") }, want: "no code"},
		{name: "an invented code", query: func(q url.Values) { q.Set("code", "x") }, want: "invalid_grant"},
		{name: "refused by the provider", query: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied\x1b[2J") }, want: "access_denied[2J"},
		{name: "another provider", query: func(q url.Values) { q.Set("iss", "https://example.org") }, want: "another provider"},
		{name: "no cookie", cookie: func(*http.Cookie) *http.Cookie { return nil }, want: "not begun in this browser"},
		{name: "a damaged cookie", cookie: func(c *http.Cookie) *http.Cookie { c.Value = c.Value[1:]; return c }, want: "damaged"},
		{name: "another sign-in's cookie", cookie: func(*http.Cookie) *http.Cookie { _, c := f.start("/"); return c }, want: "another sign-in"},
		{name: "too late", pass: flowLifetime + time.Second, want: "longer than"},
	}
	for _, tt := range tests {
		p.mu.Lock()
		p.token, p.sign, p.answer = tt.token, tt.sign, tt.answer
		p.mu.Unlock()
		redirect, cookie := f.start("/")
		q := p.authorize(redirect, nil)
		if tt.query != nil {
			tt.query(q)
		}
		if tt.cookie != nil {
			cookie = tt.cookie(cookie)
		}
		f.clock.pass(tt.pass)
		_, _, err := f.back(q, cookie)
		if err == nil || errors.Is(err, ErrBadCredentials) == tt.fails || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret-in-a-page") {
			t.Errorf("%s: got %v", tt.name, err)
		}
		f.clock.pass(time.Hour) // for the limits
		p.clock.pass(tt.pass + time.Hour)
	}
	if all, _, err := f.Accounts(t.Context(), "", 0); err != nil || len(all) != 0 {
		t.Errorf("accounts were made: %v, %v", all, err)
	}
}

// TestOIDCReplay: an answer signs in once.
func TestOIDCReplay(t *testing.T) {
	p := provide(t)
	f := lite(t, withOIDC(p))
	redirect, cookie := f.start("/")
	q := p.authorize(redirect, nil)
	if _, _, err := f.back(q, cookie); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.back(q, cookie); !errors.Is(err, ErrBadCredentials) || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("the code again: %v", err)
	}
	if _, _, err := f.back(q, nil); !errors.Is(err, ErrBadCredentials) {
		t.Errorf("without the cookie, which is gone: %v", err)
	}
}

func TestOIDCGroups(t *testing.T) {
	p := provide(t)
	admin := Grant{AllProjects, Admin}
	each(t, func(f *fixture) {
		in, err := f.signIn(p, map[string]any{"preferred_username": "ann", "roles": []string{"dev", "unknown"}})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "first", in.Identity.Grants, []Grant{{"api", Developer}, {"web", Developer}})
		// What is granted by hand stays; what a group gives goes with it.
		if _, err := f.UpdateAccount(t.Context(), "gantry", "ann", AccountChange{Grants: append(in.Identity.Grants, Grant{"docs", Viewer})}); err != nil {
			t.Fatal(err)
		}
		var seq int64
		f.events(&seq)
		in, err = f.signIn(p, map[string]any{"roles": "release"})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "another group", in.Identity.Grants, []Grant{{"docs", Viewer}, {"web", Developer}, {"web", Releaser}})
		same(t, "events", f.events(&seq), []string{"grant.taken in api of ann by oidc", "grant.given in web of ann by oidc", "login.succeeded of ann by account:ann"})
		in, err = f.signIn(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "no group", in.Identity.Grants, []Grant{{"docs", Viewer}})
		// The last administrator keeps that; with another one, it goes.
		for _, tt := range []struct {
			roles []string
			want  []Grant
		}{{[]string{"ops"}, []Grant{admin, {"docs", Viewer}}}, {nil, []Grant{admin, {"docs", Viewer}}}} {
			if in, err = f.signIn(p, map[string]any{"roles": tt.roles}); err != nil {
				t.Fatal(err)
			}
			same(t, "administrator", in.Identity.Grants, tt.want)
		}
		f.account("bo", admin)
		if in, err = f.signIn(p, nil); err != nil {
			t.Fatal(err)
		}
		same(t, "with another administrator", in.Identity.Grants, []Grant{{"docs", Viewer}})
	}, withOIDC(p, func(o *OIDC) {
		o.GroupsClaim = "roles"
		o.Groups = map[string][]Grant{"dev": {{"web", Developer}, {"api", Developer}}, "release": {{"web", Releaser}, {"web", Developer}}, "ops": {admin}}
	}))
}

func TestOIDCSecretInForm(t *testing.T) {
	p := provide(t)
	p.post = true
	f := lite(t, withOIDC(p))
	if _, err := f.signIn(p, nil); err != nil {
		t.Error(err)
	}
}

func TestOIDCProviderIsAway(t *testing.T) {
	p := provide(t)
	f := lite(t, withOIDC(p)) // it is not asked
	url := p.URL
	f.oidc.Issuer = url + "/nowhere"
	if _, _, err := f.StartOIDC(t.Context(), "/"); err == nil {
		t.Error("no error")
	}
	f.oidc.Issuer = url
	if _, _, err := f.StartOIDC(t.Context(), "/"); err == nil {
		t.Error("it is asked again at once")
	}
	f.clock.pass(askAgain)
	if _, _, err := f.StartOIDC(t.Context(), "/"); err != nil {
		t.Errorf("it is back: %v", err)
	}
	without := lite(t)
	if _, _, err := without.StartOIDC(t.Context(), "/"); !errors.Is(err, ErrNotFound) || without.OIDCName() != "" {
		t.Errorf("got %v", err)
	}
	if _, _, _, err := without.FinishOIDC(t.Context(), request("GET", nil)); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestOIDCConfiguration(t *testing.T) {
	good := OIDC{Issuer: "https://id.example.com/realm", ClientID: "x"}
	p, err := newProvider(good)
	if err != nil || p.Name != "id.example.com" || p.GroupsClaim != "groups" {
		t.Errorf("got %+v, %v", p, err)
	}
	for name, change := range map[string]func(*OIDC){
		"no issuer":              func(o *OIDC) { o.Issuer = "" },
		"plain HTTP":             func(o *OIDC) { o.Issuer = "http://id.example.com" },
		"not a URL":              func(o *OIDC) { o.Issuer = "https://\x7f" },
		"no client":              func(o *OIDC) { o.ClientID = "" },
		"a default role":         func(o *OIDC) { o.Default = []Grant{{"web", "owner"}} },
		"a group's role":         func(o *OIDC) { o.Groups = map[string][]Grant{"dev": {{"web", "owner"}}} },
		"a group's project":      func(o *OIDC) { o.Groups = map[string][]Grant{"dev": {{"", Viewer}}} },
		"another scheme":         func(o *OIDC) { o.Issuer = "file:///etc/passwd" },
		"only looks like a host": func(o *OIDC) { o.Issuer = "http://127.0.0.1.example.com" },
	} {
		o := good
		change(&o)
		if _, err := newProvider(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, issuer := range []string{"http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"} {
		if _, err := newProvider(OIDC{Issuer: issuer, ClientID: "x"}); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}
