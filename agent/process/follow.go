package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"
)

// LogOptions say which lines are wanted.
type LogOptions struct {
	// Last is how many lines at the end are wanted of those that there are; negative: all.
	Last int
	// Follow goes on with new lines until the context ends or the instance is removed.
	Follow bool
}

// cursor is a place in a log.
type cursor struct {
	number, offset int64
}

// read returns the lines of a log, oldest first. The text of a line is the caller's.
func (l *logs) read(ctx context.Context, o LogOptions) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		at, err := l.last(o.Last)
		if err != nil {
			yield(Line{}, err)
			return
		}
		for {
			if err := context.Cause(ctx); err != nil {
				yield(Line{}, err)
				return
			}
			l.mu.Lock()
			changed, closed, newest := l.changed, l.closed, l.number
			l.mu.Unlock()
			ok, err := l.readFile(ctx, &at, yield)
			if !ok {
				return
			}
			if err != nil {
				yield(Line{}, err)
				return
			}
			if at.number < newest {
				next, err := l.after(at.number)
				if err != nil {
					yield(Line{}, err)
					return
				}
				if next > at.number+1 {
					gap := Line{Time: time.Now(), Stream: Agent, Text: []byte("lines were left out: the log was rotated faster than it was read")}
					if !yield(gap, nil) {
						return
					}
				}
				at = cursor{number: next}
				continue
			}
			if closed || !o.Follow {
				return
			}
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
	}
}

// after returns the number of the file that follows another.
func (l *logs) after(number int64) (int64, error) {
	numbers, err := l.numbers()
	if err != nil {
		return 0, err
	}
	for _, n := range numbers {
		if n > number {
			return n, nil
		}
	}
	return number + 1, nil
}

// readFile yields the whole lines of a file from a place on, which it moves. ok is false where no more are wanted.
func (l *logs) readFile(ctx context.Context, at *cursor, yield func(Line, error) bool) (ok bool, err error) {
	f, err := os.Open(l.path(at.number))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // rotated away
	}
	if err != nil {
		return true, err
	}
	defer f.Close()
	if _, err := f.Seek(at.offset, io.SeekStart); err != nil {
		return true, err
	}
	r := bufio.NewReaderSize(f, 64<<10)
	for ctx.Err() == nil {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return true, nil // what there is of the last line is being written
		}
		if err != nil {
			return true, err
		}
		at.offset += int64(len(line))
		if parsed, ok := parseLine(line[:len(line)-1]); ok && !yield(parsed, nil) {
			return false, nil
		}
	}
	return true, nil
}

// last returns the place before the last n lines.
func (l *logs) last(n int) (cursor, error) {
	numbers, err := l.numbers()
	if err != nil || len(numbers) == 0 {
		return cursor{}, err
	}
	if n < 0 {
		return cursor{number: numbers[0]}, nil
	}
	found := cursor{number: numbers[len(numbers)-1]}
	for i := len(numbers) - 1; i >= 0; i-- {
		data, err := os.ReadFile(l.path(numbers[i]))
		if errors.Is(err, fs.ErrNotExist) {
			return found, nil // rotated away, and those before it as well
		}
		if err != nil {
			return cursor{}, err
		}
		if have := bytes.Count(data, []byte{'\n'}); have <= n && i > 0 {
			n -= have
			found = cursor{number: numbers[i]}
			continue
		}
		end := len(data)
		if whole := bytes.LastIndexByte(data, '\n'); whole >= 0 {
			end = whole + 1
		}
		for at := end; ; n-- {
			if n == 0 {
				return cursor{numbers[i], int64(at)}, nil
			}
			if at == 0 {
				return cursor{number: numbers[i]}, nil
			}
			at = bytes.LastIndexByte(data[:at-1], '\n') + 1
		}
	}
	return found, nil
}
