package ship

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/release"
)

// Query restricts a list of releases. Empty fields do not restrict.
type Query struct {
	// Projects are their IDs; nil is all, an empty list none.
	Projects []string
	Status   []Status
	// Service and Environment are those that a release is for.
	Service, Environment string
	// After is a page's Next; Limit 1 to 200, 0: 50.
	After string
	Limit int
}

// Page is a part of a list. Next, where not empty, is given to get the part after it.
type Page struct {
	Items []Release `json:"items"`
	Next  string    `json:"next,omitempty"`
}

const (
	defaultPage = 50
	maxPage     = 200
)

// Release returns one, with its rollouts in full; [ErrNotFound] where there is none.
func (s *Service) Release(ctx context.Context, id string) (Release, error) {
	n, err := number(id)
	if err != nil {
		return Release{}, err
	}
	return s.release(ctx, n)
}

func (s *Service) release(ctx context.Context, id int64) (Release, error) {
	r, err := s.read(ctx, s.o.DB, id)
	if err != nil {
		return Release{}, err
	}
	w, err := s.world(ctx, r)
	if err != nil {
		return Release{}, err
	}
	s.show(r, w)
	var all []release.Record
	for _, one := range w.rollouts {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b release.Record) int { return int(a.ID - b.ID) })
	if r.Release.Rollouts, err = s.o.Rollouts.Views(ctx, all); err != nil {
		return Release{}, err
	}
	return r.Release.shown(), nil
}

// shown has lists where there is nothing, so that they are lists in JSON as well.
func (r Release) shown() Release {
	if r.May == nil {
		r.May = []string{}
	}
	return r
}

// Releases lists them, the newest first, without their rollouts in full.
func (s *Service) Releases(ctx context.Context, q Query) (Page, error) {
	out := Page{Items: []Release{}}
	switch {
	case q.Limit == 0:
		q.Limit = defaultPage
	case q.Limit < 0 || q.Limit > maxPage:
		return out, &InvalidError{"limit", q.Limit, fmt.Sprintf("must be from 1 to %d", maxPage)}
	}
	if q.Projects != nil && len(q.Projects) == 0 {
		return out, nil
	}
	var rows []row
	sel := s.o.DB.NewSelect().Model(&rows).ExcludeColumn("plan").Order("id DESC").Limit(int64(q.Limit + 1))
	if q.After != "" {
		n, err := strconv.ParseInt(q.After, 10, 64)
		if err != nil {
			return out, &InvalidError{"after", q.After, "is no place in this list"}
		}
		sel = sel.Where("id < ?", n)
	}
	if q.Projects != nil {
		sel = sel.Where("project IN (?)", bun.In(q.Projects))
	}
	if len(q.Status) > 0 {
		sel = sel.Where("status IN (?)", bun.In(q.Status))
	}
	if q.Service != "" || q.Environment != "" {
		part := s.o.DB.NewSelect().TableExpr("release_parts AS p").ColumnExpr("p.release")
		if q.Service != "" {
			part = part.Where("p.service = ?", q.Service)
		}
		if q.Environment != "" {
			part = part.Where("p.environment = ?", q.Environment)
		}
		sel = sel.Where("id IN (?)", part)
	}
	if err := sel.Scan(ctx); err != nil {
		return out, fmt.Errorf("list releases: %w", err)
	}
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		out.Next = strconv.FormatInt(rows[q.Limit-1].ID, 10)
	}
	for i := range rows {
		out.Items = append(out.Items, rows[i].record(nil).Release.shown())
	}
	return out, nil
}
