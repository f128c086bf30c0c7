package api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/forge"
	"github.com/gantry-ops/gantry/forge/github"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// hookSecret is what deliveries of these tests are signed with.
const hookSecret = "the secret of the webhooks"

// hooked lets a server take GitHub's deliveries of pushes.
func hooked(o *Options) {
	o.Webhook = func(_ context.Context, p *runs.Project, header http.Header, body []byte) ([]runs.Trigger, string, string, error) {
		d, err := github.Parse(header, body, hookSecret)
		if err != nil {
			return nil, "", "", err
		}
		if d.Event != forge.Push {
			return nil, "it is no push", d.ID, nil
		}
		return []runs.Trigger{{Project: p.ID, Event: "push", Ref: d.Ref, SHA: d.SHA, Actor: "forge:github", ActorName: "ann", Delivery: "github:" + d.ID}}, "", d.ID, nil
	}
	o.Refusal = func(err error) int {
		var malformed *forge.MalformedError
		switch {
		case errors.Is(err, forge.ErrSignature):
			return http.StatusUnauthorized
		case errors.As(err, &malformed):
			return http.StatusBadRequest
		}
		return 0
	}
}

// hookWorld has a project whose pushes GitHub tells of.
func hookWorld(t testing.TB, db *store.DB) *world {
	w := newWorldOn(t, db, hooked)
	w.project("shop", func(p *runs.Project) { p.Forge = runs.Forge{Kind: "github", Repository: "acme/shop"} })
	return w
}

const pushed = `{"ref": "refs/heads/main", "before": "2222222222222222222222222222222222222222", "after": "` + treeSHA + `",
	"repository": {"full_name": "acme/shop"}, "sender": {"login": "ann"}, "pusher": {"name": "ann"}}`

// delivery is one of GitHub's, signed.
func pushDelivery(id, body string) request {
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write([]byte(body))
	return request{method: "POST", path: "/hooks/shop", body: body, header: map[string]string{
		"X-GitHub-Event": "push", "X-GitHub-Delivery": id, "X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
	}}
}

func TestWebhook(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := hookWorld(t, db)
		var first, again hookAnswer
		w.do(pushDelivery("d1", pushed)).into(t, http.StatusOK, &first)
		if first.Outcome != "started" || len(first.Runs) != 1 || w.countRuns() != 1 {
			t.Fatalf("answered %+v, and there are %d runs", first, w.countRuns())
		}
		// The run is there for every server as soon as it is acknowledged.
		if _, err := w.again(hooked).runs.Run(t.Context(), first.Runs[0]); err != nil {
			t.Errorf("another server: %v", err)
		}
		w.do(pushDelivery("d1", pushed)).into(t, http.StatusOK, &again)
		if again.Outcome != "ignored" || w.countRuns() != 1 {
			t.Errorf("a replay was answered %+v, and there are %d runs", again, w.countRuns())
		}

		change := func(q request, header, value string) request {
			if q.header[header] = value; value == "" {
				delete(q.header, header)
			}
			return q
		}
		elsewhere := pushDelivery("d2", pushed)
		elsewhere.path = "/hooks/no-such-project"
		tampered := pushDelivery("d2", pushed)
		tampered.body = strings.Replace(pushed, "main", "evil", 1)
		for name, c := range map[string]struct {
			request
			status int
		}{
			"no signature":             {change(pushDelivery("d2", pushed), "X-Hub-Signature-256", ""), 401},
			"a wrong signature":        {change(pushDelivery("d2", pushed), "X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64)), 401},
			"a signature that is none": {change(pushDelivery("d2", pushed), "X-Hub-Signature-256", "sha256=zz"), 401},
			"the older signature":      {change(pushDelivery("d2", pushed), "X-Hub-Signature-256", "sha1="+strings.Repeat("0", 40)), 401},
			"another body":             {tampered, 401},
			"no such project":          {elsewhere, 401},
			"a project of NUL":         {request{method: "POST", path: "/hooks/a%00b", body: pushed}, 422},
			"no event":                 {change(pushDelivery("d2", pushed), "X-GitHub-Event", ""), 400},
			"no JSON":                  {pushDelivery("d2", "{"), 400},
			"another JSON":             {pushDelivery("d2", `{"ref": 1}`), 400},
			"an endless depth":         {pushDelivery("d2", strings.Repeat("[", 100_000)), 400},
			"a strange ref":            {pushDelivery("d2", strings.Replace(pushed, "refs/heads/main", `refs/heads/a\u0000b`, 1)), 0},
			"an ID of bytes":           {pushDelivery("d\xff", pushed), 400},
			"a long ID":                {pushDelivery(strings.Repeat("d", 5000), pushed), 0},
		} {
			r := w.do(c.request)
			if err := checkProblem(r); err != nil || c.status != 0 && r.status != c.status {
				t.Errorf("%s was answered %s: %v", name, r, err)
			}
			if leaks.Match(r.body) {
				t.Errorf("%s: the answer tells of the inside: %s", name, r)
			}
		}
		if n := w.countRuns(); n != 1 {
			t.Errorf("there are %d runs, not 1", n)
		}
		// The first that was refused is told of at once, the others are counted.
		refused, err := db.Events(t.Context(), store.EventQuery{Types: []string{"delivery.refused"}, Projects: []string{"shop"}})
		if err != nil || len(refused) != 1 || !strings.Contains(string(refused[0].Data), `"reason": "signature"`) && !strings.Contains(string(refused[0].Data), `"reason":"signature"`) {
			t.Errorf("the refusals are told of as %v, %v", refused, err)
		}
		if r := w.do(request{method: "POST", path: "/hooks/shop", body: spaces(maxHookBody + 1)}); checkProblem(r) != nil || r.status != http.StatusRequestEntityTooLarge {
			t.Errorf("a large delivery was answered %s", r)
		}
		if r := w.do(request{method: "GET", path: "/hooks/shop"}); r.status != http.StatusMethodNotAllowed && r.status != http.StatusNotFound {
			t.Errorf("GET was answered %s", r)
		}
	})
}

