package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

// clock runs ahead of the real one by what a test says.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// reader reads a stream of events.
type reader struct {
	t    testing.TB
	what string
	in   *bufio.Reader
}

// open begins to read a stream. What does not come within a minute of real time fails the test.
func (w *world) open(path string, header map[string]string) *reader {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	w.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.http.URL+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	resp, err := w.http.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(resp.Body)
		w.t.Fatalf("GET %s: answered %s %s", path, resp.Status, b)
	}
	return &reader{w.t, path, bufio.NewReader(resp.Body)}
}

// next is the name and the data of the next event; "" at the end.
func (r *reader) next() (name, data string) {
	r.t.Helper()
	for {
		line, err := r.in.ReadString('\n')
		if err == io.EOF {
			return "", ""
		}
		if err != nil {
			r.t.Fatalf("%s: %v", r.what, err)
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		case line == "" && name != "":
			return name, data
		}
	}
}

// until reads until there is an event of the name, and returns the names of all that came.
func (r *reader) until(name string) []string {
	r.t.Helper()
	var came []string
	for {
		n, _ := r.next()
		if n == "" {
			r.t.Fatalf("%s: ended before there was %s; there was %q", r.what, name, came)
		}
		if came = append(came, n); n == name {
			return came
		}
	}
}

// record makes an event of a project.
func (w *world) record(project, name string) {
	w.t.Helper()
	err := w.db.Write(context.Background(), func(_ context.Context, tx *store.Tx) error {
		return tx.Append(store.Event{Type: name, Actor: "test", Project: project}, nil)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// ways are those by which who reads a stream loses the right to.
func (s *shop) ways() map[string]func() (header map[string]string, lose func()) {
	ctx := context.Background()
	must := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	grant := auth.Grant{Project: "shop", Role: auth.Viewer}
	return map[string]func() (map[string]string, func()){
		"token revoked": func() (map[string]string, func()) {
			h := bearer(s.account("a", grant))
			list, err := s.auth.Tokens(ctx, "a")
			must(err)
			return h, func() { must(s.auth.RevokeToken(ctx, "account:a", "a", list[0].ID)) }
		},
		"account disabled": func() (map[string]string, func()) {
			return bearer(s.account("b", grant)), func() {
				_, err := s.auth.UpdateAccount(ctx, "test", "b", auth.AccountChange{Disabled: true, Grants: []auth.Grant{grant}})
				must(err)
			}
		},
		"account removed": func() (map[string]string, func()) {
			return bearer(s.account("c", grant)), func() { must(s.auth.DeleteAccount(ctx, "test", "c")) }
		},
		"signed out": func() (map[string]string, func()) {
			h := s.session("d", grant)
			return h, func() {
				s.do(request{method: http.MethodDelete, path: "/api/v1/session", header: h}).into(s.t, http.StatusNoContent, nil)
			}
		},
		"password changed": func() (map[string]string, func()) {
			return s.session("e", grant), func() { must(s.auth.SetPassword(ctx, "test", "e", "another long passphrase")) }
		},
	}
}

// mustEnd holds that a stream ends once its reader has lost the right to it, after news at the latest: what the server was sending when
// the time came may still come, and no more.
func mustEnd(t *testing.T, r *reader, c *clock, lose func(), news func(n int) string) {
	t.Helper()
	r.until(news(1))
	lose()
	c.forward(recheck)
	for n := 2; ; n++ {
		name := news(n)
		got, _ := r.next()
		for got != "" && got != name {
			got, _ = r.next()
		}
		if got == "" {
			return
		}
		if n > 2 {
			t.Fatalf("%s goes on for who may not read it any longer", r.what)
		}
	}
}

// TestEventsEnd takes away the right to read events while they are read.
func TestEventsEnd(t *testing.T) {
	c := &clock{}
	s := newShop(t, func(o *Options) { o.Now = c.now })
	for name, way := range s.ways() {
		t.Run(name, func(t *testing.T) {
			header, lose := way()
			r := s.open("/api/v1/events/stream", header)
			mustEnd(t, r, c, lose, func(n int) string {
				event := "test." + strconv.Itoa(n)
				s.record("shop", event)
				return event
			})
		})
	}
}

// TestEventsNarrow takes away one of two projects: its events end, and the stream goes on.
func TestEventsNarrow(t *testing.T) {
	c := &clock{}
	s := newShop(t, func(o *Options) { o.Now = c.now })
	both := []auth.Grant{{Project: "shop", Role: auth.Developer}, {Project: "other", Role: auth.Developer}}
	r := s.open("/api/v1/events/stream", bearer(s.account("bo", both...)))
	s.record("shop", "test.before")
	r.until("test.before")
	if _, err := s.auth.UpdateAccount(context.Background(), "test", "bo", auth.AccountChange{Grants: both[1:]}); err != nil {
		t.Fatal(err)
	}
	c.forward(recheck)
	s.record("other", "test.during") // what is sent with it may have been read before the grant was looked at again
	r.until("test.during")
	s.record("shop", "test.hidden")
	s.record("other", "test.after")
	if came := r.until("test.after"); slices.Contains(came, "test.hidden") {
		t.Error("the stream has events of a project that the reader may not read any longer")
	}
	// And the other way round: what is granted is seen.
	if _, err := s.auth.UpdateAccount(context.Background(), "test", "bo", auth.AccountChange{Grants: both}); err != nil {
		t.Fatal(err)
	}
	c.forward(recheck)
	s.record("other", "test.again")
	r.until("test.again")
	s.record("shop", "test.shown")
	r.until("test.shown")
}

// TestLogEnds takes away the right to read a log while it is followed.
func TestLogEnds(t *testing.T) {
	c := &clock{}
	s := newShop(t, func(o *Options) { o.Now = c.now })
	ways := s.ways()
	ways["role taken"] = func() (map[string]string, func()) {
		return bearer(s.account("f", auth.Grant{Project: "shop", Role: auth.Viewer})), func() {
			if _, err := s.auth.UpdateAccount(context.Background(), "test", "f", auth.AccountChange{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	task := s.claim(func(w *jobs.Worker) { w.ID, w.Embedded, w.Labels = s.params["runner"], false, []string{"x"} })
	seq := int64(0)
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			header, lose := way()
			from := seq + 1
			r := s.open(fmt.Sprintf("/api/v1/jobs/%s/log/follow?from=%d", task.Job, from), header)
			mustEnd(t, r, c, lose, func(int) string {
				seq++
				line := jobs.LogLine{Step: 1, Time: store.At(time.Now()), Text: "more"}
				if err := s.runs.Report(context.Background(), task.TaskRef, jobs.Batch{Seq: seq, Items: []jobs.Item{{Lines: []jobs.LogLine{line}}}}); err != nil {
					t.Fatal(err)
				}
				return "lines"
			})
		})
	}
}
