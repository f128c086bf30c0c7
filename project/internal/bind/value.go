package bind

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// Value is where a node goes: it checks, stores, and says in a schema what it takes.
type Value struct {
	// what is what messages call the value, as in "the weight is ...": "the weight".
	what string
	// form says what it takes where the kinds do not say enough: "a duration such as 30s".
	form string
	// hint tells people what to do where another kind of node stands; nil for nothing.
	hint  func() string
	kinds []Kind
	// either are the values of which one is read, where there are several.
	either []Value
	// read stores a node of one of the kinds.
	read   func(*Reader, *Node)
	schema func(*Schemas) map[string]any
	// initial is what the value has before anything is read: its default, as it stands in a file; nil for none.
	initial func() any
}

// wanted says what the value takes.
func (v Value) wanted() string {
	if v.form != "" {
		return v.form
	}
	if v.either != nil {
		forms := make([]string, len(v.either))
		for i, one := range v.either {
			forms[i] = one.wanted()
		}
		return Or(forms)
	}
	words := make([]string, len(v.kinds))
	for i, k := range v.kinds {
		words[i] = k.String()
	}
	return Or(words)
}

// Form returns a copy whose messages say what it takes.
func (v Value) Form(form string) Value {
	v.form = form
	return v
}

// Hint returns a copy that tells people what to do where another kind of node stands.
func (v Value) Hint(hint string) Value {
	v.hint = func() string { return hint }
	return v
}

// Initial returns what the value is before anything is read, as it stands in a file; nil for nothing.
func (v Value) Initial() any {
	if v.initial == nil {
		return nil
	}
	return v.initial()
}

// String takes text that is not empty.
func String(dst *string, what string) Value {
	return Value{
		what: what, kinds: []Kind{Text},
		read: func(r *Reader, n *Node) {
			if n.Text == "" {
				r.Errorf(n, CodeValue, "give it a value, or remove the key", "%s must not be empty", what)
				return
			}
			*dst, r.places[dst] = n.Text, n
		},
		schema: func(*Schemas) map[string]any { return map[string]any{"type": "string", "minLength": 1} },
		initial: func() any {
			if *dst == "" {
				return nil
			}
			return *dst
		},
	}
}

// Words takes one of a few words.
func Words[T ~string](dst *T, what string, words ...T) Value {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return Value{
		what: what, kinds: []Kind{Text}, form: Or(texts),
		read: func(r *Reader, n *Node) {
			if !slices.Contains(texts, n.Text) {
				hint := "it can be " + Or(texts)
				if near := Nearest(n.Text, texts); near != "" {
					hint = fmt.Sprintf("did you mean %q?", near)
				}
				r.Errorf(n, CodeValue, hint, "%s cannot be %q", what, short(n.Text))
				return
			}
			*dst, r.places[dst] = T(n.Text), n
		},
		schema: func(*Schemas) map[string]any { return map[string]any{"enum": anys(texts)} },
		initial: func() any {
			if *dst == "" {
				return nil
			}
			return string(*dst)
		},
	}
}

// Word takes one word and does something for it.
func Word(what, word string, do func(*Node)) Value {
	return Value{
		what: what, kinds: []Kind{Text}, form: word,
		read: func(r *Reader, n *Node) {
			if n.Text != word {
				r.Errorf(n, CodeValue, fmt.Sprintf("the only word that it can be is %q", word), "%s cannot be %q", what, short(n.Text))
				return
			}
			do(n)
		},
		schema: func(*Schemas) map[string]any { return map[string]any{"const": word} },
	}
}

// Flag takes true or false.
func Flag(dst *bool, what string) Value {
	return Value{
		what: what, kinds: []Kind{Bool}, hint: func() string { return "write true or false, without quotes" },
		read:    func(r *Reader, n *Node) { *dst, r.places[dst] = n.Bool, n },
		schema:  func(*Schemas) map[string]any { return map[string]any{"type": "boolean"} },
		initial: func() any { return *dst },
	}
}

// Int takes a whole number of a range.
func Int[T ~int | ~int64](dst *T, what string, least, most T) Value {
	return Value{
		what: what, kinds: []Kind{Number}, hint: func() string { return "write a number, without quotes" },
		read: func(r *Reader, n *Node) {
			if n.Number != math.Trunc(n.Number) || n.Number < float64(least) || n.Number > float64(most) {
				r.Errorf(n, CodeValue, "", "%s must be a whole number from %d to %d, not %s", what, least, most, short(n.Text))
				return
			}
			*dst, r.places[dst] = T(n.Number), n
		},
		schema: func(*Schemas) map[string]any {
			return map[string]any{"type": "integer", "minimum": least, "maximum": most}
		},
		initial: func() any {
			if *dst == 0 {
				return nil
			}
			return *dst
		},
	}
}

