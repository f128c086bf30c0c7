package runs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"
)

// RunQuery restricts a list of runs; empty fields do not. Projects nil: all.
type RunQuery struct {
	Projects    []string
	Status      []Status
	Branch      string
	Event       string
	Actor       string
	File        string
	SHA         string
	PullRequest int
	// Text is looked for in titles, pipelines' names, branches and commits.
	Text string
	ListOptions
}

var statuses = []Status{Pending, Queued, Waiting, Running, Success, Failure, Cancelled, Skipped}

// Runs lists runs, the newest first.
func (s *Service) Runs(ctx context.Context, q RunQuery) (Page[Run], error) {
	out := Page[Run]{Items: []Run{}}
	limit, err := limitOf(q.ListOptions)
	if err != nil {
		return out, err
	}
	if q.Projects != nil && len(q.Projects) == 0 {
		return out, nil
	}
	var rows []runRow
	sel := s.o.DB.NewSelect().Model(&rows).ColumnExpr(listed).Order("id DESC").Limit(int64(limit + 1))
	if q.After != "" {
		n, err := number(q.After)
		if err != nil {
			return out, invalid("after", q.After, "is no place in this list")
		}
		sel = sel.Where("id < ?", n)
	}
	if sel, err = q.restrict(sel); err != nil {
		return out, err
	}
	if err := sel.Scan(ctx); err != nil {
		return out, fmt.Errorf("list runs: %w", err)
	}
	for i := range rows {
		if i == limit {
			out.Next = text(rows[limit-1].ID)
			break
		}
		out.Items = append(out.Items, rows[i].view())
	}
	return out, s.counted(ctx, out.Items)
}

func (q *RunQuery) restrict(sel *bun.SelectQuery) (*bun.SelectQuery, error) {
	sel = ofProjects(sel, q.Projects)
	for _, st := range q.Status {
		if !slices.Contains(statuses, st) {
			return nil, invalid("status", st, "must be one of %s", join(statuses))
		}
	}
	if len(q.Status) > 0 {
		sel = sel.Where("status IN (?)", bun.In(q.Status))
	}
	for column, value := range map[string]string{"branch": q.Branch, "event": q.Event, "file": q.File, "sha": strings.ToLower(q.SHA)} {
		if value != "" {
			sel = sel.Where("? = ?", bun.Ident(column), valid(value))
		}
	}
	if q.Actor != "" {
		sel = sel.Where("(actor = ? OR started_by = ?)", valid(q.Actor), valid(q.Actor))
	}
	if q.PullRequest != 0 {
		sel = sel.Where("pull_request = ?", q.PullRequest)
	}
	if q.Text != "" {
		if err := line("text", q.Text, maxName); err != nil {
			return nil, err
		}
		pattern := "%" + escapeLike.Replace(strings.ToLower(q.Text)) + "%"
		sel = sel.Where(`(LOWER(title) LIKE ? ESCAPE '!' OR LOWER(pipeline) LIKE ? ESCAPE '!' OR LOWER(branch) LIKE ? ESCAPE '!' OR sha LIKE ? ESCAPE '!')`, pattern, pattern, pattern, pattern)
	}
	return sel, nil
}

// escapeLike takes their meaning from the signs of LIKE, with an exclamation mark, which no database has an opinion on.
var escapeLike = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

func ofProjects(sel *bun.SelectQuery, projects []string) *bun.SelectQuery {
	if projects == nil {
		return sel
	}
	if len(projects) == 0 {
		return sel.Where("1 = 0")
	}
	return sel.Where("project IN (?)", bun.In(projects))
}

func join(list []Status) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}

// Run returns one run.
func (s *Service) Run(ctx context.Context, id string) (*Run, error) {
	r, err := s.readRun(ctx, id)
	if err != nil {
		return nil, err
	}
	view := []Run{r.view()}
	return &view[0], s.counted(ctx, view)
}

// Jobs returns the jobs of an attempt (0: the newest), in the order of the file.
func (s *Service) Jobs(ctx context.Context, run string, attempt int) ([]Job, error) {
	r, err := s.readRun(ctx, run)
	if err != nil {
		return nil, err
	}
	if attempt == 0 {
		attempt = r.Attempt
	}
	if attempt < 1 || attempt > r.Attempt {
		return nil, fmt.Errorf("%w: the run %s has no attempt %d; it has had %d", ErrNotFound, run, attempt, r.Attempt)
	}
	return s.Service.List(ctx, run, attempt)
}
