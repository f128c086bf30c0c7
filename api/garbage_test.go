package api

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// target is an operation as the OpenAPI document describes it, with parameters that name something that there is.
type target struct {
	*huma.Operation
	path map[string]string
	// query are those without which nothing is looked at.
	query url.Values
	// props are the fields of the body, by their paths.
	props map[string]bool
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
			tg := target{Operation: op, path: map[string]string{}, query: url.Values{}, props: map[string]bool{}}
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
			var good any
			if text := bodies[op.OperationID]; text != "" {
				if err := json.Unmarshal([]byte(text), &good); err != nil {
					w.t.Fatalf("%s: %v", op.OperationID, err)
				}
				paths("", good, tg.props)
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
func (w *world) fields(prefix string, s *huma.Schema, into map[string]bool) {
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
		into[prefix+name] = true
		w.fields(prefix+name+".", p, into)
	}
}

// bodies are such as operations take; each of their fields is tried with garbage while the others are good. report-job and finish-job
// describe theirs by Go's types alone, so all of their fields are here.
var bodies = map[string]string{
	"create-project":     `{"id": "another", "name": "Another", "source": {"url": "https://example.com/a.git"}}`,
	"update-project":     `{"source": {"url": "https://example.com/a.git"}}`,
	"put-variable":       `{"value": "x"}`,
	"put-secret":         `{"value": "a secret of some length"}`,
	"create-account":     `{"name": "cy"}`,
	"set-password":       `{"password": "another long passphrase"}`,
	"create-token":       `{"name": "mine"}`,
	"create-runner":      `{"name": "near", "labels": ["x"]}`,
	"claim-job":          `{"worker": {"session": "s", "places": 1}}`,
	"sign-in":            `{"name": "bo", "password": "wrong"}`,
	"sign-in-first":      `{"token": "t", "name": "bo", "password": "another long passphrase"}`,
	"decide-approval":    `{"approve": true}`,
	"change-my-password": `{"old": "wrong", "new": "another long passphrase"}`,
	"report-job": `{"seq": 1, "items": [{"event": {"time": "2026-01-02T03:04:05Z", "type": "step.finished", "step": "a", "step_id": "b", "number": 1, "status": "success",
		"reason": "r", "exit": 0, "duration": 1, "annotation": {"level": "error", "message": "m", "title": "t", "file": "f", "line": 1}, "needs": ["n"], "outputs": {"a": "b"},
		"summary": "s", "environment_url": "https://example.com", "artifacts": ["a"]}, "lines": [{"n": 1, "s": 1, "t": "2026-01-02T03:04:05Z", "text": "x"}]}]}`,
	"finish-job": `{"status": "success", "reason": "r", "outputs": {"a": "b"}, "interrupted": false, "batches": 0}`,
}

// body is one that the operation takes, but for the field at a path. The value may be no JSON.
func (tg *target) body(t testing.TB, field, value string) string {
	var good any = map[string]any{}
	if text := bodies[tg.OperationID]; text != "" {
		if err := json.Unmarshal([]byte(text), &good); err != nil {
			t.Fatalf("%s: %v", tg.OperationID, err)
		}
	}
	const here = "the value goes here"
	put(good, strings.Split(field, "."), here)
	b, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(string(b), `"`+here+`"`, value, 1)
}

// put sets what is at a path of names and, in lists, numbers.
func put(in any, path []string, v any) {
	switch in := in.(type) {
	case map[string]any:
		if len(path) == 1 {
			in[path[0]] = v
			return
		}
		if in[path[0]] == nil {
			in[path[0]] = map[string]any{}
		}
		put(in[path[0]], path[1:], v)
	case []any:
		if len(path) == 1 {
			in[0] = v
			return
		}
		put(in[0], path[1:], v)
	}
}

// paths are those of all fields of a body.
func paths(prefix string, v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			into[prefix+name] = true
			paths(prefix+name+".", e, into)
		}
	case []any:
		for _, e := range v {
			into[prefix+"0"] = true
			paths(prefix+"0.", e, into)
		}
	}
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
	deep := 20_000
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
		"a huge text": `"` + strings.Repeat("A", 200_000) + `"`, "control characters": `"\u001b[31m\r\n\t\u0007"`, "empty": `""`, "right to left": `"\u202egnp.exe"`,
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
