package link

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/gantry-ops/gantry/agent"
)

// FuzzAnswers: whatever a server answers, it becomes a value or an error, and an identity is never half of one.
func FuzzAnswers(f *testing.F) {
	private, public, err := newKey()
	if err != nil {
		f.Fatal(err)
	}
	for _, body := range []string{
		"", "{}", "null", "[]", `{"status": 401, "detail": "no"}`, `{"status": "x"}`, `{"name": "eu-1", "certificate": "", "authority": ""}`,
		`{"generation": 3, "instances": [{"service": "a", "spec": {"id": "../x"}}]}`, `{"generation": -1}`, `{"to": "metrics"}`, public,
	} {
		f.Add(200, []byte(body))
		f.Add(404, []byte(body))
	}
	f.Fuzz(func(t *testing.T, code int, body []byte) {
		answered := func() *http.Response {
			return &http.Response{StatusCode: code, Body: io.NopCloser(bytes.NewReader(body))}
		}
		for _, out := range []any{&agent.Desired{}, &Joined{}, &Renewed{}, nil} {
			if err := answer(answered(), out); err == nil && code >= 300 {
				t.Errorf("%d is taken for a good answer", code)
			}
		}
		var j Joined
		if json.Unmarshal(body, &j) == nil {
			id := identity{Name: j.Name, Key: private, Certificate: j.Certificate, Authority: j.Authority}
			if id.complete() == nil && (id.pair.Leaf == nil || id.pool == nil) {
				t.Error("half of an identity was taken")
			}
		}
		if print, err := fingerprint(string(body)); err == nil && len(print) != 64 {
			t.Errorf("%q is a fingerprint", print)
		}
		_ = holds(string(body), "00")
	})
}
