package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
)

// summary gathers what the table at the end of a run says.
type summary struct {
	rows  []summaryRow
	chain chain
	// artifacts by job, in the order of the jobs' ends.
	artifacts []string
	// written are what the jobs' steps have written for people, as Markdown.
	written []jobSummary
	final   runner.Event
}

type summaryRow struct {
	name      string
	status    pipeline.Status
	tolerated bool
	reason    string
	seconds   float64
}

// jobSummary is the Markdown that a job's steps have written.
type jobSummary struct{ name, text string }

// maxSummary bounds the lines shown of one job's summary.
const maxSummary = 100

// maxReason bounds the reasons shown, in columns.
const maxReason = 100

// finished takes a job.finished event.
func (s *summary) finished(name string, e *runner.Event) {
	reason, _, _ := strings.Cut(e.Reason, "\n")
	s.rows = append(s.rows, summaryRow{name: name, status: e.Status, tolerated: e.Tolerated, reason: reason, seconds: e.Duration})
	s.chain.add(e.Run+"\x00"+e.Workflow, e.Job, e.Duration, e.Needs)
	if text := strings.TrimSpace(e.Summary); text != "" {
		s.written = append(s.written, jobSummary{name, text})
	}
	for _, a := range e.Artifacts {
		if !slices.Contains(s.artifacts, a) {
			s.artifacts = append(s.artifacts, a)
		}
	}
}

// render appends the table. columns 0: as wide as it gets.
func (s *summary) render(dst []byte, st style, columns int, artifactsDir string) []byte {
	path, seconds := s.chain.longest()
	for _, w := range s.written {
		dst = w.append(dst, st)
	}
	if len(s.rows) > 0 {
		dst = append(dst, '\n')
		dst = s.table(dst, st, columns, path)
	}
	if len(path) > 1 {
		names := make([]string, len(path))
		for i, j := range path {
			names[i] = s.rows[j].name
		}
		dst = fmt.Appendf(dst, "\n%s critical path, %s: %s\n", st.paint(cyan, "*"), duration(seconds), strings.Join(names, " → "))
	}
	if len(s.artifacts) > 0 && artifactsDir != "" {
		dst = fmt.Appendf(dst, "\nartifacts in %s: %s\n", artifactsDir, strings.Join(s.artifacts, ", "))
	}
	return s.verdict(dst, st)
}

func (w jobSummary) append(dst []byte, st style) []byte {
	dst = fmt.Appendf(dst, "\n%s\n", st.paint(bold, "summary of "+w.name))
	lines := strings.Split(w.text, "\n")
	for _, l := range lines[:min(len(lines), maxSummary)] {
		dst = append(dst, "  "...)
		dst = append(appendSafe(dst, []byte(l), bool(st), false), '\n')
	}
	if n := len(lines) - maxSummary; n > 0 {
		dst = fmt.Appendf(dst, "  %s\n", st.paint(dim, "… and "+countOf(n, "line")+" more"))
	}
	return dst
}

func (s *summary) table(dst []byte, st style, columns int, path []int) []byte {
	nameWidth, statusWidth := 0, 0
	for _, r := range s.rows {
		_, word, _ := look(r.status, r.tolerated)
		nameWidth = max(nameWidth, columnsOf(r.name))
		statusWidth = max(statusWidth, columnsOf(word))
	}
	if columns > 0 {
		nameWidth = min(nameWidth, max(10, columns/2))
	}
	for i, r := range s.rows {
		mark, word, color := look(r.status, r.tolerated)
		on := " "
		if len(path) > 1 && slices.Contains(path, i) {
			on = st.paint(cyan, "*")
		}
		name := fit(r.name, nameWidth)
		took := ""
		if r.status != pipeline.Skipped {
			took = duration(r.seconds)
		}
		left := fmt.Sprintf("%s %s %s%s  %s%s  %6s", on, st.paint(color, mark), name, blanks(nameWidth-columnsOf(name)),
			st.paint(color, word), blanks(statusWidth-columnsOf(word)), took)
		reason := ""
		if r.reason != "" {
			room := maxReason
			if columns > 0 {
				room = max(20, columns-1-columnsOf(left)-2)
			}
			reason = "  " + st.paint(dim, fit(r.reason, room))
		}
		dst = append(dst, strings.TrimRight(left+reason, " ")...)
		dst = append(dst, '\n')
	}
	return dst
}

// verdict is the last line: how it ended, how long it took, how many jobs did what.
func (s *summary) verdict(dst []byte, st style) []byte {
	if s.final.Type == "" {
		return dst
	}
	count := map[string]int{}
	for _, r := range s.rows {
		_, word, _ := look(r.status, r.tolerated)
		count[word]++
	}
	var parts []string
	for _, k := range []struct{ word, say string }{
		{"success", "succeeded"}, {"failure", "failed"}, {"failure (tolerated)", "failed, tolerated"}, {"cancelled", "cancelled"}, {"skipped", "skipped"},
	} {
		if n := count[k.word]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, k.say))
		}
	}
	mark, word, color := look(s.final.Status, false)
	line := fmt.Sprintf("%s in %s", st.paint(bold+";"+color, mark+" "+word), duration(s.final.Duration))
	if len(parts) > 0 {
		line += ": " + strings.Join(parts, ", ")
	}
	if s.final.Reason != "" {
		line += " (" + s.final.Reason + ")"
	}
	return fmt.Appendf(dst, "\n%s\n", line)
}

func blanks(n int) string { return strings.Repeat(" ", max(0, n)) }
