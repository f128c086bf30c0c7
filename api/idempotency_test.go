package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/store"
)

// startWith asks for runs of "shop" with a key.
func startWith(token, key, text string) request {
	return request{method: "POST", path: "/api/v1/projects/shop/runs", token: token, body: text, header: map[string]string{"Idempotency-Key": key}}
}

func (w *world) countRuns() int {
	w.t.Helper()
	page, err := w.runs.Runs(context.Background(), runs.RunQuery{ListOptions: runs.ListOptions{Limit: 200}})
	if err != nil {
		w.t.Fatal(err)
	}
	return len(page.Items)
}

func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	w.project("shop")
	ann := w.admin()
	first := w.do(startWith(ann, "k1", `{}`))
	first.into(t, http.StatusCreated, nil)
	if first.header.Get("Idempotent-Replay") != "" {
		t.Error("the first answer calls itself a repetition")
	}
	same := func(what string, r *reply) {
		t.Helper()
		if r.status != first.status || !bytes.Equal(r.body, first.body) || r.header.Get("Content-Type") != first.header.Get("Content-Type") || r.header.Get("Idempotent-Replay") != "true" {
			t.Errorf("%s was answered %s, not as before: %s", what, r, first)
		}
	}
	same("the same again", w.do(startWith(ann, "k1", `{}`)))
	same("the same on another server", w.again().do(startWith(ann, "k1", `{}`)))
	if n := w.countRuns(); n != 1 {
		t.Errorf("there are %d runs, not 1", n)
	}

	refused := func(what string, status int, r *reply) {
		t.Helper()
		if err := checkProblem(r); err != nil || r.status != status {
			t.Errorf("%s was answered %s, %v", what, r, err)
		}
	}
	refused("another body", http.StatusUnprocessableEntity, w.do(startWith(ann, "k1", `{"ref": "main"}`)))
	other := startWith(ann, "k1", `{}`)
	other.path = "/api/v1/projects"
	refused("another operation", http.StatusUnprocessableEntity, w.do(other))
	refused("a long key", http.StatusUnprocessableEntity, w.do(startWith(ann, strings.Repeat("k", keyLimit+1), `{}`)))
	refused("a key of bytes", http.StatusUnprocessableEntity, w.do(startWith(ann, "k\xff", `{}`)))

	// A key is its account's own: what ann was answered, bo does not get.
	bo := w.account("bo", auth.Grant{Project: "shop", Role: auth.Developer})
	if r := w.do(startWith(bo, "k1", `{}`)); r.status != http.StatusCreated || bytes.Equal(r.body, first.body) {
		t.Errorf("bo was answered %s", r)
	}

	// What was refused for good is refused again, and what failed is tried again.
	refused("a wrong ref", http.StatusUnprocessableEntity, w.do(startWith(ann, "k2", `{"ref": "gone"}`)))
	again := w.do(startWith(ann, "k2", `{"ref": "gone"}`))
	refused("a wrong ref again", http.StatusUnprocessableEntity, again)
	if again.header.Get("Idempotent-Replay") != "true" {
		t.Errorf("a refusal was worked out again: %s", again)
	}
	w.tree.fail(errors.New("the disk is on fire"))
	if r := w.do(startWith(ann, "k3", `{}`)); r.status < 500 || checkForm(r) != nil || leaks.Match(r.body) || bytes.Contains(r.body, []byte("fire")) {
		t.Errorf("a failure was answered %s", r)
	}
	w.tree.fail(nil)
	w.do(startWith(ann, "k3", `{}`)).into(t, http.StatusCreated, nil)
}

// TestIdempotencyKeyAtOnce sends the same request many times at the same moment, to two servers.
func TestIdempotencyKeyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.project("shop")
	ann := w.admin()
	servers := []*world{w, w.again()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := map[string]int{}
	for i := range 20 {
		wg.Go(func() {
			for {
				r, err := servers[i%2].try(t.Context(), startWith(ann, "storm", `{}`))
				if err != nil {
					t.Error(err)
					return
				}
				switch {
				case r.status == http.StatusConflict && r.header.Get("Retry-After") != "":
					continue // it is being worked on
				case r.status != http.StatusCreated:
					t.Errorf("answered %s", r)
				}
				mu.Lock()
				made[string(r.body)]++
				mu.Unlock()
				return
			}
		})
	}
	wg.Wait()
	if len(made) != 1 || w.countRuns() != 1 {
		t.Errorf("%d runs and these answers: %v", w.countRuns(), made)
	}
}

// TestIdempotencyKeyOfTheDead takes over a key whose server died while it worked, and no sooner than that is sure.
func TestIdempotencyKeyOfTheDead(t *testing.T) {
	w := newWorld(t)
	w.project("shop")
	ann := w.admin()
	w.do(startWith(ann, "k", `{}`)).into(t, http.StatusCreated, nil)
	// As if its server had died before it could keep the answer.
	if err := w.db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.NewUpdate().Table("idempotency_keys").Set("status = 0").Where("key = ?", "k").Exec(ctx)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if r := w.do(startWith(ann, "k", `{}`)); r.status != http.StatusConflict || r.header.Get("Retry-After") == "" {
		t.Errorf("while it may be worked on it was answered %s", r)
	}
	later := w.again(func(o *Options) { o.Now = func() time.Time { return time.Now().Add(2 * time.Minute) } })
	if r := later.do(startWith(ann, "k", `{}`)); r.status != http.StatusCreated || w.countRuns() != 1 {
		t.Errorf("after a while there are %d runs, and it was answered %s", w.countRuns(), r)
	}
	tomorrow := w.again(func(o *Options) { o.Now = func() time.Time { return time.Now().Add(keyLife + time.Hour) } })
	if r := tomorrow.do(startWith(ann, "k", `{"ref": "main"}`)); r.status != http.StatusCreated || r.header.Get("Idempotent-Replay") != "" || w.countRuns() != 2 {
		t.Errorf("when it was forgotten it was answered %s", r)
	}
}
