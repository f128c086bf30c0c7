package metrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
)

// Query implements [Querier].
func (s *Store) Query(ctx context.Context, expr string, at time.Time) (Result, error) {
	return s.ask(ctx, expr, func(ctx context.Context) (promql.Query, error) {
		return s.engine.NewInstantQuery(ctx, s.db, nil, expr, at)
	})
}

// QueryRange implements [Querier].
func (s *Store) QueryRange(ctx context.Context, expr string, r Range) (Result, error) {
	if err := r.check(); err != nil {
		return Result{}, &QueryError{Kind: ErrBadQuery, Expr: expr, Reason: err.Error()}
	}
	return s.ask(ctx, expr, func(ctx context.Context) (promql.Query, error) {
		return s.engine.NewRangeQuery(ctx, s.db, nil, expr, r.Start, r.End, r.Step)
	})
}

// check refuses times that make no sense.
func (r Range) check() error {
	switch {
	case r.Step < time.Millisecond:
		return fmt.Errorf("step %s is below 1ms", r.Step)
	case r.End.Before(r.Start):
		return fmt.Errorf("the range ends at %s, before it starts at %s", r.End.UTC().Format(time.RFC3339), r.Start.UTC().Format(time.RFC3339))
	case r.End.Sub(r.Start)/r.Step > maxSteps:
		return fmt.Errorf("the range has more than %d steps", maxSteps)
	}
	return nil
}

// ask makes a query, runs it and copies its result, whose memory is the engine's.
func (s *Store) ask(ctx context.Context, expr string, query func(context.Context) (promql.Query, error)) (Result, error) {
	ctx, leave, ok := s.gate.enter(ctx)
	if !ok {
		return Result{}, &QueryError{Kind: ErrUnavailable, Expr: expr, Reason: errClosed.Error()}
	}
	defer leave()
	q, err := query(ctx)
	if err != nil {
		return Result{}, queryError(ctx, expr, err)
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return Result{}, queryError(ctx, expr, res.Err)
	}
	var out Result
	out.Warnings, _ = res.Warnings.AsStrings(expr, 0, 0)
	switch v := res.Value.(type) {
	case promql.Scalar:
		out.Series = []Series{{Labels: map[string]string{}, Points: []Point{{timestamp.Time(v.T), v.V}}}}
	case promql.Vector:
		for _, sample := range v {
			if sample.H != nil {
				return Result{}, histogramError(expr)
			}
			out.Series = append(out.Series, Series{Labels: sample.Metric.Map(), Points: []Point{{timestamp.Time(sample.T), sample.F}}})
		}
	case promql.Matrix:
		for _, series := range v {
			if len(series.Histograms) > 0 {
				return Result{}, histogramError(expr)
			}
			points := make([]Point, len(series.Floats))
			for i, p := range series.Floats {
				points[i] = Point{timestamp.Time(p.T), p.F}
			}
			out.Series = append(out.Series, Series{Labels: series.Metric.Map(), Points: points})
		}
	default:
		return Result{}, &QueryError{Kind: ErrBadQuery, Expr: expr, Reason: fmt.Sprintf("the answer is a %s, not numbers", v.Type())}
	}
	return out, nil
}

// histogramError refuses an answer of native histograms: leaving them out would be missing data that nobody sees.
func histogramError(expr string) error {
	return &QueryError{Kind: ErrBadQuery, Expr: expr,
		Reason: "the answer has native histograms, not numbers; take histogram_quantile, histogram_count or histogram_fraction of it"}
}

// queryError finds the kind of an error of the engine. What it does not know by type is the expression's fault: so are a many-to-many
// matching, a wrong number of arguments, a duplicate label set.
func queryError(ctx context.Context, expr string, err error) error {
	var (
		kind     = ErrBadQuery
		timeout  promql.ErrQueryTimeout
		canceled promql.ErrQueryCanceled
		samples  promql.ErrTooManySamples
		read     promql.ErrTooManySamplesRead
		series   promql.ErrTooManySeries
		failed   promql.ErrStorage
	)
	switch {
	case context.Cause(ctx) == errClosed:
		return &QueryError{Kind: ErrUnavailable, Expr: expr, Reason: errClosed.Error()}
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		kind = ErrTimeout
	case errors.As(err, &canceled), errors.Is(err, context.Canceled), ctx.Err() != nil:
		kind = context.Canceled
	case errors.As(err, &samples), errors.As(err, &read), errors.As(err, &series):
		kind = ErrTooManySamples
	case errors.As(err, &failed):
		kind = ErrUnavailable
	}
	return &QueryError{Kind: kind, Expr: expr, Reason: err.Error()}
}