// Range is an interval of numbers. Above takes its least number out of it, Under its largest.
type Range struct {
	Least, Most  float64
	Above, Under bool
}

func (i Range) holds(x float64) bool {
	return (x < i.Most || x == i.Most && !i.Under) && (x > i.Least || x == i.Least && !i.Above)
}

// String says the range in words.
func (i Range) String() string {
	least, most := strconv.FormatFloat(i.Least, 'g', -1, 64), strconv.FormatFloat(i.Most, 'g', -1, 64)
	switch {
	case i.Above && math.IsInf(i.Most, 1):
		return "above " + least
	case math.IsInf(i.Most, 1) && math.IsInf(i.Least, -1):
		return "of any size"
	case math.IsInf(i.Most, 1):
		return "of " + least + " or more"
	case i.Above:
		return "above " + least + " and up to " + most
	case i.Under:
		return "from " + least + " and below " + most
	}
	return "from " + least + " to " + most
}

func (i Range) schema() map[string]any {
	s := map[string]any{"type": "number"}
	switch {
	case math.IsInf(i.Least, -1):
	case i.Above:
		s["exclusiveMinimum"] = i.Least
	default:
		s["minimum"] = i.Least
	}
	switch {
	case math.IsInf(i.Most, 1):
	case i.Under:
		s["exclusiveMaximum"] = i.Most
	default:
		s["maximum"] = i.Most
	}
	return s
}

// Num takes a number of a range.
func Num(dst *float64, what string, in Range) Value {
	return Value{
		what: what, kinds: []Kind{Number}, hint: func() string { return "write a number, without quotes" },
		read: func(r *Reader, n *Node) {
			if !in.holds(n.Number) {
				r.Errorf(n, CodeValue, "", "%s must be a number %s, not %s", what, in, short(n.Text))
				return
			}
			*dst, r.places[dst] = n.Number, n
		},
		schema: func(*Schemas) map[string]any { return in.schema() },
		initial: func() any {
			if *dst == 0 {
				return nil
			}
			return *dst
		},
	}
}

// percent is the text form of a percentage.
const percent = `^[0-9]+(\.[0-9]+)?%$`

var isPercent = lazy.New(percent)

// Percent takes a percentage: a number, or text such as "5%".
func Percent(dst *float64, what string, in Range) Value {
	number := Num(dst, what, in)
	v := number
	v.kinds, v.form = []Kind{Number, Text}, `a percentage such as 5 or "5%"`
	v.read = func(r *Reader, n *Node) {
		if n.Kind == Number {
			number.read(r, n)
			return
		}
		if !isPercent.MatchString(n.Text) {
			r.Errorf(n, CodeValue, "", "%s must be %s, not %q", what, v.form, short(n.Text))
			return
		}
		x, err := strconv.ParseFloat(strings.TrimSuffix(n.Text, "%"), 64)
		if err != nil || !in.holds(x) {
			r.Errorf(n, CodeRange, "", "%s must be a percentage %s, not %s", what, in, short(n.Text))
			return
		}
		*dst, r.places[dst] = x, n
	}
	v.schema = func(*Schemas) map[string]any {
		return map[string]any{"anyOf": []any{in.schema(), map[string]any{"type": "string", "pattern": percent}}}
	}
	return v
}

// Grammar is a form of text.
type Grammar[T any] struct {
	// Form is what messages say it takes: "a duration such as 30s or 5m".
	Form string
	// Pattern is a regular expression that the whole text matches, of the dialect that JSON schemas and Go share.
	Pattern *lazy.Regexp
	// Parse reads text that matches. Its error says what is out of range: "it is more than 24h".
	Parse func(string) (T, error)
	// Format writes a value that is a default, empty for none; nil where there are no defaults.
	Format func(T) string
}

// Parsed takes text of a grammar.
func Parsed[T any](dst *T, what string, g Grammar[T]) Value {
	return Value{
		what: what, kinds: []Kind{Text}, form: g.Form,
		read: func(r *Reader, n *Node) {
			if !g.Pattern.MatchString(n.Text) {
				r.Errorf(n, CodeValue, "", "%s must be %s, not %q", what, g.Form, short(n.Text))
				return
			}
			x, err := g.Parse(n.Text)
			if err != nil {
				r.Errorf(n, CodeRange, "", "%s cannot be %q: %v", what, short(n.Text), err)
				return
			}
			*dst, r.places[dst] = x, n
		},
		schema: func(*Schemas) map[string]any { return map[string]any{"type": "string", "pattern": g.Pattern.String()} },
		initial: func() any {
			if g.Format == nil {
				return nil
			}
			if s := g.Format(*dst); s != "" {
				return s
			}
			return nil
		},
	}
}

func anys[T any](in []T) []any {
	out := make([]any, len(in))
	for i := range in {
		out[i] = in[i]
	}
	return out
}
