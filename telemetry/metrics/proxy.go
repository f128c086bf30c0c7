package metrics

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httputil"
	"strings"
)

// asked are the paths below /api/v1 that are handed on: those that read. What begins with a name and ends with a slash stands for all below it.
var asked = []string{
	"query", "query_range", "query_exemplars", "format_query", "parse_query", "series", "labels", "label/", "metadata", "targets", "targets/metadata", "rules", "alerts",
	"status/buildinfo", "status/runtimeinfo", "status/tsdb",
}

// Handler hands the reading part of Prometheus' HTTP API on to the other side, below prefix as [Store.Handler] has it. Nothing of who asks goes with it:
// no cookie, no token, no address; the other side sees what the options give it. What would change something there is not found.
func (e *Elsewhere) Handler(prefix string) http.Handler {
	prefix = strings.TrimSuffix(prefix, "/")
	proxy := &httputil.ReverseProxy{
		Transport: e.tripper,
		Rewrite: func(r *httputil.ProxyRequest) {
			path := strings.TrimPrefix(r.In.URL.Path, prefix)
			r.Out.URL = e.url.JoinPath(path)
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			r.Out.Host = ""
			kept := http.Header{}
			for _, name := range []string{"Accept", "Content-Type", "Content-Length"} {
				if v := r.In.Header.Get(name); v != "" {
					kept.Set(name, v)
				}
			}
			r.Out.Header = kept
		},
		ModifyResponse: func(r *http.Response) error {
			kept := http.Header{}
			for _, name := range []string{"Content-Type", "Content-Length", "Retry-After"} {
				if v := r.Header.Get(name); v != "" {
					kept.Set(name, v)
				}
			}
			r.Header = kept
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadGateway)
			// Prometheus' own form of an error; who asked may have gone away.
			_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "errorType": "unavailable", "error": "the metrics' server does not answer: " + err.Error()})
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, below := strings.CutPrefix(r.URL.Path, prefix+"/api/v1/")
		if !below || r.Method != http.MethodGet && r.Method != http.MethodPost || !isAsked(path) {
			http.NotFound(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), e.timeout)
		defer cancel()
		proxy.ServeHTTP(w, r.WithContext(ctx))
	})
}

func isAsked(path string) bool {
	if strings.Contains(path, "..") {
		return false
	}
	for _, a := range asked {
		if path == a || strings.HasSuffix(a, "/") && strings.HasPrefix(path, a) {
			return true
		}
	}
	return false
}
