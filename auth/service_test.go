package auth

import (
	"testing"

	"github.com/gantry-ops/gantry/store/storetest"
)

func TestOptions(t *testing.T) {
	db := storetest.Open(t)
	for name, o := range map[string]Options{
		"a URL without a scheme":     {URL: "ci.example.com"},
		"a URL of another scheme":    {URL: "ftp://ci.example.com"},
		"a URL that is none":         {URL: "https://\x7f"},
		"a cost beyond all":          {Cost: Cost{Time: 1, Memory: 1 << 30, Threads: 1}},
		"OpenID Connect without URL": {OIDC: &OIDC{Issuer: "https://id.example.com", ClientID: "x"}},
		"OpenID Connect unencrypted": {URL: "https://ci.example.com", OIDC: &OIDC{Issuer: "http://id.example.com", ClientID: "x"}},
	} {
		if _, err := New(t.Context(), db, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
