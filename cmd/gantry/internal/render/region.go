package render

import (
	"bytes"
	"fmt"
	"iter"
	"strings"
	"time"
)

// region is the part of the screen that is redrawn. The cursor rests on the line below it.
type region struct {
	widths []int // columns of the lines on the screen
}

// erase appends what removes the region from a screen that may have become narrower since, which wraps its lines.
func (r *region) erase(b []byte, columns int) []byte {
	rows := 0
	for _, w := range r.widths {
		rows += max(1, (w+columns-1)/max(1, columns))
	}
	r.widths = r.widths[:0]
	if rows == 0 {
		return b
	}
	return fmt.Appendf(b, "\r\x1b[%dA\x1b[J", rows)
}

// draw appends lines, each cut to the width of the screen.
func (r *region) draw(b []byte, lines []string, columns int) []byte {
	for _, l := range lines {
		l = fit(l, columns-1)
		r.widths = append(r.widths, columnsOf(l))
		b = append(append(b, l...), '\n')
	}
	return b
}

var spinner = [...]string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// regionLines are a line for each job that runs, with what it printed last where there is room, and a line of totals.
func (t *Terminal) regionLines(columns, rows int) []string {
	if len(t.order) == 0 {
		return nil
	}
	now := t.o.Now()
	room := max(1, rows-3)
	shown := t.order
	if len(shown) > room {
		shown = shown[:max(0, room-1)]
	}
	twice := 2*len(shown) <= room
	nameWidth := 0
	for _, j := range shown {
		nameWidth = max(nameWidth, columnsOf(j.name))
	}
	nameWidth = min(nameWidth, max(8, columns/3))
	var lines []string
	frame := spinner[int(now.Sub(t.started)/redrawEvery)%len(spinner)]
	for _, j := range shown {
		name := fit(j.name, nameWidth)
		lines = append(lines, fmt.Sprintf("%s %s%s %s  %s", t.style.paint(cyan, frame), t.style.paint(bold, name), blanks(nameWidth-columnsOf(name)),
			t.style.paint(dim, fmt.Sprintf("%6s", seconds(now.Sub(j.started)))), j.doing(now)))
		if last := j.lastLine(); twice && last != "" {
			lines = append(lines, "  "+t.style.paint(dim, "│ "+fit(last, columns-5)))
		}
	}
	if n := len(t.order) - len(shown); n > 0 {
		lines = append(lines, t.style.paint(dim, fmt.Sprintf("  … and %s more", countOf(n, "job"))))
	}
	return append(lines, t.style.paint(dim, fmt.Sprintf("  %d running, %d ended, %s", len(t.order), t.ended, seconds(now.Sub(t.started)))))
}

// doing says which steps run, each with its time when there are several.
func (j *liveJob) doing(now time.Time) string {
	if len(j.steps) == 0 {
		return j.activity
	}
	var names []string
	for _, s := range j.steps {
		name := string(appendSafe(nil, []byte(s.name), false, true))
		if len(j.steps) > 1 {
			name += " (" + seconds(now.Sub(s.started)) + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func (j *liveJob) lastLine() string {
	if len(j.steps) == 0 {
		return ""
	}
	return strings.TrimSpace(j.steps[len(j.steps)-1].last)
}

// seconds is a running time: it changes too fast for anything finer than a tenth.
func seconds(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	if d < time.Second {
		return fmt.Sprintf("%.1fs", d.Truncate(redrawEvery).Seconds())
	}
	return duration(d.Truncate(redrawEvery).Seconds())
}

// eachLine yields the lines of p without their ends.
func eachLine(p []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(p) {
			if !yield(bytes.TrimSuffix(line, []byte{'\n'})) {
				return
			}
		}
	}
}
