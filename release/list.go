package release

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"
)

// Query restricts a list of rollouts. Empty fields do not restrict.
type Query struct {
	Project, Environment, Service, Release string
	// Active leaves out those that have ended.
	Active bool
	// Before is the ID of the last rollout seen already, 0 for none; Limit is how many to return at most, 1 to 500; 0: 50.
	Before int64
	Limit  int
}

const (
	defaultList = 50
	mostListed  = 500
)

// List are the rollouts that a query is for, the newest first.
func (s *Service) List(ctx context.Context, q Query) ([]Record, error) {
	if q.Limit <= 0 {
		q.Limit = defaultList
	}
	sel := s.o.DB.NewSelect().Order("id DESC").Limit(int64(min(q.Limit, mostListed)))
	for column, value := range map[string]string{"project": q.Project, "environment": q.Environment, "service": q.Service, "release": q.Release} {
		if value != "" {
			sel = sel.Where("? = ?", bun.Ident(column), value)
		}
	}
	if q.Active {
		sel = sel.Where("NOT ended")
	}
	if q.Before > 0 {
		sel = sel.Where("id < ?", q.Before)
	}
	return records(ctx, sel)
}

// Rollouts are those of some IDs, the oldest first; one that there is not is left out.
func (s *Service) Rollouts(ctx context.Context, ids ...int64) ([]Record, error) {
	var all []Record
	for len(ids) > 0 {
		n := min(len(ids), mostListed)
		part, err := records(ctx, s.o.DB.NewSelect().Where("id IN (?)", bun.In(ids[:n])).Order("id"))
		if err != nil {
			return nil, err
		}
		all, ids = append(all, part...), ids[n:]
	}
	return all, nil
}

// Kept are all candidates that some place has or may go back to: those released, and both sides of the rollouts that have not ended.
func (s *Service) Kept(ctx context.Context) ([]Candidate, error) {
	var kept []Candidate
	if err := s.o.DB.NewSelect().Table("released").Column("artifact", "config").Scan(ctx, &kept); err != nil {
		return nil, fmt.Errorf("read what is released: %w", err)
	}
	active, err := records(ctx, s.o.DB.NewSelect().Where("NOT ended").Order("id"))
	if err != nil {
		return nil, err
	}
	for _, r := range active {
		kept = append(kept, r.State.New)
		if !r.State.Old.IsZero() {
			kept = append(kept, r.State.Old)
		}
	}
	return kept, nil
}

func records(ctx context.Context, sel *bun.SelectQuery) ([]Record, error) {
	var rows []row
	if err := sel.Model(&rows).Scan(ctx); err != nil {
		return nil, fmt.Errorf("list rollouts: %w", err)
	}
	all := make([]Record, len(rows))
	for i := range rows {
		all[i] = rows[i].record()
	}
	return all, nil
}

// asked looks for a rollout that was asked for already.
func asked(ctx context.Context, db bun.IDB, q Request) (Record, bool, error) {
	if q.Release == "" {
		return Record{}, false, nil
	}
	all, err := records(ctx, db.NewSelect().Where("release = ? AND project = ? AND service = ? AND environment = ? AND kind = ?", q.Release, q.Project, q.Service, q.Environment, q.Kind))
	if err != nil || len(all) == 0 {
		return Record{}, false, err
	}
	return all[0], true, nil
}
