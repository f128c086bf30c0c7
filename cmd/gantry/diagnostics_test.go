package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gantry-ops/gantry/pipeline"
)

// TestColorsAddNothing: without its colours, the coloured form is the plain one.
func TestColorsAddNothing(t *testing.T) {
	ds := pipeline.Diagnostics{
		{Severity: pipeline.Error, Pos: pipeline.Pos{File: "a.yml", Line: 1, Col: 3}, Width: 4, Code: "x", Message: "error: it says | so", Hint: "do that"},
		{Severity: pipeline.Warning, Pos: pipeline.Pos{File: "a.yml", Line: 2, Col: 1}, Code: "y", Message: "a | b\nsecond line"},
		{Severity: pipeline.Note, Message: "stands nowhere"},
	}
	source := func(string) []byte { return []byte("a | bcdef\n\tx | ^\n") }
	var plain, color bytes.Buffer
	showDiagnostics(&plain, ds, source, false)
	showDiagnostics(&color, ds, source, true)
	if !strings.Contains(color.String(), "\x1b[1;31merror:\x1b[0m") {
		t.Errorf("no colour: %q", color.String())
	}
	var b strings.Builder
	for i, part := range strings.Split(color.String(), "\x1b[") {
		if i > 0 {
			_, part, _ = strings.Cut(part, "m")
		}
		b.WriteString(part)
	}
	if b.String() != plain.String() {
		t.Errorf("without colours:\n%s\nplain:\n%s", b.String(), plain.String())
	}
}
