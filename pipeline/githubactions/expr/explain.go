package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// Reasoner is an Env that can say why a status function came out false, such as "'build' failed".
type Reasoner interface{ WhyNot(function string) string }

// maxExplained bounds an explanation, in characters.
const maxExplained = 200

// Explain says in one line why the expression came out false, for people: the part that decides, and the values in it.
// Values of secrets are not shown. It returns "" where the expression is not false.
func (e *Expr) Explain(env Env) string {
	ev := &evaluation{env}
	v, err := e.root.eval(ev)
	if err != nil || pipeline.IsUnknown(v) || Truthy(v) {
		return ""
	}
	s := strings.Join(strings.Fields(ev.why(e.root)), " ")
	if r := []rune(s); len(r) > maxExplained {
		s = string(r[:maxExplained]) + "…"
	}
	return s
}

// why explains a part that is false.
func (ev *evaluation) why(n node) string {
	switch n := n.(type) {
	case *group:
		return ev.why(n.of)
	case *binary:
		switch n.op {
		case "&&":
			if ev.isFalse(n.left) {
				return ev.why(n.left)
			}
			return ev.why(n.right)
		case "||":
			return ev.why(n.left) + "; " + ev.why(n.right)
		}
		return n.text() + " is false" + ev.values(n.left, n.right)
	case *invert:
		return n.text() + " is false" + ev.values(n.of)
	case *call:
		if r, ok := ev.env.(Reasoner); ok && isStatus(n.name) {
			if why := r.WhyNot(n.name); why != "" {
				return why
			}
		}
		return n.text() + " is false" + ev.values(n.args...)
	case *literal:
		return fmt.Sprintf("its condition is %s", show(n.value))
	}
	return n.text() + " is " + ev.shown(n)
}

func (ev *evaluation) isFalse(n node) bool {
	v, err := n.eval(ev)
	return err == nil && !pipeline.IsUnknown(v) && !Truthy(v)
}

// values lists what the references in some parts came to.
func (ev *evaluation) values(parts ...node) string {
	var out []string
	var walk func(node)
	walk = func(n node) {
		if _, ok := reference(n); ok {
			if s := n.text() + " is " + ev.shown(n); !slices.Contains(out, s) {
				out = append(out, s)
			}
			return
		}
		for _, c := range n.children() {
			walk(c)
		}
	}
	for _, p := range parts {
		walk(p)
	}
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, ", ")
}

func (ev *evaluation) shown(n node) string {
	if r, ok := reference(n); ok && r.Context == "secrets" {
		return "not shown, as a secret"
	}
	v, err := n.eval(ev)
	if err != nil {
		return "no value"
	}
	return show(plain(v))
}

func show(v pipeline.Data) string {
	switch v := v.(type) {
	case nil:
		return "not set"
	case string:
		return "'" + shorten(v) + "'"
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case pipeline.Object:
		return "an object"
	}
	return pipeline.Text(v)
}
