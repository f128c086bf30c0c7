package metrics

import (
	"context"
	"errors"
	"math"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// askers are the implementations of Querier, over the same samples.
func askers(t *testing.T, s *Store) map[string]Querier {
	server := httptest.NewServer(s.Handler("/prom"))
	t.Cleanup(server.Close)
	q, err := External(ExternalOptions{URL: server.URL + "/prom"})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]Querier{"embedded": s, "external": q}
}

// start is a time that all tests of queries begin at; the present would do as well, but is harder to read in a failure.
func start() time.Time { return time.Now().Add(-10 * time.Minute).Truncate(time.Minute) }

func TestQuerier(t *testing.T) {
	s := opened(t, func(o *Options) { o.MaxSamples = 1000 })
	begin := start()
	for i := range 21 {
		at := begin.Add(time.Duration(i) * 15 * time.Second)
		kept(t, s,
			sample(at, float64(10*i), "__name__", "requests_total", "version", "1"),
			sample(at, float64(5*i), "__name__", "requests_total", "version", "2"),
			sample(at, math.NaN(), "__name__", "nothing"),
			sample(at, math.Inf(1), "__name__", "everything"),
		)
	}
	end := begin.Add(5 * time.Minute)
	native(t, s, end)
	for name, q := range askers(t, s) {
		t.Run(name, func(t *testing.T) { testQuerier(t, q, begin, end) })
	}
}

// native keeps a native histogram.
func native(t *testing.T, s *Store, at time.Time) {
	t.Helper()
	app := s.db.AppenderV2(t.Context())
	h := &histogram.FloatHistogram{Count: 3, Sum: 6, Schema: 0, PositiveSpans: []histogram.Span{{Offset: 0, Length: 1}}, PositiveBuckets: []float64{3}}
	if _, err := app.Append(0, labels.FromStrings("__name__", "native"), 0, at.UnixMilli(), 0, nil, h, storage.AOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

func testQuerier(t *testing.T, q Querier, begin, end time.Time) {
	t.Run("a vector", func(t *testing.T) {
		r, err := q.Query(t.Context(), "sort(requests_total)", end)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Series) != 2 || r.Series[0].Labels["version"] != "2" || r.Series[0].Labels["__name__"] != "requests_total" || len(r.Series[0].Points) != 1 {
			t.Fatalf("%+v", r)
		}
		if p := r.Series[0].Points[0]; p.Value != 100 || !p.Time.Equal(end) {
			t.Errorf("%+v", p)
		}
	})
	t.Run("at the time that was asked for", func(t *testing.T) {
		if got, _ := value(t, q, `requests_total{version="1"}`, begin.Add(time.Minute)); got != 40 {
			t.Errorf("got %v", got)
		}
		if got, ok := value(t, q, `requests_total{version="1"}`, begin.Add(-time.Hour)); ok {
			t.Errorf("before there was anything, got %v", got)
		}
	})
	t.Run("a scalar", func(t *testing.T) {
		if got, ok := value(t, q, "1.5", end); !ok || got != 1.5 {
			t.Errorf("got %v, %v", got, ok)
		}
	})
	t.Run("a range vector", func(t *testing.T) {
		r, err := q.Query(t.Context(), `requests_total{version="1"}[1m]`, end)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Series) != 1 || len(r.Series[0].Points) != 4 || !r.Series[0].Points[3].Time.Equal(end) {
			t.Errorf("%+v", r)
		}
	})
	t.Run("a range", func(t *testing.T) {
		r, err := q.QueryRange(t.Context(), `rate(requests_total{version="1"}[1m])`, Range{begin.Add(time.Minute), end, time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Series) != 1 || len(r.Series[0].Points) != 5 {
			t.Fatalf("%+v", r)
		}
		for i, p := range r.Series[0].Points {
			if math.Abs(p.Value-10.0/15) > 1e-9 || !p.Time.Equal(begin.Add(time.Duration(i+1)*time.Minute)) {
				t.Errorf("point %d is %+v", i, p)
			}
		}
	})
	t.Run("nothing stays nothing", func(t *testing.T) {
		r, err := q.Query(t.Context(), "no_such_metric", end)
		if err != nil || len(r.Series) != 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("NaN and infinity stay", func(t *testing.T) {
		if got, ok := value(t, q, "nothing", end); !ok || !math.IsNaN(got) {
			t.Errorf("got %v, %v", got, ok)
		}
		if got, ok := value(t, q, "everything", end); !ok || !math.IsInf(got, 1) {
			t.Errorf("got %v, %v", got, ok)
		}
	})
	t.Run("warnings", func(t *testing.T) {
		r, err := q.Query(t.Context(), `histogram_quantile(2, requests_total)`, end)
		if err != nil || !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "quantile") }) {
			t.Errorf("%+v, %v", r, err)
		}
	})

	ask := func(expr string) func(context.Context) error {
		return func(ctx context.Context) error { _, err := q.Query(ctx, expr, end); return err }
	}
	over := func(r Range) func(context.Context) error {
		return func(ctx context.Context) error { _, err := q.QueryRange(ctx, "requests_total", r); return err }
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, tt := range []struct {
		name string
		ctx  context.Context
		do   func(context.Context) error
		kind error
		says string
	}{
		{"not PromQL", nil, ask("sum(("), ErrBadQuery, "parse error"},
		{"many to many", nil, ask(`requests_total + on() requests_total`), ErrBadQuery, "many-to-many"},
		{"a string", nil, ask(`"text"`), ErrBadQuery, "not numbers"},
		{"a native histogram", nil, ask("native"), ErrBadQuery, "native histograms"},
		{"more samples than one may", nil, ask(`sum_over_time(requests_total[5m:10ms])`), ErrTooManySamples, "too many samples"},
		{"no step", nil, over(Range{begin, end, 0}), ErrBadQuery, "step"},
		{"backwards", nil, over(Range{end, begin, time.Second}), ErrBadQuery, "before it starts"},
		{"too many steps", nil, over(Range{begin, end, time.Millisecond}), ErrBadQuery, "11000 steps"},
		{"cancelled", gone, ask("1"), context.Canceled, ""},
		{"too late", late, ask("1"), ErrTimeout, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := tt.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			err := tt.do(ctx)
			var e *QueryError
			if !errors.Is(err, tt.kind) || !errors.As(err, &e) || e.Expr == "" || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v that says %q", err, tt.kind, tt.says)
			}
			for _, other := range []error{ErrBadQuery, ErrTimeout, ErrTooManySamples, ErrUnavailable, context.Canceled} {
				if other != tt.kind && errors.Is(err, other) {
					t.Errorf("%v is also %v", err, other)
				}
			}
		})
	}
}

// TestQueryTimeout asks what takes far longer than it may.
func TestQueryTimeout(t *testing.T) {
	s := opened(t, func(o *Options) { o.QueryTimeout = 5 * time.Millisecond; o.MaxSamples = math.MaxInt32 })
	begin := start()
	var samples []Sample
	for i := range 20 {
		samples = append(samples, sample(begin, 1, "__name__", "m", "i", string(rune('a'+i))))
	}
	kept(t, s, samples...)
	for name, q := range askers(t, s) {
		t.Run(name, func(t *testing.T) {
			_, err := q.Query(t.Context(), "sum_over_time(sum(m)[1d:10ms])", begin.Add(time.Minute))
			if !errors.Is(err, ErrTimeout) {
				t.Errorf("got %v", err)
			}
		})
	}
}
