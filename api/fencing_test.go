package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/runs/jobs"
)

// held is a job that a runner has taken over HTTP.
func (w *world) held(runner string) *jobs.Task {
	w.t.Helper()
	var task jobs.Task
	until(w.t, "a job to take", func() bool {
		r := w.do(request{method: "POST", path: "/api/v1/worker/claim", token: runner, body: `{"worker": {"session": "s", "labels": ["x"], "places": 10}, "wait_seconds": 1}`})
		if r.status == http.StatusNoContent {
			return false
		}
		r.into(w.t, http.StatusOK, &task)
		return true
	})
	return &task
}

// calls are all that a runner may ask of a job that it has.
func calls(job string, token int64) map[string]request {
	p := func(rest string) string { return fmt.Sprintf("/api/v1/worker/jobs/%s/%s?token=%d", job, rest, token) }
	return map[string]request{
		"renew":          {method: "POST", path: p("renew")},
		"report":         {method: "POST", path: p("report"), body: `{"seq": 1, "items": []}`},
		"finish":         {method: "POST", path: p("finish"), body: `{"status": "success", "batches": 0}`},
		"put artifact":   {method: "PUT", path: p("artifacts/dist"), body: "zip"},
		"get artifact":   {method: "GET", path: p("artifacts/dist")},
		"list artifacts": {method: "GET", path: p("artifacts")},
		"source":         {method: "GET", path: p("source")},
	}
}

// TestFencing has a runner that has given its job back, another runner, and inventors of tokens be told 410 by every operation, with no effect.
func TestFencing(t *testing.T) {
	w := newWorld(t)
	w.project("shop")
	run := w.start("shop")
	_, far := w.runnerToken("far")
	_, near := w.runnerToken("near")
	first := w.held(far)
	// It has to stop and gives the job back; near takes it. What far says after that counts no more.
	back := calls(first.Job, first.Token)["finish"]
	back.token, back.body = far, `{"interrupted": true}`
	w.do(back).into(t, http.StatusNoContent, nil)
	second := w.held(near)
	if second.Job != first.Job || second.Token == first.Token {
		t.Fatalf("near has %v, far had %v", second.TaskRef, first.TaskRef)
	}
	fenced := func(who, token string, requests map[string]request) {
		t.Helper()
		for name, q := range requests {
			q.token = token
			r := w.do(q)
			var p Problem
			r.into(t, http.StatusGone, &p)
			if err := checkProblem(r); err != nil || p.Type != "/problems/fenced" {
				t.Errorf("%s: %s was answered %s, %v", who, name, r, err)
			}
		}
	}
	fenced("far with its old token", far, calls(first.Job, first.Token))
	fenced("far with the new token", far, calls(second.Job, second.Token))
	fenced("near with the old token", near, calls(first.Job, first.Token))
	fenced("near with an invented token", near, calls(second.Job, second.Token+1000))
	for name, q := range calls("1.1.1", second.Token) {
		q.token = near
		if r := w.do(q); checkProblem(r) != nil || r.status != http.StatusNotFound {
			t.Errorf("%s of a job that there is not was answered %s", name, r)
		}
	}
	if j, err := w.runs.Job(t.Context(), first.Job); err != nil || j.Status.Ended() {
		t.Errorf("the job is %+v, %v", j, err)
	}

	mine := calls(second.Job, second.Token)
	for _, name := range []string{"renew", "report", "put artifact", "list artifacts", "get artifact", "source", "finish"} {
		q := mine[name]
		q.token = near
		if name == "finish" {
			q.body = `{"status": "success", "batches": 1}`
		}
		if r := w.do(q); r.status >= 300 {
			t.Errorf("near: %s was answered %s", name, r)
		}
	}
	delete(mine, "finish") // that it ended already is no news to who ended it
	fenced("near after the end", near, mine)
	until(t, "an end of the run", func() bool {
		r, err := w.runs.Run(t.Context(), run.ID)
		return err == nil && r.Status.Ended()
	})
	// People have no part in the protocol, and runners none in the rest.
	q := calls(first.Job, first.Token)["renew"]
	q.token = w.admin()
	if r := w.do(q); checkProblem(r) != nil || r.status != http.StatusForbidden {
		t.Errorf("ann's renewal was answered %s", r)
	}
}

func TestArtifactRanges(t *testing.T) {
	w := newWorld(t)
	ann := w.admin()
	w.project("shop")
	run := w.start("shop")
	task := w.claim()
	content := []byte(strings.Repeat("0123456789", 10_000))
	if err := w.runs.PutArtifact(t.Context(), task.TaskRef, "dist", int64(len(content)), bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/runs/" + run.ID + "/artifacts/dist"
	whole := w.do(request{method: "GET", path: path, token: ann})
	whole.into(t, http.StatusOK, nil)
	tag := whole.header.Get("ETag")
	if !bytes.Equal(whole.body, content) || tag == "" || whole.header.Get("Accept-Ranges") != "bytes" || whole.header.Get("Content-Type") != "application/zip" ||
		whole.header.Get("Content-Disposition") != `attachment; filename=dist.zip` {
		t.Errorf("%d bytes came with %v", len(whole.body), whole.header)
	}
	for _, c := range []struct {
		header      map[string]string
		status      int
		from, until int
	}{
		{map[string]string{"Range": "bytes=0-9"}, 206, 0, 10},
		{map[string]string{"Range": "bytes=99990-"}, 206, 99_990, 100_000},
		{map[string]string{"Range": "bytes=-5"}, 206, 99_995, 100_000},
		{map[string]string{"Range": "bytes=50000-1000000000"}, 206, 50_000, 100_000},
		{map[string]string{"Range": "bytes=100000-"}, 416, 0, 0},
		{map[string]string{"Range": "bytes=9-0"}, 416, 0, 0},
		{map[string]string{"Range": "lines=1-2"}, 416, 0, 0},
		{map[string]string{"Range": "bytes=0-9", "If-Range": tag}, 206, 0, 10},
		{map[string]string{"Range": "bytes=0-9", "If-Range": `"another"`}, 200, 0, 100_000},
		{map[string]string{"If-None-Match": tag}, 304, 0, 0},
	} {
		r := w.do(request{method: "GET", path: path, token: ann, header: c.header})
		if r.status != c.status || r.status < 300 && !bytes.Equal(r.body, content[c.from:c.until]) {
			t.Errorf("%v: answered %d with %d bytes", c.header, r.status, len(r.body))
		}
		if want := fmt.Sprintf("bytes %d-%d/100000", c.from, c.until-1); c.status == 206 && r.header.Get("Content-Range") != want {
			t.Errorf("%v: the range is %q, not %q", c.header, r.header.Get("Content-Range"), want)
		}
		if r.status >= 400 {
			if err := checkProblem(r); err != nil {
				t.Errorf("%v: %v: %s", c.header, err, r)
			}
		}
	}
	for _, name := range []string{"dist2", "..%2fdist", "%25"} {
		r := w.do(request{method: "GET", path: "/api/v1/runs/" + run.ID + "/artifacts/" + name, token: ann})
		if err := checkProblem(r); err != nil || r.status >= 500 {
			t.Errorf("%s was answered %s: %v", name, r, err)
		}
	}
	// A length that is not true stores nothing.
	_, far := w.runnerToken("far")
	w.start("shop")
	held := w.held(far)
	put := calls(held.Job, held.Token)["put artifact"]
	put.token, put.body = far, spaces(10)
	if r := w.do(put); checkProblem(r) != nil || r.status != http.StatusLengthRequired {
		t.Errorf("an artifact without a length was answered %s", r)
	}
}
