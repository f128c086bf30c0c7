package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// leaks is what no answer may have.
var leaks = regexp.MustCompile(`(?i)goroutine \d|\.go:\d|sqlite|SQLSTATE|\bSELECT \w|\bINSERT INTO|constraint failed|runtime error|reflect[:.]|nil pointer|/root/|/tmp/`)

// places are the forms of a location.
var places = regexp.MustCompile(`^(body|query|path|header|cookie)([.\[].*)?$`)

// checkProblem holds an answer against RFC 9457 and what the package promises beyond it.
func checkProblem(r *reply) error {
	if r.status < 400 || r.status > 499 {
		return fmt.Errorf("answered %d, not 4xx", r.status)
	}
	return checkForm(r)
}

func checkForm(r *reply) error {
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		return fmt.Errorf("its type is %q", got)
	}
	var p Problem
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return fmt.Errorf("no problem document: %w", err)
	}
	sort := strings.TrimPrefix(p.Type, "/problems/")
	if sorts[sort] == "" || p.Title != sorts[sort] || p.Status != r.status {
		return fmt.Errorf("type %q, title %q and status %d do not belong together", p.Type, p.Title, p.Status)
	}
	if (r.status == http.StatusBadRequest || r.status == http.StatusUnprocessableEntity) && len(p.Errors) == 0 {
		return fmt.Errorf("nothing says where the problem is")
	}
	for _, e := range p.Errors {
		if !places.MatchString(e.Location) || e.Message == "" {
			return fmt.Errorf("%+v is no place", e)
		}
	}
	if len(r.body) > 64<<10 {
		return fmt.Errorf("the problem has %d bytes", len(r.body))
	}
	return nil
}

// checkPlaces reports a place that the request does not have.
func (tg *target) checkPlaces(r *reply) error {
	var p Problem
	if err := json.Unmarshal(r.body, &p); err != nil {
		return err
	}
	for _, e := range p.Errors {
		in, name, _ := strings.Cut(e.Location, ".")
		known := name == "" || in == "header" || in == "query" && name == "no_such_parameter" || in == "body" && tg.RequestBody != nil
		for _, p := range tg.Parameters {
			known = known || p.In == in && p.Name == name || p.In == in && strings.HasPrefix(name, p.Name+"[")
		}
		if !known {
			return fmt.Errorf("it has no %s", e.Location)
		}
	}
	return nil
}

// check holds any answer against what hostile requests must not get.
func check(r *reply) error {
	switch {
	case r.status >= 500:
		return fmt.Errorf("the server failed")
	case leaks.Match(r.body):
		return fmt.Errorf("the answer tells of the inside: %q", leaks.Find(r.body))
	case r.header.Get("X-Request-Id") == "":
		return fmt.Errorf("the answer has no request ID")
	case r.status >= 400:
		return checkProblem(r)
	}
	return nil
}

// serve answers a request in this goroutine; the path is taken as it is.
func (w *world) serve(q request) *reply {
	ctx := context.Background()
	for _, endless := range []string{"/events/stream", "/log/follow", "/worker/claim"} {
		if strings.Contains(q.path, endless) {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			defer time.AfterFunc(20*time.Millisecond, cancel).Stop()
			defer cancel()
		}
	}
	text, _ := q.body.(string)
	r := httptest.NewRequestWithContext(ctx, q.method, "/", strings.NewReader(text))
	r.RequestURI = q.path
	u, err := url.ParseRequestURI(q.path)
	if err != nil {
		return nil
	}
	r.URL = u
	r.Header.Set("Content-Type", "application/json")
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	for k, v := range q.header {
		r.Header.Set(k, v)
	}
	rec := httptest.NewRecorder()
	w.Server.ServeHTTP(rec, r)
	return &reply{rec.Code, rec.Header(), rec.Body.Bytes()}
}

