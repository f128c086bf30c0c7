package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func built() fstest.MapFS {
	return fstest.MapFS{
		"index.html":              {Data: []byte(`<meta name="csp-nonce" content="__CSP_NONCE__"><script src="/assets/a-1.js"></script>`)},
		"icon.svg":                {Data: []byte("<svg/>")},
		".gitkeep":                {},
		"assets/app-1234.js":      {Data: []byte("plain")},
		"assets/app-1234.js.br":   {Data: []byte("by brotli")},
		"assets/app-1234.js.gz":   {Data: []byte("by gzip")},
		"assets/style-1234.css":   {Data: []byte("css")},
		"assets/sub/deep-1234.js": {Data: []byte("deep")},
	}
}

func ask(t *testing.T, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFiles(t *testing.T) {
	h := handler(built())
	const immutable, asked = "public, max-age=31536000, immutable", "no-cache"
	for _, c := range []struct {
		name, path, accept                           string
		status                                       int
		content, encoding, contentType, cacheability string
	}{
		{"brotli first", "/assets/app-1234.js", "gzip, br", 200, "by brotli", "br", "text/javascript; charset=utf-8", immutable},
		{"gzip", "/assets/app-1234.js", "gzip", 200, "by gzip", "gzip", "text/javascript; charset=utf-8", immutable},
		{"brotli refused", "/assets/app-1234.js", "br;q=0, gzip;q=0.5", 200, "by gzip", "gzip", "text/javascript; charset=utf-8", immutable},
		{"neither", "/assets/app-1234.js", "", 200, "plain", "", "text/javascript; charset=utf-8", immutable},
		{"not compressed by the build", "/assets/style-1234.css", "gzip, br", 200, "css", "", "text/css; charset=utf-8", immutable},
		{"deeper", "/assets/sub/deep-1234.js", "", 200, "deep", "", "text/javascript; charset=utf-8", immutable},
		{"not hashed", "/icon.svg", "", 200, "<svg/>", "", "image/svg+xml", asked},
		{"an older version's part", "/assets/app-0000.js", "", 404, "there is no such file in this version of the UI: load the page again\n", "", "text/plain; charset=utf-8", ""},
		{"a folder", "/assets/sub", "", 404, "there is no such file in this version of the UI: load the page again\n", "", "text/plain; charset=utf-8", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ask(t, h, "GET", c.path, "Accept-Encoding", c.accept)
			got := []any{r.StatusCode, body(t, r), r.Header.Get("Content-Encoding"), r.Header.Get("Content-Type"), r.Header.Get("Cache-Control")}
			want := []any{c.status, c.content, c.encoding, c.contentType, c.cacheability}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("got %v, want %v", got, want)
					break
				}
			}
			if r.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("the type may be guessed")
			}
		})
	}
}

func TestPage(t *testing.T) {
	h := handler(built())
	nonces := map[string]bool{}
	for _, path := range []string{"/", "/index.html", "/runs/17", "/runs/17/jobs/17.1.2", "/assets/../runs", "/.gitkeep", "/assets.html"} {
		r := ask(t, h, "GET", path)
		policy := r.Header.Get("Content-Security-Policy")
		found := regexp.MustCompile(`style-src 'self' 'nonce-([^']+)'`).FindStringSubmatch(policy)
		if r.StatusCode != 200 || found == nil {
			t.Fatalf("%s: status %d, policy %q", path, r.StatusCode, policy)
		}
		if !strings.Contains(body(t, r), `content="`+found[1]+`"`) {
			t.Errorf("%s: the page does not have the nonce of its policy", path)
		}
		if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "script-src 'self';") || !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("%s: the policy is too lax: %s", path, policy)
		}
		if nonces[found[1]] {
			t.Errorf("%s: a nonce is used twice", path)
		}
		nonces[found[1]] = true
		if r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: a page with a nonce may be kept", path)
		}
	}
}

func TestUnchanged(t *testing.T) {
	h := handler(built())
	tag := ask(t, h, "GET", "/icon.svg").Header.Get("ETag")
	if tag == "" {
		t.Fatal("there is no ETag")
	}
	if r := ask(t, h, "GET", "/icon.svg", "If-None-Match", tag); r.StatusCode != http.StatusNotModified || body(t, r) != "" {
		t.Errorf("an unchanged file is sent again: %d", r.StatusCode)
	}
	br := ask(t, h, "GET", "/assets/app-1234.js", "Accept-Encoding", "br").Header.Get("ETag")
	gz := ask(t, h, "GET", "/assets/app-1234.js", "Accept-Encoding", "gzip").Header.Get("ETag")
	if br == gz {
		t.Error("two encodings have one ETag")
	}
}

func TestOtherMethods(t *testing.T) {
	for name, h := range map[string]http.Handler{"built": handler(built()), "missing": missing{}} {
		r := ask(t, h, "POST", "/runs")
		if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: POST got %d", name, r.StatusCode)
		}
	}
}

func TestMissing(t *testing.T) {
	r := ask(t, handler(fstest.MapFS{".gitkeep": {}}), "GET", "/runs")
	if text := body(t, r); r.StatusCode != http.StatusNotFound || !strings.Contains(text, "make ui build") {
		t.Errorf("got %d %s", r.StatusCode, text)
	}
	if p := r.Header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") {
		t.Errorf("the policy is %q", p)
	}
}

// TestEmbedded holds the build to what Handler expects of it, where there is one.
func TestEmbedded(t *testing.T) {
	r := ask(t, Handler(), "GET", "/")
	text := body(t, r)
	if !Built() {
		if r.StatusCode != http.StatusNotFound {
			t.Errorf("without a UI, / is %d", r.StatusCode)
		}
		return
	}
	if strings.Contains(text, placeholder) {
		t.Error("the nonce is not set")
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="(/[^"]+)"`).FindAllStringSubmatch(text, -1) {
		if r := ask(t, Handler(), "GET", m[1]); r.StatusCode != 200 || strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s, which the page needs, is %d %s", m[1], r.StatusCode, r.Header.Get("Content-Type"))
		}
	}
	if m := regexp.MustCompile(`<script[^>]*>[^<]|(?:src|href)="(?:https?:)?//`).FindString(text); m != "" {
		t.Errorf("the page has what its policy forbids: %s", m)
	}
}
