package runs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/store"
)

// Started is what became of a trigger.
type Started struct {
	Runs       []Run        `json:"runs"`
	NotStarted []NotStarted `json:"not_started"`
}

// maxTitle bounds a run's title, in bytes.
const maxTitle = 250

// check says what is wrong with a trigger.
func (t *Trigger) check() error {
	switch {
	case !slices.Contains([]string{"push", "tag", "pull_request", "schedule", "manual"}, t.Event):
		return invalid("event", t.Event, "must be push, tag, pull_request, schedule or manual")
	case t.Actor == "":
		return invalid("actor", "", "is required")
	case len(t.Delivery) > 400:
		return invalid("delivery", nil, "must have at most 400 bytes")
	}
	for field, name := range map[string]string{"ref": t.Ref, "sha": t.SHA, "before": t.Before, "head_ref": t.HeadRef, "base_ref": t.BaseRef, "base_sha": t.BaseSHA} {
		if err := branch(field, name); err != nil {
			return err
		}
	}
	for name, value := range t.Inputs {
		if len(value) > 64<<10 || strings.ContainsRune(value, 0) || valid(value) != value {
			return invalid("inputs."+name, nil, "must be UTF-8 text of at most 64 KiB without NUL")
		}
	}
	return nil
}

// takenRow is a delivery that was a trigger, with what it started.
type takenRow struct {
	bun.BaseModel `bun:"table:triggers_taken,alias:t"`

	Project    string `bun:",pk"`
	Delivery   string `bun:",pk"`
	Runs       document[[]int64]
	NotStarted document[[]NotStarted]
	At         store.Time
}

// Trigger starts the runs that a trigger asks for. A delivery that was taken before returns what it started then.
func (s *Service) Trigger(ctx context.Context, t Trigger) (*Started, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	pr, err := s.project(ctx, t.Project)
	if err != nil {
		return nil, err
	}
	if before, err := s.taken(ctx, &t); before != nil || err != nil {
		return before, err
	}
	starting, err := s.prepare(ctx, pr.view(), &t)
	if err != nil {
		return nil, fmt.Errorf("start runs of %s: %w", t.Project, err)
	}
	out, err := s.begin(ctx, &t, starting)
	if store.IsDuplicate(err) {
		// Another server has taken the same delivery meanwhile.
		if before, err := s.taken(ctx, &t); before != nil || err != nil {
			return before, err
		}
	}
	if err != nil {
		return nil, fmt.Errorf("start runs of %s: %w", t.Project, err)
	}
	return out, nil
}

// Seen reports whether a delivery was taken before.
func (s *Service) Seen(ctx context.Context, project, delivery string) (bool, error) {
	before, err := s.taken(ctx, &Trigger{Project: project, Delivery: delivery})
	return before != nil, err
}

// taken returns what a delivery has started; nil where it was not taken yet.
func (s *Service) taken(ctx context.Context, t *Trigger) (*Started, error) {
	if t.Delivery == "" {
		return nil, nil
	}
	row := &takenRow{}
	err := s.o.DB.NewSelect().Model(row).Where("project = ? AND delivery = ?", t.Project, t.Delivery).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for the delivery %s: %w", t.Delivery, err)
	}
	out := &Started{Runs: []Run{}, NotStarted: row.NotStarted.V}
	if len(row.Runs.V) == 0 {
		return out, nil
	}
	var rows []runRow
	if err := s.o.DB.NewSelect().Model(&rows).ColumnExpr(listed).Where("id IN (?)", bun.In(row.Runs.V)).Order("id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read what the delivery %s has started: %w", t.Delivery, err)
	}
	for i := range rows {
		out.Runs = append(out.Runs, rows[i].view())
	}
	return out, s.counted(ctx, out.Runs)
}

// starting is what a trigger starts, before it is written.
type starting struct {
	rows       []*runRow
	notStarted []NotStarted
	project    *Project
	// ref and sha are the trigger's, resolved; main: it is the default branch's, whose name is branch.
	ref, sha string
	main     bool
	branch   string
}

