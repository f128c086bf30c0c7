package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// errOvertaken: a newer rollout has said something else meanwhile.
var errOvertaken = errors.New("a newer rollout was faster")

// place spreads a placement over its region's agents, and stores it. It returns the agents that have, or had, a part in it.
func (s *Service) place(ctx context.Context, tx *store.Tx, row *placementRow) ([]string, error) {
	parts, err := partsOf(ctx, tx, []place{row.place})
	if err != nil {
		return nil, err
	}
	var agents []agentRow
	if err := tx.NewSelect().Model(&agents).Column("name", "labels", "info", "state").Where("state <> ?", StateNew).Order("name").Scan(ctx); err != nil {
		return nil, err
	}
	d := row.Desired.V
	g := groupsOf(d)
	before := numbers{}
	for _, p := range parts {
		before[p.Agent] = p.Numbers.V
	}
	var shares []share
	row.Problem = ""
	add := func(group string, c release.Candidate, count int) error {
		if group == "" || count <= 0 {
			return nil
		}
		in, err := s.placement(ctx, row, c)
		if err != nil {
			return err
		}
		names := chosen(in.Targets, agents)
		if len(names) == 0 {
			row.Problem = nobody(row.Region, in.Targets)
		}
		shares = append(shares, share{group, count, names})
		return nil
	}
	if err := errors.Join(add(g.fresh, d.New.Candidate, d.New.Instances), add(g.old, d.Old.Candidate, d.Old.Instances), add(g.baseline, d.Old.Candidate, d.Baseline)); err != nil {
		return nil, err
	}
	after := spread(row.instances(), before, shares)
	var touched []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		touched = append(touched, name)
		if reflect.DeepEqual(before[name], after[name]) {
			continue
		}
		part := &partRow{place: row.place, Agent: name, Numbers: store.AsJSON(after[name])}
		_, err := tx.NewInsert().Model(part).On("CONFLICT (project, environment, service, region, agent) DO UPDATE").Set("numbers = EXCLUDED.numbers").Exec(ctx)
		if err != nil {
			return nil, fmt.Errorf("store the part of %s in %s: %w", name, row.instances(), err)
		}
	}
	for name := range before {
		if after[name] != nil {
			continue
		}
		// The part stays until the agent has let go.
		touched = append(touched, name)
		_, err := tx.NewUpdate().Model((*partRow)(nil)).Set("numbers = ?", store.AsJSON(map[string][]int{})).Apply(at(row.place)).Where("agent = ?", name).Exec(ctx)
		if err != nil {
			return nil, fmt.Errorf("store the part of %s in %s: %w", name, row.instances(), err)
		}
	}
	res, err := tx.NewInsert().Model(row).On("CONFLICT (project, environment, service, region) DO UPDATE").
		Set("wave = EXCLUDED.wave, rollout = EXCLUDED.rollout, version = EXCLUDED.version, desired = EXCLUDED.desired, reverting = EXCLUDED.reverting, problem = EXCLUDED.problem, since = EXCLUDED.since, changed_at = EXCLUDED.changed_at").
		Where("?TableAlias.rollout < EXCLUDED.rollout OR ?TableAlias.rollout = EXCLUDED.rollout AND ?TableAlias.version <= EXCLUDED.version").Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("store the placement %s: %w", row.instances(), err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return nil, errors.Join(errOvertaken, err) // by who has made the row meanwhile, where there was none to lock
	}
	return touched, nil
}

// at are the rows of one placement.
func at(p place) func(*bun.UpdateQuery) *bun.UpdateQuery {
	return func(q *bun.UpdateQuery) *bun.UpdateQuery {
		return q.Where("project = ? AND environment = ? AND service = ? AND region = ?", p.Project, p.Environment, p.Service, p.Region)
	}
}

// partsOf are the parts of placements, in the order of places and agents.
func partsOf(ctx context.Context, db bun.IDB, places []place) (all []partRow, err error) {
	if len(places) == 0 {
		return nil, nil
	}
	q := db.NewSelect().Model(&all).Order("project", "environment", "service", "region", "agent")
	q = q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		for _, p := range places {
			q = q.WhereOr("(project = ? AND environment = ? AND service = ? AND region = ?)", p.Project, p.Environment, p.Service, p.Region)
		}
		return q
	})
	if err := q.Scan(ctx); err != nil {
		return nil, fmt.Errorf("read parts of placements: %w", err)
	}
	return all, nil
}

// placement is what a candidate's configuration says of a region. A candidate from before there was the region runs there as it does in its first one,
// on the agents that the other candidate names.
func (s *Service) placement(ctx context.Context, row *placementRow, c release.Candidate) (*project.Placement, error) {
	config, err := s.config(ctx, c.Config)
	if err != nil {
		return nil, err
	}
	if in := config.Placement(row.Region); in != nil && in.Service != nil {
		return in, nil
	}
	if len(config.Placements) == 0 || config.Placements[0].Service == nil {
		return nil, fmt.Errorf("the configuration %s has no placement", c.Config)
	}
	in := &project.Placement{Region: row.Region, Service: config.Placements[0].Service, Targets: config.Placements[0].Targets}
	for _, other := range []release.Candidate{row.Desired.V.New.Candidate, row.Desired.V.Old.Candidate} {
		if other.IsZero() || other == c {
			continue
		}
		config, err := s.config(ctx, other.Config)
		if err != nil {
			return nil, err
		}
		if p := config.Placement(row.Region); p != nil {
			in.Targets = p.Targets
		}
	}
	return in, nil
}

// chosen are the agents that targets name, or whose labels they ask for.
func chosen(targets []project.Target, agents []agentRow) (names []string) {
	for i := range agents {
		a := &agents[i]
		labels := a.effective()
		for _, t := range targets {
			fits := slices.Contains(t.Agents, a.Name)
			if len(t.Agents) == 0 && len(t.Labels) > 0 {
				fits = true
				for k, v := range t.Labels {
					if labels[k] != v {
						fits = false
					}
				}
			}
			if fits {
				names = append(names, a.Name)
				break
			}
		}
	}
	return names
}

// nobody says that a region has no agent, and what to do.
func nobody(region string, targets []project.Target) string {
	var wants []string
	for _, t := range targets {
		if len(t.Agents) > 0 {
			wants = append(wants, "called "+strings.Join(t.Agents, " or "))
			continue
		}
		var labels []string
		for _, k := range slices.Sorted(maps.Keys(t.Labels)) {
			labels = append(labels, k+"="+t.Labels[k])
		}
		wants = append(wants, "with the labels "+strings.Join(labels, ","))
	}
	if len(wants) == 0 {
		return fmt.Sprintf("the region %s has no targets: name agents in targets of gantry.yaml", region)
	}
	return fmt.Sprintf("no agent is there for the region %s: it wants one %s; start one by gantry agent with a join token, or name others in targets of gantry.yaml", region, strings.Join(wants, ", or one "))
}
