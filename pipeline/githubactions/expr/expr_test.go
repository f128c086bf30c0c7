package expr

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

// world is an Env with contexts and a state.
type world struct {
	values
	failed bool
}

func (w world) Call(name string, args []pipeline.Data) (pipeline.Data, error) {
	switch name {
	case "success":
		return !w.failed, nil
	case "failure":
		return w.failed, nil
	case "always":
		return true, nil
	case "cancelled":
		return false, nil
	case "hashFiles":
		return fmt.Sprintf("hash of %v", args), nil
	}
	return nil, errors.New("no such function")
}

func (w world) WhyNot(function string) string {
	if function == "success" {
		return "an earlier step failed"
	}
	return ""
}

func testWorld() world {
	return world{values: values{
		"github":  pipeline.NewMap("ref", "refs/heads/dev", "event", pipeline.NewMap("labels", []any{pipeline.NewMap("name", "a"), pipeline.NewMap("name", "b"), pipeline.NewMap("other", 1.0)})),
		"secrets": pipeline.NewMap("TOKEN", "hunter2"),
		"matrix":  pipeline.NewMap("os", "linux", "nested", []any{[]any{1.0, 2.0}, []any{3.0}}),
		"steps":   pipeline.Unknown,
	}}
}

func TestSyntaxErrors(t *testing.T) {
	a := &Availability{Contexts: []string{"github", "env"}, Functions: []string{"hashFiles(1,255)"}}
	for _, c := range []struct {
		src, msg string
		at       int
		hint     string
	}{
		{`github.ref == "main"`, `unexpected symbol: '"main"'`, 14, "single quotes: 'main'"},
		{"1 + 1", "unexpected symbol: '+'", 2, "no arithmetic"},
		{"github.", "unexpected end", 7, ""},
		{"github.ref = 'x'", "unexpected symbol: '='", 11, "=="},
		{"github.ref & 'x'", "unexpected symbol: '&'", 11, "&&"},
		{"'open", "unexpected symbol: ''open'", 0, "closing quote"},
		{"(github.ref", "unexpected end", 11, ""},
		{"github.ref)", "unexpected symbol: ')'", 10, ""},
		{"main", "unrecognized named-value: 'main'", 0, "available here: github, env"},
		{"contains", "unrecognized named-value: 'contains'", 0, "is a function"},
		{"nope(1)", "unrecognized function: 'nope'", 0, ""},
		{"success()", "unrecognized function: 'success'", 0, "not available here"},
		{"contains('a')", "contains takes 2 arguments, got 1", 0, ""},
		{"format()", "format takes at least 1 arguments, got 0", 0, ""},
		{"case(true, 1, false, 2)", "case takes pairs", 0, ""},
		{"contains('a' 'b')", "unexpected symbol: ''b''", 13, ""},
		{"github[", "unexpected end", 7, ""},
		{"github..ref", "unexpected symbol: '.ref'", 7, ""},
		{"0x", "unexpected symbol: '0x'", 0, ""},
		{"1_000", "unexpected symbol: '1_000'", 0, ""},
		{strings.Repeat("(", 60) + "1" + strings.Repeat(")", 60), "nested deeper than 50", 50, ""},
		{strings.Repeat("!", 60) + "true", "nested deeper than 50", 50, ""},
		{"'" + strings.Repeat("x", MaxLength) + "'", "longer than 21000", 0, ""},
	} {
		_, err := Compile(c.src, a)
		var e *SyntaxError
		if !errors.As(err, &e) {
			t.Errorf("%.40s: %v", c.src, err)
			continue
		}
		if !strings.Contains(e.Msg, c.msg) || e.Offset != c.at || !strings.Contains(e.Hint, c.hint) || e.Width < 1 {
			t.Errorf("%.40s: %q at %d, hint %q; want %q at %d, hint %q", c.src, e.Msg, e.Offset, e.Hint, c.msg, c.at, c.hint)
		}
	}
	if _, err := Compile("hashfiles('a')", a); err != nil {
		t.Error(err)
	}
}

