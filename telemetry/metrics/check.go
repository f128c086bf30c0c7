package metrics

import (
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"
)

// CheckQuery says what is wrong with an expression, without a store: its syntax, its types, and a result that is no numbers. The error is a [QueryError]
// of the kind [ErrBadQuery], and its reason begins with the line and column in the expression.
func CheckQuery(expr string) error {
	fail := func(reason string) error { return &QueryError{Kind: ErrBadQuery, Expr: expr, Reason: reason} }
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return fail(err.Error())
	}
	switch t := e.Type(); t {
	case parser.ValueTypeVector, parser.ValueTypeScalar:
		return nil
	case parser.ValueTypeMatrix:
		return fail(fmt.Sprintf("1:1: it gives all samples of %s, not one number: put a function such as rate() around it", e))
	default:
		return fail(fmt.Sprintf("1:1: it gives a %s, not a number", t))
	}
}
