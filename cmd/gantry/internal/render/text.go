package render

import (
	"bytes"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// appendSafe appends a line as a terminal may get it from a process that is not to be trusted with the screen: colours pass
// where allowed and end with the line; every other escape sequence and control character is left out. Of a line that was
// overwritten by carriage returns, the last version is kept. A tab stays unless flat is set, which makes it a blank.
func appendSafe(dst, line []byte, color, flat bool) []byte {
	line = bytes.TrimRight(line, "\r")
	if i := bytes.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	colored := false
	for i := 0; i < len(line); {
		c := line[i]
		switch {
		case c == 0x1b:
			n := escapeLen(line[i:])
			if color && n > 2 && line[i+1] == '[' && line[i+n-1] == 'm' {
				dst = append(dst, line[i:i+n]...)
				colored = true
			}
			i += n
		case c == '\t' && !flat:
			dst = append(dst, c)
			i++
		case c == '\t':
			dst = append(dst, ' ')
			i++
		case c < 0x20 || c == 0x7f:
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRune(line[i:])
			// C1 controls act as escape sequences on some terminals; U+202A and its like turn the reading direction round.
			if r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				i += n
				continue
			}
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	if colored {
		dst = append(dst, "\x1b[0m"...)
	}
	return dst
}

// escapeLen returns the length of the escape sequence that b begins with.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return len(b)
	}
	switch b[1] {
	case '[': // CSI: parameters, then a final byte from @ to ~
		for i := 2; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return i + 1
			}
			if b[i] < 0x20 || b[i] > 0x7e {
				return i
			}
		}
		return len(b)
	case ']', 'P', '_', '^', 'X': // OSC, DCS, APC, PM, SOS: up to BEL or ESC \
		for i := 2; i < len(b); i++ {
			if b[i] == 0x07 {
				return i + 1
			}
			if b[i] == 0x1b && i+1 < len(b) && b[i+1] == '\\' {
				return i + 2
			}
		}
		return len(b)
	case '(', ')', '*', '+', '#', ' ':
		return min(3, len(b))
	}
	return 2
}

// fit shortens text to a number of columns; colours count nothing and are ended.
func fit(text string, columns int) string {
	if columns <= 0 {
		return ""
	}
	if len(text) <= columns {
		return text
	}
	var out []byte
	width, colored := 0, false
	for i := 0; i < len(text); {
		if text[i] == 0x1b {
			n := escapeLen([]byte(text[i:]))
			out = append(out, text[i:i+n]...)
			i += n
			colored = true
			continue
		}
		_, n := utf8.DecodeRuneInString(text[i:])
		w := runewidth.StringWidth(text[i : i+n])
		if width+w > columns-1 && width+columnsOf(text[i:]) > columns {
			out = append(out, "…"...)
			break
		}
		out = append(out, text[i:i+n]...)
		width += w
		i += n
	}
	if colored {
		out = append(out, "\x1b[0m"...)
	}
	return string(out)
}

// columnsOf returns how many columns a text takes, colours left out.
func columnsOf(text string) int {
	plain := text
	if i := bytes.IndexByte([]byte(text), 0x1b); i >= 0 {
		var b []byte
		for i := 0; i < len(text); {
			if text[i] == 0x1b {
				i += escapeLen([]byte(text[i:]))
				continue
			}
			b = append(b, text[i])
			i++
		}
		plain = string(b)
	}
	return runewidth.StringWidth(plain)
}
