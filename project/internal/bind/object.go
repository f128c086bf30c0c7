package bind

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// Member is a key of a mapping.
type Member struct {
	Key   string
	Value Value
	// Required refuses a mapping without it.
	Required bool
	// Doc documents it in one sentence or two.
	Doc string
}

// Choice is a set of keys of which a mapping has at most one, or of sets of keys of which it has keys of at most one.
type Choice struct {
	Keys []string
	Sets [][]string
	// Need refuses a mapping that has none of them.
	Need bool
	// Reset takes back what another of the keys has set before, when one of them is read.
	Reset func()
}

// Object is a mapping with known keys.
type Object struct {
	// Def is its name in the schema's definitions; empty where it is written out where it stands.
	Def string
	// What is what messages call it: "a health check".
	What    string
	Members []Member
	Choices []Choice
	// Extensions allows keys that begin with "x-", which nobody reads: places for anchors.
	Extensions bool
}

// Of takes a mapping. object makes it over the values that are to be read.
func Of(object Object) Value {
	return Value{
		what: object.What, kinds: []Kind{Map}, hint: func() string { return "its keys are: " + strings.Join(object.keys(), ", ") },
		read:   object.read,
		schema: object.schema,
	}
}

func (o Object) keys() []string {
	keys := make([]string, len(o.Members))
	for i, m := range o.Members {
		keys[i] = m.Key
	}
	return sorted(keys)
}

func (c Choice) sets() [][]string {
	sets := slices.Clone(c.Sets)
	for _, k := range c.Keys {
		sets = append(sets, []string{k})
	}
	return sets
}

func (o Object) read(r *Reader, n *Node) {
	misspelt := map[string]bool{}
	for _, p := range n.Members {
		known := slices.ContainsFunc(o.Members, func(m Member) bool { return m.Key == p.Key.Text })
		if known || p.Key.bad || o.Extensions && strings.HasPrefix(p.Key.Text, "x-") {
			continue
		}
		meant := Nearest(p.Key.Text, o.keys())
		misspelt[meant] = true
		hint := "the keys of " + o.What + " are: " + strings.Join(o.keys(), ", ")
		if meant != "" {
			hint = fmt.Sprintf("did you mean %q?", meant)
		}
		r.Errorf(p.Key, CodeUnknownKey, hint, "unknown key %q in %s", short(p.Key.Text), o.What)
	}
	for _, c := range o.Choices {
		var have []*Node
		for _, set := range c.sets() {
			for _, k := range set {
				if key := n.Key(k); key != nil {
					have = append(have, key)
					break
				}
			}
		}
		switch {
		case len(have) > 1:
			r.Errorf(have[1], CodeExclusive, "keep one of them", "%s has either %s, not both", o.What, have[0].Text+" or "+have[1].Text)
			continue
		case len(have) == 0 && c.Need:
			r.Report(pipeline.Error, n, CodeMissingKey, "", "%s needs %s", o.What, Or(slices.Concat(c.sets()...)))
		case len(have) == 1 && c.Reset != nil:
			c.Reset()
		}
	}
	for _, m := range o.Members {
		switch value := n.Get(m.Key); {
		case value != nil:
			r.Read(value, m.Value)
		case m.Required && !misspelt[m.Key]:
			r.Report(pipeline.Error, n, CodeMissingKey, hintOf(m.Doc), "%s needs the key %q", o.What, m.Key)
		}
	}
}

// hintOf makes a hint of a member's documentation.
func hintOf(doc string) string {
	if doc == "" {
		return ""
	}
	return strings.ToLower(doc[:1]) + strings.TrimSuffix(doc[1:], ".")
}
