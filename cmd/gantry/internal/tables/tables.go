// Package tables writes tables for people: of the API's answers, and of what a host has. What is in their cells comes from others, from workloads and from
// repositories, and cannot break a table nor speak to the terminal.
package tables

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// Write writes rows in columns; the first is their heads, where there are any. An empty cell is "-".
func Write(w io.Writer, rows ...[]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = cmp.Or(OneLine(row[i]), "-")
		}
		if _, err := fmt.Fprintln(t, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// OneLine keeps what others have written from breaking a line, or from speaking to the terminal.
func OneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == ' ' }), " ")
}

// Span is a length of time in its largest unit: 5 s, 3 min, 40 h, 9 d. Less than nothing, as of a clock that was set, is 0 s.
func Span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}
