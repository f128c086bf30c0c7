package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
)

// planView is what `gantry plan` shows; its JSON form is documented in docs/cli.md.
type planView struct {
	Workflows  []planWorkflow `json:"workflows"`
	NotStarted []notStarted   `json:"not_started"`
}

type planWorkflow struct {
	File  string    `json:"file"`
	Name  string    `json:"name"`
	Event string    `json:"event"`
	Ref   string    `json:"ref"`
	Jobs  []planJob `json:"jobs"`
}

// notStarted is a workflow that the event does not start.
type notStarted struct {
	File   string `json:"file"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

type planJob struct {
	// ID is the path of keys with legs, JobID the file's key.
	ID          string        `json:"id"`
	JobID       string        `json:"job_id"`
	Name        string        `json:"job"`
	Leg         string        `json:"leg,omitempty"`
	Matrix      *pipeline.Map `json:"matrix,omitempty"`
	Needs       []string      `json:"needs,omitempty"`
	Will        pipeline.Will `json:"will"`
	Reason      string        `json:"reason,omitempty"`
	RunsOn      []string      `json:"runs_on,omitempty"`
	Image       string        `json:"image,omitempty"`
	Environment string        `json:"environment,omitempty"`
	Calls       string        `json:"calls,omitempty"`
	Steps       []planStep    `json:"steps,omitempty"`
	Jobs        []planJob     `json:"jobs,omitempty"`
}

type planStep struct {
	ID     string        `json:"id,omitempty"`
	Name   string        `json:"step"`
	Will   pipeline.Will `json:"will"`
	Reason string        `json:"reason,omitempty"`
	Steps  []planStep    `json:"steps,omitempty"`
}

func viewJobs(jobs []pipeline.PlannedJob) []planJob {
	var out []planJob
	for _, j := range jobs {
		v := planJob{
			ID: j.ID, JobID: j.Job.Key, Name: j.Name, Leg: strings.TrimSpace(j.Leg.Suffix), Matrix: j.Leg.Values, Needs: j.Needs,
			Will: j.Will, Reason: j.Reason, RunsOn: j.RunsOn, Image: j.Image, Environment: j.Environment,
			Steps: viewSteps(j.Steps), Jobs: viewJobs(j.Called),
		}
		if j.Job.Call != nil {
			v.Calls = j.Job.Call.Ref
		}
		out = append(out, v)
	}
	return out
}

func viewSteps(steps []pipeline.PlannedStep) []planStep {
	var out []planStep
	for _, s := range steps {
		out = append(out, planStep{ID: s.Step.ID, Name: s.Name, Will: s.Will, Reason: s.Reason, Steps: viewSteps(s.Steps)})
	}
	return out
}

func (v *planView) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// writeText draws a tree for each workflow: jobs with what they wait for, their steps, and why something will not run.
func (v *planView) writeText(w io.Writer, color bool) error {
	t := planText{color: color}
	for i, wf := range v.Workflows {
		if i > 0 {
			t.b.WriteByte('\n')
		}
		fmt.Fprintf(&t.b, "%s  %s  %s\n", t.paint("1", wf.Name), wf.File, t.paint("2", wf.Event+" of "+wf.Ref))
		t.jobs(wf.Jobs, "")
	}
	if len(v.NotStarted) > 0 {
		if len(v.Workflows) > 0 {
			t.b.WriteByte('\n')
		}
		fmt.Fprintf(&t.b, "%s\n", t.paint("1", "not started:"))
		for _, n := range v.NotStarted {
			fmt.Fprintf(&t.b, "– %s  %s\n    %s\n", n.Name, n.File, n.Reason)
		}
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}

type planText struct {
	b     strings.Builder
	color bool
}

func (t *planText) paint(attribute, text string) string {
	if !t.color || text == "" {
		return text
	}
	return "\x1b[" + attribute + "m" + text + "\x1b[0m"
}

// branch writes the lines in front of an entry and returns what goes in front of those below it.
func (t *planText) branch(indent string, last bool) string {
	if last {
		t.b.WriteString(t.paint("2", indent+"└─ "))
		return indent + "   "
	}
	t.b.WriteString(t.paint("2", indent+"├─ "))
	return indent + "│  "
}

func (t *planText) jobs(jobs []planJob, indent string) {
	for i, j := range jobs {
		below := t.branch(indent, i == len(jobs)-1)
		parts := []string{t.will(j.Name, j.Will, "1")}
		if on := strings.Join(j.RunsOn, ", "); on != "" {
			parts = append(parts, t.paint("2", "["+on+"]"))
		}
		for _, f := range []struct{ what, text string }{{"in ", j.Image}, {"calls ", j.Calls}, {"deploys to ", j.Environment}} {
			if f.text != "" {
				parts = append(parts, f.what+f.text)
			}
		}
		if len(j.Needs) > 0 {
			parts = append(parts, t.paint("36", "after "+strings.Join(shortNeeds(j.Needs, jobs), ", ")))
		}
		t.line(parts, j.Will, j.Reason)
		t.steps(j.Steps, below)
		t.jobs(j.Jobs, below)
	}
}

// shortNeeds names the jobs that are needed as they are shown, and all legs of a job at once where there are many.
func shortNeeds(needs []string, jobs []planJob) []string {
	const many = 4
	byID := map[string]planJob{}
	legs := map[string]int{}
	for _, j := range jobs {
		byID[j.ID] = j
		if slices.Contains(needs, j.ID) {
			legs[j.JobID]++
		}
	}
	var out []string
	for _, n := range needs {
		j := byID[n]
		text := cmp.Or(j.Name, n)
		if legs[j.JobID] > many {
			text = fmt.Sprintf("%s (%d legs)", j.JobID, legs[j.JobID])
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

func (t *planText) steps(steps []planStep, indent string) {
	for i, s := range steps {
		below := t.branch(indent, i == len(steps)-1)
		t.line([]string{t.will(s.Name, s.Will, "")}, s.Will, s.Reason)
		t.steps(s.Steps, below)
	}
}

// will marks a name by what is to become of it.
func (t *planText) will(name string, w pipeline.Will, attribute string) string {
	switch w {
	case pipeline.WillSkip:
		return t.paint("2", "– "+name)
	case pipeline.Depends:
		return t.paint("33", "? ") + t.paint(attribute, name)
	case pipeline.Fails:
		return t.paint("31", "✗ "+name)
	}
	if attribute == "" {
		return name
	}
	return t.paint(attribute, name)
}

func (t *planText) line(parts []string, w pipeline.Will, reason string) {
	if reason != "" && w != pipeline.Runs {
		text := reason
		switch w {
		case pipeline.WillSkip:
			text = "skipped: " + reason
		case pipeline.Fails:
			text = "fails: " + reason
		}
		parts = append(parts, t.paint("2", text))
	}
	t.b.WriteString(strings.Join(parts, "  "))
	t.b.WriteByte('\n')
}