// prepare finds out what a trigger starts; all of it is done outside of transactions.
func (s *Service) prepare(ctx context.Context, p *Project, t *Trigger) (*starting, error) {
	st := &starting{project: p, ref: t.Ref, sha: t.SHA}
	none := func(reason string) (*starting, error) {
		st.notStarted = append(st.notStarted, NotStarted{File: t.File, Reason: reason})
		return st, nil
	}
	if t.SHA != "" && strings.Trim(t.SHA, "0") == "" {
		return none("the ref was deleted")
	}
	if p.Paused && t.Event != "manual" {
		return none("the project is paused")
	}
	at := t.SHA
	if at == "" {
		at = t.Ref
	}
	snapshot, release, err := s.o.Sources.Snapshot(ctx, p, at)
	if err != nil {
		return nil, err
	}
	defer release()
	run, err := s.facts(ctx, p, t, snapshot)
	if err != nil {
		return nil, err
	}
	st.ref, st.sha, st.branch = run.Change.Ref, run.Change.SHA, run.Repository.DefaultBranch
	st.main = t.Event != "pull_request" && st.branch != "" && st.ref == "refs/heads/"+st.branch
	vars, err := s.variables(ctx, p.ID, "")
	if err != nil {
		return nil, err
	}
	list, rest, err := s.o.Formats.Select(ctx, snapshot.Dir, t, run, vars)
	if err != nil {
		return nil, err
	}
	st.notStarted = rest
	mark := skips(run.Change.Message)
	for i := range list {
		start := &list[i]
		if e := start.Run.Event.Name; mark != "" && (e == "push" || e == "pull_request") {
			st.notStarted = append(st.notStarted, NotStarted{File: start.Run.File, Name: start.Run.Pipeline, Reason: fmt.Sprintf("the commit's message has %q", mark)})
			continue
		}
		st.rows = append(st.rows, s.rowOf(st, t, start))
	}
	if t.Event == "manual" && t.File != "" && len(st.rows) == 0 {
		return nil, notManual(t.File, rest)
	}
	return st, nil
}

// notManual says why a person's choice of a pipeline starts nothing.
func notManual(file string, rest []NotStarted) error {
	for _, n := range rest {
		if n.File == file && n.Reason != "" {
			return invalid("file", file, "is not started: %s", n.Reason)
		}
	}
	return invalid("file", file, "is no pipeline that a person can start at this commit")
}

// rowOf makes the row of one run; its ID and number come with the transaction.
func (s *Service) rowOf(st *starting, t *Trigger, start *Start) *runRow {
	run := start.Run
	run.Token = "" // a secret, which is in no table
	run.Attempt = 1
	r := &runRow{
		Project: st.project.ID, Pipeline: run.Pipeline, File: run.File, Attempt: 1, Title: title(start), Status: Queued,
		Event: run.Event.Name, Ref: run.Change.Ref, Branch: branchOf(run.Change), SHA: run.Change.SHA, PullRequest: t.PullRequest, Main: st.main, Fork: t.Fork,
		Actor: t.Actor, Account: t.Account, StartedBy: t.ActorName, AttemptBy: person(By{Actor: t.Actor, Account: t.Account}),
		Inputs: doc(t.Inputs), Bound: doc(start.Inputs), Facts: doc(run), Counts: doc[map[Status]int](nil),
	}
	if r.StartedBy == "" {
		r.StartedBy = t.Actor
	}
	if len(start.Errors) > 0 {
		r.Status, r.Reason = Failure, "the pipeline's file has errors:\n"+strings.Join(start.Errors, "\n")
		return r
	}
	if start.Pipeline != nil {
		s.pipelines.put(source{r.Project, r.SHA, r.File}, start.Pipeline)
	}
	return r
}

// title is the run's title: the file's own, or the first line of the commit's message.
func title(start *Start) string {
	t := strings.TrimSpace(start.Title)
	if t == "" {
		t, _, _ = strings.Cut(strings.TrimSpace(start.Run.Change.Message), "\n")
	}
	if t == "" {
		t = start.Run.Pipeline
	}
	return cut(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, t), maxTitle)
}

