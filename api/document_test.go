package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// TestManyServers makes servers at a time, under the race detector: what one describes belongs to it alone.
func TestManyServers(t *testing.T) {
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			newWorld(t)
		})
	}
}

// TestOpenAPI keeps the document as it is known to clients: what changes in it has to be meant.
func TestOpenAPI(t *testing.T) {
	w := newWorld(t)
	r := w.do(request{method: http.MethodGet, path: "/openapi.json"})
	var doc map[string]any
	r.into(t, http.StatusOK, &doc)
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(r.body), "", " "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	golden(t, "openapi.json", b.Bytes())
	if v := doc["openapi"]; v != "3.1.0" {
		t.Errorf("the document says openapi: %v", v)
	}
	for _, ref := range refs(doc) {
		at, ok := any(doc), strings.HasPrefix(ref, "#/")
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := at.(map[string]any)
			if at = m[part]; at == nil {
				ok = false
			}
		}
		if !ok {
			t.Errorf("%s leads nowhere", ref)
		}
	}
	for _, c := range w.calls() {
		if c.doc.Summary == "" || strings.HasSuffix(c.doc.Summary, ".") || len(c.doc.Tags) != 1 {
			t.Errorf("%s: the summary is %q, the tags are %q", c.id, c.doc.Summary, c.doc.Tags)
		}
		if (len(c.doc.Security) == 0) != (c.scope == public) {
			t.Errorf("%s: the document has the security %v", c.id, c.doc.Security)
		}
		good := 0
		for status, resp := range c.doc.Responses {
			if status < "400" {
				good++
				if code, _ := strconv.Atoi(status); len(resp.Content) == 0 && code != http.StatusNoContent && code != http.StatusNotModified {
					t.Errorf("%s: the content of %s is not described", c.id, status)
				}
				continue
			}
			if problem := resp.Content["application/problem+json"]; problem == nil || problem.Schema == nil || problem.Schema.Ref != "#/components/schemas/Problem" {
				t.Errorf("%s: %s is described as no problem", c.id, status)
			}
		}
		if good == 0 {
			t.Errorf("%s: no success is described", c.id)
		}
		for _, name := range pathParams.FindAllStringSubmatch(c.path, -1) {
			if !slices.ContainsFunc(c.doc.Parameters, func(p *huma.Param) bool { return p.In == "path" && p.Name == name[1] }) {
				t.Errorf("%s: the parameter %s is not described", c.id, name[1])
			}
		}
	}
}

var pathParams = regexp.MustCompile(`\{([a-z]+)\}`)

// refs are all references in a document.
func refs(v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if ref, ok := v[k].(string); ok && k == "$ref" {
				out = append(out, ref)
			}
			out = append(out, refs(v[k])...)
		}
	case []any:
		for _, e := range v {
			out = append(out, refs(e)...)
		}
	}
	return out
}

// page is the documentation.
const page = "../docs/api.md"

func readPage(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// generated holds a part of the documentation against what it is made from, or writes it.
func generated(t *testing.T, name, want string) {
	t.Helper()
	text := readPage(t)
	begin, end := fmt.Sprintf("<!-- begin %s: written by go test ./api -update -->\n", name), fmt.Sprintf("<!-- end %s -->\n", name)
	before, rest, ok := strings.Cut(text, begin)
	is, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part %q", page, begin)
	}
	if want = "\n" + want + "\n"; is == want {
		return
	}
	if !*update {
		t.Fatalf("the part %s of %s is not up to date; write it by -update. It should be\n%s", name, page, want)
	}
	if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPage holds the documentation against the server: it names operations and problems that there are, and all problems.
func TestPage(t *testing.T) {
	w := newWorld(t)
	text := readPage(t)
	for _, m := range regexp.MustCompile("(GET|PUT|POST|DELETE)? ?(?:https?://[a-z.]+)?(/api/v1/[^\\s`\"'?)|\\\\]*)").FindAllStringSubmatch(text, -1) {
		method, path := m[1], strings.TrimRight(m[2], ".,:")
		found := slices.ContainsFunc(w.calls(), func(c call) bool {
			pattern := "^" + pathParams.ReplaceAllString(c.path, "[^/]+") + "$"
			return (method == "" || method == c.method) && regexp.MustCompile(pattern).MatchString(path)
		})
		if !found && path != "/api/v1/" {
			t.Errorf("%s names %s %s, which is no operation", page, method, path)
		}
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile(`/problems/([a-z-]+)`).FindAllStringSubmatch(text, -1) {
		named[m[1]] = true
	}
	if got, want := slices.Sorted(maps.Keys(named)), slices.Sorted(maps.Keys(sorts)); !slices.Equal(got, want) {
		t.Errorf("%s names the problems\n %q, there are\n %q", page, got, want)
	}
	for sort, title := range sorts {
		if !strings.Contains(text, title) {
			t.Errorf("%s does not say of %s that %q", page, sort, title)
		}
	}
}
