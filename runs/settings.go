package runs

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/store"
)

// environmentRow is an environment as the table has it; its name is compared without case.
type environmentRow struct {
	bun.BaseModel `bun:"table:environments,alias:e"`

	Project   string `bun:",pk"`
	Folded    string `bun:",pk"`
	Settings  document[Environment]
	UpdatedAt store.Time
}

func (r *environmentRow) view() Environment {
	e := r.Settings.V
	e.Project, e.UpdatedAt = r.Project, r.UpdatedAt
	if e.Approvers == nil {
		e.Approvers = []string{}
	}
	if e.Refs == nil {
		e.Refs = []string{}
	}
	return e
}

// Environments of a project, by their names.
func (s *Service) Environments(ctx context.Context, project string) ([]Environment, error) {
	if _, err := s.project(ctx, project); err != nil {
		return nil, err
	}
	var rows []environmentRow
	if err := s.o.DB.NewSelect().Model(&rows).Where("project = ?", project).Order("folded").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list the environments of %s: %w", project, err)
	}
	out := make([]Environment, len(rows))
	for i := range rows {
		out[i] = rows[i].view()
	}
	return out, nil
}

// environment returns the rules of one; nil where nobody has set any.
func (s *Service) environment(ctx context.Context, project, name string) (*Environment, error) {
	var rows []environmentRow
	if err := s.o.DB.NewSelect().Model(&rows).Where("project = ? AND folded = ?", project, fold(name)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the environment %s: %w", name, err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	e := rows[0].view()
	return &e, nil
}

// PutEnvironment makes or replaces an environment.
func (s *Service) PutEnvironment(ctx context.Context, by By, e Environment) (*Environment, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	var made Environment
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := lockProject(ctx, tx, e.Project); err != nil {
			return err
		}
		r := &environmentRow{Project: e.Project, Folded: fold(e.Name), Settings: doc(e), UpdatedAt: store.At(tx.Now())}
		made = r.view()
		if _, err := tx.NewInsert().Model(r).On("CONFLICT (project, folded) DO UPDATE").Set("settings = EXCLUDED.settings").Set("updated_at = EXCLUDED.updated_at").Exec(ctx); err != nil {
			return err
		}
		return tx.Append(store.Event{Type: "environment.updated", Project: e.Project, Subject: e.Name, Actor: by.Actor}, made)
	})
	if err != nil {
		return nil, fmt.Errorf("set the environment %s: %w", e.Name, err)
	}
	return &made, nil
}

// DeleteEnvironment removes an environment with its variables.
func (s *Service) DeleteEnvironment(ctx context.Context, by By, project, name string) error {
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		ok, err := changed(tx.NewDelete().Model((*environmentRow)(nil)).Where("project = ? AND folded = ?", project, fold(name)).Exec(ctx))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%w: the project %q has no environment %q", ErrNotFound, project, name)
		}
		if _, err := tx.NewDelete().Model((*variableRow)(nil)).Where("project = ? AND environment = ?", project, fold(name)).Exec(ctx); err != nil {
			return err
		}
		return tx.Append(store.Event{Type: "environment.deleted", Project: project, Subject: name, Actor: by.Actor}, nil)
	})
	if err != nil {
		return fmt.Errorf("delete the environment %s: %w", name, err)
	}
	return nil
}

// variableRow is a variable as the table has it.
type variableRow struct {
	bun.BaseModel `bun:"table:variables,alias:v"`

	Project     string `bun:",pk"`
	Environment string `bun:",pk"` // folded
	Folded      string `bun:",pk"`
	Name        string
	Value       string
	UpdatedAt   store.Time
}

func (r *variableRow) view() Variable {
	return Variable{Project: r.Project, Environment: r.Environment, Name: r.Name, Value: r.Value, UpdatedAt: r.UpdatedAt}
}

// Variables of a project, by environment and name.
func (s *Service) Variables(ctx context.Context, project string) ([]Variable, error) {
	if _, err := s.project(ctx, project); err != nil {
		return nil, err
	}
	var rows []variableRow
	if err := s.o.DB.NewSelect().Model(&rows).Where("project = ?", project).Order("environment", "folded").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list the variables of %s: %w", project, err)
	}
	out := make([]Variable, len(rows))
	for i := range rows {
		out[i] = rows[i].view()
	}
	return out, nil
}

// variables are those that a job of an environment ("" is none) sees; the environment's own win.
func (s *Service) variables(ctx context.Context, project, environment string) (*pipeline.Map, error) {
	var rows []variableRow
	// The empty environment sorts first, so that what comes later replaces it.
	if err := s.o.DB.NewSelect().Model(&rows).Where("project = ? AND environment IN (?)", project, bun.In([]string{"", fold(environment)})).Order("environment", "folded").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the variables of %s: %w", project, err)
	}
	out := pipeline.NewMap()
	for _, r := range rows {
		out.Set(r.Name, r.Value)
	}
	return out, nil
}

// variableEvent is the data of events about variables. Values are settings, but need not be in the audit trail for ever.
type variableEvent struct {
	Environment string `json:"environment,omitempty"`
}

// PutVariable makes or replaces a variable.
func (s *Service) PutVariable(ctx context.Context, by By, v Variable) (*Variable, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	var made Variable
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := lockProject(ctx, tx, v.Project); err != nil {
			return err
		}
		r := &variableRow{Project: v.Project, Environment: fold(v.Environment), Folded: fold(v.Name), Name: v.Name, Value: v.Value, UpdatedAt: store.At(tx.Now())}
		n, err := tx.NewSelect().Model((*variableRow)(nil)).Where("project = ? AND environment = ? AND folded <> ?", r.Project, r.Environment, r.Folded).Count(ctx)
		if err != nil {
			return err
		}
		if n >= maxVariables {
			return invalid("name", v.Name, "would be one variable too many: there may be %d", maxVariables)
		}
		made = r.view()
		if _, err := tx.NewInsert().Model(r).On("CONFLICT (project, environment, folded) DO UPDATE").
			Set("name = EXCLUDED.name").Set("value = EXCLUDED.value").Set("updated_at = EXCLUDED.updated_at").Exec(ctx); err != nil {
			return err
		}
		return tx.Append(store.Event{Type: "variable.updated", Project: v.Project, Subject: v.Name, Actor: by.Actor}, variableEvent{Environment: r.Environment})
	})
	if err != nil {
		return nil, fmt.Errorf("set the variable %s: %w", v.Name, err)
	}
	return &made, nil
}

// DeleteVariable removes a variable.
func (s *Service) DeleteVariable(ctx context.Context, by By, project, environment, name string) error {
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		ok, err := changed(tx.NewDelete().Model((*variableRow)(nil)).Where("project = ? AND environment = ? AND folded = ?", project, fold(environment), fold(name)).Exec(ctx))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%w: the project %q has no variable %q there", ErrNotFound, project, name)
		}
		return tx.Append(store.Event{Type: "variable.deleted", Project: project, Subject: name, Actor: by.Actor}, variableEvent{Environment: fold(environment)})
	})
	if err != nil {
		return fmt.Errorf("delete the variable %s: %w", name, err)
	}
	return nil
}
