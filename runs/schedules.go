package runs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
)

// scheduleRow is a time at which a pipeline of a default branch runs.
type scheduleRow struct {
	bun.BaseModel `bun:"table:schedules,alias:s"`

	Project string `bun:",pk"`
	File    string `bun:",pk"`
	Cron    string `bun:",pk"`
	Zone    string `bun:",pk"`
	NextAt  store.Time
}

// refreshPeriod is how often schedules are read of a project that nothing tells of pushes.
const refreshPeriod = 15 * time.Minute

// nextDue is when a schedule is due next.
func nextDue(cron, zone string, after time.Time) (time.Time, error) {
	return engine.Next(cron, zone, after)
}

// refresh reads the schedules of a project's default branch. One that was there already is due when it was.
func (s *Service) refresh(ctx context.Context, l *engine.Lease) (time.Duration, error) {
	p, err := s.Project(ctx, l.ID)
	if errors.Is(err, ErrNotFound) {
		return done, nil
	}
	if err != nil {
		return 0, err
	}
	list, main, err := s.scheduled(ctx, p)
	if err != nil {
		return 0, fmt.Errorf("read the schedules of %s: %w", p.ID, err)
	}
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		// The project first and then the work on it, as triggers have it, or the two would wait for each other.
		if _, err := lockProject(ctx, tx, p.ID); err != nil {
			return err
		}
		if err := l.Guard(ctx, tx); err != nil {
			return err
		}
		return s.setSchedules(ctx, tx, p, list, main)
	})
	if errors.Is(err, ErrNotFound) {
		return done, nil
	}
	if err != nil {
		return 0, err
	}
	if p.Poll > 0 || p.Forge.HasWebhookSecret {
		return done, nil
	}
	return refreshPeriod, nil
}

// scheduled reads the schedules of the default branch, and the branch's name.
func (s *Service) scheduled(ctx context.Context, p *Project) ([]scheduleRow, string, error) {
	snapshot, release, err := s.o.Sources.Snapshot(ctx, p, p.Source.DefaultBranch)
	if err != nil {
		return nil, "", err
	}
	defer release()
	pipelines, err := s.o.Formats.Pipelines(ctx, snapshot.Dir)
	if err != nil {
		return nil, "", err
	}
	var out []scheduleRow
	for _, pl := range pipelines {
		for _, sc := range pl.Schedules {
			next, err := nextDue(sc.Cron, sc.TimeZone, s.now())
			if err != nil || len(pl.Errors) > 0 {
				continue // a run would fail; the pipeline's own errors say so where it is shown
			}
			out = append(out, scheduleRow{Project: p.ID, File: pl.File, Cron: sc.Cron, Zone: sc.TimeZone, NextAt: store.At(next)})
		}
	}
	main := p.Source.DefaultBranch
	if main == "" {
		main = snapshot.Repository.DefaultBranch
	}
	return out, main, nil
}

func (s *Service) setSchedules(ctx context.Context, tx *store.Tx, p *Project, list []scheduleRow, main string) error {
	type key struct{ file, cron, zone string }
	var before []scheduleRow
	if err := tx.NewSelect().Model(&before).Where("project = ?", p.ID).Scan(ctx); err != nil {
		return err
	}
	due := map[key]store.Time{}
	for _, b := range before {
		due[key{b.File, b.Cron, b.Zone}] = b.NextAt
	}
	if _, err := tx.NewDelete().Model((*scheduleRow)(nil)).Where("project = ?", p.ID).Exec(ctx); err != nil {
		return err
	}
	if _, err := tx.NewUpdate().Model((*projectRow)(nil)).Set("default_branch = ?", main).Where("id = ?", p.ID).Exec(ctx); err != nil {
		return err
	}
	var first store.Time
	for _, r := range list {
		if was, ok := due[key{r.File, r.Cron, r.Zone}]; ok {
			r.NextAt = was
		}
		if first.IsZero() || r.NextAt.Before(first.Time) {
			first = r.NextAt
		}
		if _, err := tx.NewInsert().Model(&r).On("CONFLICT (project, file, cron, zone) DO NOTHING").Exec(ctx); err != nil {
			return err
		}
	}
	if first.IsZero() {
		return s.o.Engine.Remove(ctx, tx, kindSchedule, p.ID)
	}
	return s.o.Engine.Put(ctx, tx, kindSchedule, p.ID, first.Time)
}

// startDue starts the runs of a project's schedules that are due. What was missed while no server ran is started once.
func (s *Service) startDue(ctx context.Context, project string) (time.Duration, error) {
	p, err := s.project(ctx, project)
	if errors.Is(err, ErrNotFound) {
		return done, nil
	}
	if err != nil {
		return 0, err
	}
	var rows []scheduleRow
	if err := s.o.DB.NewSelect().Model(&rows).Where("project = ?", project).Order("next_at", "file", "cron").Scan(ctx); err != nil {
		return 0, fmt.Errorf("read the schedules of %s: %w", project, err)
	}
	var first time.Time
	for i := range rows {
		r := &rows[i]
		if !r.NextAt.After(s.now()) {
			if err := s.startSchedule(ctx, p, r); err != nil {
				return 0, err
			}
		}
		if first.IsZero() || r.NextAt.Before(first) {
			first = r.NextAt.Time
		}
	}
	if first.IsZero() {
		return done, nil
	}
	return max(first.Sub(s.now()), time.Millisecond), nil
}

// startSchedule starts what is due, and moves the schedule on. Its delivery names the time that it was due at, so that a crash between
// the two starts nothing twice.
func (s *Service) startSchedule(ctx context.Context, p *projectRow, r *scheduleRow) error {
	t := Trigger{
		Project: r.Project, Event: "schedule", Cron: r.Cron, File: r.File, Actor: byGantry, ActorName: "schedule",
		Delivery: digest("schedule", r.File, r.Cron, r.Zone, fmt.Sprint(r.NextAt.UnixMicro())),
	}
	if p.DefaultBranch != "" {
		t.Ref = "refs/heads/" + p.DefaultBranch
	}
	if p.Settings.V.Source.Folder {
		t.Ref = ""
	}
	if _, err := s.Trigger(ctx, t); err != nil {
		return fmt.Errorf("start %s by its schedule %q: %w", r.File, r.Cron, err)
	}
	next, err := nextDue(r.Cron, r.Zone, s.now())
	if err != nil {
		return fmt.Errorf("find when %q is due next: %w", r.Cron, err)
	}
	r.NextAt = store.At(next)
	return s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.NewUpdate().Model(r).Column("next_at").WherePK().Exec(ctx)
		return err
	})
}
