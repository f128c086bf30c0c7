package process

import (
	"bytes"
	"fmt"
	"regexp"
	"unicode/utf8"
)

// said keeps what a workload may have said of its end: people ask for that first.
type said struct {
	// last is the last line of the standard error, trouble the last line of any stream that looks like one.
	last, trouble []byte
}

// looksBad is what lines about trouble have in them, in the languages that services are written in.
var looksBad = regexp.MustCompile(`(?i)\b(error|fatal|panic|exception|cannot|can't|could not|denied|refused|failed|failure|no such|not found|already in use|unable to)\b|[a-z](Error|Exception)\b`)

// mostSaid is how much of a line is kept, in bytes; mostLooked is how much of it is looked at.
const (
	mostSaid   = 200
	mostLooked = 1000
)

func (s *said) hear(stream string, text []byte) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return
	}
	if stream == Stderr {
		s.last = append(s.last[:0], text[:min(len(text), mostLooked)]...)
	}
	if looksBad.Match(text[:min(len(text), mostLooked)]) {
		s.trouble = append(s.trouble[:0], text[:min(len(text), mostLooked)]...)
	}
}

func (s *said) forget() { s.last, s.trouble = s.last[:0], s.trouble[:0] }

// text is what was said, in quotation marks, or empty.
func (s *said) text() string {
	b := s.trouble
	if len(b) == 0 {
		b = s.last
	}
	if len(b) == 0 {
		return ""
	}
	if len(b) > mostSaid {
		b = b[:mostSaid]
		for len(b) > 0 && !utf8.RuneStart(b[len(b)-1]) {
			b = b[:len(b)-1]
		}
		return fmt.Sprintf("%q…", bytes.ToValidUTF8(b[:max(len(b)-1, 0)], nil))
	}
	return fmt.Sprintf("%q", bytes.ToValidUTF8(b, nil))
}