// TestWebhookIsTakenOrNot sees that nothing is acknowledged which is not recorded: what failed is started when it is sent again.
func TestWebhookIsTakenOrNot(t *testing.T) {
	w := hookWorld(t, storetest.Open(t))
	w.tree.fail(errors.New("the repository is away"))
	if r := w.do(pushDelivery("d1", pushed)); r.status < 500 || checkForm(r) != nil || bytes.Contains(r.body, []byte("away\"")) {
		t.Errorf("a failure was answered %s", r)
	}
	w.tree.fail(nil)
	release := w.tree.hold()
	answered := make(chan *reply, 1)
	go func() {
		r, err := w.try(context.Background(), pushDelivery("d1", pushed))
		if err != nil {
			t.Error(err)
		}
		answered <- r
	}()
	until(t, "a delivery that is worked on", func() bool { return len(w.hooks) == 1 })
	select {
	case r := <-answered:
		t.Fatalf("before anything is recorded it was answered %s", r)
	default:
	}
	release()
	r := <-answered
	if r.status != http.StatusOK || w.countRuns() != 1 {
		t.Errorf("there are %d runs, and it was answered %s", w.countRuns(), r)
	}
}

// TestWebhookStorm sends more at a time than are worked on: the rest is told to come again, and when it does nothing is lost or doubled.
func TestWebhookStorm(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := hookWorld(t, db)
		servers := []*world{w, w.again(hooked)}
		release := w.tree.hold()
		const deliveries = 60
		var wg sync.WaitGroup
		var mu sync.Mutex
		later, outcomes := 0, map[string]int{}
		for n := range 2 * deliveries { // each comes to both servers
			wg.Go(func() {
				for {
					r, err := servers[n%2].try(context.Background(), pushDelivery(fmt.Sprint("d", n/2), strings.Replace(pushed, treeSHA, fmt.Sprintf("%040d", n/2+1), 1)))
					if err != nil {
						t.Error(err)
						return
					}
					if r.status == http.StatusServiceUnavailable {
						if r.header.Get("Retry-After") == "" || checkForm(r) != nil {
							t.Errorf("answered %v %s", r.header, r)
							return
						}
						mu.Lock()
						later++
						mu.Unlock()
						release()
						<-time.After(100 * time.Millisecond) // as a forge would, only sooner
						continue
					}
					if r.status != http.StatusOK {
						t.Errorf("answered %s; logged: %q", r, servers[n%2].log.take())
					}
					mu.Lock()
					outcomes[strings.SplitN(string(r.body), `"`, 5)[3]]++
					mu.Unlock()
					return
				}
			})
		}
		wg.Wait()
		if later == 0 {
			t.Error("nobody was told to come again")
		}
		if n := w.countRuns(); n != deliveries {
			t.Errorf("%d deliveries have started %d runs; %v", deliveries, n, outcomes)
		}
		t.Logf("%d times one was told to come again; %v", later, outcomes)
	})
}
