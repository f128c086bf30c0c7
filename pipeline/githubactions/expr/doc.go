// Package expr is the expression language of GitHub Actions: what stands between ${{ and }}.
//
// The rules are those of https://docs.github.com/en/actions/reference/workflows-and-actions/expressions, and where that page is
// silent, of the evaluator cases that the vendor publishes. The package knows nothing of workflows: which contexts there
// are, and what the status functions answer, is the caller's [Env].
//
// Compiled expressions are immutable and safe for concurrent use. Values are pipeline.Data. An operand that is
// pipeline.Unknown makes a result unknown unless the other operand decides it, so that conditions can be looked at
// before a run.
package expr

import "github.com/gantry-ops/gantry/pipeline"

// Limits of the vendor: bytes of an expression and nesting of its operators.
const (
	MaxLength = 21_000
	MaxDepth  = 50
)

// Env is what an expression is evaluated against.
type Env interface {
	// Context returns a context by name, in any case; ok is false where there is none, which evaluates to null.
	Context(name string) (value pipeline.Data, ok bool)
	// Call answers the functions that depend on the run: success, failure, always, cancelled and hashFiles, named so.
	Call(name string, args []pipeline.Data) (pipeline.Data, error)
}

// Availability says what an expression may name at its place. Names count in any case. The functions that
// need no run (contains, format, …) are always available. nil makes everything available.
type Availability struct {
	Contexts  []string
	Functions []string
}

// SyntaxError is a mistake in an expression.
type SyntaxError struct {
	// Offset and Width are in bytes of the text that was compiled.
	Offset, Width int
	Msg           string
	// Hint says what to do; may be empty.
	Hint string
}

// Error returns the message.
func (e *SyntaxError) Error() string { return e.Msg }

// Expr is a compiled expression.
type Expr struct {
	source string
	root   node
	// condition: the result is the truth of the value.
	condition bool
}

// String returns the source, for a condition or a template the equivalent expression.
func (e *Expr) String() string { return e.source }
