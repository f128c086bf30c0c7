package logs

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gantry-ops/gantry/store"
)

// Line is one line of a job's log.
type Line struct {
	// N numbers the lines of the job from 1. Append gives it.
	N    int64      `json:"n"`
	Time store.Time `json:"t"`
	// Step is the number of the step; 0: the job itself.
	Step int `json:"s"`
	// Group is "begin" or "end" on lines that open and close a foldable group; Text is the title then.
	Group string `json:"g,omitempty"`
	// Notice: what Gantry itself says.
	Notice bool `json:"i,omitempty"`
	// Text has its ANSI colours, and no line end.
	Text string `json:"x"`
}

// The values of Line.Group.
const (
	GroupBegin = "begin"
	GroupEnd   = "end"
)

// MaxLine bounds the text of a line, in bytes.
const MaxLine = 1 << 20

// clean returns the text as it is kept: without line feeds, and not longer than MaxLine.
func clean(text string) string {
	if len(text) > MaxLine {
		cut := MaxLine
		for cut > MaxLine-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = fmt.Sprintf("%s [%d more bytes were cut off]", text[:cut], len(text)-cut)
	}
	if strings.IndexByte(text, '\n') >= 0 {
		text = strings.ReplaceAll(text, "\n", "\u2424")
	}
	return text
}
