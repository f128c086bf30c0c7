package githubactions

import (
	"slices"

	"github.com/gantry-ops/gantry/pipeline/githubactions/expr"
)

// shape says what may stand at a place of a file: which scalars, a sequence of what, a mapping with which keys, and what
// expressions may use there. A place that allows none of a sort refuses it.
type shape struct {
	// name is what messages call the place: "a step".
	name string
	// text, boolean, number and null allow these scalars. Where text is allowed, other scalars are read as text unless
	// they are allowed themselves.
	text, boolean, number, null bool
	// nonEmpty refuses empty text, oneOf all texts but these.
	nonEmpty bool
	oneOf    []string
	// items is the shape of the items of a sequence; nil: no sequence.
	items *shape
	// fields are the members of a mapping; nil: no mapping.
	fields *fields
	// anything allows all values, nested as one likes.
	anything bool
	// condition: a scalar is an `if`: an expression also without ${{ }}.
	condition bool
	// bare: the condition does not ask for success() by itself.
	bare bool
	// noExpr refuses an expression as a whole, though text with expressions may be within.
	noExpr bool
	// where says what expressions may use here and below; nil: as around. Outside of every where expressions are refused.
	where *expr.Availability
}

// fields are the members that a mapping may have.
type fields struct {
	known    map[string]*shape
	required []string
	// other is the shape of the members with other keys; nil: there are none.
	other *shape
	// tolerant: a member with another key is left out with a warning.
	tolerant bool
	// choose picks the fields by the keys that are there, for the mappings that come in several forms. It returns nil with a
	// reason and perhaps a hint where none fits.
	choose func(t *token) (f *fields, reason, hint string)
}

// keys returns the known keys in alphabetical order.
func (f *fields) keys() []string {
	keys := make([]string, 0, len(f.known))
	for k := range f.known {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// with returns a copy of the shape in which expressions may use other things.
func (s shape) with(where *expr.Availability) *shape {
	s.where = where
	return &s
}

// orNull returns a copy of the shape that also allows nothing.
func (s shape) orNull() *shape {
	s.null = true
	return &s
}

// Shapes that many places share.
func textShape(name string) *shape     { return &shape{name: name, text: true} }
func nonEmptyShape(name string) *shape { return &shape{name: name, text: true, nonEmpty: true} }
func boolShape(name string) *shape     { return &shape{name: name, boolean: true} }
func numberShape(name string) *shape   { return &shape{name: name, number: true} }
func oneOfShape(name string, values ...string) *shape {
	return &shape{name: name, text: true, oneOf: values}
}

// scalarShape allows all scalars and keeps their types.
func scalarShape(name string) *shape {
	return &shape{name: name, text: true, boolean: true, number: true}
}

// listShape allows a sequence of non-empty texts.
func listShape(name string) *shape {
	return &shape{name: name, items: nonEmptyShape("an item of " + name)}
}

// oneOrMoreShape allows a non-empty text or a sequence of them.
func oneOrMoreShape(name string) *shape {
	return &shape{name: name, text: true, nonEmpty: true, items: nonEmptyShape("an item of " + name)}
}

// mapShape allows a mapping of any names to values of one shape.
func mapShape(name string, value *shape) *shape {
	return &shape{name: name, fields: &fields{other: value}}
}

// objectShape allows a mapping with known keys.
func objectShape(name string, known map[string]*shape, required ...string) *shape {
	return &shape{name: name, fields: &fields{known: known, required: required}}
}
