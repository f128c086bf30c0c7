package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/runner"
	"github.com/gantry-ops/gantry/store"
)

// What comes below writes in the caller's transaction, with the events that belong to the change.

// Bounds on what is kept of a job's own texts, in bytes.
const (
	maxName   = 1 << 10
	maxReason = 16 << 10
)

// Unstarted is a job that ended without having been run.
type Unstarted struct {
	Path, Key, Leg, Name string
	Needs                []string
	Status               Status
	Reason               string
	Tolerated            bool
	// Annotation, where set, is the located error.
	Annotation *pipeline.Annotation
}

// Plan makes jobs, pending, with their Path, Key, Leg, Name, Needs (paths), RunsOn and Environment set; one that is there already (by
// run, attempt and path) is left as it is. The order is kept for lists.
func (s *Service) Plan(ctx context.Context, tx *store.Tx, project, run string, attempt int, planned []Job) error {
	if len(planned) == 0 {
		return nil
	}
	there, err := attemptRows(ctx, tx, run, attempt)
	if err != nil {
		return fmt.Errorf("plan the jobs of the run %s: %w", run, err)
	}
	known, last := map[string]bool{}, 0
	for _, j := range there {
		known[j.Path], last = true, max(last, j.Number)
	}
	var rows []jobRow
	for i, p := range planned {
		if known[p.Path] {
			continue
		}
		known[p.Path] = true
		last++
		r := newJob(project, run, attempt, last, p.Path, p.Key, p.Leg, p.Name)
		r.Place, r.Needs, r.Environment = i+1, p.Needs, clean(p.Environment, maxName)
		r.setRunsOn(p.RunsOn)
		rows = append(rows, *r)
	}
	for part := range slices.Chunk(rows, 100) {
		if _, err := tx.NewInsert().Model(&part).Exec(ctx); err != nil {
			return fmt.Errorf("plan the jobs of the run %s: %w", run, err)
		}
	}
	return nil
}

// newJob is a pending job. Its number orders it behind what was planned, unless a place is set.
func newJob(project, run string, attempt, number int, path, key, leg, name string) *jobRow {
	order, _ := strconv.ParseInt(run, 10, 64) // what is no number comes first, in no order
	r := &jobRow{
		ID: fmt.Sprintf("%s.%d.%d", run, attempt, number), Run: run, RunOrder: order, Project: project, Attempt: attempt, Number: number, Place: number,
		Path: path, Key: clean(key, maxName), Leg: clean(leg, maxName), Name: clean(name, maxName), Status: Pending,
	}
	r.setRunsOn(nil)
	return r
}

func (r *jobRow) setRunsOn(labels []string) {
	r.RunsOn, r.Wants = list{}, wantsOf(labels)
	for _, l := range labels {
		r.RunsOn = append(r.RunsOn, clean(l, maxName))
	}
}

// Enqueue queues a job for workers, making it where the plan could not foresee it; a job that is queued, running or ended already is
// left as it is. Jobs of older runs and of higher rank come first. It returns the job's ID.
func (s *Service) Enqueue(ctx context.Context, tx *store.Tx, project, run string, attempt int, a runner.Assignment) (id string, err error) {
	r, fresh, err := s.assigned(ctx, tx, project, run, attempt, a)
	if err != nil {
		return "", fmt.Errorf("queue the job %q of the run %s: %w", a.ID, run, err)
	}
	if r.Status != Pending && r.Status != Waiting {
		return r.ID, nil
	}
	r.Status, r.Reason, r.QueuedAt = Queued, "", s.now()
	if err := save(ctx, tx, r, fresh); err != nil {
		return "", fmt.Errorf("queue the job %s: %w", r.ID, err)
	}
	s.wakeAfter(tx, r.Wants)
	return r.ID, r.tell(tx, "job.queued", "gantry", nil)
}

// Hold makes a pending job wait (for an approval), and returns its ID; one that is further already is left as it is.
func (s *Service) Hold(ctx context.Context, tx *store.Tx, project, run string, attempt int, a runner.Assignment, reason string) (id string, err error) {
	r, fresh, err := s.assigned(ctx, tx, project, run, attempt, a)
	if err != nil {
		return "", fmt.Errorf("hold the job %q of the run %s: %w", a.ID, run, err)
	}
	if reason = clean(reason, maxReason); r.Status != Pending && (r.Status != Waiting || r.Reason == reason) {
		return r.ID, nil
	}
	r.Status, r.Reason = Waiting, reason
	if err := save(ctx, tx, r, fresh); err != nil {
		return "", fmt.Errorf("hold the job %s: %w", r.ID, err)
	}
	return r.ID, r.tell(tx, "job.waiting", "gantry", nil)
}

