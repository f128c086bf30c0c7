package main

import (
	"bytes"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"unicode/utf16"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/gantry-ops/gantry/pipeline"
)

const homepage = "https://github.com/gantry-ops/gantry"

// writeSARIF writes a SARIF 2.1.0 log with one run, and a rule for each code that occurs.
func writeSARIF(w io.Writer, ds pipeline.Diagnostics, source func(string) []byte) error {
	report := sarifReport(ds, source)
	return report.PrettyWrite(w)
}

func sarifReport(ds pipeline.Diagnostics, source func(string) []byte) *sarif.Report {
	run := sarif.NewRunWithInformationURI("gantry", homepage)
	run.Tool.Driver.WithVersion(currentVersion().Version)
	columns := "utf16CodeUnits"
	run.ColumnKind = &columns
	for _, d := range ds {
		run.AddRule(d.Code).
			WithName(ruleName(d.Code)).
			WithDescription(strings.ReplaceAll(d.Code, "-", " ")).
			WithHelpURI(homepage + "/blob/main/docs/diagnostics.md#" + d.Code)
		message := d.Message
		if d.Hint != "" {
			message += " (" + d.Hint + ")"
		}
		result := run.CreateResultForRule(d.Code).WithLevel(d.Severity.String()).WithMessage(sarif.NewTextMessage(message))
		if d.Pos.File == "" {
			continue
		}
		place := sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewSimpleArtifactLocation(fileURI(d.Pos.File)))
		if d.Pos.Line > 0 {
			place.WithRegion(region(d, source(d.Pos.File)))
		}
		result.AddLocation(sarif.NewLocationWithPhysicalLocation(place))
	}
	report := sarif.NewReport()
	report.AddRun(run)
	return report
}

// ruleName is the code in Pascal case, which SARIF recommends for names.
func ruleName(code string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(code, "-") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}

// fileURI is relative for files of the project, so that a forge finds them.
func fileURI(file string) string {
	if filepath.IsAbs(file) {
		return (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()
	}
	return (&url.URL{Path: file}).EscapedPath()
}

// region turns a place in bytes into one in UTF-16 code units, which SARIF counts by default.
func region(d pipeline.Diagnostic, source []byte) *sarif.Region {
	r := sarif.NewRegion().WithStartLine(d.Pos.Line)
	if d.Pos.Col == 0 {
		return r
	}
	line := lineOf(source, d.Pos.Line)
	from := min(d.Pos.Col-1, len(line))
	to := min(from+max(1, d.Width), len(line))
	start := units(line[:from]) + 1
	return r.WithStartColumn(start).WithEndColumn(start + max(1, units(line[from:to])))
}

func units(b []byte) int { return len(utf16.Encode([]rune(string(b)))) }

// lineOf returns a line, counted from 1, without its end.
func lineOf(source []byte, n int) []byte {
	for ; n > 1; n-- {
		i := bytes.IndexByte(source, '\n')
		if i < 0 {
			return nil
		}
		source = source[i+1:]
	}
	line, _, _ := bytes.Cut(source, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'})
}
