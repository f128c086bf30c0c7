package runs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

// projectRow is a project as the table has it.
type projectRow struct {
	bun.BaseModel `bun:"table:projects,alias:p"`

	ID       string `bun:",pk"`
	Settings document[Project]
	Version  int64
	// Deleting: it is gone for everybody but the reconciler that takes its runs away.
	Deleting bool
	// DefaultBranch is what was seen last.
	DefaultBranch string
	CreatedAt     store.Time
	UpdatedAt     store.Time
}

func (r *projectRow) view() *Project {
	p := r.Settings.V
	p.ID, p.Version, p.CreatedAt, p.UpdatedAt = r.ID, r.Version, r.CreatedAt, r.UpdatedAt
	if p.Name == "" {
		p.Name = p.ID
	}
	return &p
}

// Projects lists those that are named, or all where only is nil, by their IDs.
func (s *Service) Projects(ctx context.Context, only []string, o ListOptions) (Page[Project], error) {
	limit, err := limitOf(o)
	if err != nil {
		return Page[Project]{}, err
	}
	out := Page[Project]{Items: []Project{}}
	if only != nil && len(only) == 0 {
		return out, nil
	}
	var rows []projectRow
	q := s.o.DB.NewSelect().Model(&rows).Where("deleting = ?", false).Where("id > ?", o.After).Order("id").Limit(int64(limit + 1))
	if only != nil {
		q = q.Where("id IN (?)", bun.In(only))
	}
	if err := q.Scan(ctx); err != nil {
		return out, fmt.Errorf("list projects: %w", err)
	}
	for i := range rows {
		if i == limit {
			out.Next = rows[limit-1].ID
			break
		}
		out.Items = append(out.Items, *rows[i].view())
	}
	return out, nil
}

// Project returns one, or ErrNotFound.
func (s *Service) Project(ctx context.Context, id string) (*Project, error) {
	r, err := s.project(ctx, id)
	if err != nil {
		return nil, err
	}
	return r.view(), nil
}

func (s *Service) project(ctx context.Context, id string) (*projectRow, error) {
	r := &projectRow{}
	err := s.o.DB.NewSelect().Model(r).Where("id = ?", id).Where("deleting = ?", false).Scan(ctx)
	return r, found(err, "project", id)
}

// lockProject reads a project and keeps it as it is for the transaction.
func lockProject(ctx context.Context, tx *store.Tx, id string) (*projectRow, error) {
	r := &projectRow{}
	err := lock(tx, tx.NewSelect().Model(r).Where("id = ?", id).Where("deleting = ?", false)).Scan(ctx)
	return r, found(err, "project", id)
}

// projectEvent is the data of events about projects.
type projectEvent struct {
	Name    string `json:"name"`
	Version int64  `json:"version"`
	Paused  bool   `json:"paused"`
}

func tellProject(tx *store.Tx, what string, by By, p *Project) error {
	return tx.Append(store.Event{Type: what, Project: p.ID, Subject: p.ID, Actor: by.Actor}, projectEvent{Name: p.Name, Version: p.Version, Paused: p.Paused})
}

// CreateProject makes a project; ErrConflict where there is one with the ID.
func (s *Service) CreateProject(ctx context.Context, by By, p Project) (*Project, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	p.Forge.HasToken, p.Forge.HasWebhookSecret = false, false
	var made *Project
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		now := store.At(tx.Now())
		r := &projectRow{ID: p.ID, Settings: doc(p), Version: 1, CreatedAt: now, UpdatedAt: now}
		made = r.view()
		if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
			return err
		}
		if err := s.watchProject(ctx, tx, made); err != nil {
			return err
		}
		return tellProject(tx, "project.created", by, made)
	})
	if store.IsDuplicate(err) {
		return nil, fmt.Errorf("%w: there is a project %q already, or it is still being removed", ErrConflict, p.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("create the project %s: %w", p.ID, err)
	}
	return made, nil
}

// UpdateProject replaces a project's settings; ErrConflict where p.Version is not the current one.
func (s *Service) UpdateProject(ctx context.Context, by By, p Project) (*Project, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return s.changeProject(ctx, by, p.ID, func(ctx context.Context, tx *store.Tx, r *projectRow) error {
		if r.Version != p.Version {
			return fmt.Errorf("%w: the project was changed meanwhile; it has version %d, not %d", ErrConflict, r.Version, p.Version)
		}
		before, forge := r.Settings.V.Source, r.Settings.V.Forge
		// What is set is not the caller's to say, see SetForgeSecrets.
		p.Forge.HasToken, p.Forge.HasWebhookSecret = forge.HasToken, forge.HasWebhookSecret
		r.Settings = doc(p)
		if before == p.Source {
			return nil
		}
		// Another repository's commits are no news of this one's.
		_, err := tx.NewDelete().Model((*headRow)(nil)).Where("project = ?", p.ID).Exec(ctx)
		return err
	})
}

// SetForgeSecrets records whether the token of a project's forge and the secret of its webhooks are set; nil leaves one as it is. The
// values are kept elsewhere.
func (s *Service) SetForgeSecrets(ctx context.Context, by By, id string, token, webhookSecret *bool) (*Project, error) {
	return s.changeProject(ctx, by, id, func(_ context.Context, _ *store.Tx, r *projectRow) error {
		if token != nil {
			r.Settings.V.Forge.HasToken = *token
		}
		if webhookSecret != nil {
			r.Settings.V.Forge.HasWebhookSecret = *webhookSecret
		}
		return nil
	})
}