// assigned returns the job of an assignment with what the assignment says of it; fresh: it is not in the table yet.
func (s *Service) assigned(ctx context.Context, tx *store.Tx, project, run string, attempt int, a runner.Assignment) (r *jobRow, fresh bool, err error) {
	if a.ID == "" {
		return nil, false, errors.New("the assignment has no ID")
	}
	if r, fresh, err = s.find(ctx, tx, project, run, attempt, a.ID, a.Key, a.Leg, a.Name, a.Needs); err != nil {
		return nil, false, err
	}
	if r.Status == Pending || r.Status == Waiting {
		r.Name, r.Rank, r.Tolerated, r.Environment = clean(a.Name, maxName), a.Rank, a.Tolerated, clean(a.Environment, maxName)
		r.Assignment.V = &a
		r.setRunsOn(a.RunsOn)
	}
	return r, fresh, nil
}

// find returns the job of a path, or a new one that is to be inserted.
func (s *Service) find(ctx context.Context, tx *store.Tx, project, run string, attempt int, path, key, leg, name string, needs []string) (*jobRow, bool, error) {
	r := &jobRow{}
	q := tx.NewSelect().Model(r).Where("run = ? AND attempt = ? AND path = ?", run, attempt, path)
	err := forUpdate(tx, q).Scan(ctx)
	if err == nil {
		return r, false, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return nil, false, err
	}
	there, err := attemptRows(ctx, tx, run, attempt)
	if err != nil {
		return nil, false, err
	}
	last, place := 0, 0
	for _, j := range there {
		last = max(last, j.Number)
		if strings.EqualFold(j.Key, key) {
			place = j.Place // beside its other legs
		}
	}
	r = newJob(project, run, attempt, last+1, path, key, leg, name)
	if place > 0 {
		r.Place = place
	}
	r.Needs = needs
	return r, true, nil
}

// End ends a job that never came to a worker: skipped, failed or cancelled, with the reason. One that has ended, or that a worker has, is
// left as it is.
func (s *Service) End(ctx context.Context, tx *store.Tx, project, run string, attempt int, e Unstarted) error {
	fail := func(err error) error { return fmt.Errorf("end the job %q of the run %s: %w", e.Path, run, err) }
	if !e.Status.Ended() || e.Path == "" {
		return fail(fmt.Errorf("%q is no end of a job", e.Status))
	}
	r, fresh, err := s.find(ctx, tx, project, run, attempt, e.Path, e.Key, e.Leg, e.Name, e.Needs)
	if err != nil {
		return fail(err)
	}
	if r.Status.Ended() || r.Status == Running {
		return nil
	}
	r.Tolerated = e.Tolerated
	if e.Annotation != nil {
		r.Annotated++
		if err := insertAnnotations(ctx, tx, []annotationRow{annotate(r.ID, r.Annotated, "", e.Annotation)}); err != nil {
			return fail(err)
		}
	}
	if fresh {
		if err := save(ctx, tx, r, true); err != nil {
			return fail(err)
		}
	}
	return s.end(ctx, tx, r, runner.Outcome{Status: pipeline.Status(e.Status), Reason: e.Reason}, "gantry")
}

// save writes a whole job.
func save(ctx context.Context, tx *store.Tx, r *jobRow, fresh bool) error {
	var err error
	if fresh {
		_, err = tx.NewInsert().Model(r).Exec(ctx)
	} else {
		_, err = tx.NewUpdate().Model(r).WherePK().Exec(ctx)
	}
	return err
}

// attemptRows returns what orders and names the jobs of an attempt, by their number.
func attemptRows(ctx context.Context, tx *store.Tx, run string, attempt int) ([]jobRow, error) {
	var rows []jobRow
	err := tx.NewSelect().Model(&rows).Column("id", "number", "place", "path", "key", "name").
		Where("run = ? AND attempt = ?", run, attempt).Order("number").Scan(ctx)
	return rows, err
}

// Reuse copies the ended jobs of an attempt for which keep says so into the next one, as reused.
func (s *Service) Reuse(ctx context.Context, tx *store.Tx, run string, from, to int, keep func(*Job) bool) error {
	if to <= from {
		return fmt.Errorf("reuse jobs of the run %s: attempt %d does not come after %d", run, to, from)
	}
	old, jobs, err := s.attempt(ctx, tx, run, from)
	if err != nil {
		return fmt.Errorf("reuse jobs of the run %s: %w", run, err)
	}
	there, err := attemptRows(ctx, tx, run, to)
	if err != nil {
		return fmt.Errorf("reuse jobs of the run %s: %w", run, err)
	}
	known, last := map[string]bool{}, 0
	for _, j := range there {
		known[j.Path], last = true, max(last, j.Number)
	}
	var rows []jobRow
	for i := range old {
		r := old[i]
		if !r.Status.Ended() || known[r.Path] || !keep(&jobs[i]) {
			continue
		}
		last++
		if r.Origin == "" {
			r.Origin = r.ID
		}
		r.ID, r.Number, r.Attempt = fmt.Sprintf("%s.%d.%d", run, to, last), last, to
		r.Reused, r.Critical, r.Token = true, false, 0
		rows = append(rows, r)
	}
	for part := range slices.Chunk(rows, 100) {
		if _, err := tx.NewInsert().Model(&part).Exec(ctx); err != nil {
			return fmt.Errorf("reuse jobs of the run %s: %w", run, err)
		}
	}
	return nil
}