func TestEvaluate(t *testing.T) {
	for src, want := range map[string]string{
		"github.event.labels.*.name":                         `["a","b"]`,
		"join(github.event.labels.*.name, '-')":              "a-b",
		"contains(github.event.labels.*.name, 'B')":          "true",
		"matrix.nested.*[0]":                                 "[1,3]",
		"matrix.nested.*.*":                                  "[1,2,3]",
		"github['REF']":                                      "refs/heads/dev",
		"github.nope.deeper['x']":                            "",
		"case(github.ref == 'x', 1, true, 2, 3)":             "2",
		"case(false, fromJSON('nonsense'), 'ok')":            "ok",
		"hashFiles('a', 'b')":                                "hash of [a b]",
		"0xff == 255 && 0o17 == 15 && -1.5e1 == '-15'":       "true",
		"null || 'x'":                                        "x",
		"steps.x.outputs.y":                                  "…",
		"false && steps.x":                                   "false",
		"steps.x && false":                                   "false",
		"steps.x || true":                                    "true",
		"steps.x && true":                                    "…",
		"!steps.x":                                           "…",
		"steps.x == 1":                                       "…",
		"format('{0}', steps.x)":                             "…",
		"contains(fromJSON('[1,2]'), 2)":                     "true",
		"fromJSON('[]') == fromJSON('[]')":                   "false",
		"toJSON(fromJSON('{\"b\":[],\"a\":{\"x\":\"<\"}}'))": "{\n  \"b\": [],\n  \"a\": {\n    \"x\": \"<\"\n  }\n}",
	} {
		e, err := Compile(src, nil)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		v, err := e.Evaluate(testWorld())
		if err != nil || pipeline.Text(v) != want {
			t.Errorf("%s = %q, %v; want %q", src, pipeline.Text(v), err, want)
		}
	}
	for src, want := range map[string]string{
		"fromJSON('')":            "empty",
		"fromJSON('{')":           "fromJSON",
		"case('x', 1, 2)":         "must be true or false",
		"format('{9}', 1)":        "more arguments",
		"format('{-1}', 1)":       "invalid",
		"format('{99999999}')":    "invalid",
		"fromJSON('[1] trailer')": "fromJSON",
	} {
		e, err := Compile(src, nil)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if v, err := e.Evaluate(testWorld()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %v, %v; want an error with %q", src, v, err, want)
		}
	}
}

func TestTemplate(t *testing.T) {
	for _, c := range []struct{ in, source, value string }{
		{"plain } text {", "", "plain } text {"},
		{"${{ github.ref }}", "github.ref", "refs/heads/dev"},
		{"on ${{github.ref}} it's {0}", "format('on {0} it''s {{0}}', github.ref)", "on refs/heads/dev it's {0}"},
		{"${{ 'a}}b' }}-${{ 'it''s' }}", "format('{0}-{1}', 'a}}b', 'it''s')", "a}}b-it's"},
		{" ${{ 1 }}", "format(' {0}', 1)", " 1"},
	} {
		tm, err := ParseTemplate(c.in, nil)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if tm.Expr == nil {
			if tm.Literal != c.value || c.source != "" {
				t.Errorf("%s: literal %q", c.in, tm.Literal)
			}
			continue
		}
		v, err := tm.Expr.Evaluate(testWorld())
		if tm.Expr.String() != c.source || err != nil || pipeline.Text(v) != c.value {
			t.Errorf("%s: %s = %q %v, want %s = %q", c.in, tm.Expr, pipeline.Text(v), err, c.source, c.value)
		}
		// What it prints compiles to the same.
		again, err := Compile(c.source, nil)
		if err != nil {
			t.Errorf("%s: %v", c.source, err)
			continue
		}
		if v2, err := again.Evaluate(testWorld()); err != nil || pipeline.Text(v2) != c.value {
			t.Errorf("%s = %q %v", c.source, pipeline.Text(v2), err)
		}
	}
	if tm, err := ParseTemplate("${{ insert }}", nil); err != nil || !tm.Insert {
		t.Errorf("%+v %v", tm, err)
	}
	for in, at := range map[string]int{"x ${{ insert }}": 2, "ab ${{ 'x }}": 3, "a ${{ b": 2, "${{ 1 }} ${{ ! }}": 15, "a${{}}": 1} {
		_, err := ParseTemplate(in, nil)
		var e *SyntaxError
		if !errors.As(err, &e) || e.Offset != at {
			t.Errorf("%s: %+v, want one at %d", in, e, at)
		}
	}
}

