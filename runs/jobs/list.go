package jobs

import (
	"context"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/pipeline"
)

func pipelineStatus(s Status) pipeline.Status { return pipeline.Status(s) }

// source is the ID of the job that really ran: its own, or that of an earlier attempt.
func (r *jobRow) source() string {
	if r.Origin != "" {
		return r.Origin
	}
	return r.ID
}

// job is the row as others see it, without what other tables have.
func (r *jobRow) job() *Job {
	j := &Job{
		ID: r.ID, Run: r.Run, Project: r.Project, Attempt: r.Attempt, Path: r.Path, Key: r.Key, Leg: r.Leg, Name: r.Name, Needs: []string{},
		Status: r.Status, Reason: r.Reason, Tolerated: r.Tolerated && r.Status.Ended(), Try: r.Try, Reused: r.Reused, Origin: r.Origin,
		Critical: r.Critical, RunsOn: r.RunsOn, Runner: r.WorkerName, Environment: r.Environment, EnvironmentURL: r.EnvironmentURL,
		Summary: r.Summary, Artifacts: []string{}, Steps: []Step{}, Lines: r.Lines,
		QueuedAt: r.QueuedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
	}
	if j.RunsOn == nil {
		j.RunsOn = []string{}
	}
	return j
}

// List returns the jobs of an attempt in the order of the file.
func (s *Service) List(ctx context.Context, run string, attempt int) ([]Job, error) {
	_, list, err := s.attempt(ctx, s.o.DB, run, attempt)
	if err != nil {
		return nil, fmt.Errorf("list the jobs of the run %s: %w", run, err)
	}
	return list, nil
}

// attempt reads the jobs of an attempt, as rows and as others see them.
func (s *Service) attempt(ctx context.Context, db bun.IDB, run string, attempt int) ([]jobRow, []Job, error) {
	var rows []jobRow
	if err := db.NewSelect().Model(&rows).Where("run = ? AND attempt = ?", run, attempt).Order("place", "number").Scan(ctx); err != nil {
		return nil, nil, err
	}
	list, err := fillJobs(ctx, db, rows, rows)
	return rows, list, err
}

// Job returns one.
func (s *Service) Job(ctx context.Context, id string) (*Job, error) {
	r := &jobRow{}
	if err := find1(ctx, s.o.DB.NewSelect(), id, r); err != nil {
		return nil, err
	}
	var all []jobRow
	if len(r.Needs) > 0 {
		err := s.o.DB.NewSelect().Model(&all).Column("id", "path", "key", "name").Where("run = ? AND attempt = ?", r.Run, r.Attempt).Order("place", "number").Scan(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the job %s: %w", id, err)
		}
	}
	list, err := fillJobs(ctx, s.o.DB, []jobRow{*r}, all)
	if err != nil {
		return nil, fmt.Errorf("read the job %s: %w", id, err)
	}
	return &list[0], nil
}

// fillJobs adds steps, artifacts and needs; all are the jobs of the attempt.
func fillJobs(ctx context.Context, db bun.IDB, rows, all []jobRow) ([]Job, error) {
	if len(rows) == 0 {
		return []Job{}, nil
	}
	var sources []string
	for i := range rows {
		if rows[i].Try > 0 { // only those have steps and artifacts
			sources = append(sources, rows[i].source())
		}
	}
	var steps []stepRow
	var artifacts []artifactRow
	for len(sources) > 0 {
		n := min(len(sources), 500)
		var st []stepRow
		if err := db.NewSelect().Model(&st).Where("job IN (?)", in(sources[:n])).Order("job", "number").Scan(ctx); err != nil {
			return nil, err
		}
		var ar []artifactRow
		if err := db.NewSelect().Model(&ar).Column("job", "name").Where("job IN (?)", in(sources[:n])).Order("name").Scan(ctx); err != nil {
			return nil, err
		}
		steps, artifacts, sources = append(steps, st...), append(artifacts, ar...), sources[n:]
	}
	stepsOf, artifactsOf := map[string][]Step{}, map[string][]string{}
	for _, st := range steps {
		stepsOf[st.Job] = append(stepsOf[st.Job], Step{
			Number: st.Number, ID: st.ID, Name: st.Name, Status: st.Status, Reason: st.Reason, Tolerated: st.Tolerated, Exit: st.Exit,
			FirstLine: st.FirstLine, StartedAt: st.StartedAt, FinishedAt: st.FinishedAt,
		})
	}
	for _, a := range artifacts {
		artifactsOf[a.Job] = append(artifactsOf[a.Job], a.Name)
	}
	needs := resolver(all)
	out := make([]Job, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		j := r.job()
		j.Needs = needs(r)
		if st := stepsOf[r.source()]; st != nil && r.Try > 0 {
			j.Steps = st
		}
		if a := artifactsOf[r.source()]; a != nil {
			j.Artifacts = a
		}
		out = append(out, *j)
	}
	return out, nil
}

