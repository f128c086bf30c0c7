package api

import (
	"bytes"
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

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// target is an operation as the OpenAPI document describes it, with parameters that name something that there is.
type target struct {
	*huma.Operation
	path map[string]string
	// query are those without which nothing is looked at.
	query url.Values
	// props are the fields of the body, and what a field of each kind could be.
	props map[string]*huma.Schema
}

// targets are all operations, in the order of their names.
func (w *world) targets(path map[string]string) []target {
	w.t.Helper()
	var out []target
	for _, item := range w.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op == nil {
				continue
			}
			tg := target{Operation: op, path: map[string]string{}, query: url.Values{}, props: map[string]*huma.Schema{}}
			for _, p := range op.Parameters {
				switch {
				case p.In == "path" && path[p.Name] == "":
					tg.path[p.Name] = "nothing"
				case p.In == "path":
					tg.path[p.Name] = path[p.Name]
				case p.In == "query" && p.Required:
					tg.query.Set(p.Name, "1")
				}
			}
			if op.RequestBody != nil {
				for _, c := range op.RequestBody.Content {
					w.fields("", c.Schema, tg.props)
				}
			}
			out = append(out, tg)
		}
	}
	slices.SortFunc(out, func(a, b target) int { return strings.Compare(a.OperationID, b.OperationID) })
	if len(out) != len(w.operations) {
		w.t.Fatalf("the document has %d operations, the server %d", len(out), len(w.operations))
	}
	return out
}

// fields adds the fields of a schema by their paths.
func (w *world) fields(prefix string, s *huma.Schema, into map[string]*huma.Schema) {
	if s != nil && s.Ref != "" {
		s = w.OpenAPI().Components.Schemas.SchemaFromRef(s.Ref)
	}
	if s == nil {
		return
	}
	for name, p := range s.Properties {
		if p.Ref != "" {
			p = w.OpenAPI().Components.Schemas.SchemaFromRef(p.Ref)
		}
		into[prefix+name] = p
		w.fields(prefix+name+".", p, into)
	}
}

// body puts a value where the path of a field says.
func body(field, value string) string {
	parts := strings.Split(field, ".")
	slices.Reverse(parts)
	for _, p := range parts {
		value = fmt.Sprintf("{%q: %s}", p, value)
	}
	return value
}

// url is that of the operation; own replaces parameters of the path, and is escaped already.
func (tg *target) url(own map[string]string, query string) string {
	p := tg.Path
	for name, value := range tg.path {
		if o, ok := own[name]; ok {
			value = o
		} else {
			value = url.PathEscape(value)
		}
		p = strings.ReplaceAll(p, "{"+name+"}", value)
	}
	if q := tg.query.Encode(); q != "" {
		query = strings.Trim(q+"&"+query, "&")
	}
	if query != "" {
		p += "?" + query
	}
	return p
}

// garbage bodies are no object that any operation takes.
func garbage() map[string]string {
	deep := 100_000
	return map[string]string{
		"no JSON": "{", "words": "hello there", "two values": "{} {}", "a list": "[]", "a number": "1", "a text": `"x"`, "a boolean": "true",
		"NUL": "\x00", "invalid UTF-8": "\xff\xfe", "a form": "a=b&c=d", "a multipart": "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--",
		"unknown field": `{"no_such_field": 1}`, "deep lists": strings.Repeat("[", deep), "deep objects": strings.Repeat(`{"a":`, deep),
		"deep and closed": strings.Repeat("[", deep) + strings.Repeat("]", deep), "a name of NUL": `{"\u0000": 1}`, "a huge number": `{"a": 1e999999}`,
		"XML": `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>`,
	}
}

