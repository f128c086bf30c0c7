package expr

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// node is a part of an expression.
type node interface {
	eval(*evaluation) (pipeline.Data, error)
	// text is the part as source.
	text() string
	children() []node
}

type (
	literal struct {
		value  pipeline.Data
		source string
	}
	contextRef struct {
		name string
		at   int
	}
	index struct {
		of node
		by node
		// dotted: written as .name
		dotted bool
	}
	star   struct{ of node }
	invert struct{ of node }
	binary struct {
		op          string
		left, right node
	}
	call struct {
		name string // canonical
		args []node
		at   int
	}
	// group keeps the brackets of the source.
	group struct{ of node }
)

// function is what can be called.
type function struct {
	name     string
	min, max int
	// fn is nil for functions that the Env answers.
	fn func([]pipeline.Data) (pipeline.Data, error)
}

// lookupFunction finds a function by its name in any case.
func lookupFunction(name string) *function {
	for i := range functions {
		if strings.EqualFold(functions[i].name, name) {
			return &functions[i]
		}
	}
	return nil
}

type parser struct {
	lexer
	tok   token
	where *Availability
	depth int
}

// Compile compiles one expression. Its errors are *SyntaxError. An empty one evaluates to null.
func Compile(src string, a *Availability) (*Expr, error) {
	root, err := compileAt(src, 0, a)
	if err != nil {
		return nil, err
	}
	return &Expr{source: strings.TrimSpace(src), root: root}, nil
}

// compileAt compiles src, which stands at an offset of a larger text.
func compileAt(src string, base int, a *Availability) (node, error) {
	if len(src) > MaxLength {
		return nil, &SyntaxError{Offset: base, Width: 1, Msg: fmt.Sprintf("the expression is longer than %d characters", MaxLength)}
	}
	p := &parser{lexer: lexer{src: src, base: base}, where: a}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind == tokEnd {
		return &literal{nil, ""}, nil
	}
	n, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEnd {
		return nil, p.unexpected(p.tok)
	}
	return n, nil
}

func (p *parser) advance() *SyntaxError {
	tok, err := p.next()
	p.tok = tok
	return err
}

func (p *parser) is(punct string) bool { return p.tok.kind == tokPunct && p.tok.text == punct }

// The operators by binding, the weakest first.
var levels = [...][]string{{"||"}, {"&&"}, {"==", "!="}, {"<", "<=", ">", ">="}}

func (p *parser) binary(level int) (node, *SyntaxError) {
	if level == len(levels) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	if err != nil {
		return nil, err
	}
	for p.tok.kind == tokPunct && slices.Contains(levels[level], p.tok.text) {
		op := p.tok.text
		if err := p.advance(); err != nil {
			return nil, err
		}
		right, err := p.binary(level + 1)
		if err != nil {
			return nil, err
		}
		left = &binary{op, left, right}
	}
	return left, nil
}

// deeper bounds the nesting, so that no input can exhaust the stack.
func (p *parser) deeper() *SyntaxError {
	if p.depth++; p.depth > MaxDepth {
		return &SyntaxError{Offset: p.tok.at, Width: max(1, len(p.tok.text)), Msg: fmt.Sprintf("the expression is nested deeper than %d levels", MaxDepth)}
	}
	return nil
}

func (p *parser) unary() (node, *SyntaxError) {
	if !p.is("!") {
		return p.postfix()
	}
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	if err := p.advance(); err != nil {
		return nil, err
	}
	of, err := p.unary()
	if err != nil {
		return nil, err
	}
	return &invert{of}, nil
}

