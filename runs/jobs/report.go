package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

// Bounds on what a job may leave. Sizes are in bytes.
const (
	// MaxBatch bounds the texts of a batch; one that is larger is an [InvalidError], which repeating does not help.
	MaxBatch = 4 << 20
	// MaxItems bounds the items of a batch, and MaxSteps the steps of a job.
	MaxItems = 10_000
	MaxSteps = 10_000
	// MaxAnnotations is how many annotations of a job are kept; a line of its log says when there were more.
	MaxAnnotations = 1000
	// MaxSummary bounds a summary; one that is larger is left out, which an annotation says.
	MaxSummary = 1 << 20
	// MaxOutputs bounds all outputs of a job, as JSON.
	MaxOutputs = 1 << 20
	// maxAnnotation bounds each text of an annotation.
	maxAnnotation = 64 << 10
)

// Report implements [Queue]. All of a batch is recorded in one transaction, or nothing of it.
func (s *Service) Report(ctx context.Context, ref TaskRef, b Batch) error {
	p, err := read(&b, s.now())
	if err != nil {
		return err
	}
	worker := ""
	err = s.writes.do(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := held(ctx, tx, ref, "id", "run", "project", "attempt", "name", "status", "reason", "token", "try", "worker", "embedded", "batch", "lines",
			"annotated", "summary", "environment_url")
		if err != nil {
			return err
		}
		worker = r.Worker
		switch {
		case b.Seq <= r.Batch:
			return nil
		case b.Seq != r.Batch+1:
			return fmt.Errorf("batch %d of the job %s comes after batch %d: %w", b.Seq, r.ID, r.Batch, ErrConflict)
		}
		return s.record(ctx, tx, r, &b, p)
	})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	s.sign(ctx, worker)
	return nil
}

// part is what a batch says, put together.
type part struct {
	lines []LogLine
	// steps are those that began or ended, in the order in which they were first named; begins are where, in lines, the first line of a
	// step stands that the batch has lines of.
	steps       []*stepRow
	byNumber    map[int]*stepRow
	begins      map[int]int
	annotations []annotationRow
	summary     string
	url         string
}

// read checks a batch and puts it together. It changes nothing of it.
func read(b *Batch, now store.Time) (*part, error) {
	if b.Seq < 1 {
		return nil, &InvalidError{Field: "batch.seq", Value: b.Seq, Message: "must be at least 1"}
	}
	if len(b.Items) > MaxItems {
		return nil, &InvalidError{Field: "batch.items", Value: len(b.Items), Message: fmt.Sprintf("must be at most %d", MaxItems)}
	}
	p := &part{byNumber: map[int]*stepRow{}, begins: map[int]int{}}
	size := 0
	for i := range b.Items {
		item, field := &b.Items[i], fmt.Sprintf("batch.items[%d]", i)
		for _, l := range item.Lines {
			size += len(l.Text) + 1
			if l.Step < 0 || l.Step > MaxSteps {
				return nil, &InvalidError{Field: field + ".lines.s", Value: l.Step, Message: fmt.Sprintf("must be from 0 to %d", MaxSteps)}
			}
			if l.Time.IsZero() {
				l.Time = now
			}
			if _, ok := p.begins[l.Step]; !ok {
				p.begins[l.Step] = len(p.lines)
			}
			p.lines = append(p.lines, l)
		}
		if item.Event == nil {
			continue
		}
		e := item.Event
		size += len(e.Reason) + len(e.Step) + len(e.Summary)
		if e.Annotation != nil {
			size += len(e.Annotation.Message) + len(e.Annotation.Title)
		}
		if e.Number < 0 || e.Number > MaxSteps {
			return nil, &InvalidError{Field: field + ".event.number", Value: e.Number, Message: fmt.Sprintf("must be from 0 to %d", MaxSteps)}
		}
		p.event(e, now)
	}
	if size > MaxBatch {
		return nil, &InvalidError{Field: "batch", Value: size, Message: fmt.Sprintf("must have at most %d bytes of text", MaxBatch)}
	}
	return p, nil
}

func (p *part) event(e *runner.Event, now store.Time) {
	at := store.At(e.Time)
	if at.IsZero() {
		at = now
	}
	switch e.Type {
	case runner.StepStarted, runner.StepFinished:
		if e.Number == 0 {
			return
		}
		st := p.byNumber[e.Number]
		if st == nil {
			st = &stepRow{Number: e.Number}
			p.byNumber[e.Number] = st
			p.steps = append(p.steps, st)
		}
		st.ID, st.Name = clean(e.StepID, maxName), clean(e.Step, maxName)
		if e.Type == runner.StepStarted {
			st.Status, st.StartedAt = Running, at
			return
		}
		st.Status, st.Reason, st.Tolerated, st.Exit, st.FinishedAt = Status(e.Status), clean(e.Reason, maxReason), e.Tolerated, e.Exit, at
		if !st.Status.Ended() {
			st.Status = Failure
		}
	case runner.Annotated:
		if e.Annotation != nil {
			p.annotations = append(p.annotations, annotate("", 0, e.Step, e.Annotation))
		}
	case runner.JobFinished:
		p.url = clean(e.EnvironmentURL, 4<<10)
		if len(e.Summary) > MaxSummary {
			p.annotations = append(p.annotations, annotate("", 0, "", &pipeline.Annotation{
				Level: "error", Title: "summary too large", Message: fmt.Sprintf("the summary has %d bytes and is left out; at most %d are kept", len(e.Summary), MaxSummary),
			}))
			return
		}
		p.summary = clean(e.Summary, MaxSummary)
	}
}

