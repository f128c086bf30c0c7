package logs

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzSections reads any bytes as a chunk: either it is damaged, or it can be walked in all ways alike.
func FuzzSections(f *testing.F) {
	for _, n := range []int64{1, 2, 200} {
		raw, _, err := pack(lines(1, n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(append(raw, raw...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			s, rest, err := nextSection(b)
			if err != nil {
				if !errors.Is(err, errDamaged) {
					t.Error(err)
				}
				return
			}
			n := 0
			err = s.each(0, func(l *Line, text []byte) bool {
				if !bytes.HasPrefix(s.tail(n), append(bytes.Clone(text), '\n')) {
					t.Errorf("line %d is %q", n, text)
				}
				n++
				return n < 50
			})
			if err == nil && n < min(s.count, 50) {
				t.Errorf("%d lines of %d", n, s.count)
			}
			b = rest
		}
	})
}
