package render

import (
	"fmt"
	"strconv"
	"time"

	"github.com/gantry-ops/gantry/pipeline"
)

// style wraps text in ANSI attributes, or leaves it as it is.
type style bool

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "34"
	cyan   = "36"
)

func (s style) paint(attribute, text string) string {
	if !s || text == "" {
		return text
	}
	return "\x1b[" + attribute + "m" + text + "\x1b[0m"
}

// look is how a status is shown.
func look(status pipeline.Status, tolerated bool) (mark, word, color string) {
	switch {
	case tolerated:
		return "!", "failure (tolerated)", yellow
	case status == pipeline.Success:
		return "✓", "success", green
	case status == pipeline.Failure:
		return "✗", "failure", red
	case status == pipeline.Cancelled:
		return "⊘", "cancelled", yellow
	}
	return "–", "skipped", dim
}

// levelColor is the colour of an annotation.
func levelColor(level string) string {
	switch level {
	case "error":
		return red
	case "warning":
		return yellow
	}
	return blue
}

// annotationText is an annotation as compilers write theirs, so that editors and terminals find the place.
func annotationText(s style, a *pipeline.Annotation) string {
	text := s.paint(bold+";"+levelColor(a.Level), a.Level+":") + " " + a.Message
	if a.Title != "" && a.Title != a.Message {
		text = s.paint(bold+";"+levelColor(a.Level), a.Level+":") + " " + s.paint(bold, a.Title) + ": " + a.Message
	}
	if a.File == "" {
		return text
	}
	place := a.File
	if a.Line > 0 {
		place += ":" + strconv.Itoa(a.Line)
		if a.Col > 0 {
			place += ":" + strconv.Itoa(a.Col)
		}
	}
	return s.paint(bold, place+":") + " " + text
}

// duration is short and of steady precision: 12ms, 3.2s, 4m05s, 2h03m.
func duration(seconds float64) string {
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d < 0:
		return "0ms"
	case d < 999500*time.Microsecond:
		return fmt.Sprintf("%dms", d.Round(time.Millisecond).Milliseconds())
	case d < 59950*time.Millisecond:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour-500*time.Millisecond:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}
