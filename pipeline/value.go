package pipeline

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Expr is a dialect's compiled expression. It is immutable; Eval may be called concurrently.
type Expr interface {
	// Eval computes the expression. An error is a fault of the expression (a bad argument to a
	// function, say) and fails the step or job that asked; it is no fault of Gantry's.
	Eval(*Scope) (Data, error)
	// String returns the source text, without the dialect's delimiters.
	String() string
}

// Explainer is an Expr that can say in words why it came out as it did, for example
// "github.ref == 'refs/heads/main' is false: github.ref is 'refs/heads/dev'".
type Explainer interface {
	Explain(*Scope) string
}

// Value is a literal or an expression, with its place. The zero Value is absent: it evaluates to nil.
type Value struct {
	Pos  Pos
	lit  Data
	expr Expr
}

// Literal returns the Value that always is v.
func Literal(pos Pos, v Data) Value { return Value{Pos: pos, lit: v} }

// Expression returns the Value that e computes.
func Expression(pos Pos, e Expr) Value { return Value{Pos: pos, expr: e} }

// IsZero reports whether the value is absent.
func (v Value) IsZero() bool { return v.lit == nil && v.expr == nil }

// Expr returns the expression, or nil for a literal.
func (v Value) Expr() Expr { return v.expr }

// Source returns the value as its author wrote it: the literal's text or the expression's source.
func (v Value) Source() string {
	if v.expr != nil {
		return v.expr.String()
	}
	return Text(v.lit)
}

// EvalError is a fault of an expression, with its place.
type EvalError struct {
	Pos Pos
	Err error
}

// Error returns the place and the fault.
func (e *EvalError) Error() string {
	if e.Pos.IsZero() {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %v", e.Pos, e.Err)
}

// Unwrap returns the fault without its place.
func (e *EvalError) Unwrap() error { return e.Err }

func (v Value) wrap(err error) error {
	var e *EvalError
	if errors.As(err, &e) {
		return err
	}
	return &EvalError{Pos: v.Pos, Err: err}
}

// Eval returns the value in a scope. Its errors are [*EvalError].
func (v Value) Eval(s *Scope) (Data, error) {
	if v.expr == nil {
		return v.lit, nil
	}
	d, err := v.expr.Eval(s)
	if err != nil {
		return nil, v.wrap(err)
	}
	return d, nil
}

// Text evaluates to text, as [Text] writes it.
func (v Value) Text(s *Scope) (string, error) {
	d, err := v.Eval(s)
	if err != nil {
		return "", err
	}
	return Text(d), nil
}

// Bool evaluates to a truth value; absent is false, and the texts "true" and "false" count.
func (v Value) Bool(s *Scope) (bool, error) {
	d, err := v.Eval(s)
	if err != nil {
		return false, err
	}
	switch d := d.(type) {
	case nil:
		return false, nil
	case bool:
		return d, nil
	case unknown:
		return false, nil
	case string:
		if b, err := strconv.ParseBool(strings.TrimSpace(d)); err == nil || d == "" {
			return b, nil
		}
	}
	return false, v.wrap(fmt.Errorf("expected true or false, got %q", Text(d)))
}

// Number evaluates to a number; ok is false where the value is absent, empty or Unknown.
func (v Value) Number(s *Scope) (n float64, ok bool, err error) {
	d, err := v.Eval(s)
	if err != nil {
		return 0, false, err
	}
	switch d := d.(type) {
	case nil, unknown:
		return 0, false, nil
	case float64:
		return d, !math.IsNaN(d), nil
	case string:
		d = strings.TrimSpace(d)
		if d == "" {
			return 0, false, nil
		}
		if n, err := strconv.ParseFloat(d, 64); err == nil {
			return n, true, nil
		}
	}
	return 0, false, v.wrap(fmt.Errorf("expected a number, got %q", Text(d)))
}

// Object evaluates to a mapping; absent, null and empty text are an empty one.
func (v Value) Object(s *Scope) (Object, error) {
	d, err := v.Eval(s)
	if err != nil {
		return nil, err
	}
	switch d := d.(type) {
	case nil, unknown:
		return (*Map)(nil), nil
	case Object:
		return d, nil
	case string:
		if strings.TrimSpace(d) == "" {
			return (*Map)(nil), nil
		}
	}
	return nil, v.wrap(fmt.Errorf("expected a mapping, got %q", Text(d)))
}

// List evaluates to a list of texts; a single value is a list of one, absent is an empty list.
func (v Value) List(s *Scope) ([]string, error) {
	d, err := v.Eval(s)
	if err != nil {
		return nil, err
	}
	switch d := d.(type) {
	case nil:
		return nil, nil
	case []any:
		out := make([]string, len(d))
		for i := range d {
			out[i] = Text(d[i])
		}
		return out, nil
	}
	return []string{Text(d)}, nil
}
