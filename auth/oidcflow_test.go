package auth

import (
	"net/url"
	"strings"
	"testing"
)

func TestLocalPath(t *testing.T) {
	for path, want := range map[string]string{
		"/":                             "/",
		"/runs/7?line=3#x":              "/runs/7?line=3#x",
		"/a%20b":                        "/a%20b",
		"":                              "/",
		"runs":                          "/",
		"//example.org":                 "/",
		"///example.org":                "/",
		"/\\example.org":                "/",
		"\\\\example.org":               "/",
		"/%2fexample.org":               "/",
		"/%5cexample.org":               "/",
		"/\t/example.org":               "/",
		"/\n/example.org":               "/",
		" /":                            "/",
		"https://example.org":           "/",
		"javascript:alert(1)":           "/",
		"/" + strings.Repeat("x", 1024): "/",
		"/é":                            "/",
		"/%zz":                          "/",
	} {
		if got := localPath(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	f.Add("/runs/7?line=3")
	f.Add("//example.org")
	base := &url.URL{Scheme: "https", Host: "ci.example.com", Path: "/auth/oidc/callback"}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := base.Parse(localPath(path))
		if err != nil || u.Host != base.Host || u.Scheme != base.Scheme || u.User != nil {
			t.Errorf("%q leads to %s, %v", path, u, err)
		}
	})
}

func FuzzParseFlow(f *testing.F) {
	f.Add(newFlow(newClock().now(), "/x").String())
	f.Add("e30")
	f.Add("{}")
	f.Fuzz(func(t *testing.T, text string) {
		flow, err := parseFlow(text)
		if err != nil {
			return
		}
		if flow.State == "" || flow.Nonce == "" || flow.Verifier == "" || flow.Return != localPath(flow.Return) {
			t.Errorf("%q gives %+v", text, flow)
		}
		if flow.matches("") || flow.hasNonce("") {
			t.Errorf("%q matches nothing", text)
		}
	})
}