// postfix is an operand with what follows it by dots and square brackets.
func (p *parser) postfix() (node, *SyntaxError) {
	n, err := p.operand()
	if err != nil {
		return nil, err
	}
	for {
		switch {
		case p.is("."):
			if err := p.advance(); err != nil {
				return nil, err
			}
			switch {
			case p.is("*"):
				n = &star{n}
			case p.tok.kind == tokName:
				n = &index{of: n, by: &literal{p.tok.text, p.tok.text}, dotted: true}
			default:
				return nil, p.lexer.unexpected(p.tok)
			}
			if err := p.advance(); err != nil {
				return nil, err
			}
		case p.is("["):
			if err := p.advance(); err != nil {
				return nil, err
			}
			if p.is("*") {
				n = &star{n}
				if err := p.advance(); err != nil {
					return nil, err
				}
			} else {
				if err := p.deeper(); err != nil {
					return nil, err
				}
				by, err := p.binary(0)
				p.depth--
				if err != nil {
					return nil, err
				}
				n = &index{of: n, by: by}
			}
			if !p.is("]") {
				return nil, p.lexer.unexpected(p.tok)
			}
			if err := p.advance(); err != nil {
				return nil, err
			}
		default:
			return n, nil
		}
	}
}

func (p *parser) operand() (node, *SyntaxError) {
	tok := p.tok
	switch tok.kind {
	case tokNumber:
		return &literal{tok.num, tok.text}, p.advance()
	case tokString:
		return &literal{tok.value, tok.text}, p.advance()
	case tokName:
		if err := p.advance(); err != nil {
			return nil, err
		}
		if p.is("(") {
			return p.call(tok)
		}
		switch tok.text {
		case "null":
			return &literal{nil, "null"}, nil
		case "true":
			return &literal{true, "true"}, nil
		case "false":
			return &literal{false, "false"}, nil
		case "NaN":
			return &literal{math.NaN(), "NaN"}, nil
		case "Infinity":
			return &literal{math.Inf(1), "Infinity"}, nil
		}
		return p.context(tok)
	case tokPunct:
		if tok.text == "(" {
			if err := p.deeper(); err != nil {
				return nil, err
			}
			defer func() { p.depth-- }()
			if err := p.advance(); err != nil {
				return nil, err
			}
			n, err := p.binary(0)
			if err != nil {
				return nil, err
			}
			if !p.is(")") {
				return nil, p.lexer.unexpected(p.tok)
			}
			return &group{n}, p.advance()
		}
	}
	return nil, p.lexer.unexpected(tok)
}

func (p *parser) context(tok token) (node, *SyntaxError) {
	if p.where != nil && !containsFold(p.where.Contexts, tok.text) {
		e := &SyntaxError{Offset: tok.at, Width: len(tok.text), Msg: fmt.Sprintf("unrecognized named-value: '%s'", tok.text)}
		switch {
		case lookupFunction(tok.text) != nil:
			e.Hint = fmt.Sprintf("%s is a function: write %s(…)", tok.text, tok.text)
		case len(p.where.Contexts) == 0:
			e.Hint = "no context is available here; texts stand in single quotes"
		default:
			e.Hint = "available here: " + strings.Join(p.where.Contexts, ", ") + "; texts stand in single quotes"
		}
		return nil, e
	}
	return &contextRef{tok.text, tok.at}, nil
}

func (p *parser) call(tok token) (node, *SyntaxError) {
	f := lookupFunction(tok.text)
	if f == nil || f.fn == nil && p.where != nil && !containsFold(p.where.Functions, f.name) {
		e := &SyntaxError{Offset: tok.at, Width: len(tok.text), Msg: fmt.Sprintf("unrecognized function: '%s'", tok.text)}
		if f != nil {
			e.Hint = f.name + "() is not available here"
		}
		return nil, e
	}
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	if err := p.advance(); err != nil {
		return nil, err
	}
	c := &call{name: f.name, at: tok.at}
	for !p.is(")") {
		if len(c.args) > 0 {
			if !p.is(",") {
				return nil, p.lexer.unexpected(p.tok)
			}
			if err := p.advance(); err != nil {
				return nil, err
			}
		}
		arg, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, arg)
	}
	if n := len(c.args); n < f.min || n > f.max {
		return nil, &SyntaxError{Offset: tok.at, Width: len(tok.text), Msg: fmt.Sprintf("%s takes %s, got %d", f.name, argCount(f), n)}
	}
	if f.name == "case" && len(c.args)%2 == 0 {
		return nil, &SyntaxError{Offset: tok.at, Width: len(tok.text), Msg: "case takes pairs of a condition and a value, and a default at the end"}
	}
	return c, p.advance()
}

