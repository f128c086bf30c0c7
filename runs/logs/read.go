package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gantry-ops/gantry/store"
)

// Page is a range of a log.
type Page struct {
	Lines []Line
	// Total is how many lines the log had when it was read; Complete: there will be no more.
	Total    int64
	Complete bool
}

// Read returns up to limit lines (0: DefaultLines, at most MaxLines) from a number on, the first line being 1; a negative number counts
// from the end, and where it reaches back too far, as 0 does, the first line is meant. A range behind the end has no lines.
func (s *Store) Read(ctx context.Context, job string, from int64, limit int) (*Page, error) {
	st, err := s.state(ctx, job)
	if err != nil {
		return nil, err
	}
	switch {
	case limit <= 0:
		limit = DefaultLines
	case limit > MaxLines:
		limit = MaxLines
	}
	if from < 0 {
		from = st.Lines + from + 1
	}
	from = max(from, 1)
	p := &Page{Lines: []Line{}, Total: st.Lines, Complete: st.Complete}
	to := st.Lines
	if st.Lines-from >= int64(limit) {
		to = from + int64(limit) - 1
	}
	if from > to {
		return p, nil
	}
	p.Lines = make([]Line, 0, to-from+1)
	err = s.sections(ctx, job, from, to, true, func(first int64, sec section) error {
		skip := int(max(from-first, 0))
		n := first + int64(skip)
		return sec.each(skip, func(l *Line, text []byte) bool {
			if n > to {
				return false
			}
			l.N, l.Text = n, string(text)
			p.Lines = append(p.Lines, *l)
			n++
			return true
		})
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// WriteTo writes the log from its first line to the one that is the last when it begins: each as it came, with a line end, so that the
// n-th line is that of number n. With timestamps, each has its time in RFC 3339, in UTC with microseconds, and a space in front.
func (s *Store) WriteTo(ctx context.Context, job string, timestamps bool, w io.Writer) error {
	st, err := s.state(ctx, job)
	if err != nil {
		return err
	}
	next, to := int64(1), st.Lines
	var buf []byte
	return s.sections(ctx, job, next, to, false, func(first int64, sec section) error {
		skip := int(next - first)
		next = first + int64(sec.count)
		if next > to+1 {
			// Lines came since; the text is cut where they begin.
			last := section{count: sec.count, text: sec.text}
			sec.text = sec.text[:len(sec.text)-len(last.tail(sec.count-int(next-to-1)))]
			next = to + 1
		}
		if !timestamps {
			_, err := w.Write(sec.tail(skip))
			return err
		}
		left := next - first - int64(skip)
		buf = buf[:0]
		if err := sec.each(skip, func(l *Line, text []byte) bool {
			if left--; left < 0 {
				return false
			}
			buf = l.Time.AppendFormat(buf, "2006-01-02T15:04:05.000000Z ")
			buf = append(append(buf, text...), '\n')
			return true
		}); err != nil {
			return err
		}
		_, err := w.Write(buf)
		return err
	})
}

// sections calls fn for the sections that hold the lines from one number to another, in order, each with the number of its first line.
// The first one may begin before from, the last may end after to. keep: what was decompressed is kept for others.
func (s *Store) sections(ctx context.Context, job string, from, to int64, keep bool, fn func(first int64, sec section) error) error {
	var stop error
	next := from
	for next <= to {
		before := next
		err := s.chunks(ctx, job, next, to, keep, func(c *chunk, raw []byte) error {
			if c.First > next {
				return fmt.Errorf("%w: lines %d to %d are missing", errDamaged, next, c.First-1)
			}
			first := c.First
			for len(raw) > 0 {
				sec, rest, err := nextSection(raw)
				if err != nil {
					return fmt.Errorf("the chunk at line %d: %w", c.First, err)
				}
				raw = rest
				end := first + int64(sec.count)
				if end > next && first <= to {
					if stop = fn(first, sec); stop != nil {
						return stop
					}
					next = end
				}
				first = end
			}
			if first != c.First+c.Lines {
				return fmt.Errorf("the chunk at line %d: %w: it has not the lines that its row says", c.First, errDamaged)
			}
			return nil
		})
		switch {
		case stop != nil:
			return stop
		case err == nil && next > before:
			continue
		case err == nil:
			err = fmt.Errorf("%w: the lines from %d on are missing", errDamaged, next)
		}
		if st, stateErr := s.state(ctx, job); stateErr == nil && st.Lines == 0 {
			err = errors.New("it was deleted meanwhile")
		}
		return fmt.Errorf("read the log of the job %s: %w", job, err)
	}
	return nil
}

// pageChunks is how many rows of chunks are read at a time.
const pageChunks = 32

// chunks calls fn for a page of the chunks that hold lines from one number to another, in order.
func (s *Store) chunks(ctx context.Context, job string, from, to int64, keep bool, fn func(c *chunk, raw []byte) error) error {
	var page []chunk
	err := s.o.DB.NewSelect().Model(&page).
		Where("job = ?", job).
		Where("first >= COALESCE((SELECT MAX(first) FROM log_chunks WHERE job = ? AND first <= ?), 0)", job, from).
		Where("first <= ?", to).
		Order("first").Limit(pageChunks).Scan(ctx)
	if err != nil {
		return err
	}
	for len(page) > 0 {
		run := together(page)
		if err := s.load(ctx, page[:run], keep, fn); err != nil {
			return err
		}
		page = page[run:]
	}
	return nil
}

// together returns how many chunks from the first on lie one behind the other in one blob, so that one request reads them.
func together(page []chunk) int {
	n := 1
	for n < len(page) && page[n].Blob != "" && page[n].Blob == page[0].Blob && page[n].Start == page[n-1].Start+page[n-1].Size {
		n++
	}
	return n
}

// load calls fn for chunks that lie together.
func (s *Store) load(ctx context.Context, run []chunk, keep bool, fn func(c *chunk, raw []byte) error) error {
	var blob []byte
	for i := range run {
		c := &run[i]
		key := chunkKey{c.Job, c.First, c.Lines}
		raw, ok := s.cache.get(key)
		if !ok {
			packed := c.Data
			if c.Blob != "" {
				if blob == nil {
					last := &run[len(run)-1]
					var err error
					if blob, err = s.readBlob(ctx, c.Blob, c.Start, last.Start+last.Size-c.Start); err != nil {
						return err
					}
				}
				packed, blob = blob[:c.Size], blob[c.Size:]
			}
			var err error
			if raw, err = s.codec.decode(packed, c.Bytes); err != nil {
				return fmt.Errorf("the chunk at line %d: %w", c.First, err)
			}
			if keep {
				s.cache.put(key, raw)
			}
		} else if blob != nil {
			blob = blob[c.Size:]
		}
		if err := fn(c, raw); err != nil {
			return err
		}
	}
	return nil
}

// readBlob reads a range of a blob.
func (s *Store) readBlob(ctx context.Context, key string, start, size int64) ([]byte, error) {
	r, err := s.o.Blobs.NewRangeReader(ctx, key, start, size, nil)
	if err != nil {
		return nil, fmt.Errorf("read the blob %s: %w", key, err)
	}
	defer r.Close()
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: it is shorter than it was", errDamaged)
		}
		return nil, fmt.Errorf("read the blob %s: %w", key, err)
	}
	return b, nil
}

func microseconds(n int64) store.Time { return store.Time{Time: time.UnixMicro(n).UTC()} }
