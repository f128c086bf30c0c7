package logs

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// codec compresses chunks with zstd (RFC 8878), each with a checksum of its content.
type codec struct {
	// quick is for what is likely to be rewritten soon, thorough for what is moved into blobs.
	quick, thorough *zstd.Encoder
	decoder         *zstd.Decoder
}

// maxChunk bounds what a chunk may decompress to: a section has at least one line, which may be of MaxLine and a note.
const maxChunk = 16 << 20

func (c *codec) open() (err error) {
	encoder := func(level zstd.EncoderLevel) *zstd.Encoder {
		e, openErr := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(chunkSize))
		err = errors.Join(err, openErr)
		return e
	}
	c.quick, c.thorough = encoder(zstd.SpeedFastest), encoder(zstd.SpeedDefault)
	d, openErr := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(maxChunk))
	c.decoder = d
	return errors.Join(err, openErr)
}

func (c *codec) close() {
	c.quick.Close()
	c.thorough.Close()
	c.decoder.Close()
}

// decode returns what a chunk was before compression, which is as long as its row says.
func (c *codec) decode(packed []byte, size int64) ([]byte, error) {
	if size < 0 || size > maxChunk {
		return nil, fmt.Errorf("%w: its size is said to be %d", errDamaged, size)
	}
	raw, err := c.decoder.DecodeAll(packed, make([]byte, 0, size))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if int64(len(raw)) != size {
		return nil, fmt.Errorf("%w: it has %d bytes, not %d", errDamaged, len(raw), size)
	}
	return raw, nil
}