func argCount(f *function) string {
	switch {
	case f.max == 0:
		return "no arguments"
	case f.min == f.max && f.min == 1:
		return "1 argument"
	case f.min == f.max:
		return fmt.Sprintf("%d arguments", f.min)
	case f.max == maxArgs:
		return fmt.Sprintf("at least %d arguments", f.min)
	}
	return fmt.Sprintf("%d to %d arguments", f.min, f.max)
}

func containsFold(list []string, name string) bool {
	return slices.ContainsFunc(list, func(s string) bool {
		if i := strings.IndexByte(s, '('); i >= 0 {
			s = s[:i]
		}
		return strings.EqualFold(s, name)
	})
}

func (n *literal) children() []node    { return nil }
func (n *contextRef) children() []node { return nil }
func (n *index) children() []node      { return []node{n.of, n.by} }
func (n *star) children() []node       { return []node{n.of} }
func (n *invert) children() []node     { return []node{n.of} }
func (n *binary) children() []node     { return []node{n.left, n.right} }
func (n *call) children() []node       { return n.args }
func (n *group) children() []node      { return []node{n.of} }

func (n *literal) text() string    { return n.source }
func (n *contextRef) text() string { return n.name }
func (n *index) text() string {
	if n.dotted {
		return n.of.text() + "." + n.by.text()
	}
	return n.of.text() + "[" + n.by.text() + "]"
}
func (n *star) text() string   { return n.of.text() + ".*" }
func (n *invert) text() string { return "!" + n.of.text() }
func (n *binary) text() string { return n.left.text() + " " + n.op + " " + n.right.text() }
func (n *call) text() string {
	args := make([]string, len(n.args))
	for i, a := range n.args {
		args[i] = a.text()
	}
	return n.name + "(" + strings.Join(args, ", ") + ")"
}
func (n *group) text() string { return "(" + n.of.text() + ")" }

// Reference is a place where an expression names something of a context.
type Reference struct {
	// Context is its name in lower case; Path what follows as far as it is written out, "*" for all members.
	Context string
	Path    []string
	// Offset in bytes of the text that was compiled.
	Offset int
}

// References lists what the expression names, in its order.
func (e *Expr) References() []Reference {
	var out []Reference
	var walk func(node)
	walk = func(n node) {
		if r, ok := reference(n); ok {
			out = append(out, r)
			// What stands in square brackets may name more.
			for i, ok := n.(*index); ok; i, ok = i.of.(*index) {
				walk(i.by)
			}
			return
		}
		for _, c := range n.children() {
			walk(c)
		}
	}
	walk(e.root)
	return out
}

// reference reads a chain of members back to its context.
func reference(n node) (Reference, bool) {
	switch n := n.(type) {
	case *contextRef:
		return Reference{Context: strings.ToLower(n.name), Offset: n.at}, true
	case *star:
		if r, ok := reference(n.of); ok {
			r.Path = append(r.Path, "*")
			return r, true
		}
	case *index:
		r, ok := reference(n.of)
		if !ok {
			return r, false
		}
		l, isLiteral := n.by.(*literal)
		if s, isText := literalText(l, isLiteral); isText && !dynamic(n.of) {
			r.Path = append(r.Path, s)
		}
		return r, true
	}
	return Reference{}, false
}

func literalText(l *literal, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	s, isText := l.value.(string)
	return s, isText
}

// dynamic reports whether a chain already has a member that is computed.
func dynamic(n node) bool {
	for {
		switch m := n.(type) {
		case *index:
			if _, ok := m.by.(*literal); !ok {
				return true
			}
			n = m.of
		case *star:
			n = m.of
		default:
			return false
		}
	}
}
