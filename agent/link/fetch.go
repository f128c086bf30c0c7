package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gantry-ops/gantry/agent/bundle"
)

// resumes is how often a download that breaks off goes on where it was.
const resumes = 5

// Fetch implements [agent.Source]. A download that breaks off is gone on with; that what arrived is what was asked for is for its reader to check.
func (c *client) Fetch(ctx context.Context, digest string) (io.ReadCloser, error) {
	digest, err := bundle.ParseDigest(digest)
	if err != nil {
		return nil, err
	}
	d := &download{ctx: ctx, client: c, digest: digest, size: -1}
	if err := d.open(); err != nil {
		return nil, fmt.Errorf("fetch %s: %w", digest, err)
	}
	return d, nil
}

// download reads an artifact over as many requests as it takes.
type download struct {
	ctx    context.Context // of who asked for it: a reader has none of its own
	client *client
	digest string
	body   io.ReadCloser
	// at is how many bytes were read, size how many there are; -1: the server did not say.
	at, size int64
	tried    int
}

func (d *download) open() error {
	r, err := http.NewRequestWithContext(d.ctx, http.MethodGet, d.client.server.String()+PathBundles+d.digest, nil)
	if err != nil {
		return err
	}
	want := http.StatusOK
	if d.at > 0 {
		r.Header.Set("Range", "bytes="+strconv.FormatInt(d.at, 10)+"-")
		want = http.StatusPartialContent
	}
	res, err := d.client.http.Do(r)
	if err != nil {
		return err
	}
	if res.StatusCode != want {
		defer res.Body.Close()
		if err := answer(res, nil); err != nil {
			return err
		}
		return fmt.Errorf("the server answers %d where %d was expected", res.StatusCode, want)
	}
	if d.at == 0 {
		d.size = res.ContentLength
	}
	d.body = res.Body
	return nil
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	for {
		n, err := d.body.Read(p)
		d.at += int64(n)
		if err == nil || n > 0 {
			return n, nil // what comes after is for the next call
		}
		if errors.Is(err, io.EOF) && (d.size < 0 || d.at >= d.size) {
			return 0, io.EOF
		}
		if d.ctx.Err() != nil || d.tried == resumes {
			return 0, err
		}
		d.tried++
		_ = d.body.Close()
		if !wait(d.ctx, time.Duration(d.tried)*200*time.Millisecond) {
			return 0, context.Cause(d.ctx)
		}
		if again := d.open(); again != nil {
			d.body = http.NoBody
			return 0, fmt.Errorf("%w; going on at byte %d: %w", err, d.at, again)
		}
	}
}

// Close implements io.Closer.
func (d *download) Close() error { return d.body.Close() }

// wait waits; false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
