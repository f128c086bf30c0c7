package githubactions

import (
	"fmt"
	"slices"
	"strings"
)

// typeOf is a type as far as a file tells: what members a context has, what a matrix holds. It only serves warnings, so a doubt
// always makes it open.
type typeOf struct {
	// open: anything may be there.
	open bool
	// scalar: no members at all; word is "string", "number" or "boolean" where that is known.
	scalar bool
	word   string
	list   bool
	// document: an object whose members are not known.
	document bool
	// members of an object, by folded name; names have their spelling, in the file's order.
	members map[string]*typeOf
	names   []string
}

var anyType = &typeOf{open: true}

func scalarType(word string) *typeOf { return &typeOf{scalar: true, word: word} }

func objectType(names ...string) *typeOf {
	o := &typeOf{members: map[string]*typeOf{}}
	for _, n := range names {
		o.add(n, anyType)
	}
	return o
}

func (o *typeOf) add(name string, member *typeOf) *typeOf {
	folded := strings.ToLower(name)
	if _, ok := o.members[folded]; !ok {
		o.names = append(o.names, name)
	}
	o.members[folded] = member
	return o
}

// String names the type in messages.
func (o *typeOf) String() string {
	switch {
	case o.open:
		return "any"
	case o.scalar && o.word != "":
		return o.word
	case o.scalar:
		return "scalar"
	case o.list:
		return "array"
	}
	return "object"
}

// merge returns a type that both fit.
func (o *typeOf) merge(p *typeOf) *typeOf {
	switch {
	case o == nil:
		return p
	case p == nil || o == p:
		return o
	case o.scalar && p.scalar && o.word == p.word, o.list && p.list:
		return o
	case o.scalar && p.scalar:
		return scalarType("")
	case o.members == nil || p.members == nil:
		return anyType
	}
	out := objectType()
	for _, side := range []*typeOf{o, p} {
		for _, n := range side.names {
			folded := strings.ToLower(n)
			out.add(n, out.members[folded].merge(side.members[folded]))
		}
	}
	return out
}

// lookup follows a path and says what is wrong with it; empty: nothing, as far as is known. at is the index of the part at
// fault.
func (o *typeOf) lookup(path []string) (t *typeOf, at int, problem, hint string) {
	for i, part := range path {
		switch {
		case o.open || o.list || o.document || part == "*":
			return anyType, 0, "", ""
		case o.scalar:
			return nil, i, fmt.Sprintf("receiver of object dereference %q must be type of object but got %q", part, o), ""
		}
		next, ok := o.members[strings.ToLower(part)]
		if !ok {
			hint = "nothing is declared there"
			if len(o.names) > 0 {
				names := slices.Clone(o.names)
				hint = "there are: " + strings.Join(names, ", ")
				if near := nearest(part, names); near != "" {
					hint = fmt.Sprintf("did you mean %q?", near)
				}
			}
			return nil, i, fmt.Sprintf("property %q is not defined", part), hint
		}
		o = next
	}
	return o, 0, "", ""
}

// typeOfToken returns the type of a value in a file.
func typeOfToken(t *token) *typeOf {
	switch t.kind {
	case kindBool:
		return scalarType("boolean")
	case kindNumber:
		return scalarType("number")
	case kindString:
		return scalarType("string")
	case kindSequence:
		return &typeOf{list: true}
	case kindMapping:
		o := objectType()
		for _, p := range t.pairs {
			if p.key.kind != kindString {
				return anyType
			}
			o.add(p.key.text, typeOfToken(p.value))
		}
		return o
	case kindExpression:
		// The members of the context github are texts, apart from the event.
		if member, ok := strings.CutPrefix(t.expr.String(), "github."); ok && !t.composed && slices.Contains(githubMembers, member) && member != "event" {
			return scalarType("string")
		}
	}
	return anyType
}

// matrixType returns what the context matrix has in a job.
func matrixType(strategy *token) *typeOf {
	if strategy == nil {
		return objectType()
	}
	m := strategy.get("matrix")
	if m == nil && strategy.kind == kindMapping {
		return objectType()
	}
	if !m.is(kindMapping) {
		return anyType
	}
	o := objectType()
	for _, p := range m.pairs {
		switch {
		case p.key.kind != kindString:
			return anyType
		case strings.EqualFold(p.key.text, "exclude"):
		case strings.EqualFold(p.key.text, "include"):
			if !p.value.is(kindSequence) {
				return anyType
			}
			for _, entry := range p.value.items {
				if !entry.is(kindMapping) {
					return anyType
				}
				for _, e := range entry.pairs {
					if e.key.kind != kindString {
						return anyType
					}
					o.add(e.key.text, o.members[strings.ToLower(e.key.text)].merge(typeOfToken(e.value)))
				}
			}
		case p.value.is(kindSequence):
			var value *typeOf
			for _, item := range p.value.items {
				value = value.merge(typeOfToken(item))
			}
			o.add(p.key.text, o.members[strings.ToLower(p.key.text)].merge(value))
		default:
			o.add(p.key.text, anyType)
		}
	}
	return o
}
