package api

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/store/storetest"
)

// spaces is a body of blanks, which any JSON may begin with.
func spaces(n int64) io.Reader {
	return io.LimitReader(blanks{}, n)
}

type blanks struct{}

// Read implements [io.Reader].
func (blanks) Read(b []byte) (int, error) {
	copy(b, bytes.Repeat([]byte{' '}, len(b)))
	return len(b), nil
}

func TestTooLarge(t *testing.T) {
	w, worker, targets := hostile(t, storetest.Open(t))
	tried, ann := 0, w.signIn("ann")
	for _, tg := range targets {
		op := w.operations[tg.OperationID]
		if tg.RequestBody == nil || op.body < 0 {
			continue
		}
		limit := op.body
		if limit == 0 {
			limit = maxBody
		}
		q := request{method: tg.Method, path: tg.url(nil, ""), header: maps.Clone(ann), body: spaces(limit + 1)}
		if strings.HasPrefix(tg.Path, "/api/v1/worker/") {
			q.header = map[string]string{"Authorization": "Bearer " + worker}
		}
		if op.once {
			q.header["Idempotency-Key"] = "too large"
		}
		// The reader has no length: the server finds out while it reads.
		r := w.do(q)
		tried++
		if err := checkProblem(r); err != nil || r.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d bytes were answered %s: %v", tg.OperationID, limit+1, r, err)
		}
		q.body = spaces(limit - 1)
		if r := w.do(q); r.status == http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %d bytes were answered %s", tg.OperationID, limit-1, r)
		}
	}
	if tried < 15 {
		t.Errorf("only %d operations were tried", tried)
	}
	r := w.do(request{method: "POST", path: "/hooks/shop", body: spaces(maxHookBody + 1)})
	if r.status != http.StatusNotFound {
		t.Errorf("without webhooks, one was answered %s", r)
	}
}

// TestSlowBody sees that a body which never ends is not waited for for ever. What is waited for is the server's own deadline.
func TestSlowBody(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as a body may take")
	}
	t.Parallel()
	w := newWorld(t)
	w.project("shop")
	for _, key := range []string{"", "slow"} {
		t.Run("key "+key, func(t *testing.T) {
			t.Parallel()
			in, out := io.Pipe()
			defer out.Close()
			go func() { _, _ = io.WriteString(out, `{"ref": "`) }()
			q := request{method: "POST", path: "/api/v1/projects/shop/runs", token: w.admin(), body: in, header: map[string]string{}}
			if key != "" {
				q.header["Idempotency-Key"] = key
			}
			began := time.Now()
			r, err := w.try(t.Context(), q)
			took := time.Since(began)
			if err == nil && r.status < 400 || took > bodyTimeout+10*time.Second {
				t.Errorf("after %v it was answered %v, %v", took, r, err)
			}
			if err == nil {
				if err := checkProblem(r); err != nil {
					t.Errorf("%v: answered %s", err, r)
				}
			}
		})
	}
}

// TestSlowWork sees that the time for a body is not the time for the work: a repository may take long to fetch.
func TestSlowWork(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than a body may take")
	}
	t.Parallel()
	w := newWorld(t)
	w.project("shop")
	token := w.admin()
	released := time.AfterFunc(bodyTimeout+time.Second, w.tree.hold())
	t.Cleanup(func() { released.Stop() })
	for _, header := range []map[string]string{nil, {"Idempotency-Key": "slow"}} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			r, err := w.try(t.Context(), request{method: "POST", path: "/api/v1/projects/shop/runs", token: token, body: `{}`, header: header})
			if err != nil || r.status != http.StatusCreated {
				t.Errorf("answered %v, %v", r, err)
			}
		})
	}
}
