package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/agent/bundle"
)

// resumes is how often a download that breaks off goes on where it was.
const resumes = 5

// resumePause is how much longer each pause before that is.
const resumePause = 200 * time.Millisecond

// errOther: what the server goes on with is not what was asked for.
var errOther = errors.New("the server answers with something else")

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
	// tried is how often it was gone on with, since something came last.
	tried int
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
		return fmt.Errorf("%w: %d, and %d was expected", errOther, res.StatusCode, want)
	}
	if d.at == 0 {
		d.size = res.ContentLength
	} else if got := res.Header.Get("Content-Range"); !strings.HasPrefix(got, "bytes "+strconv.FormatInt(d.at, 10)+"-") {
		return errors.Join(fmt.Errorf("%w: bytes from %d on were asked for, and %q come", errOther, d.at, got), res.Body.Close())
	}
	d.body = res.Body
	return nil
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	for {
		n, err := d.body.Read(p)
		d.at += int64(n)
		if n > 0 {
			d.tried = 0
		}
		if err == nil || n > 0 {
			return n, nil // what comes after is for the next call
		}
		if errors.Is(err, io.EOF) && (d.size < 0 || d.at >= d.size) {
			return 0, io.EOF
		}
		if err := d.goOn(err); err != nil {
			d.body = http.NoBody
			return 0, err
		}
	}
}

// goOn asks for what is missing after a download has broken off with why. What the server refuses is not asked for again.
func (d *download) goOn(why error) error {
	_ = d.body.Close()
	for {
		if d.ctx.Err() != nil {
			return context.Cause(d.ctx)
		}
		if d.tried == resumes {
			return fmt.Errorf("%w, at byte %d, %d times", why, d.at, resumes+1)
		}
		d.tried++
		if !wait(d.ctx, time.Duration(d.tried)*resumePause) {
			return context.Cause(d.ctx)
		}
		err := d.open()
		var p *Problem
		if err == nil || errors.As(err, &p) && p.Status < 500 || errors.Is(err, errOther) {
			if err != nil {
				err = fmt.Errorf("%w; going on at byte %d: %w", why, d.at, err)
			}
			return err
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
