package ics

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gantry-ops/gantry/pipeline"
)

// The bounds of a file.
const (
	maxSize  = 4 << 20
	maxLines = 200_000
)

// line is a content line (RFC 5545, 3.1), unfolded.
type line struct {
	name   string // in capitals
	params map[string]string
	value  string
	pos    pipeline.Pos
	width  int
}

// param returns a parameter's value, "" where there is none.
func (l line) param(name string) string { return l.params[name] }

// lines takes a file apart. A line that is none is reported and left out.
func lines(file string, src []byte, diags *pipeline.Diagnostics) []line {
	start := pipeline.Pos{File: file, Line: 1, Col: 1}
	src = bytes.TrimPrefix(src, []byte("\xef\xbb\xbf"))
	if len(src) > maxSize {
		diags.Errorf(start, codeSize, "the calendar has %d bytes, the limit is %d", len(src), maxSize)
		return nil
	}
	var out []line
	var raw strings.Builder
	var at pipeline.Pos
	var width int
	flush := func() {
		if raw.Len() == 0 {
			return
		}
		l, problem := parseLine(raw.String())
		raw.Reset()
		if problem != "" {
			diags.Add(pipeline.Diagnostic{Pos: at, Width: width, Code: codeSyntax, Message: problem, Hint: "a line of a calendar is NAME:VALUE or NAME;PARAMETER=VALUE:VALUE"})
			return
		}
		l.pos, l.width = at, width
		out = append(out, l)
	}
	number := 0
	for text := range strings.Lines(string(src)) {
		number++
		if number > maxLines {
			diags.Errorf(pipeline.Pos{File: file, Line: number, Col: 1}, codeSize, "the calendar has more than %d lines", maxLines)
			return nil
		}
		text = strings.TrimRight(text, "\r\n")
		if text != "" && (text[0] == ' ' || text[0] == '\t') && raw.Len() > 0 {
			raw.WriteString(text[1:])
			continue
		}
		flush()
		if strings.TrimSpace(text) == "" {
			continue
		}
		raw.WriteString(text)
		at, width = pipeline.Pos{File: file, Line: number, Col: 1}, len(text)
	}
	flush()
	return out
}

// parseLine reads NAME *(";" PARAM "=" VALUE *("," VALUE)) ":" VALUE, where a parameter's value may stand in quotes.
func parseLine(text string) (l line, problem string) {
	if !utf8.ValidString(text) {
		return l, "the line is not valid UTF-8"
	}
	i := strings.IndexAny(text, ";:")
	if i <= 0 || !isName(text[:i]) {
		return l, "the line does not begin with a name and ':' or ';'"
	}
	l = line{name: strings.ToUpper(text[:i]), params: map[string]string{}}
	for text = text[i:]; text[0] == ';'; {
		name, rest, ok := strings.Cut(text[1:], "=")
		if !ok || !isName(name) {
			return l, fmt.Sprintf("a parameter of %s has no name and '='", l.name)
		}
		end := valueEnd(rest)
		if end < 0 {
			return l, fmt.Sprintf("the parameter %s of %s does not end", name, l.name)
		}
		l.params[strings.ToUpper(name)] = strings.Trim(rest[:end], `"`)
		text = rest[end:]
	}
	l.value = text[1:]
	return l, ""
}

// valueEnd finds the ';' or ':' behind a parameter's value, or -1.
func valueEnd(s string) int {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case !quoted && (s[i] == ';' || s[i] == ':'):
			return i
		}
	}
	return -1
}

func isName(s string) bool {
	for _, c := range []byte(s) {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// unescape reads TEXT (RFC 5545, 3.3.11).
func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\;`, ";", `\,`, ",", `\n`, " ", `\N`, " ").Replace(s)
}
