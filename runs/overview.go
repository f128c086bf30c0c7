package runs

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Overview is what a person sees first.
const (
	overviewRuns = 50
	overviewDays = 14
)

// Overview sums up what is red, what goes on and what waits, of some projects (nil: all).
func (s *Service) Overview(ctx context.Context, projects []string) (*Overview, error) {
	o := &Overview{Red: []Run{}, Active: []Run{}, Recent: []Run{}, Waiting: []Approval{}}
	for _, part := range []func(context.Context, []string, *Overview) error{s.red, s.active, s.waiting, s.days, s.places} {
		if err := part(ctx, projects, o); err != nil {
			return nil, fmt.Errorf("read the overview: %w", err)
		}
	}
	return o, nil
}

// red finds pipelines of default branches whose newest run that came to a result has failed.
func (s *Service) red(ctx context.Context, projects []string, o *Overview) error {
	newest := ofProjects(s.o.DB.NewSelect().Model((*runRow)(nil)).ColumnExpr("MAX(id)").Where("main = ?", true).Where("status IN (?)", bun.In([]Status{Success, Failure})), projects).
		Group("project", "file")
	var rows []runRow
	err := s.o.DB.NewSelect().Model(&rows).ColumnExpr(listed).Where("status = ?", Failure).Where("id IN (?)", newest).Order("id DESC").Limit(overviewRuns).Scan(ctx)
	if err != nil {
		return err
	}
	for i := range rows {
		o.Red = append(o.Red, rows[i].view())
	}
	return nil
}

func (s *Service) active(ctx context.Context, projects []string, o *Overview) error {
	q := RunQuery{Projects: projects, Status: []Status{Queued, Running, Waiting}, ListOptions: ListOptions{Limit: overviewRuns}}
	page, err := s.Runs(ctx, q)
	if err != nil {
		return err
	}
	o.Active = page.Items
	q.Status, q.Limit = ends, 20
	page, err = s.Runs(ctx, q)
	o.Recent = page.Items
	return err
}

func (s *Service) waiting(ctx context.Context, projects []string, o *Overview) error {
	page, err := s.Approvals(ctx, ApprovalQuery{Projects: projects, Status: []Status{Waiting}, ListOptions: ListOptions{Limit: overviewRuns}})
	o.Waiting = page.Items
	return err
}

// microsecondsADay is how the database knows a day in UTC.
const microsecondsADay = int64(24 * time.Hour / time.Microsecond)

// days counts the ended runs of the last two weeks, in the database.
func (s *Service) days(ctx context.Context, projects []string, o *Overview) error {
	today := s.now().UTC().UnixMicro() / microsecondsADay
	first := today - overviewDays + 1
	ended := func(q *bun.SelectQuery) *bun.SelectQuery {
		return ofProjects(q, projects).Where("finished_at >= ?", first*microsecondsADay)
	}
	var counts []struct {
		Day    int64
		Status Status
		N      int
	}
	err := ended(s.o.DB.NewSelect().Model((*runRow)(nil)).ColumnExpr("finished_at / ? AS day, status, COUNT(*) AS n", microsecondsADay)).
		Where("status IN (?)", bun.In(ends)).GroupExpr("finished_at / ?, status", microsecondsADay).Scan(ctx, &counts)
	if err != nil {
		return err
	}
	ranked := ended(s.o.DB.NewSelect().Model((*runRow)(nil)).Where("status = ?", Success).
		ColumnExpr("finished_at / ? AS day, finished_at - started_at AS took", microsecondsADay).
		ColumnExpr("ROW_NUMBER() OVER (PARTITION BY finished_at / ? ORDER BY finished_at - started_at) AS place", microsecondsADay).
		ColumnExpr("COUNT(*) OVER (PARTITION BY finished_at / ?) AS n", microsecondsADay))
	var medians []struct {
		Day  int64
		Took float64
	}
	err = s.o.DB.NewSelect().TableExpr("(?) AS ranked", ranked).ColumnExpr("day, CAST(AVG(took) AS DOUBLE PRECISION) AS took").
		Where("place IN ((n + 1) / 2, (n + 2) / 2)").Group("day").Scan(ctx, &medians)
	if err != nil {
		return err
	}
	o.Days = make([]DayCount, overviewDays)
	for i := range o.Days {
		o.Days[i].Day = time.UnixMicro((first + int64(i)) * microsecondsADay).UTC().Format(time.DateOnly)
	}
	at := func(day int64) *DayCount { return &o.Days[min(max(day-first, 0), overviewDays-1)] }
	for _, c := range counts {
		switch c.Status {
		case Success:
			at(c.Day).Success += c.N
		case Failure:
			at(c.Day).Failure += c.N
		default:
			at(c.Day).Other += c.N
		}
	}
	for _, m := range medians {
		at(m.Day).Seconds = m.Took / 1e6
	}
	return nil
}

func (s *Service) places(ctx context.Context, _ []string, o *Overview) error {
	st, err := s.Service.Stats(ctx)
	if err != nil {
		return err
	}
	o.Queue, o.Busy, o.Places = st.Jobs[Queued], st.Busy, st.Places
	return nil
}

// RunCounts counts the runs that have not ended, by status.
func (s *Service) RunCounts(ctx context.Context) (map[Status]int, error) {
	var rows []struct {
		Status Status
		N      int
	}
	err := s.o.DB.NewSelect().Model((*runRow)(nil)).ColumnExpr("status, COUNT(*) AS n").Where("status IN (?)", bun.In([]Status{Queued, Running, Waiting})).Group("status").Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	out := map[Status]int{Queued: 0, Running: 0, Waiting: 0}
	for _, r := range rows {
		out[r.Status] = r.N
	}
	return out, nil
}
