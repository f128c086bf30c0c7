package logs

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

const (
	benchLines = 1_300_000
	benchBatch = 4000
)

// fill appends a log of benchLines in batches as a worker sends them.
func fill(b *testing.B, s *Store, job string, all []Line) {
	for n := 0; n < benchLines; n += benchBatch {
		err := s.o.DB.Write(b.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := s.Append(ctx, tx, job, all[n:min(n+benchBatch, benchLines)])
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	all := lines(1, benchLines)
	size := int64(0)
	for i := range all {
		size += int64(len(all[i].Text)) + 1
	}
	s := newStore(b, storetest.Open(b), folder(b))
	b.SetBytes(size)
	n := 0
	for b.Loop() {
		job := fmt.Sprint("j", n)
		n++
		fill(b, s, job, all)
		complete(b, s, job)
		if err := s.Compact(b.Context(), job); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(benchLines*n)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkLog(b *testing.B) {
	s := newStore(b, storetest.Open(b), folder(b))
	fill(b, s, "j", lines(1, benchLines))
	complete(b, s, "j")
	if err := s.Compact(b.Context(), "j"); err != nil {
		b.Fatal(err)
	}
	info, err := s.Info(b.Context(), "j")
	if err != nil {
		b.Fatal(err)
	}
	b.Run("range of 1000 in the middle, another each time", func(b *testing.B) {
		n := int64(0)
		for b.Loop() {
			n += 7919 * 13
			if _, err := s.Read(b.Context(), "j", n%benchLines, 1000); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("the last 200", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Read(b.Context(), "j", -200, 200); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, pattern := range map[string]string{
		"search literal": "not there", "search regexp": `(?i)fail(ed|ure)`, "search alternatives": `(?i)warning:|fatal|panicked`, "search many matches": `cached: true`, "search every line": `[[:upper:]]{5} `,
	} {
		re := regexp.MustCompile(pattern)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(info.Bytes)
			for b.Loop() {
				if _, err := s.Search(b.Context(), "j", re, benchLines-1, MaxLines); err != nil {
					b.Fatal(err)
				}
				for next := int64(1); ; {
					m, err := s.Search(b.Context(), "j", re, next, MaxLines)
					if err != nil {
						b.Fatal(err)
					}
					if !m.More {
						break
					}
					next = m.Next
				}
			}
		})
	}
	b.Run("write to", func(b *testing.B) {
		b.SetBytes(info.Bytes)
		b.ReportAllocs()
		for b.Loop() {
			if err := s.WriteTo(b.Context(), "j", false, io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSmall is a job of a few lines, as most are: an append and the end, without what the caller does in the same transaction.
func BenchmarkSmall(b *testing.B) {
	s := newStore(b, storetest.Open(b), folder(b))
	few := lines(1, 20)
	n := 0
	for b.Loop() {
		n++
		err := s.o.DB.Write(b.Context(), func(ctx context.Context, tx *store.Tx) error {
			job := fmt.Sprint("j", n)
			if _, err := s.Append(ctx, tx, job, few); err != nil {
				return err
			}
			return s.Complete(ctx, tx, job)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSizes is what chunkSize and the levels were chosen by: how small chunks get, how fast, and what it costs to open one.
func BenchmarkSizes(b *testing.B) {
	for _, size := range []int{64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20} {
		for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression} {
			raw, _, err := pack(lines(1, int64(size/90)))
			if err != nil {
				b.Fatal(err)
			}
			e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1))
			if err != nil {
				b.Fatal(err)
			}
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
			if err != nil {
				b.Fatal(err)
			}
			packed := e.EncodeAll(raw, nil)
			b.Run(fmt.Sprintf("%d KiB/%v/pack", size>>10, level), func(b *testing.B) {
				b.SetBytes(int64(len(raw)))
				for b.Loop() {
					packed = e.EncodeAll(raw, packed[:0])
				}
				b.ReportMetric(float64(len(raw))/float64(len(packed)), "ratio")
			})
			b.Run(fmt.Sprintf("%d KiB/%v/open", size>>10, level), func(b *testing.B) {
				b.SetBytes(int64(len(raw)))
				for b.Loop() {
					if raw, err = d.DecodeAll(packed, raw[:0]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
