package jobs

import (
	"context"
	"errors"
	"io"

	"gocloud.dev/blob"
)

// ranges reads a blob from any place. A range is opened when something is read, so that seeking costs nothing.
type ranges struct {
	ctx   context.Context
	blobs *blob.Bucket
	key   string
	size  int64
	at    int64
	open  *blob.Reader
}

func (r *ranges) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.at >= r.size {
		return 0, io.EOF
	}
	if r.open == nil {
		var err error
		if r.open, err = r.blobs.NewRangeReader(r.ctx, r.key, r.at, -1, nil); err != nil {
			return 0, err
		}
	}
	n, err := r.open.Read(p)
	r.at += int64(n)
	if errors.Is(err, io.EOF) && r.at < r.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (r *ranges) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the begin of the artifact")
	}
	if offset != r.at {
		if err := r.Close(); err != nil {
			return 0, err
		}
		r.at = offset
	}
	return offset, nil
}

func (r *ranges) Close() error {
	if r.open == nil {
		return nil
	}
	err := r.open.Close()
	r.open = nil
	return err
}
