package junit

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// seconds reads a time as the tools write it: "1.234", "1,234.5" and "1,234" with commas between thousands, "0,5" of a locale that has
// commas for the fraction, "1.5s". What is no time, or none that can be, is 0 and not known.
func seconds(text string) (s float64, known bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, false
	}
	if whole, fraction, ok := strings.Cut(text, ","); ok {
		if !strings.ContainsAny(fraction, ",.") && (len(fraction) != 3 || strings.Trim(whole, "0") == "") {
			text = whole + "." + fraction
		} else {
			text = strings.ReplaceAll(text, ",", "")
		}
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, false
		}
		s = d.Seconds()
	}
	const longest = 10 * 365 * 24 * 3600
	if math.IsNaN(s) || s < 0 || s > longest {
		return 0, false
	}
	return s, true
}

// cut shortens a text to some bytes, with a sign at the end that says so.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	at := limit - len("…")
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	return text[:at] + "…"
}

// output collects the texts of a case; of too much of it, it keeps the beginning and the end.
type output struct {
	head, tail []byte
	// lost is how many bytes were between them.
	lost int
}

// part begins a new text.
func (o *output) part() {
	if n := len(o.head); n > 0 && o.head[n-1] != '\n' || len(o.tail) > 0 {
		o.write([]byte{'\n'})
	}
}

func (o *output) write(b []byte) {
	const half = MaxOutput / 2
	if n := min(half-len(o.head), len(b)); n > 0 {
		o.head = append(o.head, b[:n]...)
		b = b[n:]
	}
	if len(b) > half {
		o.lost += len(b) - half
		b = b[len(b)-half:]
	}
	o.tail = append(o.tail, b...)
	if len(o.tail) > 2*half {
		o.lost += len(o.tail) - half
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-half:]...)
	}
}

func (o *output) String() string {
	const half = MaxOutput / 2
	head, tail, lost := o.head, o.tail, o.lost
	if len(tail) > half {
		lost += len(tail) - half
		tail = tail[len(tail)-half:]
	}
	if lost == 0 {
		return strings.Trim(string(head)+string(tail), "\r\n")
	}
	return strings.Trim(string(bytes.ToValidUTF8(head, nil)), "\r\n") +
		fmt.Sprintf("\n[%d bytes left out]\n", lost) +
		strings.Trim(string(bytes.ToValidUTF8(tail, nil)), "\r\n")
}
