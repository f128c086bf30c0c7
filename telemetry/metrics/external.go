package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

// ExternalOptions are what is needed to ask a Prometheus, or what answers like one: Thanos, Mimir, VictoriaMetrics.
type ExternalOptions struct {
	// URL is the address below which /api/v1/query is: http or https, without a name and password in it.
	URL string
	// Headers are sent with each request, for instance X-Scope-OrgID.
	Headers map[string]string
	// BearerTokenFile has the token to send, read anew at each request. Empty is none.
	BearerTokenFile string
	// TLS is for https.
	TLS TLS
	// Timeout is how long a query may take, 30 s by default.
	Timeout time.Duration
	// MaxBytes is how long an answer may be, 64 MiB by default.
	MaxBytes int64
}

// Elsewhere is a Prometheus, or what answers like one, that is asked over HTTP. It is a [Querier].
type Elsewhere struct {
	api     promv1.API
	url     *url.URL
	tripper http.RoundTripper
	timeout time.Duration
}

// External returns what asks elsewhere. It does not connect before it is asked.
func External(o ExternalOptions) (*Elsewhere, error) {
	fail := func(err error) (*Elsewhere, error) { return nil, fmt.Errorf("external metrics: %w", err) }
	u, err := checkURL(o.URL)
	if err != nil {
		return fail(err)
	}
	if (o.TLS.CertFile == "") != (o.TLS.KeyFile == "") {
		return fail(errors.New("a certificate needs its key, and a key its certificate"))
	}
	defaulted(&o.Timeout, 30*time.Second)
	defaulted(&o.MaxBytes, 64<<20)
	c := commonconfig.DefaultHTTPClientConfig
	c.TLSConfig = commonconfig.TLSConfig{CAFile: o.TLS.CAFile, CertFile: o.TLS.CertFile, KeyFile: o.TLS.KeyFile, ServerName: o.TLS.ServerName}
	if o.BearerTokenFile != "" {
		c.Authorization = &commonconfig.Authorization{Type: "Bearer", CredentialsFile: o.BearerTokenFile}
	}
	rt, err := commonconfig.NewRoundTripperFromConfig(c, "external_metrics")
	if err != nil {
		return fail(err)
	}
	limited := &limitedTripper{next: rt, headers: o.Headers, max: o.MaxBytes}
	client, err := api.NewClient(api.Config{Address: u.String(), RoundTripper: limited})
	if err != nil {
		return fail(err)
	}
	return &Elsewhere{api: promv1.NewAPI(client), url: u, tripper: limited, timeout: o.Timeout}, nil
}

// Query implements [Querier].
func (e *Elsewhere) Query(ctx context.Context, expr string, at time.Time) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	v, warnings, _, err := e.api.Query(ctx, expr, at, promv1.WithTimeout(e.timeout))
	return externalResult(ctx, expr, v, warnings, err)
}

// QueryRange implements [Querier].
func (e *Elsewhere) QueryRange(ctx context.Context, expr string, r Range) (Result, error) {
	if err := r.check(); err != nil {
		return Result{}, &QueryError{Kind: ErrBadQuery, Expr: expr, Reason: err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	v, warnings, _, err := e.api.QueryRange(ctx, expr, promv1.Range{Start: r.Start, End: r.End, Step: r.Step}, promv1.WithTimeout(e.timeout))
	return externalResult(ctx, expr, v, warnings, err)
}

func externalResult(ctx context.Context, expr string, v model.Value, warnings promv1.Warnings, err error) (Result, error) {
	if err != nil {
		return Result{}, externalError(ctx, expr, err)
	}
	out := Result{Warnings: warnings}
	switch v := v.(type) {
	case *model.Scalar:
		out.Series = []Series{{Labels: map[string]string{}, Points: []Point{{v.Timestamp.Time(), float64(v.Value)}}}}
	case model.Vector:
		for _, sample := range v {
			if sample.Histogram != nil {
				return Result{}, histogramError(expr)
			}
			out.Series = append(out.Series, Series{Labels: labelMap(sample.Metric), Points: []Point{{sample.Timestamp.Time(), float64(sample.Value)}}})
		}
	case model.Matrix:
		for _, stream := range v {
			if len(stream.Histograms) > 0 {
				return Result{}, histogramError(expr)
			}
			points := make([]Point, len(stream.Values))
			for i, p := range stream.Values {
				points[i] = Point{p.Timestamp.Time(), float64(p.Value)}
			}
			out.Series = append(out.Series, Series{Labels: labelMap(stream.Metric), Points: points})
		}
	case nil:
		return Result{}, &QueryError{Kind: ErrUnavailable, Expr: expr, Reason: "the answer has no data"}
	default:
		return Result{}, &QueryError{Kind: ErrBadQuery, Expr: expr, Reason: fmt.Sprintf("the answer is a %s, not numbers", v.Type())}
	}
	return out, nil
}

func labelMap(m model.Metric) map[string]string {
	labels := make(map[string]string, len(m))
	for name, value := range m {
		labels[string(name)] = string(value)
	}
	return labels
}

// externalError finds the kind of an error by the types that Prometheus' API documents. What they are is only in the body where the status is 503.
func externalError(ctx context.Context, expr string, err error) error {
	fail := func(kind error, reason string) error { return &QueryError{Kind: kind, Expr: expr, Reason: reason} }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fail(ErrTimeout, err.Error())
	case ctx.Err() != nil:
		return fail(context.Canceled, err.Error())
	}
	var e *promv1.Error
	if !errors.As(err, &e) {
		return fail(ErrUnavailable, err.Error())
	}
	kind, reason := e.Type, e.Msg
	if e.Detail != "" {
		var body struct {
			ErrorType promv1.ErrorType `json:"errorType"`
			Error     string           `json:"error"`
		}
		if json.Unmarshal([]byte(e.Detail), &body) == nil && body.ErrorType != "" {
			kind, reason = body.ErrorType, body.Error
		} else {
			reason += ": " + firstLine(e.Detail)
		}
	}
	switch {
	case kind == promv1.ErrTimeout:
		return fail(ErrTimeout, reason)
	case kind == promv1.ErrExec && strings.Contains(reason, "too many samples"):
		return fail(ErrTooManySamples, reason)
	case strings.Contains(reason, `unexpected value type "string"`):
		// The client knows no string, and thinks that the other side is to blame.
		return fail(ErrBadQuery, "the answer is a string, not numbers")
	case kind == promv1.ErrBadData, kind == promv1.ErrExec:
		return fail(ErrBadQuery, reason)
	}
	return fail(ErrUnavailable, reason)
}

// firstLine is what of a body, which may be a whole page, is worth showing.
func firstLine(body string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(body), "\n")
	if len(line) > 200 {
		line = line[:200] + "…"
	}
	return strings.ToValidUTF8(line, "\uFFFD")
}

// limitedTripper adds headers to requests and limits the length of answers.
type limitedTripper struct {
	next    http.RoundTripper
	headers map[string]string
	max     int64
}

func (t *limitedTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range t.headers {
		r.Header.Set(name, value)
	}
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, left: t.max}
	return resp, nil
}

type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errors.New("the answer is longer than it may be")
	}
	return n, err
}