func TestCondition(t *testing.T) {
	for _, c := range []struct {
		in, source string
		ok, failed any
	}{
		{"", "success()", true, false},
		{"github.ref == 'refs/heads/dev'", "success() && (github.ref == 'refs/heads/dev')", true, false},
		{"${{ github.ref }}", "success() && (github.ref)", true, false},
		{"${{ false }} ", "success() && (format('{0} ', false))", true, false},
		{"always()", "always()", true, true},
		{"${{ failure() || false }}", "failure() || false", false, true},
		{"true || 'success()'", "success() && (true || 'success()')", true, false},
		{"false || ${{ true && true }}", "success() && (format('false || {0}', true && true))", true, false},
		{"steps.x", "success() && (steps.x)", pipeline.Unknown, false},
	} {
		e, err := Condition(c.in, nil)
		if err != nil || e.String() != c.source {
			t.Errorf("%s: %v %v, want %s", c.in, e, err, c.source)
			continue
		}
		w := testWorld()
		if v, err := e.Evaluate(w); v != c.ok || err != nil {
			t.Errorf("%s = %v %v", c.in, v, err)
		}
		w.failed = true
		if v, err := e.Evaluate(w); v != c.failed || err != nil {
			t.Errorf("%s after a failure = %v %v", c.in, v, err)
		}
	}
	_, err := Condition("  ${{ nope( }}", nil)
	var e *SyntaxError
	if !errors.As(err, &e) || e.Offset != 6 {
		t.Errorf("%+v", e)
	}
}

func TestExplain(t *testing.T) {
	for src, want := range map[string]string{
		"github.ref == 'refs/heads/main'":           "github.ref == 'refs/heads/main' is false: github.ref is 'refs/heads/dev'",
		"true && (matrix.os == 'x' || github.nope)": "matrix.os == 'x' is false: matrix.os is 'linux'; github.nope is not set",
		"secrets.TOKEN == 'x'":                      "secrets.TOKEN == 'x' is false: secrets.TOKEN is not shown, as a secret",
		"!contains(github.ref, 'dev')":              "!contains(github.ref, 'dev') is false: github.ref is 'refs/heads/dev'",
		"startsWith(github.ref, 'refs/tags/')":      "startsWith(github.ref, 'refs/tags/') is false: github.ref is 'refs/heads/dev'",
		"false":                                     "its condition is false",
		"true":                                      "",
	} {
		e, err := Condition(src, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Explain(testWorld()); got != want {
			t.Errorf("%s: %q, want %q", src, got, want)
		}
	}
	e, _ := Condition("github.ref", nil)
	w := testWorld()
	w.failed = true
	if got := e.Explain(w); got != "an earlier step failed" {
		t.Error(got)
	}
}

func TestReferences(t *testing.T) {
	e, err := Compile("steps.Build.outputs['x-y'] == needs[matrix.os].result && contains(github.event.*.name, env.A)", nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range e.References() {
		got = append(got, fmt.Sprintf("%s@%d:%s", r.Context, r.Offset, strings.Join(r.Path, ".")))
	}
	want := "steps@0:Build.outputs.x-y needs@30: matrix@36:os github@66:event.*.name env@87:A"
	if strings.Join(got, " ") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, " "), want)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{"github.ref == 'a'", "!(a.*.b[0] || format('{0}', 1))", "0x1f", "'it''s'", "a[b[c]]", "case(true,1,2)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := Compile(s, nil)
		if err != nil {
			var se *SyntaxError
			if !errors.As(err, &se) || se.Offset < 0 || se.Offset > len(s) {
				t.Fatalf("%q: %#v", s, err)
			}
			return
		}
		e.Evaluate(testWorld())
		e.Explain(testWorld())
		e.References()
	})
}

func FuzzTemplate(f *testing.F) {
	f.Add("a ${{ github.ref }} b")
	f.Add("${{ 'x}}' }}")
	f.Fuzz(func(t *testing.T, s string) {
		tm, err := ParseTemplate(s, nil)
		if err == nil && tm.Expr != nil {
			tm.Expr.Evaluate(testWorld())
			if _, err := Compile(tm.Expr.String(), nil); err != nil && len(tm.Expr.String()) < MaxLength {
				t.Errorf("%q became %q, which does not compile: %v", s, tm.Expr, err)
			}
		}
		Condition(s, nil)
	})
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := Condition("github.ref == 'refs/heads/main' && contains(github.event.labels.*.name, 'deploy')", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	e, err := Condition("github.ref == 'refs/heads/main' && contains(github.event.labels.*.name, 'deploy')", nil)
	if err != nil {
		b.Fatal(err)
	}
	w := testWorld()
	for b.Loop() {
		if _, err := e.Evaluate(w); err != nil {
			b.Fatal(err)
		}
	}
}
