package fleet

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// recompose makes the desired state of agents anew, and lets those know for whom it has changed. It locks each in the order of names.
func (s *Service) recompose(ctx context.Context, tx *store.Tx, names []string) error {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	for _, name := range names {
		if err := s.recomposeOne(ctx, tx, name); err != nil {
			return fmt.Errorf("what the agent %s shall be: %w", name, err)
		}
	}
	return nil
}

func (s *Service) recomposeOne(ctx context.Context, tx *store.Tx, name string) error {
	var row agentRow
	q := tx.NewSelect().Model(&row).Where("name = ?", name)
	if lock := tx.ForUpdate(); lock != "" {
		q = q.For(lock)
	}
	if err := q.Scan(ctx); errors.Is(err, sql.ErrNoRows) {
		return nil // it was removed
	} else if err != nil {
		return err
	}
	members, err := s.members(ctx, tx, name)
	if err != nil {
		return err
	}
	next, problems := compose(name, members)
	if err := s.addTasks(ctx, tx, name, &next); err != nil {
		return err
	}
	changed, err := differs(row.Desired.V, next)
	if err != nil {
		return err
	}
	generation := row.Generation
	if changed {
		generation++
		_, err := tx.NewUpdate().Table("agents").Set("generation = ?", generation).Set("desired = ?", store.AsJSON(next)).Where("name = ?", name).Exec(ctx)
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { s.wake(name) })
	}
	for i := range members {
		part := members[i].here(name)
		was := partOf(row.Desired.V, members[i].place)
		moved, err := differs(was, partOf(next, members[i].place))
		if err != nil {
			return err
		}
		if problem := problems[part.place]; problem != part.Problem || moved {
			_, err := tx.NewUpdate().Table("placement_parts").Set("generation = ?", generation).Set("problem = ?", problem).Apply(at(part.place)).Where("agent = ?", name).Exec(ctx)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// partOf is what of a host's state is about one placement.
func partOf(w wanted, p place) (all []any) {
	for _, i := range w.Instances {
		if i.Service == p.instances() {
			all = append(all, i)
		}
	}
	for _, s := range w.Services {
		if s.Of == p.instances() {
			all = append(all, s)
		}
	}
	return all
}

// differs compares two states as the host would see them.
func differs(a, b any) (bool, error) {
	one, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	two, err := json.Marshal(b)
	return string(one) != string(two), err
}

// members are the placements that an agent has a part in, the oldest first.
func (s *Service) members(ctx context.Context, db bun.IDB, name string) ([]member, error) {
	var mine []partRow
	if err := db.NewSelect().Model(&mine).Where("agent = ?", name).Scan(ctx); err != nil {
		return nil, err
	}
	var places []place
	for _, p := range mine {
		places = append(places, p.place)
	}
	parts, err := partsOf(ctx, db, places)
	if err != nil {
		return nil, err
	}
	by := map[place][]partRow{}
	for _, p := range parts {
		by[p.place] = append(by[p.place], p)
	}
	var members []member
	for _, p := range places {
		m := member{parts: by[p]}
		if err := db.NewSelect().Model(&m.placementRow).Apply(func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.Where("project = ? AND environment = ? AND service = ? AND region = ?", p.Project, p.Environment, p.Service, p.Region)
		}).Scan(ctx); err != nil {
			return nil, fmt.Errorf("read the placement %s: %w", p.instances(), err)
		}
		if err := s.describe(ctx, &m); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b member) int {
		if c := a.CreatedAt.Compare(b.CreatedAt.Time); c != 0 {
			return c
		}
		return strings.Compare(a.instances(), b.instances())
	})
	return members, nil
}

// describe reads what the candidates' configurations say.
func (s *Service) describe(ctx context.Context, m *member) error {
	for _, one := range []struct {
		g  release.Group
		to **project.Service
	}{{m.Desired.V.New, &m.fresh}, {m.Desired.V.Old, &m.old}} {
		if one.g.Candidate.IsZero() {
			continue
		}
		in, err := s.placement(ctx, &m.placementRow, one.g.Candidate)
		if err != nil {
			return err
		}
		*one.to = in.Service
	}
	return nil
}
