package expr

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

// corpus returns the folder of the conformance cases, or skips the test.
func corpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("GANTRY_CONFORMANCE")
	if dir == "" {
		at, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
				break
			}
			if at == filepath.Dir(at) {
				t.Skip("no go.mod above the test: set GANTRY_CONFORMANCE")
			}
			at = filepath.Dir(at)
		}
		dir = filepath.Join(filepath.Dir(at), "shared", "conformance")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no conformance cases at %s: set GANTRY_CONFORMANCE", dir)
	}
	return dir
}

type values map[string]pipeline.Data

func (v values) Context(name string) (pipeline.Data, bool) {
	for k, d := range v {
		if strings.EqualFold(k, name) {
			return d, true
		}
	}
	return nil, false
}

func (values) Call(name string, _ []pipeline.Data) (pipeline.Data, error) {
	return nil, fmt.Errorf("%s is not part of the cases", name)
}

func kindOf(v pipeline.Data) string {
	switch v.(type) {
	case nil:
		return "Null"
	case bool:
		return "Boolean"
	case float64:
		return "Number"
	case string:
		return "String"
	case []any:
		return "Array"
	}
	return "Object"
}

func TestConformanceExpressions(t *testing.T) {
	dir := filepath.Join(corpus(t), "github", "expressions")
	var files []struct{ Name, File string }
	read(t, filepath.Join(dir, "cases.json"), &files)
	passed := 0
	for _, f := range files {
		ok := t.Run(f.Name, func(t *testing.T) {
			var groups map[string][]struct {
				Expr     string
				Contexts json.RawMessage
				Result   *struct {
					Kind  string
					Value json.RawMessage
				}
				Err *struct{ Kind, Value string }
			}
			read(t, filepath.Join(dir, f.File), &groups)
			for group, cases := range groups {
				for i, c := range cases {
					name := fmt.Sprintf("%s[%d] %s", group, i, c.Expr)
					env := values{}
					a := &Availability{}
					if len(c.Contexts) > 0 {
						d, err := pipeline.DecodeJSON(c.Contexts)
						if err != nil {
							t.Fatal(err)
						}
						o := d.(*pipeline.Map)
						for _, k := range o.Keys() {
							env[k], _ = o.Get(k)
							a.Contexts = append(a.Contexts, k)
						}
					}
					e, err := Compile(c.Expr, a)
					if c.Err != nil && c.Err.Kind != "evaluation" {
						if err == nil {
							t.Errorf("%s: compiled, want the error %s", name, c.Err.Value)
							continue
						}
						// The vendor counts positions from 1 and says where after the message.
						want, rest, _ := strings.Cut(c.Err.Value, ". Located at position ")
						var at int
						fmt.Sscan(rest, &at)
						se := err.(*SyntaxError)
						if !strings.EqualFold(se.Msg, want) || se.Offset+1 != at {
							t.Errorf("%s: %q at %d, want %q", name, se.Msg, se.Offset+1, c.Err.Value)
						}
						continue
					}
					if err != nil {
						t.Errorf("%s: %v", name, err)
						continue
					}
					got, err := e.Evaluate(env)
					if c.Err != nil {
						if err == nil || !strings.EqualFold(err.Error(), c.Err.Value) {
							t.Errorf("%s: %v, want %s", name, err, c.Err.Value)
						}
						continue
					}
					if err != nil {
						t.Errorf("%s: %v", name, err)
						continue
					}
					if kindOf(got) != c.Result.Kind || !matches(got, c.Result.Value) {
						t.Errorf("%s: %s %v, want %s %s", name, kindOf(got), pipeline.Text(got), c.Result.Kind, c.Result.Value)
					}
				}
			}
		})
		if ok {
			passed++
		}
	}
	fmt.Printf("conformance github/expressions: %d/%d\n", passed, len(files))
}

func matches(got pipeline.Data, want json.RawMessage) bool {
	w, err := pipeline.DecodeJSON(want)
	if err != nil {
		return false
	}
	if n, ok := got.(float64); ok {
		switch w := w.(type) {
		case float64:
			return n == w || math.IsNaN(n) && math.IsNaN(w)
		case string: // "NaN", "Infinity"
			return pipeline.Text(n) == w
		}
		return false
	}
	a, err1 := json.Marshal(got)
	b, err2 := json.Marshal(w)
	return err1 == nil && err2 == nil && string(a) == string(b)
}

func read(t *testing.T, file string, to any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, to); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
