package jobs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gocloud.dev/blob"

	"github.com/gantry-ops/gantry/store"
)

const (
	// blobPrefix is what the keys of all blobs of artifacts begin with.
	blobPrefix = "artifacts/"
	// MaxArtifact bounds an artifact, in bytes.
	MaxArtifact = 10 << 30
	// uploadTime is how long an upload may take before what is there of it is thrown away.
	uploadTime = 24 * time.Hour
)

// PutArtifact implements [Queue]. size is the number of bytes that r has, or negative where that is not known; another number is an error.
// The artifact is there as a whole once PutArtifact returns, and not before. An artifact of an earlier attempt is replaced by any job's.
func (s *Service) PutArtifact(ctx context.Context, ref TaskRef, name string, size int64, r io.Reader) error {
	if err := checkArtifact(name); err != nil {
		return err
	}
	if size > MaxArtifact {
		return &InvalidError{Field: "size", Value: size, Message: fmt.Sprintf("must be at most %d bytes", int64(MaxArtifact))}
	}
	fail := func(err error) error { return fmt.Errorf("store the artifact %q: %w", name, err) }
	// The blob is garbage until a row refers to it, so that a crash leaves nothing for ever.
	key := ""
	var project string
	err := s.writes.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		j, err := held(ctx, tx, ref)
		if err != nil {
			return err
		}
		if _, err := replaceable(ctx, tx, j, name); err != nil {
			return err
		}
		key, project = blobPrefix+j.Run+"/"+rand.Text(), j.Project
		return s.discard(ctx, tx, s.now().Add(uploadTime), key)
	})
	if err != nil {
		return fail(err)
	}
	n, digest, err := s.upload(ctx, key, size, r)
	if err != nil {
		return fail(err)
	}
	tests := s.findTests(ctx, key, n)
	keep, err := s.keep(ctx, project)
	if err != nil {
		return fail(err)
	}
	err = s.writes.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		j, err := held(ctx, tx, ref)
		if err != nil {
			return err
		}
		old, err := replaceable(ctx, tx, j, name)
		if err != nil {
			return err
		}
		res, err := tx.NewDelete().Table("job_garbage").Where("blob = ? AND due > ?", key, store.At(s.now().Add(time.Minute))).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(errors.New("the upload took too long, and was thrown away"), err)
		}
		if old != nil {
			if err := s.discard(ctx, tx, s.now().Time, old.Blob); err != nil {
				return err
			}
			if _, err := tx.NewDelete().Table("job_tests").Where("job = ? AND artifact = ?", old.Job, name).Exec(ctx); err != nil {
				return err
			}
		}
		row := &artifactRow{Run: j.Run, Name: name, Attempt: j.Attempt, Job: j.ID, Path: j.Path, Size: n, Digest: digest, Blob: key, CreatedAt: s.now()}
		if keep > 0 {
			row.ExpiresAt = store.At(s.now().Add(keep))
		}
		_, err = tx.NewInsert().Model(row).On("CONFLICT (run, name) DO UPDATE").
			Set("attempt = excluded.attempt, job = excluded.job, path = excluded.path, size = excluded.size, digest = excluded.digest").
			Set("blob = excluded.blob, created_at = excluded.created_at, expires_at = excluded.expires_at").Exec(ctx)
		if err != nil {
			return err
		}
		if err := saveTests(ctx, tx, j.ID, name, tests); err != nil {
			return err
		}
		return j.tell(tx, "artifact.stored", "runner:"+j.Worker, map[string]any{"artifact": name, "size": n, "digest": digest})
	})
	if err != nil {
		return fail(err)
	}
	return nil
}

// replaceable returns the artifact that a job's would replace; ErrConflict where it may not.
func replaceable(ctx context.Context, tx *store.Tx, j *jobRow, name string) (*artifactRow, error) {
	old := &artifactRow{}
	err := forUpdate(tx, tx.NewSelect().Model(old).Where("run = ? AND name = ?", j.Run, name)).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if old.Job != j.ID && old.Attempt >= j.Attempt {
		return nil, fmt.Errorf("the job %q of this run has stored one of this name: %w", old.Path, ErrConflict)
	}
	return old, nil
}

