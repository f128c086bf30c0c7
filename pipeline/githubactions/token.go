package githubactions

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions/expr"
)

// kind says what a token is.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindSequence
	kindMapping
	// kindExpression is a scalar that holds one ${{ }} expression, or text with some in it.
	kindExpression
	// kindInsert is the key ${{ insert }}: the members of its value join the mapping around it.
	kindInsert
)

// String returns the word that messages use.
func (k kind) String() string {
	switch k {
	case kindNull:
		return "nothing"
	case kindBool:
		return "a boolean"
	case kindNumber:
		return "a number"
	case kindString:
		return "text"
	case kindSequence:
		return "a sequence"
	case kindMapping:
		return "a mapping"
	case kindInsert:
		return "${{ insert }}"
	}
	return "an expression"
}

// token is a node of a file: what YAML says, and after [reader.read] what the place it stands at makes of it. A token belongs
// to one place; aliases are copied.
type token struct {
	kind kind
	pos  pipeline.Pos
	// text is a scalar's text: for a string its value, for others as the file writes it.
	text  string
	bool  bool
	num   float64
	style yaml.Style
	items []*token
	pairs []pair

	expr *expr.Expr
	// condition: the expression is an `if`, with the status function in front that it implies.
	condition bool
	// composed: the expression is text with ${{ }} in it, and so always yields text.
	composed bool
	// bad: an error about this token was reported; nothing that follows from it should be.
	bad bool
}

// pair is a member of a mapping.
type pair struct{ key, value *token }

// get returns the value of the member with that key, or nil.
func (t *token) get(key string) *token {
	if t == nil || t.kind != kindMapping {
		return nil
	}
	for _, p := range t.pairs {
		if p.key.kind == kindString && strings.EqualFold(p.key.text, key) {
			return p.value
		}
	}
	return nil
}

// key returns the key token of a member, or nil.
func (t *token) key(key string) *token {
	if t == nil || t.kind != kindMapping {
		return nil
	}
	for _, p := range t.pairs {
		if p.key.kind == kindString && strings.EqualFold(p.key.text, key) {
			return p.key
		}
	}
	return nil
}

// has reports whether a mapping has a member with that key.
func (t *token) has(key string) bool { return t.key(key) != nil }

// members returns the pairs of a mapping; anything else has none.
func (t *token) members() []pair {
	if t == nil || t.kind != kindMapping {
		return nil
	}
	return t.pairs
}

// list returns the items of a sequence, or the token itself where one scalar stands for a sequence of one.
func (t *token) list() []*token {
	switch {
	case t == nil, t.kind == kindNull:
		return nil
	case t.kind == kindSequence:
		return t.items
	}
	return []*token{t}
}

// literal returns the text of a scalar that is no expression.
func (t *token) literal() (string, bool) {
	if t == nil {
		return "", false
	}
	switch t.kind {
	case kindString:
		return t.text, true
	case kindBool, kindNumber:
		return pipeline.Text(t.data()), true
	}
	return "", false
}

// is reports whether the token is of that kind.
func (t *token) is(k kind) bool { return t != nil && t.kind == k }

// data returns a token without expressions as data; expressions within become their source.
func (t *token) data() pipeline.Data {
	if t == nil {
		return nil
	}
	switch t.kind {
	case kindBool:
		return t.bool
	case kindNumber:
		return t.num
	case kindString:
		return t.text
	case kindExpression, kindInsert:
		return t.text
	case kindSequence:
		out := make([]any, len(t.items))
		for i, item := range t.items {
			out[i] = item.data()
		}
		return out
	case kindMapping:
		m := &pipeline.Map{}
		for _, p := range t.pairs {
			m.Set(p.key.text, p.value.data())
		}
		return m
	}
	return nil
}

// constant reports whether no expression is in the token.
func (t *token) constant() bool {
	if t == nil {
		return true
	}
	switch t.kind {
	case kindExpression, kindInsert:
		return false
	case kindSequence:
		for _, item := range t.items {
			if !item.constant() {
				return false
			}
		}
	case kindMapping:
		for _, p := range t.pairs {
			if !p.key.constant() || !p.value.constant() {
				return false
			}
		}
	}
	return true
}

// width is how many bytes of its line the token takes, as far as that is plain to see.
func (t *token) width() int {
	switch t.kind {
	case kindSequence, kindMapping:
		return 1
	}
	if t.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return 1
	}
	n := len(t.text)
	if i := strings.IndexByte(t.text, '\n'); i >= 0 {
		n = i
	}
	if t.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		n += 2
	}
	return max(1, n)
}
