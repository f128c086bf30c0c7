package expr

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gantry-ops/gantry/pipeline"
)

type evaluation struct{ env Env }

// Evaluate computes the expression. An error is a fault of the expression's own, such as text that is no JSON.
func (e *Expr) Evaluate(env Env) (pipeline.Data, error) {
	v, err := e.root.eval(&evaluation{env})
	if err != nil {
		return nil, err
	}
	if e.condition && !pipeline.IsUnknown(v) {
		return Truthy(v), nil
	}
	return plain(v), nil
}

// filtered is the result of an object filter (.*): members of it are those of all its elements.
type filtered []any

func plain(v pipeline.Data) pipeline.Data {
	if f, ok := v.(filtered); ok {
		return []any(f)
	}
	return v
}

// Truthy reports whether a value counts as true: all do but null, false, 0, NaN and the empty text.
func Truthy(v pipeline.Data) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0 && !math.IsNaN(v)
	case string:
		return v != ""
	}
	return true
}

// parseNumber reads a number as the language writes it.
func parseNumber(s string) (float64, bool) {
	digits := strings.TrimLeft(s, "+-")
	switch {
	case len(s)-len(digits) > 1:
		return 0, false
	case digits == "Infinity":
		if s[0] == '-' {
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0o"):
		base := 16
		if s[1] == 'o' {
			base = 8
		}
		n, err := strconv.ParseUint(s[2:], base, 32)
		if err != nil || strings.ContainsAny(s, "_+-") {
			return 0, false
		}
		// 32 bits, as the vendor reads them: 0xffffffff is -1.
		return float64(int32(uint32(n))), true
	}
	for _, c := range digits {
		if !strings.ContainsRune("0123456789.eE+-", c) {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return f, true
}

// toNumber converts by the rules of loose comparison; NaN where a value has no number.
func toNumber(v pipeline.Data) float64 {
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 1
		}
		return 0
	case float64:
		return v
	case string:
		s := strings.TrimSpace(v)
		if s == "" {
			return 0
		}
		if n, ok := parseNumber(s); ok {
			return n
		}
	}
	return math.NaN()
}

// toText converts as format and join do.
func toText(v pipeline.Data) string {
	switch v := plain(v).(type) {
	case []any:
		return "Array"
	case pipeline.Object:
		return "Object"
	default:
		return pipeline.Text(v)
	}
}

func primitive(v pipeline.Data) bool {
	switch v.(type) {
	case nil, bool, float64, string:
		return true
	}
	return false
}

// equal is the loose ==: values of different kinds compare as numbers, texts without case, objects by identity.
func equal(a, b pipeline.Data) bool {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return x == y || foldText(x) == foldText(y)
		}
	case nil:
		if b == nil {
			return true
		}
	}
	if primitive(a) && primitive(b) {
		return toNumber(a) == toNumber(b)
	}
	return same(a, b)
}

// same compares lists and mappings by identity.
func same(a, b pipeline.Data) bool {
	a, b = plain(a), plain(b)
	x, ok := a.([]any)
	y, ok2 := b.([]any)
	if ok && ok2 {
		return len(x) == len(y) && reflect.ValueOf(x).Pointer() == reflect.ValueOf(y).Pointer()
	}
	if ok || ok2 || primitive(a) || primitive(b) {
		return false
	}
	m, ok := a.(*pipeline.Map)
	n, ok2 := b.(*pipeline.Map)
	return ok && ok2 && m == n
}

// foldText takes the case out of a text by simple upper-casing. Letters outside of ASCII never become ASCII ones (a
// dotless i is no I), as in the vendor's ordinal comparison.
func foldText(s string) string {
	return strings.Map(func(r rune) rune {
		if u := unicode.ToUpper(r); r < utf8.RuneSelf || u >= utf8.RuneSelf {
			return u
		}
		return r
	}, s)
}

// less is the loose <; ok is false where two values have no order.
func less(a, b pipeline.Data) bool {
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			return foldText(x) < foldText(y)
		}
	}
	return primitive(a) && primitive(b) && toNumber(a) < toNumber(b)
}

func (n *literal) eval(*evaluation) (pipeline.Data, error) { return n.value, nil }
func (n *group) eval(e *evaluation) (pipeline.Data, error) { return n.of.eval(e) }

func (n *contextRef) eval(e *evaluation) (pipeline.Data, error) {
	v, _ := e.env.Context(n.name)
	return v, nil
}

func (n *invert) eval(e *evaluation) (pipeline.Data, error) {
	v, err := n.of.eval(e)
	if err != nil || pipeline.IsUnknown(v) {
		return v, err
	}
	return !Truthy(v), nil
}

