package githubactions

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// value returns the token as a value of the model: a literal where no expression is in it. Mappings evaluate to
// *pipeline.Map; env says that their keys are names of variables, where case matters.
func (t *token) value() pipeline.Value    { return t.valueOf(false) }
func (t *token) envValue() pipeline.Value { return t.valueOf(true) }

func (t *token) valueOf(env bool) pipeline.Value {
	switch {
	case t == nil, t.bad, t.kind == kindNull, t.kind == kindInsert:
		return pipeline.Value{}
	case t.kind == kindExpression:
		return t.expression()
	case t.constant():
		d, _ := evalToken(nil, t, env)
		return pipeline.Literal(t.pos, d)
	}
	return pipeline.Expression(t.pos, &nested{t, env})
}

// nested is a sequence or mapping with expressions in it.
type nested struct {
	token *token
	env   bool
}

// Eval implements [pipeline.Expr].
func (n *nested) Eval(s *pipeline.Scope) (pipeline.Data, error) { return evalToken(s, n.token, n.env) }

// String returns the structure as JSON, with expressions as their source.
func (n *nested) String() string { return pipeline.Text(n.token.data()) }

// evalToken evaluates a token and what is in it. An Unknown that decides the keys of a mapping makes the mapping Unknown.
func evalToken(s *pipeline.Scope, t *token, env bool) (pipeline.Data, error) {
	switch t.kind {
	case kindExpression:
		return t.expression().Eval(s)
	case kindSequence:
		out := make([]any, 0, len(t.items))
		for _, item := range t.items {
			d, err := evalToken(s, item, env)
			if err != nil {
				return nil, err
			}
			out = append(out, d)
		}
		return out, nil
	case kindMapping:
		m := &pipeline.Map{CaseSensitive: env}
		for _, p := range t.pairs {
			value, err := evalToken(s, p.value, env || p.key.text == "env")
			if err != nil {
				return nil, err
			}
			key := p.key.text
			switch p.key.kind {
			case kindInsert:
				switch d := value.(type) {
				case nil:
				case pipeline.Object:
					m.Merge(d)
				default:
					if pipeline.IsUnknown(value) {
						return pipeline.Unknown, nil
					}
					return nil, evalErrorf(p.value, "${{ insert }} needs a mapping, got %q", pipeline.Text(value))
				}
				continue
			case kindExpression:
				d, err := p.key.expression().Eval(s)
				if err != nil {
					return nil, err
				}
				if pipeline.IsUnknown(d) {
					return pipeline.Unknown, nil
				}
				key = pipeline.Text(d)
			}
			m.Set(key, value)
		}
		return m, nil
	}
	return t.data(), nil
}

// memberOr returns the member of what a value evaluates to, for places where an expression may stand for a whole mapping. A
// text stands for the member called main.
func memberOr(v pipeline.Value, key, main string) pipeline.Value {
	return pipeline.Expression(v.Pos, &member{v, key, key == main})
}

type member struct {
	of   pipeline.Value
	key  string
	main bool
}

// Eval implements [pipeline.Expr].
func (m *member) Eval(s *pipeline.Scope) (pipeline.Data, error) {
	d, err := m.of.Eval(s)
	if err != nil {
		return nil, err
	}
	if o, ok := d.(pipeline.Object); ok {
		v, _ := o.Get(m.key)
		return v, nil
	}
	if m.main || pipeline.IsUnknown(d) {
		return d, nil
	}
	return nil, nil
}

// String returns the source of the whole.
func (m *member) String() string { return m.of.Source() }

// runName is the display name of a step that has none: "Run" and the first line of its script.
type runName struct{ script pipeline.Value }

// Eval implements [pipeline.Expr].
func (n runName) Eval(s *pipeline.Scope) (pipeline.Data, error) {
	d, err := n.script.Eval(s)
	if err != nil {
		return nil, err
	}
	if pipeline.IsUnknown(d) {
		return "Run " + firstLine(n.script.Source()), nil
	}
	return "Run " + firstLine(pipeline.Text(d)), nil
}

// String returns the name with the expressions as their source.
func (n runName) String() string { return "Run " + firstLine(n.script.Source()) }

func firstLine(text string) string {
	text = strings.TrimLeft(text, " \t\r\n")
	if i := strings.IndexAny(text, "\r\n"); i >= 0 {
		text = text[:i]
	}
	return strings.TrimRight(text, " \t")
}

// orTrue returns a value that is true where the other is absent.
func orTrue(v pipeline.Value) pipeline.Value { return pipeline.Expression(v.Pos, &presentOrTrue{v}) }

type presentOrTrue struct{ of pipeline.Value }

// Eval implements [pipeline.Expr].
func (p *presentOrTrue) Eval(s *pipeline.Scope) (pipeline.Data, error) {
	d, err := p.of.Eval(s)
	if err == nil && d == nil {
		return true, nil
	}
	return d, err
}

// String returns the source of the other value.
func (p *presentOrTrue) String() string { return p.of.Source() }

func evalErrorf(t *token, format string, args ...any) error {
	return &pipeline.EvalError{Pos: t.pos, Err: fmt.Errorf(format, args...)}
}

// unplaced returns the fault without the place that an error carries.
func unplaced(err error) error {
	var e *pipeline.EvalError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
