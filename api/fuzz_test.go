package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/store/storetest"
)

// FuzzRequest gives any operation any path, query and body. Whatever they are, the answer is one that the package promises.
func FuzzRequest(f *testing.F) {
	w, worker, targets := hostile(f, storetest.Open(f))
	ann := w.signIn("ann")
	for i := range targets {
		f.Add(uint(i), "nothing", "limit=1", bodies[targets[i].OperationID])
	}
	for _, text := range texts() {
		if t, err := url.PathUnescape(text); err == nil {
			f.Add(uint(len(text)), t, "after="+text, `{"name": "x"}`)
		}
	}
	for name, text := range garbage() {
		f.Add(uint(len(name)), name, name, text)
	}
	f.Fuzz(func(t *testing.T, n uint, part, query, text string) {
		tg := targets[n%uint(len(targets))]
		header := ann
		if strings.HasPrefix(tg.Path, "/api/v1/worker/") {
			header = map[string]string{"Authorization": "Bearer " + worker}
		}
		if slices.Contains([]string{"sign-out", "delete-account", "delete-project", "delete-run", "delete-runner", "revoke-token", "update-account", "change-my-password"}, tg.OperationID) {
			query += "&no_such_parameter=" // the world is to last
		}
		own := map[string]string{}
		if part != "" && n%3 == 0 {
			for name := range tg.path {
				own[name] = url.PathEscape(part)
			}
		}
		r := w.serve(request{method: tg.Method, path: tg.url(own, query), header: header, body: text})
		if r == nil {
			return // no HTTP library would hand it on
		}
		if err := check(r); err != nil {
			t.Errorf("%v: %s with %q was answered %s", err, tg.url(own, query), text, r)
		}
		if r.status == http.StatusUnauthorized {
			t.Errorf("%s has taken the right to make requests away", tg.OperationID)
		}
		for _, line := range w.log.take() {
			t.Errorf("%s: the server has logged %s", tg.OperationID, line)
		}
	})
}
