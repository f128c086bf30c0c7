package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// company is a provider of OpenID Connect at which ann has just signed in.
func company(t *testing.T) *httptest.Server {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	nonce := ""
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": s.URL, "authorization_endpoint": s.URL + "/authorize", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		nonce = q.Get("nonce")
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {"once"}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if id, secret, ok := r.BasicAuth(); !ok || id != "gantry" || secret != "secret-of-the-client" || r.FormValue("code") != "once" {
			http.Error(w, `{"error": "invalid_grant"}`, http.StatusBadRequest)
			return
		}
		now := time.Now()
		raw, err := jwt.Signed(signer).Claims(map[string]any{"iss": s.URL, "aud": "gantry", "sub": "4711", "nonce": nonce, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
			"preferred_username": "ann", "name": "Ann", "email": "ann@example.com", "email_verified": true, "groups": []string{"desk"}}).Serialize()
		if err != nil {
			t.Error(err)
		}
		answer(w, map[string]any{"access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": raw})
	})
	return s
}

// TestSignInByOpenIDConnect goes the way of a browser through a server that runs: to the provider, back, and in.
func TestSignInByOpenIDConnect(t *testing.T) {
	t.Setenv("GANTRY_CACHE_DIR", t.TempDir())
	t.Setenv("GANTRY_OIDC_CLIENT_SECRET", "secret-of-the-client")
	provider := company(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o := &serverOptions{
		data: filepath.Join(t.TempDir(), "data"), listen: "127.0.0.1:0", oidcIssuer: provider.URL, oidcClient: "gantry", oidcName: "the company",
		oidcGroups: []string{"desk=*:releaser"}, oidcDefault: []string{"*:viewer"}, executor: choiceFlag{value: "host"},
	}
	s, err := openServer(ctx, o, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	get := func(path string) (*http.Response, string) {
		t.Helper()
		res, err := browser.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(b)
	}
	if _, body := get("/api/v1/session/options"); !strings.Contains(body, `"oidc":true`) || !strings.Contains(body, "the company") {
		t.Errorf("the ways to sign in are %s", body)
	}
	// Somebody else's answer of the provider signs nobody in.
	if res, _ := get("/auth/oidc/callback?code=once&state=" + strings.Repeat("x", 43)); res.Request.URL.Path != "/sign-in" || res.Request.URL.Query().Get("problem") == "" {
		t.Errorf("a callback that was not asked for ended at %s", res.Request.URL)
	}
	if res, _ := get("/api/v1/me"); res.StatusCode != http.StatusUnauthorized {
		t.Fatalf("before the sign-in: %s", res.Status)
	}
	if res, _ := get("/auth/oidc/start?return=%2Fruns%3Fstatus%3Dfailure"); res.Request.URL.String() != s.url+"/runs?status=failure" {
		t.Errorf("the sign-in ended at %s", res.Request.URL)
	}
	var me struct {
		Identity struct {
			Account string `json:"account"`
			Grants  []struct{ Project, Role string }
		} `json:"identity"`
	}
	_, body := get("/api/v1/me")
	if err := json.Unmarshal([]byte(body), &me); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if got := fmt.Sprint(me.Identity); !strings.Contains(got, "ann") || !strings.Contains(got, "{* releaser}") {
		t.Errorf("signed in as %s", got)
	}
	// Where to return to is never another site.
	if res, _ := get("/auth/oidc/start?return=%2F%2Fexample.com%2F"); !strings.HasPrefix(res.Request.URL.String(), s.url+"/") {
		t.Errorf("the sign-in ended at %s", res.Request.URL)
	}
}
