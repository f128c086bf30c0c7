// Package render shows the events of a run: to a person at a terminal, as plain lines, or as JSON lines for a program.
//
// A renderer is a runner.Sink. It promises the order of events of one job, flat memory whatever the jobs print, and that
// everything is written when Close returns. It masks nothing: events arrive masked. It knows no format and starts nothing.
package render

import (
	"io"
	"time"

	"github.com/gantry-ops/gantry/runner"
)

// Renderer shows a run. Close must be called once, after the last event; it returns the first error of writing.
type Renderer interface {
	runner.Sink
	Close() error
}

var (
	_ Renderer = (*JSON)(nil)
	_ Renderer = (*Plain)(nil)
	_ Renderer = (*Terminal)(nil)
)

// Options are what the renderers have in common.
type Options struct {
	// Out is written to by one goroutine at a time.
	Out io.Writer
	// Color allows ANSI colours.
	Color bool
	// Timestamps puts the time in front of each line of text.
	Timestamps bool
	// Workflows shows the workflow's name with each job, for runs of several.
	Workflows bool
	// Verbose shows all output of steps that succeed, with groups unfolded, on a terminal; plain and JSON always do.
	Verbose bool
	// ArtifactsDir is the folder to name at the end when a job stored artifacts.
	ArtifactsDir string
	// Size returns the terminal's columns and rows; it is asked at each redraw. nil: 80 by 24.
	Size func() (columns, rows int)
	// Now is the clock of the live region; nil: time.Now.
	Now func() time.Time
	// OnError is called once, with the first error of writing: whoever read the output has gone away.
	OnError func(error)
}

// jobKey tells legs and called jobs of all workflows apart.
type jobKey struct{ run, workflow, id, leg, name string }

func keyOf(e *runner.Event) jobKey { return jobKey{e.Run, e.Workflow, e.JobID, e.Leg, e.Job} }

// jobName is what people see of the job that an event belongs to.
func (o *Options) jobName(e *runner.Event) string {
	if o.Workflows && e.Workflow != "" {
		return e.Workflow + " › " + e.Job
	}
	return e.Job
}
