package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// showDiagnostics writes findings for people, with the lines they are about.
func showDiagnostics(w io.Writer, ds pipeline.Diagnostics, source func(string) []byte, color bool) {
	if !color {
		ds.Render(w, source)
		return
	}
	for _, d := range ds {
		var b bytes.Buffer
		pipeline.Diagnostics{d}.Render(&b, source)
		first, rest, _ := strings.Cut(b.String(), "\n")
		fmt.Fprintln(w, colorHead(d, first))
		for line := range strings.Lines(rest) {
			line = strings.TrimSuffix(line, "\n")
			switch before, after, ok := strings.Cut(line, " | "); {
			case strings.HasPrefix(line, "  hint: "):
				fmt.Fprintf(w, "  \x1b[36mhint:\x1b[0m %s\n", strings.TrimPrefix(line, "  hint: "))
			case ok && strings.Trim(after, " \t^") == "":
				fmt.Fprintf(w, "\x1b[2m%s |\x1b[0m \x1b[1;%sm%s\x1b[0m\n", before, severityColor(d.Severity), after)
			case ok:
				fmt.Fprintf(w, "\x1b[2m%s |\x1b[0m %s\n", before, after)
			default:
				fmt.Fprintln(w, line)
			}
		}
	}
}

func severityColor(s pipeline.Severity) string {
	switch s {
	case pipeline.Error:
		return "31"
	case pipeline.Warning:
		return "33"
	}
	return "34"
}

// colorHead colours the line that [pipeline.Diagnostic.Error] writes.
func colorHead(d pipeline.Diagnostic, line string) string {
	place, severity := d.Pos.String(), d.Severity.String()
	rest, ok := strings.CutPrefix(strings.TrimPrefix(line, place+": "), severity+": ")
	if !ok {
		return line
	}
	text := fmt.Sprintf("\x1b[1;%sm%s:\x1b[0m %s", severityColor(d.Severity), severity, rest)
	if place != "" {
		text = "\x1b[1m" + place + ":\x1b[0m " + text
	}
	return text
}

// counts of findings by severity.
type counts struct{ errors, warnings, notes int }

func count(ds pipeline.Diagnostics) (c counts) {
	for _, d := range ds {
		switch d.Severity {
		case pipeline.Error:
			c.errors++
		case pipeline.Warning:
			c.warnings++
		default:
			c.notes++
		}
	}
	return c
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
