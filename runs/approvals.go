package runs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// approvalRow is what a job of an attempt waits for before it may run: people, a time, or both. One that asks for nobody (Required is 0)
// is only a time to wait, and no approval for anybody outside.
type approvalRow struct {
	bun.BaseModel `bun:"table:approvals,alias:a"`

	ID      int64 `bun:",pk"`
	Project string
	Run     int64
	Attempt int
	// Path is the job's, Job its ID.
	Path        string
	Job         string
	JobName     string
	RunTitle    string
	SHA         string `bun:"sha"`
	Environment string
	Manual      bool
	Status      Status
	Reason      string
	Required    int
	WaitMinutes int
	Approvers   document[[]string]
	StartedBy   string
	// Starters are those, as [person] names them and by name, who have started the run or the attempt.
	Starters   document[[]string]
	NotStarter bool
	CreatedAt  store.Time
	ExpiresAt  store.Time
	DecidedAt  store.Time
}

// decisionRow is one person's decision.
type decisionRow struct {
	bun.BaseModel `bun:"table:approval_decisions,alias:d"`

	Approval int64  `bun:",pk"`
	Person   string `bun:",pk"`
	Actor    string
	Approve  bool
	Comment  string
	At       store.Time
}

func (r *approvalRow) view(decisions []decisionRow) Approval {
	a := Approval{
		ID: text(r.ID), Project: r.Project, Run: text(r.Run), Job: r.Job, JobName: r.JobName, RunTitle: r.RunTitle, Environment: r.Environment,
		Manual: r.Manual, Status: r.Status, Reason: r.Reason, Required: r.Required, Decisions: []Decision{}, StartedBy: r.StartedBy,
		NotStarter: r.NotStarter, Approvers: r.Approvers.V, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, DecidedAt: r.DecidedAt,
	}
	for _, d := range decisions {
		if d.Approval == r.ID {
			a.Decisions = append(a.Decisions, Decision{Actor: d.Actor, Approve: d.Approve, Comment: d.Comment, At: d.At})
		}
	}
	return a
}

// until is when the job may run that was let through.
func (r *approvalRow) until() time.Time {
	return r.DecidedAt.Add(time.Duration(r.WaitMinutes) * time.Minute)
}

// approvalEvent is the data of events about approvals.
type approvalEvent struct {
	Job         string    `json:"job"`
	JobName     string    `json:"job_name"`
	Environment string    `json:"environment,omitempty"`
	Status      Status    `json:"status"`
	Reason      string    `json:"reason,omitempty"`
	Required    int       `json:"required"`
	SHA         string    `json:"sha"`
	Attempt     int       `json:"attempt"`
	Decision    *Decision `json:"decision,omitempty"`
}

// tell appends an event about the approval as it is now.
func (r *approvalRow) tell(tx *store.Tx, what, actor string, d *Decision) error {
	return tx.Append(store.Event{Type: what, Project: r.Project, Run: text(r.Run), Subject: text(r.ID), Actor: actor}, approvalEvent{
		Job: r.Job, JobName: r.JobName, Environment: r.Environment, Status: r.Status, Reason: r.Reason, Required: r.Required, SHA: r.SHA, Attempt: r.Attempt, Decision: d,
	})
}

// ApprovalQuery restricts a list of approvals. Projects nil: all.
type ApprovalQuery struct {
	Projects []string
	Run      string
	Status   []Status
	ListOptions
}

