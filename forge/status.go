package forge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// State is how something about a commit stands.
type State string

// The states of a commit's status. What a forge cannot say, its client maps to the nearest that it can.
const (
	StatePending   State = "pending"
	StateRunning   State = "running"
	StateSuccess   State = "success"
	StateFailure   State = "failure"
	StateCancelled State = "cancelled"
	StateSkipped   State = "skipped"
	StateError     State = "error"
)

// Status is one line of what a forge shows beside a commit.
type Status struct {
	SHA string
	// Ref is the full ref, where it is known; Context names the line: setting it again replaces it.
	Ref, Context string
	State        State
	// Description is cut to what the forge takes; TargetURL is where it leads.
	Description, TargetURL string
}

// Reporter tells a forge how commits of one repository stand. Both methods may be repeated without effect beyond the first.
type Reporter interface {
	SetStatus(ctx context.Context, s Status) error
	// Comment makes the one comment with this marker on a pull request have this text (Markdown): it is edited where it is there
	// and made where it is not. The marker is hidden in the text.
	Comment(ctx context.Context, number int, marker, text string) error
}

// ReporterOptions are what the forges' clients are made of.
type ReporterOptions struct {
	// BaseURL is the API's address of one's own installation; empty: the vendor's.
	BaseURL string
	// Repository is the full name: "owner/name".
	Repository string
	Token      string
	// HTTP makes the requests; nil: a client with time limits.
	HTTP *http.Client
}

// Cut shortens a text to at most n characters, with an ellipsis.
func Cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:n-1]) + "…"
}

// Marked puts the marker in front of a comment, where Markdown does not show it.
func Marked(marker, text string) string { return Mark(marker) + "\n" + text }

// Mark is what a comment is found again by.
func Mark(marker string) string { return "<!-- gantry:" + marker + " -->" }

// Limits of a request to a forge.
const (

	// longestWait is for how long a request waits before it is tried again; a forge that asks for more is told of by the error.
	longestWait = 30 * time.Second
	tries       = 4
	answerLimit = 8 << 20
)

// NewHTTPClient returns the client that forges are asked by: it bounds time and answers, follows no redirect to another host, and
// repeats what a forge says may be repeated: 429, 403 with Retry-After (GitHub's secondary limits), and 5xx.
func NewHTTPClient() *http.Client {
	return &http.Client{Transport: &retrying{next: http.DefaultTransport, sleep: sleep}, Timeout: 3 * time.Minute,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 3 || r.URL.Host != via[0].URL.Host {
				return http.ErrUseLastResponse
			}
			return nil
		}}
}

// WithRetries returns a client that repeats requests over another transport, waiting by sleep; for tests.
func WithRetries(next http.RoundTripper, sleep func(context.Context, time.Duration) error) *http.Client {
	return &http.Client{Transport: &retrying{next: next, sleep: sleep}}
}

// retrying repeats requests.
type retrying struct {
	next  http.RoundTripper
	sleep func(context.Context, time.Duration) error
}

// RoundTrip implements http.RoundTripper.
func (r *retrying) RoundTrip(req *http.Request) (*http.Response, error) {
	for n := 1; ; n++ {
		again := req
		if n > 1 {
			again = req.Clone(req.Context())
			if req.Body != nil {
				if req.GetBody == nil {
					return nil, errors.New("the request cannot be repeated")
				}
				body, err := req.GetBody()
				if err != nil {
					return nil, err
				}
				again.Body = body
			}
		}
		res, err := r.next.RoundTrip(again)
		if err != nil {
			return nil, err
		}
		wait, ok := retryAfter(res, n)
		if !ok || n == tries || wait > longestWait {
			res.Body = struct {
				io.Reader
				io.Closer
			}{io.LimitReader(res.Body, answerLimit), res.Body}
			return res, nil
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
		res.Body.Close()
		if err := r.sleep(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// retryAfter says whether and when an answer asks for the request to be repeated.
func retryAfter(res *http.Response, n int) (time.Duration, bool) {
	wait, err := strconv.Atoi(res.Header.Get("Retry-After"))
	asked := err == nil && wait >= 0
	switch {
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode >= 500 && res.StatusCode != http.StatusNotImplemented, res.StatusCode == http.StatusForbidden && asked:
	default:
		return 0, false
	}
	if asked {
		return time.Duration(wait) * time.Second, true
	}
	return time.Duration(1<<(n-1)) * time.Second, true
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// SplitRepository takes a full name apart; owner may hold slashes.
func SplitRepository(full string) (owner, name string, err error) {
	for i := len(full) - 1; i > 0; i-- {
		if full[i] == '/' && i < len(full)-1 {
			return full[:i], full[i+1:], nil
		}
	}
	return "", "", fmt.Errorf("%q does not name a repository: expected owner/name", full)
}
