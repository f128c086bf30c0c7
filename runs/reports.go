package runs

import (
	"context"
	"errors"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
)

// maxReportFailures is after how many failures in a row a forge is not told of a run any more: about two hours by the engine's delays.
const maxReportFailures = 30

// reportLater has the forge told how a run stands, if the project has one.
func (s *Service) reportLater(ctx context.Context, tx *store.Tx, p *Project, run int64) error {
	if p.Forge.Kind == "" || s.o.Reporter == nil {
		return nil
	}
	return s.o.Engine.Put(ctx, tx, kindReport, text(run), s.now())
}

// report tells the forge how a run stands now; several changes that come quickly are one report.
func (s *Service) report(ctx context.Context, l *engine.Lease) (time.Duration, error) {
	r, err := s.readRun(ctx, l.ID)
	if errors.Is(err, ErrNotFound) {
		return done, nil
	}
	if err != nil {
		return 0, err
	}
	p, err := s.Project(ctx, r.Project)
	if errors.Is(err, ErrNotFound) || err == nil && p.Forge.Kind == "" {
		return done, nil
	}
	if err != nil {
		return 0, err
	}
	view := []Run{r.view()}
	if err := s.counted(ctx, view); err != nil {
		return 0, err
	}
	list, err := s.Service.List(ctx, l.ID, r.Attempt)
	if err != nil {
		return 0, err
	}
	others, err := s.Runs(ctx, RunQuery{Projects: []string{r.Project}, SHA: r.SHA, ListOptions: ListOptions{Limit: 200}})
	if err != nil {
		return 0, err
	}
	err = s.o.Reporter.Report(ctx, p, &view[0], list, others.Items)
	if err == nil {
		return done, nil
	}
	if l.Failures+1 < maxReportFailures {
		return 0, err
	}
	s.o.Log.Error("the forge is not told any more how a run stands", "project", r.Project, "run", l.ID, "error", err)
	gaveUp := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		return tx.Append(store.Event{Type: "report.failed", Project: r.Project, Run: l.ID, Subject: l.ID, Actor: byGantry}, map[string]int{"attempts": l.Failures + 1})
	})
	return done, gaveUp
}
