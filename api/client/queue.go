package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gantry-ops/gantry/runs/jobs"
)

// Queue is the server's queue of jobs for a runner on another machine. It repeats nothing by itself: its user does.
type Queue struct{ c *Client }

var _ jobs.Queue = (*Queue)(nil)

// Queue speaks for the runner whose token the client has.
func (c *Client) Queue() *Queue { return &Queue{c} }

// requestTimeout bounds the short requests of the protocol.
const requestTimeout = 20 * time.Second

// try makes a request once and turns what the server says into the queue's own errors.
func (q *Queue) try(ctx context.Context, r call, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return queued(q.c.do(ctx, r, out))
}

// queued translates problems.
func queued(err error) error {
	var p *Problem
	if !errors.As(err, &p) {
		return err
	}
	switch p.Status {
	case http.StatusGone:
		return fmt.Errorf("%w: %s", jobs.ErrFenced, p.Error())
	case http.StatusNotFound:
		return fmt.Errorf("%w: %s", jobs.ErrNotFound, p.Error())
	case http.StatusConflict:
		return fmt.Errorf("%w: %s", jobs.ErrConflict, p.Error())
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		// Sending it again would not help.
		return &jobs.InvalidError{Field: "request", Message: p.Error()}
	}
	return err
}

func token(ref jobs.TaskRef) url.Values {
	return url.Values{"token": {strconv.FormatInt(ref.Token, 10)}}
}

func job(ref jobs.TaskRef, parts ...string) string {
	return path(append([]string{"worker", "jobs", ref.Job}, parts...)...)
}

// Claim implements jobs.Queue.
func (q *Queue) Claim(ctx context.Context, w jobs.Worker, wait time.Duration) (*jobs.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+requestTimeout)
	defer cancel()
	in := map[string]any{"worker": w, "wait_seconds": wait.Seconds()}
	var t jobs.Task
	if err := q.c.do(ctx, call{method: http.MethodPost, path: "/worker/claim", in: in}, &t); err != nil {
		return nil, queued(err)
	}
	if t.Job == "" {
		return nil, nil
	}
	return &t, nil
}

// Renew implements jobs.Queue.
func (q *Queue) Renew(ctx context.Context, ref jobs.TaskRef) (jobs.Control, error) {
	var c jobs.Control
	return c, q.try(ctx, call{method: http.MethodPost, path: job(ref, "renew"), query: token(ref)}, &c)
}

// Report implements jobs.Queue.
func (q *Queue) Report(ctx context.Context, ref jobs.TaskRef, b jobs.Batch) error {
	return q.try(ctx, call{method: http.MethodPost, path: job(ref, "report"), query: token(ref), in: b}, nil)
}

// Finish implements jobs.Queue.
func (q *Queue) Finish(ctx context.Context, ref jobs.TaskRef, end jobs.TaskEnd) error {
	return q.try(ctx, call{method: http.MethodPost, path: job(ref, "finish"), query: token(ref), in: end}, nil)
}

// PutArtifact implements jobs.Queue.
func (q *Queue) PutArtifact(ctx context.Context, ref jobs.TaskRef, name string, size int64, r io.Reader) error {
	return queued(q.c.do(ctx, call{method: http.MethodPut, path: job(ref, "artifacts", name), query: token(ref), body: r, size: size, kind: "application/zip"}, nil))
}

// GetArtifact implements jobs.Queue.
func (q *Queue) GetArtifact(ctx context.Context, ref jobs.TaskRef, name string) (io.ReadCloser, error) {
	return q.download(ctx, job(ref, "artifacts", name), ref)
}

// ListArtifacts implements jobs.Queue.
func (q *Queue) ListArtifacts(ctx context.Context, ref jobs.TaskRef) ([]jobs.Artifact, error) {
	list, err := list[jobs.Artifact](ctx, q.c, job(ref, "artifacts"), token(ref))
	return list, queued(err)
}

// Source implements jobs.Queue.
func (q *Queue) Source(ctx context.Context, ref jobs.TaskRef) (io.ReadCloser, error) {
	return q.download(ctx, job(ref, "source"), ref)
}

func (q *Queue) download(ctx context.Context, path string, ref jobs.TaskRef) (io.ReadCloser, error) {
	res, err := q.c.open(ctx, get(path, token(ref)))
	if err != nil {
		return nil, queued(err)
	}
	return res.Body, nil
}
