package bind

import (
	"slices"

	"github.com/gantry-ops/gantry/project/internal/lazy"
)

// Either takes what one of several values takes. No two of them take the same kind of node.
func Either(what string, values ...Value) Value {
	v := Value{what: what, either: values}
	for _, one := range values {
		v.kinds = append(v.kinds, one.kinds...)
		if v.initial == nil && one.initial != nil && one.initial() != nil {
			v.initial = one.initial
		}
	}
	v.read = func(r *Reader, n *Node) {
		for _, one := range values {
			if slices.Contains(one.kinds, n.Kind) {
				one.read(r, n)
				return
			}
		}
	}
	v.schema = func(s *Schemas) map[string]any {
		var of []any
		for _, one := range values {
			of = append(of, one.schema(s))
		}
		return map[string]any{"anyOf": of}
	}
	return v
}

// The bounds of lists, and of mappings whose keys their author chooses and that are looked through one by one.
const (
	maxItems = 1_000
	maxNamed = 200
)

// Items takes a list of at least some items, which replaces what there was before. It has 1000 at most.
func Items[T any](dst *[]T, what string, least int, item func(*T) Value) Value {
	return Value{
		what: what, kinds: []Kind{List},
		read: func(r *Reader, n *Node) {
			if len(n.Items) < least {
				r.Errorf(n, CodeValue, "", "%s must have at least %d, not %d", what, least, len(n.Items))
				return
			}
			if len(n.Items) > maxItems {
				r.Errorf(n, CodeValue, "", "%s must have at most %d, not %d", what, maxItems, len(n.Items))
				return
			}
			out := make([]T, len(n.Items))
			for i := range n.Items {
				r.places[&out[i]] = n.Items[i]
				r.Read(n.Items[i], item(&out[i]))
			}
			*dst, r.places[dst] = out, n
		},
		schema: func(s *Schemas) map[string]any {
			out := map[string]any{"type": "array", "items": item(new(T)).schema(s), "maxItems": maxItems}
			if least > 0 {
				out["minItems"] = least
			}
			return out
		},
	}
}

// One takes a single item where a list could stand.
func One[T any](dst *[]T, item func(*T) Value) Value {
	v := item(new(T))
	v.initial = nil
	v.read = func(r *Reader, n *Node) {
		out := make([]T, 1)
		r.places[&out[0]] = n
		item(&out[0]).read(r, n)
		*dst, r.places[dst] = out, n
	}
	return v
}

// Keys is what the keys of a mapping look like that its author chooses.
type Keys struct {
	// What is what a key is: "the name of a service".
	What    string
	Form    string
	Pattern *lazy.Regexp
	// Refuse says what is wrong with a key that matches; empty is nothing.
	Refuse func(key string) string
}

func (k Keys) check(r *Reader, key *Node) bool {
	if !k.Pattern.MatchString(key.Text) {
		r.Errorf(key, CodeValue, "", "%s must be %s, not %q", k.What, k.Form, short(key.Text))
		return false
	}
	if k.Refuse != nil {
		if problem := k.Refuse(key.Text); problem != "" {
			r.Errorf(key, CodeRange, "", "%s", problem)
			return false
		}
	}
	return true
}

// Named takes a mapping from names that the author chooses to values, 200 at most. Those that are there already are read once more, others
// are added at the end.
func Named[T any](dst *[]*T, what string, keys Keys, least int, add func(name string) *T, name func(*T) string, value func(*T) Value) Value {
	return Value{
		what: what, kinds: []Kind{Map},
		read: func(r *Reader, n *Node) {
			if len(n.Members) < least {
				r.Errorf(n, CodeValue, "", "%s must have at least %d, not %d", what, least, len(n.Members))
				return
			}
			if len(n.Members) > maxNamed {
				r.Errorf(n, CodeValue, "", "%s must have at most %d, not %d", what, maxNamed, len(n.Members))
				return
			}
			r.places[dst] = n
			for _, p := range n.Members {
				if p.Key.bad || !keys.check(r, p.Key) {
					continue
				}
				i := slices.IndexFunc(*dst, func(t *T) bool { return name(t) == p.Key.Text })
				if i < 0 {
					i = len(*dst)
					*dst = append(*dst, add(p.Key.Text))
				}
				r.places[(*dst)[i]] = p.Key
				r.Read(p.Value, value((*dst)[i]))
			}
		},
		schema: func(s *Schemas) map[string]any {
			out := map[string]any{
				"type": "object", "propertyNames": map[string]any{"pattern": keys.Pattern.String()},
				"additionalProperties": value(add("name")).schema(s), "maxProperties": maxNamed,
			}
			if least > 0 {
				out["minProperties"] = least
			}
			return out
		},
	}
}

// Texts takes a mapping of names to scalars, which are kept as the file has them: 1.10 stays "1.10". It adds to what there was before.
func Texts(dst *map[string]string, what string, keys Keys) Value {
	return Value{
		what: what, kinds: []Kind{Map},
		read: func(r *Reader, n *Node) {
			r.places[dst] = n
			if *dst == nil {
				*dst = map[string]string{}
			}
			for _, p := range n.Members {
				if p.Key.bad || p.Value.bad || !keys.check(r, p.Key) {
					continue
				}
				if k := p.Value.Kind; k != Text && k != Number && k != Bool {
					r.Errorf(p.Value, CodeType, "write \"\" for empty text", "%s has text, numbers or true and false as values, not %s: %s", what, k, p.Key.Text)
					continue
				}
				(*dst)[p.Key.Text] = p.Value.Text
				r.places[entry{dst, p.Key.Text}] = p.Key
			}
		},
		schema: func(*Schemas) map[string]any {
			return map[string]any{
				"type": "object", "propertyNames": map[string]any{"pattern": keys.Pattern.String()},
				"additionalProperties": map[string]any{"type": []any{"string", "number", "boolean"}},
			}
		},
	}
}

