package metrics

import (
	"errors"
	"fmt"
)

// The kinds of errors that a query may end with, by errors.Is. A query that was cancelled is context.Canceled.
var (
	// ErrBadQuery is an expression that cannot be parsed or evaluated, or times that make no sense. The same query will fail again.
	ErrBadQuery = errors.New("bad query")
	// ErrTimeout is a query that took longer than it may, by [Options.QueryTimeout], the other side's limit, or the context's deadline.
	ErrTimeout = errors.New("query timed out")
	// ErrTooManySamples is a query that would have held more samples in memory than it may, see [Options.MaxSamples].
	ErrTooManySamples = errors.New("query needs too many samples")
	// ErrUnavailable is a storage that does not answer, or not as a Prometheus does. The query may be right.
	ErrUnavailable = errors.New("metrics are not available")
)

// ErrSeriesLimit is why a sample was not taken: its series would be a new one, and there are as many as there may be.
var ErrSeriesLimit = errors.New("series limit exceeded")

// ErrInUse is a directory that another living process has open.
var ErrInUse = errors.New("directory is in use by another process")

// QueryError is a query that has no answer.
type QueryError struct {
	// Kind is one of this package's errors, or context.Canceled.
	Kind error
	// Expr is the expression as it was given.
	Expr string
	// Reason says what is wrong in the words of the one who found it.
	Reason string
}

func (e *QueryError) Error() string {
	return fmt.Sprintf("query %q: %v: %s", e.Expr, e.Kind, e.Reason)
}

// Unwrap makes errors.Is see the kind.
func (e *QueryError) Unwrap() error { return e.Kind }
