package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// provided is a small provider of OpenID Connect: discovery, keys, and a token endpoint that checks what it is sent as RFC 6749, RFC 7636
// and OpenID Connect Core 1.0 ask for. Its authorization endpoint is the test, which answers as somebody's browser would be sent back.
type provided struct {
	*httptest.Server
	t     *testing.T
	key   *rsa.PrivateKey
	clock *clock

	mu    sync.Mutex
	codes map[string]authorization
	// token changes the ID token's claims, sign replaces how it is signed, answer the token endpoint; all may be nil.
	token  func(claims map[string]any)
	sign   func(claims map[string]any) string
	answer http.HandlerFunc
	// post makes it ask for the client's secret in the form.
	post bool
}

func (p *provided) methods() []string {
	if p.post {
		return []string{"client_secret_post"}
	}
	return nil
}

// authorization is what a code stands for.
type authorization struct {
	challenge, redirect string
	claims              map[string]any
}

// testKey is one for all tests: making one takes a while.
var testKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func provide(t *testing.T) *provided {
	t.Helper()
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	p := &provided{t: t, key: key, codes: map[string]authorization{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"token_endpoint_auth_methods_supported": p.methods(), "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"}})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("POST /token", p.exchange)
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// exchange is the token endpoint. A code can be used once.
func (p *provided) exchange(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answer != nil {
		p.answer(w, r)
		return
	}
	refuse := func(code string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"error": code})
	}
	id, secret, ok := r.BasicAuth()
	if p.post {
		id, secret, ok = r.FormValue("client_id"), r.FormValue("client_secret"), !ok
	}
	if !ok || id != "gantry-client" || secret != "client-secret" {
		refuse("invalid_client")
		return
	}
	a, ok := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	h := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if !ok || r.FormValue("grant_type") != "authorization_code" || r.FormValue("redirect_uri") != a.redirect || base64.RawURLEncoding.EncodeToString(h[:]) != a.challenge {
		refuse("invalid_grant")
		return
	}
	if p.token != nil {
		p.token(a.claims)
	}
	raw := ""
	if p.sign != nil {
		raw = p.sign(a.claims)
	} else {
		raw = p.signed(a.claims)
	}
	writeJSON(w, map[string]any{"access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": raw})
}

func (p *provided) signed(claims map[string]any) string {
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.key, KeyID: "k1"}}, nil)
	if err != nil {
		p.t.Error(err)
		return ""
	}
	raw, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		p.t.Error(err)
	}
	return raw
}

// authorize is what the provider does when somebody signs in there: it looks at where the browser was sent, and returns where it sends
// it back to.
func (p *provided) authorize(redirect string, claims map[string]any) url.Values {
	p.t.Helper()
	u, err := url.Parse(redirect)
	if err != nil {
		p.t.Fatal(err)
	}
	q := u.Query()
	for key, want := range map[string]string{"response_type": "code", "client_id": "gantry-client", "redirect_uri": "https://ci.example.com/auth/oidc/callback",
		"scope": "openid profile email", "code_challenge_method": "S256"} {
		if got := q.Get(key); got != want {
			p.t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	for _, key := range []string{"state", "nonce", "code_challenge"} {
		if len(q.Get(key)) < 22 {
			p.t.Errorf("%s is %q: less than 128 random bits", key, q.Get(key))
		}
	}
	now := p.clock.now()
	all := map[string]any{"iss": p.URL, "aud": "gantry-client", "sub": "s-1", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "nonce": q.Get("nonce")}
	maps.Copy(all, claims)
	p.mu.Lock()
	defer p.mu.Unlock()
	code := rand.Text()
	p.codes[code] = authorization{challenge: q.Get("code_challenge"), redirect: q.Get("redirect_uri"), claims: all}
	return url.Values{"code": {code}, "state": {q.Get("state")}}
}