// hostile is a world with one of each thing that operations are about, and a runner with a job.
func hostile(t testing.TB, db *store.DB) (w *world, worker string, targets []target) {
	w = newWorldOn(t, db)
	w.admin()
	w.account("bo")
	w.tree.workflow = twoJobs
	w.project("shop")
	ctx := context.Background()
	if _, err := w.runs.PutEnvironment(ctx, runs.By{Actor: "account:ann"}, runs.Environment{Project: "shop", Name: "live", Approvals: 1}); err != nil {
		t.Fatal(err)
	}
	run := w.start("shop")
	id, worker := w.runnerToken("far")
	task := w.claim(func(worker *jobs.Worker) { worker.ID, worker.Labels, worker.Embedded = id, []string{"x"}, false })
	var waiting runs.Page[runs.Approval]
	until(t, "an approval", func() bool {
		var err error
		waiting, err = w.runs.Approvals(ctx, runs.ApprovalQuery{})
		return err == nil && len(waiting.Items) > 0
	})
	known := map[string]string{"project": "shop", "run": run.ID, "job": task.Job, "name": "bo", "approval": waiting.Items[0].ID}
	(&shop{world: w, params: known}).releases()
	targets = w.targets(known)
	for i := range targets {
		if targets[i].query.Has("token") {
			targets[i].query.Set("token", fmt.Sprint(task.Token))
		}
	}
	// What ends the job comes last.
	slices.SortStableFunc(targets, func(a, b target) int { return cmp.Compare(ends[a.OperationID], ends[b.OperationID]) })
	return w, worker, targets
}

// ends are the operations after which others would find nothing.
var ends = map[string]int{
	"finish-job": 1, "decide-approval": 2, "cancel-run": 3, "reject-release": 4, "abort-release": 5, "rollback-release": 6, "delete-agent": 7, "delete-agent-token": 8,
}

func TestHostile(t *testing.T) { storetest.Each(t, tryAll) }

func tryAll(t *testing.T, db *store.DB) {
	w, worker, targets := hostile(t, db)
	tried, ann := 0, w.signIn("ann")
	for _, tg := range targets {
		t.Run(tg.OperationID, func(t *testing.T) {
			header := ann
			if strings.HasPrefix(tg.Path, "/api/v1/worker/") {
				header = map[string]string{"Authorization": "Bearer " + worker}
			}
			// must: it cannot be taken for anything that is meant.
			try := func(name string, must bool, url, body string) {
				r := w.serve(request{method: tg.Method, path: url, header: header, body: body})
				if r == nil {
					t.Errorf("%s: %q is no URL", name, url)
					return
				}
				tried++
				err := check(r)
				if err == nil && must {
					err = checkProblem(r)
				}
				if err == nil && r.status >= 400 {
					err = tg.checkPlaces(r)
				}
				if err != nil {
					t.Errorf("%s: %v: %.80s with %.80q was answered %.300s", name, err, url, body, r)
				}
			}
			for name, value := range texts() {
				try("an unknown parameter of "+name, true, tg.url(nil, "no_such_parameter="+value), "{}")
				for param := range tg.path {
					// Environments and artifacts may be called anything.
					free := param == "name" && (tg.OperationID == "put-environment" || tg.OperationID == "put-artifact")
					try(param+": "+name, !free, tg.url(map[string]string{param: value}, ""), "{}")
				}
				for _, p := range tg.Parameters {
					if p.In == "query" && tg.Method == http.MethodGet {
						try(p.Name+": "+name, false, tg.url(nil, p.Name+"="+value), "")
						try(p.Name+" again: "+name, false, tg.url(nil, p.Name+"="+value+"&"+p.Name+"="+value), "")
					}
				}
			}
			if tg.RequestBody == nil || tg.RequestBody.Content["application/json"] == nil {
				return
			}
			for name, text := range garbage() {
				try("body: "+name, true, tg.url(nil, ""), text)
			}
			for _, field := range slices.Sorted(maps.Keys(tg.props)) {
				for name, value := range values() {
					try(field+": "+name, false, tg.url(nil, ""), tg.body(t, field, value))
				}
			}
		})
	}
	for _, line := range w.log.take() {
		if !strings.Contains(line, "WARN the database is away") {
			t.Errorf("the server has logged %.300s", line)
		}
	}
	t.Logf("%d requests to %d operations", tried, len(w.operations))
}
