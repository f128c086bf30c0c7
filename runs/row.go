package runs

import (
	"context"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/store"
)

// runRow is a run as the table has it.
type runRow struct {
	bun.BaseModel `bun:"table:runs,alias:r"`

	ID      int64 `bun:",pk"`
	Project string
	// Pipeline is its name.
	Pipeline string
	File     string
	Number   int
	Attempt  int
	Title    string
	Status   Status
	Reason   string
	// Cancelling and Killing are what CancelledBy has asked for.
	Cancelling  bool
	Killing     bool
	CancelledBy string
	Event       string
	Ref         string
	Branch      string
	SHA         string `bun:"sha"`
	PullRequest int
	// Main: it is for the default branch.
	Main bool
	// Fork: it is for code from another repository, which gets no secrets.
	Fork      bool
	Actor     string
	Account   string
	StartedBy string
	// AttemptBy is who started this attempt: an account where there is one, else the actor.
	AttemptBy string
	// Inputs are what a person gave, Bound what the pipeline makes of them.
	Inputs document[map[string]string]
	Bound  document[*pipeline.Map]
	Facts  document[*pipeline.Run]
	// Counts are the jobs by status, once the attempt has ended.
	Counts        document[map[Status]int]
	LogsGone      bool
	ArtifactsGone bool
	CreatedAt     store.Time
	StartedAt     store.Time
	FinishedAt    store.Time
}

// listed are the columns that lists need: all but those that may be large.
const listed = "id, project, pipeline, file, number, attempt, title, status, reason, cancelling, killing, cancelled_by, event, ref, branch, sha, pull_request, main, fork, " +
	"actor, account, started_by, attempt_by, inputs, counts, logs_gone, artifacts_gone, created_at, started_at, finished_at"

// view is the run as others see it. Counts of an attempt that has not ended are filled in by [Service.counted].
func (r *runRow) view() Run {
	return Run{
		ID: text(r.ID), Project: r.Project, Pipeline: r.Pipeline, File: r.File, Number: r.Number, Attempt: r.Attempt, Title: r.Title,
		Status: r.Status, Reason: r.Reason, Cancelling: r.Cancelling && !r.Status.Ended(), Event: r.Event, Ref: r.Ref, Branch: r.Branch, SHA: r.SHA,
		PullRequest: r.PullRequest, Actor: r.Actor, StartedBy: r.StartedBy, Inputs: r.Inputs.V, Jobs: r.Counts.V,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
	}
}

// event is an event about the run, with what a list on a screen needs to follow it.
func (r *runRow) eventOf(what, actor string) (store.Event, runEvent) {
	return store.Event{Type: what, Project: r.Project, Run: text(r.ID), Subject: text(r.ID), Actor: actor}, runEvent{
		Number: r.Number, Attempt: r.Attempt, Pipeline: r.Pipeline, File: r.File, Title: r.Title, Status: r.Status, Reason: r.Reason,
		Branch: r.Branch, SHA: r.SHA, Event: r.Event, PullRequest: r.PullRequest,
	}
}

// runEvent is the data of events about runs.
type runEvent struct {
	Number      int    `json:"number"`
	Attempt     int    `json:"attempt"`
	Pipeline    string `json:"pipeline"`
	File        string `json:"file"`
	Title       string `json:"title"`
	Status      Status `json:"status"`
	Reason      string `json:"reason,omitempty"`
	Branch      string `json:"branch,omitempty"`
	SHA         string `json:"sha"`
	Event       string `json:"event"`
	PullRequest int    `json:"pull_request,omitempty"`
	// Kill: the run is ended without clean-up. Mode and Job say what is run again.
	Kill bool      `json:"kill,omitempty"`
	Mode RerunMode `json:"mode,omitempty"`
	Job  string    `json:"job,omitempty"`
}

// tell appends an event about the run as it is now.
func (r *runRow) tell(tx *store.Tx, what, actor string) error {
	e, data := r.eventOf(what, actor)
	return tx.Append(e, data)
}

// byGantry is the actor of what no person has asked for.
const byGantry = "gantry"

// readRun reads a run outside of any transaction.
func (s *Service) readRun(ctx context.Context, id string) (*runRow, error) {
	n, err := number(id)
	if err != nil {
		return nil, err
	}
	r := &runRow{}
	err = s.o.DB.NewSelect().Model(r).Where("id = ?", n).Scan(ctx)
	return r, found(err, "run", id)
}

// lockRun reads what lists show of a run, and keeps it as it is for the transaction.
func lockRun(ctx context.Context, tx *store.Tx, id int64) (*runRow, error) {
	r := &runRow{}
	err := lock(tx, tx.NewSelect().Model(r).ColumnExpr(listed).Where("id = ?", id)).Scan(ctx)
	return r, found(err, "run", text(id))
}

// updateRun writes the columns named.
func updateRun(ctx context.Context, tx *store.Tx, r *runRow, columns ...string) error {
	_, err := tx.NewUpdate().Model(r).Column(columns...).WherePK().Exec(ctx)
	return err
}

// counted fills in how many jobs of each status the runs have that have not ended.
func (s *Service) counted(ctx context.Context, list []Run) error {
	for i := range list {
		r := &list[i]
		if r.Jobs == nil {
			r.Jobs = map[Status]int{}
		}
		if r.Status.Ended() || r.Status == Queued && r.StartedAt.IsZero() && r.Attempt == 1 {
			continue
		}
		counts, err := s.Service.Counts(ctx, r.ID, r.Attempt)
		if err != nil {
			return err
		}
		r.Jobs = counts
	}
	return nil
}