func (s *Service) changeProject(ctx context.Context, by By, id string, change func(context.Context, *store.Tx, *projectRow) error) (*Project, error) {
	var made *Project
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := lockProject(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := change(ctx, tx, r); err != nil {
			return err
		}
		r.Version++
		r.UpdatedAt = store.At(tx.Now())
		made = r.view()
		if _, err := tx.NewUpdate().Model(r).Column("settings", "version", "updated_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		if err := s.watchProject(ctx, tx, made); err != nil {
			return err
		}
		return tellProject(tx, "project.updated", by, made)
	})
	if err != nil {
		return nil, fmt.Errorf("change the project %s: %w", id, err)
	}
	return made, nil
}

// watchProject has the project's source looked at: its schedules now, its heads as often as it says.
func (s *Service) watchProject(ctx context.Context, tx *store.Tx, p *Project) error {
	if err := s.o.Engine.Put(ctx, tx, kindRefresh, p.ID, s.now()); err != nil {
		return err
	}
	if p.Poll > 0 {
		return s.o.Engine.Put(ctx, tx, kindPoll, p.ID, s.now())
	}
	return s.o.Engine.Remove(ctx, tx, kindPoll, p.ID)
}

// DeleteProject removes a project with all that belongs to it. It is gone at once for everybody; its runs, which may be many, go in the
// background, and until then its ID cannot be used again.
func (s *Service) DeleteProject(ctx context.Context, by By, id string) error {
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := lockProject(ctx, tx, id)
		if err != nil {
			return err
		}
		r.Deleting = true
		if _, err := tx.NewUpdate().Model(r).Column("deleting").WherePK().Exec(ctx); err != nil {
			return err
		}
		for _, kind := range []string{kindPoll, kindRefresh, kindSchedule} {
			if err := s.o.Engine.Remove(ctx, tx, kind, id); err != nil {
				return err
			}
		}
		if err := s.o.Engine.Put(ctx, tx, kindPurge, id, s.now()); err != nil {
			return err
		}
		if s.o.Deleted != nil {
			if err := s.o.Deleted(ctx, tx, by, id); err != nil {
				return err
			}
		}
		return tellProject(tx, "project.deleted", by, r.view())
	})
	if err != nil {
		return fmt.Errorf("delete the project %s: %w", id, err)
	}
	return nil
}

// Pipelines reads those of a project at a ref ("" is the default branch), with when their schedules are due next.
func (s *Service) Pipelines(ctx context.Context, project, ref string) ([]PipelineInfo, error) {
	if err := branch("ref", ref); err != nil {
		return nil, err
	}
	p, err := s.Project(ctx, project)
	if err != nil {
		return nil, err
	}
	snapshot, release, err := s.o.Sources.Snapshot(ctx, p, ref)
	if err != nil {
		return nil, fmt.Errorf("read the pipelines of %s: %w", project, err)
	}
	defer release()
	list, err := s.o.Formats.Pipelines(ctx, snapshot.Dir)
	if err != nil {
		return nil, fmt.Errorf("read the pipelines of %s: %w", project, err)
	}
	for i := range list {
		for j := range list[i].Schedules {
			sc := &list[i].Schedules[j]
			if next, err := nextDue(sc.Cron, sc.TimeZone, s.now()); err == nil {
				sc.Next = store.At(next)
			}
		}
	}
	return list, nil
}

// limitOf is how many items a list has.
func limitOf(o ListOptions) (int, error) {
	switch {
	case o.Limit == 0:
		return 50, nil
	case o.Limit < 1 || o.Limit > 200:
		return 0, invalid("limit", o.Limit, "must be from 1 to 200")
	}
	return o.Limit, nil
}

// fold is how names are compared that differ in case only.
func fold(name string) string { return strings.ToLower(name) }

// purge removes what is left of a deleted project, some runs at a time.
func (s *Service) purge(ctx context.Context, project string) (time.Duration, error) {
	r := &projectRow{}
	err := s.o.DB.NewSelect().Model(r).Where("id = ?", project).Where("deleting = ?", true).Scan(ctx)
	if err := found(err, "project", project); errors.Is(err, ErrNotFound) {
		return done, nil
	} else if err != nil {
		return 0, err
	}
	var ids []int64
	if err := s.o.DB.NewSelect().Model((*runRow)(nil)).Column("id").Where("project = ?", project).Order("id").Limit(purgeBatch).Scan(ctx, &ids); err != nil {
		return 0, fmt.Errorf("list the runs to delete: %w", err)
	}
	for _, id := range ids {
		if err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error { return s.forget(ctx, tx, id) }); err != nil {
			return 0, fmt.Errorf("delete the run %d: %w", id, err)
		}
	}
	if len(ids) == purgeBatch {
		return time.Millisecond, nil
	}
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, table := range []string{"environments", "variables", "deliveries", "triggers_taken", "schedules", "heads", "concurrency_members", "concurrency_groups"} {
			if _, err := tx.NewDelete().Table(table).Where("project = ?", project).Exec(ctx); err != nil {
				return err
			}
		}
		if _, err := tx.NewDelete().Table("run_counters").Where("name LIKE ?", "number/"+project+"/%").Exec(ctx); err != nil {
			return err
		}
		_, err := tx.NewDelete().Model(r).WherePK().Exec(ctx)
		return err
	})
	return done, err
}

// purgeBatch is how many runs of a deleted project are removed before others have a turn.
const purgeBatch = 100

var _ jobs.Filler = (*Service)(nil)
