package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/gantry-ops/gantry/runs/jobs"
)

// Fill implements [jobs.Filler]: it adds what only this room knows to a job that a worker has claimed. Runs of code from another
// repository get no secrets.
func (s *Service) Fill(ctx context.Context, j *Job, t *jobs.Task) error {
	r, err := s.readRun(ctx, j.Run)
	if err != nil {
		return err
	}
	p, err := s.Project(ctx, r.Project)
	if err != nil {
		return err
	}
	facts := r.Facts.V
	facts.Attempt = j.Attempt
	t.Project, t.SHA, t.Path, t.File, t.Facts = r.Project, r.SHA, p.Source.Path, r.File, facts
	if t.Inputs, err = json.Marshal(r.Bound.V); err != nil {
		return fmt.Errorf("write the inputs of the run %s: %w", j.Run, err)
	}
	vars, err := s.variables(ctx, r.Project, j.Environment)
	if err != nil {
		return err
	}
	t.Vars = vars.Strings()
	if r.Fork {
		return nil
	}
	if t.Secrets, err = s.o.Secrets.Values(ctx, r.Project, j.Environment); err != nil {
		return fmt.Errorf("read the secrets for the job %s: %w", j.ID, err)
	}
	return nil
}

// Archive implements [jobs.Archiver].
func (s *Service) Archive(ctx context.Context, j *Job, w io.Writer) error {
	r, err := s.readRun(ctx, j.Run)
	if err != nil {
		return err
	}
	p, err := s.Project(ctx, r.Project)
	if err != nil {
		return err
	}
	if err := s.o.Sources.Archive(ctx, p, r.SHA, w); err != nil {
		return fmt.Errorf("send the repository of %s: %w", r.Project, err)
	}
	return nil
}

// KeepArtifacts implements [jobs.Keeper].
func (s *Service) KeepArtifacts(ctx context.Context, project string) (time.Duration, error) {
	p, err := s.Project(ctx, project)
	if err != nil {
		return 0, err
	}
	return time.Duration(p.Retention.Artifacts) * 24 * time.Hour, nil
}
