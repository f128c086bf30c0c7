package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gantry-ops/gantry/runs/jobs"
)

// conflictFor is how long the queue may go on contradicting before the worker gives in: the job will be another's.
const conflictFor = time.Minute

// persist repeats a call of the queue until it has an answer: nil, or an error by which the job is not this worker's any more or the call cannot
// succeed, or ctx has ended. down is told whether the queue can be reached.
func persist(ctx context.Context, log *slog.Logger, ref jobs.TaskRef, what string, down func(bool), call func(context.Context) error) error {
	var wait backoff
	var since time.Time
	for {
		err := call(ctx)
		switch {
		case err == nil:
			down(false)
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case gone(err), errors.As(err, new(*jobs.InvalidError)):
			return err // the same again would be answered the same
		case errors.Is(err, jobs.ErrConflict):
			if since.IsZero() {
				since = time.Now()
			}
			if time.Since(since) >= conflictFor {
				return err
			}
		}
		if wait.last == 0 {
			log.Warn("the queue cannot be reached; the job runs on", "call", what, "error", err)
		}
		down(true)
		wait.sleep(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// gone reports whether an error says that the job is not this worker's any more.
func gone(err error) bool { return errors.Is(err, jobs.ErrFenced) || errors.Is(err, jobs.ErrNotFound) }
