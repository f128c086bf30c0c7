package ship

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/gantry-ops/gantry/ship/pack"
	"github.com/gantry-ops/gantry/store"
)

const (
	// blobPrefix is what the keys of candidates' blobs begin with; then comes the digest, and what makes the key unique: who stores a candidate at the
	// same time as another, or as a sweep takes it away, has a blob of its own.
	blobPrefix = "candidates/"
	// maxArtifact bounds an artifact, in bytes, as an agent does.
	maxArtifact = 2 << 30
)

// keep makes an artifact a candidate that is kept as long as releases need it, however soon the run that made it is forgotten.
func (s *Service) keep(ctx context.Context, r *record, service string, a Artifact) (Candidate, error) {
	fail := func(err error) (Candidate, error) {
		if errors.Is(err, pack.ErrRefused) {
			err = fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return Candidate{}, fmt.Errorf("keep the artifact %s of the run %s: %w", a.Name, a.Run, err)
	}
	spool, size, err := s.fetch(ctx, a)
	if err != nil {
		return fail(err)
	}
	defer func() {
		spool.Close()
		_ = os.Remove(spool.Name()) // what is left of it is in the system's own folder for such files
	}()
	write := func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(spool, 0, size))
		return err
	}
	head := make([]byte, 4)
	if _, err := spool.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return fail(err)
	}
	if pack.IsZip(head) {
		p, err := pack.Open(spool, size)
		if err != nil {
			return fail(err)
		}
		write = func(w io.Writer) error { return p.Write(ctx, w) }
	}
	sum := sha256.New()
	n := &counter{w: sum}
	if err := write(n); err != nil {
		return fail(err)
	}
	digest := "sha256:" + hex.EncodeToString(sum.Sum(nil))
	if err := s.put(ctx, r, service, digest, n.n, write); err != nil {
		return fail(err)
	}
	return Candidate{Service: service, Artifact: digest, Size: n.n, Run: a.Run, Name: a.Name}, nil
}

type counter struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// fetch brings an artifact into a file that is removed by the caller: an archive is read from its end.
func (s *Service) fetch(ctx context.Context, a Artifact) (*os.File, int64, error) {
	if a.Size > maxArtifact {
		return nil, 0, fmt.Errorf("%w: it has %d bytes, and a candidate at most %d", ErrRefused, a.Size, int64(maxArtifact))
	}
	from, err := s.o.Builds.Open(ctx, a)
	if err != nil {
		return nil, 0, err
	}
	defer from.Close()
	spool, err := os.CreateTemp("", "gantry-artifact-*")
	if err != nil {
		return nil, 0, err
	}
	size, err := io.Copy(spool, io.LimitReader(from, maxArtifact+1))
	switch {
	case err != nil:
	case size > maxArtifact:
		err = fmt.Errorf("%w: it is larger than %d bytes", ErrRefused, int64(maxArtifact))
	case size == 0:
		err = fmt.Errorf("%w: it is empty", ErrRefused)
	}
	if err != nil {
		return nil, 0, errors.Join(err, spool.Close(), os.Remove(spool.Name()))
	}
	return spool, size, nil
}

// put stores a candidate where it is not there yet, and that the release uses it.
func (s *Service) put(ctx context.Context, r *record, service, digest string, size int64, write func(io.Writer) error) error {
	there, err := s.use(ctx, r, service, digest, "", size)
	if err != nil || there {
		return err
	}
	key := blobPrefix + strings.TrimPrefix(digest, "sha256:") + "/" + rand.Text()
	writing, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.o.Blobs.NewWriter(writing, key, &blob.WriterOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return err
	}
	if err := write(w); err != nil {
		cancel() // a blob that is closed is there
		return errors.Join(err, ignoreCancel(w.Close()))
	}
	if err := w.Close(); err != nil {
		return err
	}
	there, err = s.use(ctx, r, service, digest, key, size)
	if err == nil && there {
		err = s.remove(ctx, key) // somebody else was faster
	}
	return err
}

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) || gcerrors.Code(err) == gcerrors.Canceled {
		return nil
	}
	return err
}

// use records that a release uses a candidate. It reports whether the candidate was there; with a key, it is there now.
func (s *Service) use(ctx context.Context, r *record, service, digest, key string, size int64) (bool, error) {
	there := make([]bool, 1)
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		var found []string
		sel := tx.NewSelect().Table("candidates").Column("digest").Where("digest = ?", digest)
		if lock := tx.ForUpdate(); lock != "" {
			sel = sel.For(lock)
		}
		if err := sel.Scan(ctx, &found); err != nil {
			return err
		}
		if there[0] = len(found) > 0; !there[0] {
			if key == "" {
				return nil
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO candidates (digest, blob, size, created_at) VALUES (?, ?, ?, ?)", digest, key, size, store.At(tx.Now())); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO candidate_uses (digest, project, service, release) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", digest, r.Release.Project, service, r.id)
		return err
	})
	return there[0], err
}

func (s *Service) remove(ctx context.Context, key string) error {
	if err := s.o.Blobs.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("delete a blob: %w", err)
	}
	return nil
}

// OpenArtifact opens a candidate's bytes by their digest, and says how many they are; [ErrNotFound] where there is none.
func (s *Service) OpenArtifact(ctx context.Context, digest string) (io.ReadSeekCloser, int64, error) {
	var keys []string
	if err := s.o.DB.NewSelect().Table("candidates").Column("blob").Where("digest = ?", digest).Scan(ctx, &keys); err != nil {
		return nil, 0, fmt.Errorf("look for the candidate %s: %w", digest, err)
	}
	if len(keys) == 0 {
		return nil, 0, fmt.Errorf("the candidate %.80s: %w", digest, ErrNotFound)
	}
	r, err := s.o.Blobs.NewReader(ctx, keys[0], nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, 0, fmt.Errorf("the candidate %.80s: %w", digest, ErrNotFound)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open the candidate %s: %w", digest, err)
	}
	return r, r.Size(), nil
}