// branchOf is what people call the ref of a change.
func branchOf(c pipeline.Change) string {
	if c.Head != "" {
		return c.Head
	}
	name := strings.TrimPrefix(c.Ref, "refs/")
	return strings.TrimPrefix(strings.TrimPrefix(name, "heads/"), "tags/")
}

// begin writes the runs in one transaction, with their events and what has them worked on.
func (s *Service) begin(ctx context.Context, t *Trigger, st *starting) (*Started, error) {
	var out *Started
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		out = &Started{Runs: []Run{}, NotStarted: st.notStarted}
		if out.NotStarted == nil {
			out.NotStarted = []NotStarted{}
		}
		pr, err := lockProject(ctx, tx, t.Project)
		if err != nil {
			return err
		}
		again, err := s.pushedBefore(ctx, tx, t, st)
		if err != nil {
			return err
		}
		rows := st.rows
		if again {
			rows = nil
			out.NotStarted = append(slices.Clip(out.NotStarted), NotStarted{File: t.File, Reason: "this push was taken before"})
		}
		var ids []int64
		for _, prepared := range rows {
			r := *prepared
			if err := s.insertRun(ctx, tx, &r, st.project); err != nil {
				return err
			}
			ids = append(ids, r.ID)
			out.Runs = append(out.Runs, r.view())
		}
		if t.Delivery != "" {
			row := &takenRow{Project: t.Project, Delivery: t.Delivery, Runs: doc(ids), NotStarted: doc(out.NotStarted), At: store.At(tx.Now())}
			if _, err := tx.NewInsert().Model(row).Exec(ctx); err != nil {
				return err
			}
		}
		return s.saw(ctx, tx, pr, t, st)
	})
	if err != nil {
		return nil, err
	}
	for i := range out.Runs {
		if out.Runs[i].Jobs == nil {
			out.Runs[i].Jobs = map[Status]int{}
		}
	}
	return out, nil
}

// insertRun gives a run its ID and number, and writes it.
func (s *Service) insertRun(ctx context.Context, tx *store.Tx, r *runRow, p *Project) error {
	var err error
	if r.ID, err = newID(ctx, tx); err != nil {
		return err
	}
	n, err := count(ctx, tx, "number/"+r.Project+"/"+r.File, 1)
	if err != nil {
		return err
	}
	r.Number = int(n)
	now := store.At(tx.Now())
	r.CreatedAt = now
	facts, err := cloneFacts(r.Facts.V)
	if err != nil {
		return err
	}
	facts.ID, facts.Number, facts.Attempt = text(r.ID), r.Number, r.Attempt
	r.Facts = doc(facts)
	if r.Status.Ended() {
		r.StartedAt, r.FinishedAt = now, now
	}
	if _, err := tx.NewInsert().Model(r).Exec(ctx); err != nil {
		return err
	}
	if r.Status.Ended() {
		queued := *r
		queued.Status, queued.Reason = Queued, ""
		if err := queued.tell(tx, "run.queued", r.Actor); err != nil {
			return err
		}
		if err := r.tell(tx, "run.finished", byGantry); err != nil {
			return err
		}
	} else {
		if err := r.tell(tx, "run.queued", r.Actor); err != nil {
			return err
		}
		if err := s.o.Engine.Put(ctx, tx, kindRun, text(r.ID), s.now()); err != nil {
			return err
		}
	}
	return s.reportLater(ctx, tx, p, r.ID)
}

// cloneFacts copies the facts of a run; the copy shares nothing that a format may have kept with the original.
func cloneFacts(r *pipeline.Run) (*pipeline.Run, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("keep the facts of the run: %w", err)
	}
	c := &pipeline.Run{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("keep the facts of the run: %w", err)
	}
	return c, nil
}

// person names who has asked for something so that the same person always has the same name: the account where there is one, however it
// has signed in.
func person(by By) string {
	if by.Account != "" {
		return "account:" + by.Account
	}
	return by.Actor
}
