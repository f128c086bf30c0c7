package remote

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gantry-ops/gantry/cmd/gantry/internal/tables"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/store"
)

func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// ago is how long something is back, or ahead.
func ago(t store.Time) string {
	if t.IsZero() {
		return ""
	}
	d := time.Since(t.Time)
	if d < 0 {
		return "in " + tables.Span(-d)
	}
	return tables.Span(d) + " ago"
}

// took is how long something lasted, or lasts so far.
func took(from, to store.Time) string {
	if from.IsZero() {
		return ""
	}
	end := time.Now()
	if !to.IsZero() {
		end = to.Time
	}
	switch d := max(0, end.Sub(from.Time)); {
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

// painter writes in colours, or without.
type painter bool

func (r *remote) painter(w io.Writer) painter {
	f, ok := w.(*os.File)
	return painter(ok && r.o.Color(f))
}

func (p painter) paint(attribute, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + attribute + "m" + text + "\x1b[0m"
}

// mark is a status as a sign and its colour.
func mark(s runs.Status) (sign, color string) {
	switch s {
	case runs.Success:
		return "✓", "32"
	case runs.Failure:
		return "✗", "31"
	case runs.Cancelled:
		return "⊘", "33"
	case runs.Skipped:
		return "–", "2"
	case runs.Running:
		return "▶", "36"
	case runs.Waiting:
		return "‖", "35"
	}
	return "·", "2"
}

func (p painter) status(s runs.Status) string {
	sign, color := mark(s)
	return p.paint(color, sign+" "+string(s))
}