// values are what a field may be given that takes something else, or takes no such text.
func values() map[string]string {
	return map[string]string{
		"an object": `{"a": 1}`, "a list": `[1, null, "x"]`, "a number": "1.5", "a negative": "-1", "a large number": "9223372036854775808", "1e308": "1e308", "null": "null",
		"a boolean": "true", "NUL": `"a\u0000b"`, "half a surrogate": `"\ud800"`, "invalid UTF-8": "\"\xff\xfe\"", "SQL": `"'; DROP TABLE runs; --"`, "a path": `"../../../etc/passwd"`,
		"a huge text": `"` + strings.Repeat("A", 900_000) + `"`, "control characters": `"\u001b[31m\r\n\t\u0007"`, "empty": `""`, "right to left": `"\u202egnp.exe"`,
		"a list of lists": strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "many": "[" + strings.Repeat(`"x",`, 20_000) + `"x"]`,
	}
}

// texts are what parameters may be given, escaped.
func texts() map[string]string {
	return map[string]string{
		"NUL": "a%00b", "invalid UTF-8": "%ff%fe", "SQL": "%27%20OR%201%3D1%20--", "percent": "%25%5f", "a path": "..%2f..%2fetc%2fpasswd", "dots": "%2e%2e", "a large number": "9223372036854775808",
		"a negative": "-9223372036854775808", "a float": "1e400", "long": strings.Repeat("A", 3000), "a line": "a%0d%0aSet-Cookie:%20a=b", "JSON": "%7B%22a%22:1%7D", "an emoji": "%f0%9f%92%a9",
	}
}

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
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // streams end after what they have to say at once
	if q.method != http.MethodGet || !strings.Contains(q.path, "/stream") && !strings.Contains(q.path, "/follow") {
		ctx = context.Background()
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

// hostile is a world with one of each thing that operations are about.
func hostile(t testing.TB, db *store.DB) (w *world, path map[string]string) {
	w = newWorldOn(t, db)
	w.admin()
	w.project("shop")
	run := w.start("shop")
	task := w.claim()
	if _, err := w.runs.PutEnvironment(t.Context(), runs.By{Actor: "account:ann"}, runs.Environment{Project: "shop", Name: "live"}); err != nil {
		t.Fatal(err)
	}
	return w, map[string]string{"project": "shop", "run": run.ID, "job": task.Job}
}

func TestHostile(t *testing.T) { storetest.Each(t, tryAll) }

func tryAll(t *testing.T, db *store.DB) {
	w, path := hostile(t, db)
	_, worker := w.runnerToken("far")
	tried := 0
	for _, tg := range w.targets(path) {
		t.Run(tg.OperationID, func(t *testing.T) {
			token := w.admin()
			if strings.HasPrefix(tg.Path, "/api/v1/worker/") {
				token = worker
			}
			// must: it cannot be taken for anything that is meant.
			try := func(name string, must bool, url, body string) {
				r := w.serve(request{method: tg.Method, path: url, token: token, body: body})
				if r == nil {
					t.Errorf("%s: %q is no URL", name, url)
					return
				}
				tried++
				err := check(r)
				if err == nil && must {
					err = checkProblem(r)
				}
				if err != nil {
					t.Errorf("%s: %v: %.80s with %.80q was answered %.300s", name, err, url, body, r)
				}
			}
			for name, value := range texts() {
				try("an unknown parameter of "+name, true, tg.url(nil, "no_such_parameter="+value), "{}")
				for param := range tg.path {
					// An environment may be called anything.
					free := tg.OperationID == "put-environment" && param == "name"
					try(param+": "+name, !free, tg.url(map[string]string{param: value}, ""), "{}")
				}
				for _, p := range tg.Parameters {
					if p.In == "query" && tg.Method == http.MethodGet {
						try(p.Name+": "+name, false, tg.url(nil, p.Name+"="+value), "")
						try(p.Name+" again: "+name, false, tg.url(nil, p.Name+"="+value+"&"+p.Name+"="+value), "")
					}
				}
			}
			if tg.RequestBody == nil {
				return
			}
			for name, text := range garbage() {
				try("body: "+name, true, tg.url(nil, ""), text)
			}
			for _, field := range slices.Sorted(maps.Keys(tg.props)) {
				for name, value := range values() {
					try(field+": "+name, false, tg.url(nil, ""), body(field, value))
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
