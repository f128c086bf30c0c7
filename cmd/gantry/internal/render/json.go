package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/gantry-ops/gantry/runner"
)

// JSON writes one event a line, in the form that [runner.Event] documents. Log lines, of which there may be millions, are
// encoded by hand; everything else by encoding/json. Bytes that are no UTF-8 become U+FFFD, as encoding/json has it.
type JSON struct {
	stream *stream
}

// NewJSON returns a renderer for programs.
func NewJSON(o Options) *JSON { return &JSON{newStream(&o)} }

// Emit implements [runner.Sink].
func (j *JSON) Emit(e runner.Event) {
	if e.Type == runner.Log && e.Group == "" {
		line := e.Line
		e.Line = ""
		withBuffer(func(b []byte) []byte {
			b = appendEventLines(b, &e, append([]byte(line), '\n'))
			j.stream.Write(b)
			return b
		})
		return
	}
	withBuffer(func(b []byte) []byte {
		b = append(appendEvent(b, &e), '\n')
		j.stream.Write(b)
		return b
	})
	if e.Type == runner.RunFinished || e.Type == runner.JobFinished {
		j.stream.Flush()
	}
}

// Lines implements [runner.Sink].
func (j *JSON) Lines(head *runner.Event, lines []byte) {
	withBuffer(func(b []byte) []byte {
		b = appendEventLines(b, head, lines)
		j.stream.Write(b)
		return b
	})
}

// Close implements [Renderer].
func (j *JSON) Close() error { return j.stream.Close() }

// appendEvent encodes an event without the characters that only HTML needs escaped.
func appendEvent(dst []byte, e *runner.Event) []byte {
	w := bytes.NewBuffer(dst)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		// Only a time outside of years 0 to 9999 or a number that is none can get here.
		return fmt.Appendf(dst, `{"type":%q,"line":%q}`, e.Type, "event cannot be encoded: "+err.Error())
	}
	return bytes.TrimSuffix(w.Bytes(), []byte("\n"))
}

// appendEventLines encodes a log event for each line of lines. What they have in common is encoded once.
func appendEventLines(dst []byte, head *runner.Event, lines []byte) []byte {
	h := *head
	h.Type, h.Line = runner.Log, ""
	if h.Time.IsZero() {
		h.Time = time.Now()
	}
	start := len(dst)
	dst = appendEvent(dst, &h)
	dst = append(dst[:len(dst)-1], `,"line":"`...)
	prefixEnd := len(dst)
	valid := utf8.Valid(lines)
	for first := true; len(lines) > 0; first = false {
		if !first {
			dst = append(dst, dst[start:prefixEnd]...)
		}
		line := lines
		if i := bytes.IndexByte(lines, '\n'); i >= 0 {
			line, lines = lines[:i], lines[i+1:]
		} else {
			lines = nil
		}
		if valid {
			dst = appendEscaped(dst, line)
		} else {
			dst = appendEscaped(dst, bytes.ToValidUTF8(line, []byte("\uFFFD")))
		}
		dst = append(dst, '"', '}', '\n')
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// appendEscaped appends valid UTF-8 as the inside of a JSON string.
func appendEscaped(dst, s []byte) []byte {
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\t':
			dst = append(dst, '\\', 't')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(dst, s[start:]...)
}