// Approvals lists them, the newest first.
func (s *Service) Approvals(ctx context.Context, q ApprovalQuery) (Page[Approval], error) {
	out := Page[Approval]{Items: []Approval{}}
	limit, err := limitOf(q.ListOptions)
	if err != nil {
		return out, err
	}
	var rows []approvalRow
	sel := ofProjects(s.o.DB.NewSelect().Model(&rows), q.Projects).Where("required > 0").Order("id DESC").Limit(int64(limit + 1))
	if q.After != "" {
		n, err := number(q.After)
		if err != nil {
			return out, invalid("after", q.After, "is no place in this list")
		}
		sel = sel.Where("id < ?", n)
	}
	if q.Run != "" {
		n, err := number(q.Run)
		if err != nil {
			return out, nil
		}
		sel = sel.Where("run = ?", n)
	}
	for _, st := range q.Status {
		if !slices.Contains([]Status{Waiting, Success, Failure, Cancelled}, st) {
			return out, invalid("status", st, "must be one of waiting, success, failure, cancelled")
		}
	}
	if len(q.Status) > 0 {
		sel = sel.Where("status IN (?)", bun.In(q.Status))
	}
	if err := sel.Scan(ctx); err != nil {
		return out, fmt.Errorf("list approvals: %w", err)
	}
	if len(rows) > limit {
		out.Next = text(rows[limit-1].ID)
		rows = rows[:limit]
	}
	ids := make([]int64, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	decisions, err := decided(ctx, s.o.DB, ids...)
	if err != nil {
		return out, err
	}
	for i := range rows {
		out.Items = append(out.Items, rows[i].view(decisions))
	}
	return out, nil
}

// decided reads the decisions of some approvals, in their order.
func decided(ctx context.Context, db bun.IDB, ids ...int64) ([]decisionRow, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []decisionRow
	if err := db.NewSelect().Model(&rows).Where("approval IN (?)", bun.In(ids)).Order("at", "person").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	return rows, nil
}

// Approval returns one.
func (s *Service) Approval(ctx context.Context, id string) (*Approval, error) {
	n, err := number(id)
	if err != nil {
		return nil, err
	}
	r := &approvalRow{}
	if err := found(s.o.DB.NewSelect().Model(r).Where("id = ? AND required > 0", n).Scan(ctx), "approval", id); err != nil {
		return nil, err
	}
	decisions, err := decided(ctx, s.o.DB, n)
	if err != nil {
		return nil, err
	}
	a := r.view(decisions)
	return &a, nil
}

// maxComment bounds the comment of a decision, in bytes.
const maxComment = 4000

// Decide records one person's decision about the run's commit and attempt: ErrConflict where it is decided already or by this person, a
// *ForbiddenError where this person may not. One rejection is enough to refuse.
func (s *Service) Decide(ctx context.Context, by By, id string, approve bool, comment string) (*Approval, error) {
	n, err := number(id)
	if err != nil {
		return nil, err
	}
	if len(comment) > maxComment || valid(comment) != comment {
		return nil, invalid("comment", nil, "must be UTF-8 of at most %d bytes", maxComment)
	}
	var out Approval
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		r := &approvalRow{}
		if err := found(lock(tx, tx.NewSelect().Model(r).Where("id = ? AND required > 0", n)).Scan(ctx), "approval", id); err != nil {
			return err
		}
		now := store.At(tx.Now())
		if err := r.mayDecide(by, now); err != nil {
			return err
		}
		d := &decisionRow{Approval: r.ID, Person: fold(person(by)), Actor: by.Actor, Approve: approve, Comment: comment, At: now}
		ok, err := changed(tx.NewInsert().Model(d).On("CONFLICT (approval, person) DO NOTHING").Exec(ctx))
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%w: you have decided about this already", ErrConflict)
		}
		decisions, err := decided(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		r.sum(decisions, by, now)
		if _, err := tx.NewUpdate().Model(r).Column("status", "reason", "decided_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		out = r.view(decisions)
		if err := r.tell(tx, "approval.decided", by.Actor, &Decision{Actor: d.Actor, Approve: d.Approve, Comment: d.Comment, At: d.At}); err != nil {
			return err
		}
		if r.Status == Waiting {
			return nil
		}
		if err := s.o.Engine.Remove(ctx, tx, kindApproval, id); err != nil {
			return err
		}
		return s.wake(ctx, tx, r.Run)
	})
	if err != nil {
		return nil, fmt.Errorf("decide about the approval %s: %w", id, err)
	}
	return &out, nil
}

// mayDecide says why somebody may not decide.
func (r *approvalRow) mayDecide(by By, now store.Time) error {
	switch {
	case r.Status != Waiting:
		return fmt.Errorf("%w: this was decided already (%s)", ErrConflict, r.Status)
	case !now.Before(r.ExpiresAt.Time):
		return fmt.Errorf("%w: the time to decide is over since %s", ErrConflict, r.ExpiresAt.Format(time.RFC3339))
	}
	who := person(by)
	account, ok := strings.CutPrefix(who, "account:")
	if !ok {
		return &ForbiddenError{Reason: "only people with an account decide; this token stands for none"}
	}
	if len(r.Approvers.V) > 0 && !slices.ContainsFunc(r.Approvers.V, func(a string) bool { return strings.EqualFold(a, account) }) {
		return &ForbiddenError{Reason: fmt.Sprintf("the environment %s lets only these accounts decide: %s", r.Environment, strings.Join(r.Approvers.V, ", "))}
	}
	if !r.NotStarter {
		return nil
	}
	for _, starter := range r.Starters.V {
		if strings.EqualFold(starter, who) || strings.EqualFold(starter, account) || by.Name != "" && strings.EqualFold(starter, by.Name) {
			return &ForbiddenError{Reason: fmt.Sprintf("the environment %s does not let who started the run decide", r.Environment)}
		}
	}
	return nil
}

// sum draws the conclusion from the decisions.
func (r *approvalRow) sum(decisions []decisionRow, by By, now store.Time) {
	yes := 0
	for _, d := range decisions {
		if !d.Approve {
			r.Status, r.DecidedAt = Failure, now
			if r.Reason = "rejected by " + by.Name; by.Name == "" {
				r.Reason = "rejected by " + by.Actor
			}
			return
		}
		yes++
	}
	if yes >= r.Required {
		r.Status, r.DecidedAt = Success, now
	}
}

// expire refuses an approval that nobody gave in time.
func (s *Service) expire(ctx context.Context, id string) (time.Duration, error) {
	n, err := number(id)
	if err != nil {
		return done, nil
	}
	again := done
	err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		again = done
		r := &approvalRow{}
		if err := found(lock(tx, tx.NewSelect().Model(r).Where("id = ?", n)).Scan(ctx), "approval", id); errors.Is(err, ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		now := store.At(tx.Now())
		if r.Status != Waiting {
			return nil
		}
		if now.Before(r.ExpiresAt.Time) {
			again = r.ExpiresAt.Sub(now.Time)
			return nil
		}
		r.Status, r.DecidedAt = Failure, now
		r.Reason = fmt.Sprintf("nobody decided within %s", r.ExpiresAt.Sub(r.CreatedAt.Time))
		if _, err := tx.NewUpdate().Model(r).Column("status", "reason", "decided_at").WherePK().Exec(ctx); err != nil {
			return err
		}
		if err := r.tell(tx, "approval.decided", byGantry, nil); err != nil {
			return err
		}
		return s.wake(ctx, tx, r.Run)
	})
	if err != nil {
		return 0, fmt.Errorf("expire the approval %s: %w", id, err)
	}
	return again, nil
}

// ForbiddenError is a refusal by what an environment says.
type ForbiddenError struct{ Reason string }

func (e *ForbiddenError) Error() string { return e.Reason }
