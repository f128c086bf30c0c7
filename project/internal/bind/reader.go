package bind

import (
	"fmt"
	"slices"

	"github.com/gantry-ops/gantry/pipeline"
)

// Reader reads nodes into values. It remembers where each was read, for those who check what values mean to each other.
type Reader struct {
	diags  *pipeline.Diagnostics
	places map[any]*Node
}

// NewReader returns a reader that reports to diags.
func NewReader(diags *pipeline.Diagnostics) *Reader {
	return &Reader{diags: diags, places: map[any]*Node{}}
}

// Quiet returns a reader that reports nothing and keeps places of its own: for what is read once more.
func (r *Reader) Quiet() *Reader { return NewReader(new(pipeline.Diagnostics)) }

// Places returns the reader with the places of another one.
func (r *Reader) Places(of *Reader) *Reader {
	r.places = of.places
	return r
}

// entry is the place of a member of a Go map, of which there is no pointer.
type entry struct {
	of  any
	key string
}

// At returns the node that a pointer's value was last read from; nil where the file has none, so that it is a default.
func (r *Reader) At(ptr any) *Node { return r.places[ptr] }

// AtKey returns the key of a member of the map that ptr points to, or nil.
func (r *Reader) AtKey(ptr any, key string) *Node { return r.places[entry{ptr, key}] }

// Errorf reports an error at a node.
func (r *Reader) Errorf(n *Node, code, hint, format string, args ...any) {
	n.bad = true
	r.Report(pipeline.Error, n, code, hint, format, args...)
}

// Report reports a finding at a node, which nil stands for no place.
func (r *Reader) Report(s pipeline.Severity, n *Node, code, hint, format string, args ...any) {
	d := pipeline.Diagnostic{Severity: s, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint}
	if n != nil {
		d.Pos, d.Width = n.Pos, n.Width()
	}
	r.diags.Add(d)
}

// Read reads a node into a value. A nil node and one that is known to be bad are left alone.
func (r *Reader) Read(n *Node, v Value) {
	if n == nil || n.bad {
		return
	}
	if !slices.Contains(v.kinds, n.Kind) {
		if n.Kind == Null {
			r.Errorf(n, CodeType, "give it a value, or remove the key", "%s must not be empty", v.what)
			return
		}
		hint := ""
		if v.hint != nil {
			hint = v.hint()
		}
		r.Errorf(n, CodeType, hint, "%s must be %s, not %s", v.what, v.wanted(), describe(n))
		return
	}
	v.read(r, n)
}

// describe names a node in a message.
func describe(n *Node) string {
	switch n.Kind {
	case Text:
		return fmt.Sprintf("the text %q", short(n.Text))
	case Number:
		return "the number " + short(n.Text)
	case Bool:
		return n.Text
	}
	return n.Kind.String()
}

// short cuts what would fill a line of its own.
func short(s string) string {
	const limit = 60
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
