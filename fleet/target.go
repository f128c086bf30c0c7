package fleet

import (
	"context"
	"database/sql"
	"encoding/json"
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

// Apply implements [release.Target].
func (s *Service) Apply(ctx context.Context, r release.Record, desired map[string]release.Desired) error {
	// Configurations are read before anything is locked; they are asked for again from memory then.
	for _, c := range []release.Candidate{r.State.New, r.State.Old} {
		if c.IsZero() {
			continue
		}
		if _, err := s.config(ctx, c.Config); err != nil {
			return err
		}
	}
	var before []placementRow
	if err := s.o.DB.NewSelect().Model(&before).Apply(of(r.Place)).Scan(ctx); err != nil {
		return fmt.Errorf("read the placements of %s: %w", r.Place, err)
	}
	if unchanged(before, r, desired) {
		return nil
	}
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error { return s.apply(ctx, tx, r, desired) })
	if err != nil {
		return fmt.Errorf("store what %s shall be: %w", r.Place, err)
	}
	return nil
}

// older says whether a rollout was overtaken at its place.
func older(rows []placementRow, r release.Record) bool {
	return slices.ContainsFunc(rows, func(p placementRow) bool {
		return r.ID < p.Rollout || r.ID == p.Rollout && r.Version < p.Version
	})
}

// unchanged says whether there is nothing to store.
func unchanged(rows []placementRow, r release.Record, desired map[string]release.Desired) bool {
	if older(rows, r) {
		return true
	}
	seen := 0
	for i := range rows {
		p := &rows[i]
		d, ok := desired[p.Region]
		if !ok {
			if drops(r) {
				return false
			}
			continue
		}
		if seen++; p.Rollout != r.ID || p.Version != r.Version || p.Desired.V != d {
			return false
		}
	}
	return seen == len(desired)
}

// drops says whether regions that a rollout does not have are given up: when it ends the old version in those that it has.
func drops(r release.Record) bool {
	return r.State.Phase == release.Retiring || r.State.Phase == release.Succeeded
}

func (s *Service) apply(ctx context.Context, tx *store.Tx, r release.Record, desired map[string]release.Desired) error {
	var rows []placementRow
	q := tx.NewSelect().Model(&rows).Apply(of(r.Place)).Order("region")
	if lock := tx.ForUpdate(); lock != "" {
		q = q.For(lock)
	}
	if err := q.Scan(ctx); err != nil {
		return err
	}
	if unchanged(rows, r, desired) {
		return nil
	}
	known := map[string]*placementRow{}
	for i := range rows {
		known[rows[i].Region] = &rows[i]
	}
	now := store.At(s.o.Now())
	var touched []string
	for region, row := range known {
		if _, ok := desired[region]; ok || !drops(r) {
			continue
		}
		row.Desired.V, row.Rollout, row.Version, row.ChangedAt = release.Desired{}, r.ID, r.Version, now
		desired = maps.Clone(desired)
		desired[region] = release.Desired{}
	}
	for _, region := range slices.Sorted(maps.Keys(desired)) {
		row := known[region]
		if row == nil {
			row = &placementRow{place: place{Project: r.Project, Environment: r.Environment, Region: region, Service: r.Service}, CreatedAt: now}
		}
		if row.Rollout != r.ID {
			row.Since = now
		}
		row.Rollout, row.Version, row.Desired, row.ChangedAt = r.ID, r.Version, store.AsJSON(desired[region]), now
		row.Reverting = r.State.Phase.Reverting()
		if row.Wave = slices.IndexFunc(r.State.Waves, func(w []string) bool { return slices.Contains(w, region) }); row.Wave < 0 {
			row.Wave = 0
		}
		agents, err := s.place(ctx, tx, row)
		if err != nil {
			return err
		}
		touched = append(touched, agents...)
	}
	return s.recompose(ctx, tx, touched)
}

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
	_, err = tx.NewInsert().Model(row).On("CONFLICT (project, environment, service, region) DO UPDATE").
		Set("wave = EXCLUDED.wave, rollout = EXCLUDED.rollout, version = EXCLUDED.version, desired = EXCLUDED.desired, reverting = EXCLUDED.reverting, problem = EXCLUDED.problem, since = EXCLUDED.since, changed_at = EXCLUDED.changed_at").Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("store the placement %s: %w", row.instances(), err)
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