// TextsOf takes a mapping of names to text of a form, which replaces what there was before.
func TextsOf(dst *map[string]string, what string, keys Keys, value func(*string) Value) Value {
	return Value{
		what: what, kinds: []Kind{Map},
		read: func(r *Reader, n *Node) {
			r.places[dst] = n
			*dst = map[string]string{}
			for _, p := range n.Members {
				if p.Key.bad || !keys.check(r, p.Key) {
					continue
				}
				var text string
				r.Read(p.Value, value(&text))
				(*dst)[p.Key.Text] = text
				r.places[entry{dst, p.Key.Text}] = p.Key
			}
		},
		schema: func(s *Schemas) map[string]any {
			return map[string]any{
				"type": "object", "propertyNames": map[string]any{"pattern": keys.Pattern.String()},
				"additionalProperties": value(new(string)).schema(s),
			}
		},
	}
}

// Nodes takes a mapping of names to what a value takes, and keeps the nodes, to be read again later.
func Nodes(dst *map[string]*Node, what string, keys Keys, value func() Value) Value {
	return Value{
		what: what, kinds: []Kind{Map},
		read: func(r *Reader, n *Node) {
			r.places[dst] = n
			*dst = map[string]*Node{}
			for _, p := range n.Members {
				if p.Key.bad || !keys.check(r, p.Key) {
					continue
				}
				r.Read(p.Value, value())
				(*dst)[p.Key.Text] = p.Value
				r.places[entry{dst, p.Key.Text}] = p.Key
			}
		},
		schema: func(s *Schemas) map[string]any {
			return map[string]any{
				"type": "object", "propertyNames": map[string]any{"pattern": keys.Pattern.String()},
				"additionalProperties": value().schema(s),
			}
		},
	}
}

// AtLeast refuses a mapping with fewer members.
func (v Value) AtLeast(least int) Value {
	read, schema := v.read, v.schema
	v.read = func(r *Reader, n *Node) {
		if len(n.Members) < least {
			r.Errorf(n, CodeValue, "", "%s must have at least %d, not %d", v.what, least, len(n.Members))
			return
		}
		read(r, n)
	}
	v.schema = func(s *Schemas) map[string]any {
		out := schema(s)
		out["minProperties"] = least
		return out
	}
	return v
}

// Anything takes whatever stands there and does nothing with it: annotations that are for others.
func Anything() Value {
	return Value{
		what: "the value", kinds: []Kind{Null, Bool, Number, Text, List, Map},
		read:   func(*Reader, *Node) {},
		schema: func(*Schemas) map[string]any { return map[string]any{} },
	}
}

// AtMost refuses a list with more items.
func (v Value) AtMost(most int) Value {
	read, schema := v.read, v.schema
	v.read = func(r *Reader, n *Node) {
		if len(n.Items) > most {
			r.Errorf(n, CodeValue, "", "%s must have at most %d, not %d", v.what, most, len(n.Items))
			return
		}
		read(r, n)
	}
	v.schema = func(s *Schemas) map[string]any {
		out := schema(s)
		out["maxItems"] = most
		return out
	}
	return v
}

// Maybe takes what a value takes that is not there before.
func Maybe[T any](dst **T, fresh func() *T, value func(*T) Value) Value {
	v := value(fresh())
	v.initial = nil
	v.read = func(r *Reader, n *Node) {
		if *dst == nil {
			*dst = fresh()
		}
		r.places[*dst] = n
		value(*dst).read(r, n)
	}
	return v
}

// Except refuses some texts with a reason of their own: what is known and not done.
func Except(v Value, why map[string]string) Value {
	read := v.read
	v.read = func(r *Reader, n *Node) {
		if reason, ok := why[n.Text]; ok && n.Kind == Text {
			r.Errorf(n, CodeValue, "", "%s", reason)
			return
		}
		read(r, n)
	}
	return v
}

// Then does something after a node was read, also one with mistakes in it.
func (v Value) Then(do func()) Value {
	read := v.read
	v.read = func(r *Reader, n *Node) {
		read(r, n)
		do()
	}
	return v
}

// Before does something before a node is read.
func (v Value) Before(do func()) Value {
	read := v.read
	v.read = func(r *Reader, n *Node) {
		do()
		read(r, n)
	}
	return v
}

// OneText takes text that matches a pattern and hands it on.
func OneText(what, form string, pattern *lazy.Regexp, do func(string)) Value {
	return Value{
		what: what, kinds: []Kind{Text}, form: form,
		read: func(r *Reader, n *Node) {
			if !pattern.MatchString(n.Text) {
				r.Errorf(n, CodeValue, "", "%s must be %s, not %q", what, form, short(n.Text))
				return
			}
			do(n.Text)
		},
		schema: func(*Schemas) map[string]any { return map[string]any{"type": "string", "pattern": pattern.String()} },
	}
}
