package link

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// artifact is what is fetched.
var artifact = bytes.Repeat([]byte("0123456789abcdef"), 40_000)

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// bundles serves the artifact; each request is answered by the next of the ways, and those that come after by the last.
func (p *peer) bundles(ways ...func(w http.ResponseWriter, from int)) {
	n := 0
	p.mux.HandleFunc("GET "+PathBundles+"{digest}", func(w http.ResponseWriter, r *http.Request) {
		if caller(r) != "eu-1" || r.PathValue("digest") != digestOf(artifact) {
			http.NotFound(w, r)
			return
		}
		from := 0
		if v, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
			from, _ = strconv.Atoi(strings.TrimSuffix(v, "-"))
		}
		way := ways[min(n, len(ways)-1)]
		n++
		way(w, from)
	})
}

// whole gives all from a place on; cut breaks off after so many bytes.
func whole(w http.ResponseWriter, from int) { cut(len(artifact))(w, from) }

func cut(after int) func(http.ResponseWriter, int) {
	return func(w http.ResponseWriter, from int) {
		w.Header().Set("Content-Length", strconv.Itoa(len(artifact)-from))
		if from > 0 {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(artifact)-1, len(artifact)))
			w.WriteHeader(http.StatusPartialContent)
		}
		rest := artifact[from:]
		if after < len(rest) {
			_, _ = w.Write(rest[:after])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(rest)
	}
}

func status(code int) func(http.ResponseWriter, int) {
	return func(w http.ResponseWriter, _ int) { w.WriteHeader(code) }
}

func fetched(ctx context.Context, c *client) ([]byte, error) {
	r, err := c.Fetch(ctx, digestOf(artifact))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestFetch(t *testing.T) {
	for name, ways := range map[string][]func(http.ResponseWriter, int){
		"at once":                        {whole},
		"cut once":                       {cut(100_000), whole},
		"cut again and again":            {cut(100_000), cut(1), cut(50_000), whole},
		"cut, and the server away":       {cut(100_000), status(503), status(502), whole},
		"cut more often than it is told": {cut(1000), cut(1000), cut(1000), cut(1000), cut(1000), cut(1000), cut(1000), whole},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t)
			c, _ := p.joined(time.Now)
			p.bundles(ways...)
			b, err := fetched(t.Context(), c)
			if err != nil || !bytes.Equal(b, artifact) {
				t.Errorf("%d bytes of %d, equal: %t, %v", len(b), len(artifact), bytes.Equal(b, artifact), err)
			}
			if n := p.hit(PathBundles + digestOf(artifact)); n != len(ways) {
				t.Errorf("it was asked for %d times, not %d", n, len(ways))
			}
		})
	}
}

func TestFetchFails(t *testing.T) {
	for name, c := range map[string]struct {
		ways []func(http.ResponseWriter, int)
		want string
		hits int
	}{
		"it is not there":        {[]func(http.ResponseWriter, int){status(404)}, "404", 1},
		"it is gone meanwhile":   {[]func(http.ResponseWriter, int){cut(1000), status(404)}, "going on at byte 1000", 2},
		"nothing more comes":     {[]func(http.ResponseWriter, int){cut(1000), cut(0)}, "at byte 1000", 2 + resumes - 1},
		"it begins anew instead": {[]func(http.ResponseWriter, int){cut(1000), func(w http.ResponseWriter, _ int) { whole(w, 0) }}, "something else: 200", 2},
		"another part of it":     {[]func(http.ResponseWriter, int){cut(1000), func(w http.ResponseWriter, _ int) { whole(w, 5) }}, "bytes from 1000 on", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t)
			cl, _ := p.joined(time.Now)
			p.bundles(c.ways...)
			b, err := fetched(t.Context(), cl)
			contains(t, err, c.want)
			if len(b) > 1000 || !bytes.HasPrefix(artifact, b) {
				t.Errorf("%d bytes came of it", len(b))
			}
			if n := p.hit(PathBundles + digestOf(artifact)); n != c.hits {
				t.Errorf("it was asked for %d times, not %d", n, c.hits)
			}
		})
	}
}

// TestFetchEnds: who does not want it any more does not wait for it.
func TestFetchEnds(t *testing.T) {
	p := newPeer(t)
	c, _ := p.joined(time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	p.bundles(cut(1000), func(w http.ResponseWriter, _ int) {
		cancel()
		w.WriteHeader(503)
	})
	if _, err := fetched(ctx, c); err == nil || ctx.Err() == nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
	for _, bad := range []string{"", "latest", "sha256:12", "../../etc/passwd", "sha256:" + strings.Repeat("z", 64)} {
		if _, err := c.Fetch(t.Context(), bad); err == nil {
			t.Errorf("%q was asked for", bad)
		}
	}
}
