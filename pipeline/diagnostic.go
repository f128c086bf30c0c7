package pipeline

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Severity says what a diagnostic means for the run.
type Severity int

const (
	// Error refuses the pipeline: nothing runs.
	Error Severity = iota
	// Warning tells of something that probably is not what the author wants.
	Warning
	// Note tells of something that is handled in another way than at the vendor's.
	Note
)

// String returns "error", "warning" or "note", the names that SARIF uses too.
func (s Severity) String() string {
	switch s {
	case Error:
		return "error"
	case Warning:
		return "warning"
	}
	return "note"
}

// Diagnostic is one finding about a source file.
type Diagnostic struct {
	Severity Severity
	Pos      Pos
	// Width is how many bytes of the line the finding is about, at least 1; 0 is taken as 1.
	Width int
	// Code is a stable kebab-case name of the kind of finding, for example "unknown-key".
	Code string
	// Message says what is wrong, in one lower-case sentence without a full stop.
	Message string
	// Hint says what to do about it; empty where the message says it already.
	Hint string
}

// Error returns "file:line:col: severity: message [code]".
func (d Diagnostic) Error() string {
	var b strings.Builder
	if p := d.Pos.String(); p != "" {
		b.WriteString(p)
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%s: %s", d.Severity, d.Message)
	if d.Code != "" {
		fmt.Fprintf(&b, " [%s]", d.Code)
	}
	return b.String()
}

// Diagnostics is a list of findings. Front ends append to it and go on, so that one run of a check
// shows all there is to mend.
type Diagnostics []Diagnostic

// Add appends a finding.
func (ds *Diagnostics) Add(d Diagnostic) { *ds = append(*ds, d) }

// Errorf appends an error at pos.
func (ds *Diagnostics) Errorf(pos Pos, code, format string, args ...any) {
	ds.Add(Diagnostic{Severity: Error, Pos: pos, Code: code, Message: fmt.Sprintf(format, args...)})
}

// Warnf appends a warning at pos.
func (ds *Diagnostics) Warnf(pos Pos, code, format string, args ...any) {
	ds.Add(Diagnostic{Severity: Warning, Pos: pos, Code: code, Message: fmt.Sprintf(format, args...)})
}

// HasErrors reports whether one of the findings is an error.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Severity == Error })
}

// Sort orders the findings by file, line and column, and drops exact repetitions.
func (ds *Diagnostics) Sort() {
	slices.SortStableFunc(*ds, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col), cmp.Compare(a.Severity, b.Severity))
	})
	*ds = slices.Compact(*ds)
}

// Err returns nil when no finding is an error, and otherwise an error that lists all of the errors.
func (ds Diagnostics) Err() error {
	if !ds.HasErrors() {
		return nil
	}
	return &DiagnosticError{Diagnostics: ds}
}

// DiagnosticError is the error form of [Diagnostics]; find it with errors.As.
type DiagnosticError struct{ Diagnostics Diagnostics }

// Error lists the errors, one a line.
func (e *DiagnosticError) Error() string {
	var lines []string
	for _, d := range e.Diagnostics {
		if d.Severity == Error {
			lines = append(lines, d.Error())
		}
	}
	return strings.Join(lines, "\n")
}

// Render writes the findings for people: the sentence, the source line, a caret under the place, and
// the hint. source returns the text of a file, or nil where there is none to show.
func (ds Diagnostics) Render(w io.Writer, source func(file string) []byte) {
	lines := map[string][]string{}
	for _, d := range ds {
		fmt.Fprintln(w, d.Error())
		if d.Pos.Line > 0 && source != nil {
			all, ok := lines[d.Pos.File]
			if !ok {
				all = strings.Split(string(source(d.Pos.File)), "\n")
				lines[d.Pos.File] = all
			}
			if d.Pos.Line <= len(all) {
				renderCaret(w, d, strings.TrimRight(all[d.Pos.Line-1], "\r"))
			}
		}
		if d.Hint != "" {
			fmt.Fprintf(w, "  hint: %s\n", d.Hint)
		}
	}
}

// maxShown bounds the source line shown, so that a minified file does not fill the screen.
const maxShown = 160

func renderCaret(w io.Writer, d Diagnostic, line string) {
	col := min(max(d.Pos.Col, 1)-1, len(line))
	start := 0
	if col > maxShown-40 {
		start = col - maxShown/2
		for start > 0 && !utf8.RuneStart(line[start]) {
			start--
		}
	}
	shown := line[start:]
	if len(shown) > maxShown {
		end := maxShown
		for end > 0 && !utf8.RuneStart(shown[end]) {
			end--
		}
		shown = shown[:end] + "…"
	}
	shown = strings.ToValidUTF8(shown, "\uFFFD")
	// Tabs stay tabs, so that the caret stands under the character at any tab width.
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return '\t'
		}
		return ' '
	}, strings.ToValidUTF8(line[start:col], "?"))
	width := max(1, min(d.Width, len(line)-col))
	number := fmt.Sprint(d.Pos.Line)
	fmt.Fprintf(w, "  %s | %s\n  %s | %s%s\n", number, shown, strings.Repeat(" ", len(number)), pad, strings.Repeat("^", width))
}