func (n *binary) eval(e *evaluation) (pipeline.Data, error) {
	left, err := n.left.eval(e)
	if err != nil {
		return nil, err
	}
	if n.op == "&&" || n.op == "||" {
		decided := n.op == "||"
		if !pipeline.IsUnknown(left) {
			if Truthy(left) == decided {
				return left, nil
			}
			return n.right.eval(e)
		}
		right, err := n.right.eval(e)
		if err != nil || pipeline.IsUnknown(right) || Truthy(right) == decided {
			return right, err
		}
		return pipeline.Unknown, nil
	}
	right, err := n.right.eval(e)
	if err != nil {
		return nil, err
	}
	if pipeline.IsUnknown(left) || pipeline.IsUnknown(right) {
		return pipeline.Unknown, nil
	}
	switch n.op {
	case "==":
		return equal(left, right), nil
	case "!=":
		return !equal(left, right), nil
	case "<":
		return less(left, right), nil
	case "<=":
		return less(left, right) || equal(left, right), nil
	case ">":
		return less(right, left), nil
	}
	return less(right, left) || equal(left, right), nil
}

func (n *star) eval(e *evaluation) (pipeline.Data, error) {
	of, err := n.of.eval(e)
	if err != nil || pipeline.IsUnknown(of) {
		return of, err
	}
	out := filtered{}
	if f, ok := of.(filtered); ok {
		for _, v := range f {
			out = append(out, members(v)...)
		}
		return out, nil
	}
	return append(out, members(of)...), nil
}

func members(v pipeline.Data) []any {
	switch v := v.(type) {
	case []any:
		return v
	case pipeline.Object:
		var out []any
		for _, k := range v.Keys() {
			m, _ := v.Get(k)
			out = append(out, m)
		}
		return out
	}
	return nil
}

func (n *index) eval(e *evaluation) (pipeline.Data, error) {
	of, err := n.of.eval(e)
	if err != nil {
		return nil, err
	}
	by, err := n.by.eval(e)
	if err != nil {
		return nil, err
	}
	if pipeline.IsUnknown(of) || pipeline.IsUnknown(by) {
		return pipeline.Unknown, nil
	}
	f, ok := of.(filtered)
	if !ok {
		v, _ := member(of, by)
		return v, nil
	}
	out := filtered{}
	for _, element := range f {
		if v, ok := member(element, by); ok {
			out = append(out, v)
		}
	}
	return out, nil
}

// member returns an element of a list by its number or a member of a mapping by its name.
func member(of, by pipeline.Data) (pipeline.Data, bool) {
	if !primitive(by) {
		return nil, false
	}
	switch of := of.(type) {
	case []any:
		i := math.Floor(toNumber(by))
		if i >= 0 && i < float64(len(of)) {
			return of[int(i)], true
		}
	case pipeline.Object:
		return of.Get(pipeline.Text(by))
	}
	return nil, false
}

func (n *call) eval(e *evaluation) (pipeline.Data, error) {
	if n.name == "case" {
		return n.evalCase(e)
	}
	args := make([]pipeline.Data, len(n.args))
	for i, a := range n.args {
		v, err := a.eval(e)
		if err != nil {
			return nil, err
		}
		if args[i] = plain(v); unknownInside(args[i]) {
			return pipeline.Unknown, nil
		}
	}
	f := lookupFunction(n.name)
	if f.fn == nil {
		return e.env.Call(f.name, args)
	}
	return f.fn(args)
}

// evalCase evaluates only the value that is chosen.
func (n *call) evalCase(e *evaluation) (pipeline.Data, error) {
	for i := 0; i+1 < len(n.args); i += 2 {
		c, err := n.args[i].eval(e)
		if err != nil {
			return nil, err
		}
		if pipeline.IsUnknown(c) {
			return c, nil
		}
		b, ok := c.(bool)
		if !ok {
			return nil, errors.New("case: a condition must be true or false, got " + strconv.Quote(toText(c)))
		}
		if b {
			return n.args[i+1].eval(e)
		}
	}
	return n.args[len(n.args)-1].eval(e)
}

// unknownInside reports whether a value is unknown or is made of unknown ones.
func unknownInside(v pipeline.Data) bool {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if unknownInside(e) {
				return true
			}
		}
	case *pipeline.Map:
		for _, k := range v.Keys() {
			if m, _ := v.Get(k); unknownInside(m) {
				return true
			}
		}
	default:
		return pipeline.IsUnknown(v)
	}
	return false
}