// upload writes a blob and returns its size and digest. What has failed leaves no blob.
func (s *Service) upload(ctx context.Context, key string, size int64, r io.Reader) (n int64, digest string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.o.Blobs.NewWriter(ctx, key, &blob.WriterOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return 0, "", err
	}
	most := int64(MaxArtifact)
	if size >= 0 {
		most = size
	}
	sum := sha256.New()
	n, err = io.Copy(io.MultiWriter(w, sum), io.LimitReader(r, most+1))
	switch {
	case err != nil:
	case n > most:
		err = &InvalidError{Field: "size", Value: size, Message: fmt.Sprintf("does not fit: more than %d bytes have come", most)}
	case size >= 0 && n < size:
		err = fmt.Errorf("%d of %d bytes have come: %w", n, size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		cancel() // so that closing does not keep it
		w.Close()
		return 0, "", err
	}
	if err := w.Close(); err != nil {
		return 0, "", err
	}
	return n, "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

func (s *Service) keep(ctx context.Context, project string) (time.Duration, error) {
	if k, ok := s.o.Filler.(Keeper); ok {
		return k.KeepArtifacts(ctx, project)
	}
	return 0, nil
}

// checkArtifact refuses names that are no file's on some system.
func checkArtifact(name string) error {
	if name == "" || len(name) > 255 || name == "." || name == ".." || clean(name, 255) != name || strings.ContainsAny(name, "\"/:<>|*?\\\r\n") ||
		strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &InvalidError{Field: "name", Value: clean(name, 100), Message: `must have 1 to 255 bytes of UTF-8, none of " / : < > | * ? \ or control characters`}
	}
	return nil
}

// GetArtifact implements [Queue].
func (s *Service) GetArtifact(ctx context.Context, ref TaskRef, name string) (io.ReadCloser, error) {
	j, err := s.Held(ctx, ref)
	if err != nil {
		return nil, err
	}
	_, r, err := s.OpenArtifact(ctx, j.Run, name)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// ListArtifacts implements [Queue].
func (s *Service) ListArtifacts(ctx context.Context, ref TaskRef) ([]Artifact, error) {
	j, err := s.Held(ctx, ref)
	if err != nil {
		return nil, err
	}
	return s.Artifacts(ctx, j.Run)
}

// Artifacts returns those of a run, of all attempts, by name.
func (s *Service) Artifacts(ctx context.Context, run string) ([]Artifact, error) {
	var rows []artifactRow
	if err := s.o.DB.NewSelect().Model(&rows).Where("run = ?", run).Order("name").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list the artifacts of the run %s: %w", run, err)
	}
	out := make([]Artifact, 0, len(rows))
	for i := range rows {
		out = append(out, rows[i].artifact())
	}
	return out, nil
}

func (r *artifactRow) artifact() Artifact {
	return Artifact{
		Run: r.Run, Attempt: r.Attempt, Job: r.Job, Name: r.Name, Size: r.Size, Digest: r.Digest, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt,
	}
}

// OpenArtifact opens one to be read from any place. ctx ends what is read.
func (s *Service) OpenArtifact(ctx context.Context, run, name string) (*Artifact, io.ReadSeekCloser, error) {
	r := &artifactRow{}
	err := s.o.DB.NewSelect().Model(r).Where("run = ? AND name = ?", run, name).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil, fmt.Errorf("the artifact %q of the run %s: %w", clean(name, 255), clean(run, 100), ErrNotFound)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open the artifact %q: %w", name, err)
	}
	a := r.artifact()
	return &a, &ranges{ctx: ctx, blobs: s.o.Blobs, key: r.Blob, size: r.Size}, nil
}

// Source implements [Queue] where the Filler is an [Archiver].
func (s *Service) Source(ctx context.Context, ref TaskRef) (io.ReadCloser, error) {
	j, err := s.Held(ctx, ref)
	if err != nil {
		return nil, err
	}
	a, ok := s.o.Filler.(Archiver)
	if !ok {
		return nil, fmt.Errorf("the repository of the job %s cannot be read here: %w", j.ID, ErrNotFound)
	}
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	go func() {
		defer cancel()
		w.CloseWithError(a.Archive(ctx, j, w))
	}()
	return &piped{PipeReader: r, cancel: cancel}, nil
}

// piped ends its writer when it is closed.
type piped struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (p *piped) Close() error {
	p.cancel()
	return p.PipeReader.Close()
}