// record writes what a batch says.
func (s *Service) record(ctx context.Context, tx *store.Tx, r *jobRow, b *Batch, p *part) error {
	// kept is a copy: the transaction may be run again.
	kept, lines, more := slices.Clone(p.annotations), p.lines, 0
	if room := max(MaxAnnotations-r.Annotated, 0); len(kept) > room {
		kept = kept[:room]
		if r.Annotated <= MaxAnnotations { // it is said once
			lines = append(lines[:len(lines):len(lines)], LogLine{Time: s.now(), Notice: true, Text: fmt.Sprintf("there are more than %d annotations; the rest is left out", MaxAnnotations)})
			more = 1
		}
	}
	for i := range kept {
		r.Annotated++
		kept[i].Job, kept[i].Number = r.ID, r.Annotated
	}
	r.Annotated += more
	first := int64(0)
	if len(lines) > 0 {
		var err error
		if first, err = s.logs.Append(ctx, tx, r.ID, lines); err != nil {
			return err
		}
		r.Lines = first + int64(len(lines)) - 1
	}
	rows := make([]stepRow, 0, len(p.steps))
	for _, st := range p.steps {
		row := *st
		row.Job = r.ID
		if at, ok := p.begins[row.Number]; ok {
			row.FirstLine = first + int64(at)
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		// A step that ends in another batch than it began in keeps what that one has said.
		_, err := tx.NewInsert().Model(&rows).On("CONFLICT (job, number) DO UPDATE").
			Set("id = excluded.id, name = excluded.name, status = excluded.status, reason = excluded.reason, tolerated = excluded.tolerated, exit = excluded.exit").
			Set("first_line = CASE WHEN s.first_line > 0 THEN s.first_line ELSE excluded.first_line END").
			Set("started_at = CASE WHEN s.started_at > 0 THEN s.started_at ELSE excluded.started_at END").
			Set("finished_at = excluded.finished_at").Exec(ctx)
		if err != nil {
			return err
		}
	}
	for number, at := range p.begins {
		if p.byNumber[number] != nil || number == 0 {
			continue
		}
		_, err := tx.NewUpdate().Table("job_steps").Set("first_line = ?", first+int64(at)).Where("job = ? AND number = ? AND first_line = 0", r.ID, number).Exec(ctx)
		if err != nil {
			return err
		}
	}
	if err := insertAnnotations(ctx, tx, kept); err != nil {
		return err
	}
	r.Batch = b.Seq
	r.Expires = store.At(s.now().Add(s.ttl(r.Embedded)))
	r.Summary, r.EnvironmentURL = cmp.Or(p.summary, r.Summary), cmp.Or(p.url, r.EnvironmentURL)
	_, err := tx.NewUpdate().Model(r).WherePK().Column("batch", "expires", "lines", "annotated", "summary", "environment_url").Exec(ctx)
	if err != nil || len(rows) == 0 && len(kept) == 0 {
		return err
	}
	// One event tells of all changes of a batch.
	type change struct {
		Number int    `json:"number"`
		Name   string `json:"name"`
		Status Status `json:"status"`
	}
	changes := make([]change, 0, len(rows))
	for _, st := range rows[:min(len(rows), 200)] {
		changes = append(changes, change{st.Number, clean(st.Name, 200), st.Status})
	}
	return r.tell(tx, "job.progress", "runner:"+r.Worker, map[string]any{"steps": changes, "annotations": len(kept)})
}

// annotate makes the row of an annotation.
func annotate(job string, number int, step string, a *pipeline.Annotation) annotationRow {
	fit := *a
	fit.Message, fit.Title, fit.File = clean(a.Message, maxAnnotation), clean(a.Title, maxName), clean(a.File, 4<<10)
	b, _ := json.Marshal(fit) // texts and numbers
	return annotationRow{Job: job, Number: number, Step: clean(step, maxName), Annotation: string(b)}
}

func insertAnnotations(ctx context.Context, tx *store.Tx, rows []annotationRow) error {
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.NewInsert().Model(&rows).Exec(ctx)
	return err
}

// checkOutcome refuses what is no outcome, and makes a failure of one that is too large to keep.
func checkOutcome(o *runner.Outcome, interrupted bool) error {
	if interrupted {
		return nil
	}
	if !Status(o.Status).Ended() {
		return &InvalidError{Field: "end.status", Value: o.Status, Message: "must be success, failure, cancelled or skipped"}
	}
	if o.Outputs == nil {
		return nil
	}
	b, err := json.Marshal(o.Outputs)
	if err != nil {
		return &InvalidError{Field: "end.outputs", Message: "cannot be written as JSON: " + err.Error()}
	}
	if len(b) > MaxOutputs {
		*o = runner.Outcome{Status: pipeline.Failure, Reason: fmt.Sprintf("its outputs have %d bytes; at most %d are kept: store large data as an artifact", len(b), MaxOutputs)}
	}
	return nil
}
