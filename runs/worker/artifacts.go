package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gantry-ops/gantry/runner/storage"
	"github.com/gantry-ops/gantry/runs/jobs"
)

// ArtifactStore is where a job finds the artifacts of its run, and leaves its own: in a folder of its own here, and at the queue.
type ArtifactStore struct{ *storage.Artifacts }

// openArtifacts makes the store of a task; closing removes the folder.
func openArtifacts(ctx context.Context, q jobs.Queue, ref jobs.TaskRef, dir string, persist func(call func(context.Context) error) error) (*ArtifactStore, func(), error) {
	temp, err := os.MkdirTemp(dir, "gantry-artifacts-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a place for artifacts: %w", err)
	}
	r := &remote{ctx, q, ref, persist}
	return &ArtifactStore{storage.OpenRemoteArtifacts(temp, r)}, func() { os.RemoveAll(temp) }, nil
}

// remote are the artifacts at the queue. It implements [storage.Remote], which has no contexts: its calls end with the task.
type remote struct {
	ctx     context.Context
	queue   jobs.Queue
	ref     jobs.TaskRef
	persist func(call func(context.Context) error) error
}

var _ storage.Remote = (*remote)(nil)

// Put implements [storage.Remote].
func (r *remote) Put(_, name string, size int64, content io.Reader) error {
	again, ok := content.(io.Seeker)
	if !ok {
		return errors.New("the content of an artifact has to be a file")
	}
	err := r.persist(func(ctx context.Context) error {
		if _, err := again.Seek(0, io.SeekStart); err != nil {
			return final{err}
		}
		err := r.queue.PutArtifact(ctx, r.ref, name, size, io.LimitReader(content, size))
		if errors.Is(err, jobs.ErrConflict) {
			return final{fmt.Errorf("%w: %q: %w", storage.ErrArtifactExists, name, err)}
		}
		return err
	})
	return unwrapFinal(err)
}

// Names implements [storage.Remote].
func (r *remote) Names(string) ([]string, error) {
	var names []string
	err := r.persist(func(ctx context.Context) error {
		all, err := r.queue.ListArtifacts(ctx, r.ref)
		if err != nil {
			return err
		}
		names = nil
		for _, a := range all {
			names = append(names, a.Name)
		}
		return nil
	})
	return names, unwrapFinal(err)
}

// Get implements [storage.Remote].
func (r *remote) Get(_, name string) (io.ReadCloser, error) {
	var content io.ReadCloser
	err := r.persist(func(ctx context.Context) error {
		var err error
		content, err = r.queue.GetArtifact(ctx, r.ref, name)
		if errors.Is(err, jobs.ErrNotFound) {
			return final{fmt.Errorf("%w: %w", err, fs.ErrNotExist)}
		}
		return err
	})
	return content, unwrapFinal(err)
}

// final is an error that must not be met by another try.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

func unwrapFinal(err error) error {
	var f final
	if errors.As(err, &f) {
		return f.error
	}
	return err
}
