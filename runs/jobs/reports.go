package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"gocloud.dev/blob"

	"github.com/gantry-ops/gantry/runs/junit"
	"github.com/gantry-ops/gantry/store"
)

// window is how much of an artifact is read at a time when test reports are looked for.
const window = 256 << 10

// findTests looks for test reports in what was stored. An artifact that is no archive has none; one whose reports cannot be read is stored
// all the same.
func (s *Service) findTests(ctx context.Context, key string, size int64) []TestSuite {
	found, err := junit.Find(ctx, &blobAt{ctx: ctx, blobs: s.o.Blobs, key: key, size: size}, size)
	if err != nil {
		return nil
	}
	var out []TestSuite
	for _, r := range found.Reports {
		for _, suite := range r.Suites {
			t := TestSuite{
				Name: suite.Name, Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Skipped: suite.Skipped, Seconds: suite.Seconds,
				Cases: make([]TestCase, 0, len(suite.Cases)),
			}
			for _, c := range suite.Cases {
				one := TestCase{Class: c.Class, Name: c.Name, Status: Failure, Seconds: c.Seconds, Message: c.Message, Output: c.Output}
				switch c.Status {
				case junit.Passed:
					one.Status = Success
				case junit.Skipped:
					one.Status = Skipped
				}
				t.Cases = append(t.Cases, one)
			}
			out = append(out, t)
		}
	}
	return out
}

// saveTests replaces the suites of an artifact.
func saveTests(ctx context.Context, tx *store.Tx, job, artifact string, suites []TestSuite) error {
	if _, err := tx.NewDelete().Table("job_tests").Where("job = ? AND artifact = ?", job, artifact).Exec(ctx); err != nil {
		return err
	}
	rows := make([]testRow, 0, len(suites))
	for i := range suites {
		rows = append(rows, testRow{Job: job, Artifact: artifact, Number: i + 1, Suite: document[TestSuite]{&suites[i]}})
	}
	for part := range slices.Chunk(rows, 50) {
		if _, err := tx.NewInsert().Model(&part).Exec(ctx); err != nil {
			return fmt.Errorf("keep the tests of %q: %w", artifact, err)
		}
	}
	return nil
}

// blobAt reads a blob from any place, a window at a time: the list of an archive's files is at its end.
type blobAt struct {
	ctx   context.Context
	blobs *blob.Bucket
	key   string
	size  int64
	start int64
	held  []byte
}

// ReadAt implements io.ReaderAt, for one caller at a time.
func (b *blobAt) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read before the begin of the artifact")
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= b.size {
			return n, io.EOF
		}
		if at < b.start || at >= b.start+int64(len(b.held)) {
			if err := b.fetch(at); err != nil {
				return n, err
			}
		}
		n += copy(p[n:], b.held[at-b.start:])
	}
	return n, nil
}

func (b *blobAt) fetch(at int64) error {
	r, err := b.blobs.NewRangeReader(b.ctx, b.key, at, min(window, b.size-at), nil)
	if err != nil {
		return err
	}
	defer r.Close()
	held, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		return io.ErrUnexpectedEOF
	}
	b.start, b.held = at, held
	return nil
}
