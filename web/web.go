// Package web is the browser's half of Gantry: the built UI, embedded, and how it is served.
//
// It knows the public HTTP API by its addresses alone, and nothing of the server. A binary that was built without npm has no UI in it;
// Handler then serves a page that says how to build one, and everything else works.
//
// The pages ask nobody but the server that they came from: the Content-Security-Policy allows no other source, no inline script, and
// only those inline styles that carry the nonce of the page.
package web

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed all:dist
var embedded embed.FS

// Handler serves the UI: files by their names, and the one page of the application for all other paths, which it knows itself.
func Handler() http.Handler {
	dist, err := fs.Sub(embedded, "dist")
	if err != nil {
		// The name is valid, so it cannot be.
		return missing{}
	}
	return handler(dist)
}

// Built reports whether the binary has a UI.
func Built() bool {
	_, err := fs.Stat(embedded, "dist/"+page)
	return err == nil
}

const (
	page = "index.html"
	// assets are named by a hash of their content, so that they never change.
	assets = "assets/"
	// placeholder stands in the page where the nonce goes.
	placeholder = "__CSP_NONCE__"
)

func handler(dist fs.FS) http.Handler {
	html, err := fs.ReadFile(dist, page)
	if err != nil {
		return missing{}
	}
	return &ui{dist: dist, page: bytes.Split(html, []byte(placeholder))}
}

// ui serves a folder that was built. It is safe for concurrent use.
type ui struct {
	dist fs.FS
	// page is the HTML, cut where the nonce goes.
	page [][]byte
	// tags are the ETags of the files that were asked for, by path.
	tags sync.Map
}

func (u *ui) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the UI is only read: use GET", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	served := name == "" || name == page || strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".br") || strings.HasPrefix(path.Base(name), ".")
	if !served {
		if info, err := fs.Stat(u.dist, name); err == nil && info.Mode().IsRegular() {
			u.file(w, r, name)
			return
		}
	}
	if strings.HasPrefix(name, assets) || name == "assets" {
		// A page of an older version asks for its parts: an answer that is HTML would only confuse it.
		secure(w.Header(), "")
		http.Error(w, "there is no such file in this version of the UI: load the page again", http.StatusNotFound)
		return
	}
	u.html(w)
}

// html writes the page with a nonce of its own.
func (u *ui) html(w http.ResponseWriter) {
	nonce := rand.Text()
	h := w.Header()
	secure(h, nonce)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(bytes.Join(u.page, []byte(nonce)))
}

// file writes a file, compressed as the browser likes it where the build has made that.
func (u *ui) file(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	secure(h, "")
	h.Set("Content-Type", contentType(name))
	h.Add("Vary", "Accept-Encoding")
	cache := "no-cache"
	if strings.HasPrefix(name, assets) {
		cache = "public, max-age=31536000, immutable"
	}
	h.Set("Cache-Control", cache)
	stored := name
	for _, c := range []struct{ encoding, suffix string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !accepts(r.Header.Get("Accept-Encoding"), c.encoding) {
			continue
		}
		if _, err := fs.Stat(u.dist, name+c.suffix); err == nil {
			stored = name + c.suffix
			h.Set("Content-Encoding", c.encoding)
			break
		}
	}
	content, err := fs.ReadFile(u.dist, stored)
	if err != nil {
		h.Del("Content-Encoding")
		http.Error(w, "a file of the UI cannot be read", http.StatusInternalServerError)
		return
	}
	tag := u.tag(stored, content)
	h.Set("ETag", tag)
	if match := r.Header.Get("If-None-Match"); match == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(content)
}

// tag returns the ETag of a file, which embedded files have no time for.
func (u *ui) tag(name string, content []byte) string {
	if t, ok := u.tags.Load(name); ok {
		return t.(string)
	}
	sum := sha256.Sum256(content)
	t := `"` + hex.EncodeToString(sum[:12]) + `"`
	u.tags.Store(name, t)
	return t
}

// accepts reports whether a list of encodings (RFC 9110, 12.5.3) has one, and does not refuse it by a weight of 0.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		q := strings.ReplaceAll(strings.ToLower(weight), " ", "")
		return strings.Trim(strings.TrimPrefix(q, "q="), "0.") != "" || !strings.HasPrefix(q, "q=")
	}
	return false
}

// contentType knows the types of what the build makes, whatever the machine's tables say.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// secure sets the headers that bound what a page may do.
func secure(h http.Header, nonce string) {
	style := "'self'"
	if nonce != "" {
		style += " 'nonce-" + nonce + "'"
	}
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src "+style+"; img-src 'self' data:; font-src 'self'; "+
		"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
}

// missing is the handler of a binary without a UI.
type missing struct{}

func (missing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	secure(h, "")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the UI is only read: use GET", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(missingPage))
}

const missingPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Gantry: no UI in this binary</title>
<h1>This binary was built without the UI</h1>
<p>The server runs, and its API and the command line work. To have the pages, too, build them and then the binary, in the checkout
(it takes Node.js 20.19 or newer):</p>
<pre>make ui build</pre>
<p>The API's description is at <a href="/openapi.json">/openapi.json</a>; the command line is told of this server by <code>gantry login</code>.</p>
</html>
`