// resolver returns what finds the IDs of the jobs that a job needs: by path, or all legs of a key or a name.
func resolver(all []jobRow) func(r *jobRow) []string {
	byPath, byName := map[string]string{}, map[string][]string{}
	for i := range all {
		r := &all[i]
		byPath[r.Path] = r.ID
		byName[strings.ToLower(r.Key)] = append(byName[strings.ToLower(r.Key)], r.ID)
		if !strings.EqualFold(r.Name, r.Key) {
			byName[strings.ToLower(r.Name)] = append(byName[strings.ToLower(r.Name)], r.ID)
		}
	}
	return func(r *jobRow) []string {
		out, seen := []string{}, map[string]bool{r.ID: true}
		for _, need := range r.Needs {
			ids := byName[strings.ToLower(need)]
			if id, ok := byPath[need]; ok {
				ids = []string{id}
			}
			for _, id := range ids {
				if !seen[id] {
					seen[id] = true
					out = append(out, id)
				}
			}
		}
		return out
	}
}

// Counts counts the jobs of an attempt by status.
func (s *Service) Counts(ctx context.Context, run string, attempt int) (map[Status]int, error) {
	var counts []struct {
		Status Status
		N      int
	}
	err := s.o.DB.NewRaw("SELECT status, COUNT(*) AS n FROM jobs WHERE run = ? AND attempt = ? GROUP BY status", run, attempt).Scan(ctx, &counts)
	if err != nil {
		return nil, fmt.Errorf("count the jobs of the run %s: %w", run, err)
	}
	out := map[Status]int{}
	for _, c := range counts {
		out[c.Status] = c.N
	}
	return out, nil
}

// Annotations returns those of an attempt's jobs, in the order of the jobs and of their making.
func (s *Service) Annotations(ctx context.Context, run string, attempt int) ([]Annotation, error) {
	out := []Annotation{}
	err := s.left(ctx, run, attempt, func(r *jobRow) error {
		var rows []annotationRow
		if r.Annotated == 0 {
			return nil
		}
		if err := s.o.DB.NewSelect().Model(&rows).Where("job = ?", r.source()).Order("number").Scan(ctx); err != nil {
			return err
		}
		for _, row := range rows {
			a := Annotation{Job: r.ID, JobName: r.Name, Step: row.Step}
			if err := decode("an annotation", row.Annotation, &a.Annotation); err != nil {
				return err
			}
			out = append(out, a)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the annotations of the run %s: %w", run, err)
	}
	return out, nil
}

// Tests returns the suites of the reports of an attempt's jobs.
func (s *Service) Tests(ctx context.Context, run string, attempt int) ([]TestSuite, error) {
	out := []TestSuite{}
	err := s.left(ctx, run, attempt, func(r *jobRow) error {
		if r.Try == 0 {
			return nil
		}
		var rows []testRow
		if err := s.o.DB.NewSelect().Model(&rows).Where("job = ?", r.source()).Order("artifact", "number").Scan(ctx); err != nil {
			return err
		}
		for _, row := range rows {
			if row.Suite.V != nil {
				suite := *row.Suite.V
				suite.Job, suite.JobName = r.ID, r.Name
				out = append(out, suite)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the tests of the run %s: %w", run, err)
	}
	return out, nil
}

// left calls fn for the jobs of an attempt, in their order, with what is needed to find what they have left.
func (s *Service) left(ctx context.Context, run string, attempt int, fn func(r *jobRow) error) error {
	var rows []jobRow
	err := s.o.DB.NewSelect().Model(&rows).Column("id", "origin", "name", "try", "annotated").
		Where("run = ? AND attempt = ?", run, attempt).Order("place", "number").Scan(ctx)
	if err != nil {
		return err
	}
	for i := range rows {
		if err := fn(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}
