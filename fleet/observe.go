package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
)

// patience is how long a host may have a problem before it counts as a failure: what is fetched may come with the next attempt, and an address may
// be let go by who had it.
const patience = 15 * time.Second

// Observe implements [release.Target]. A region's At is when its oldest report came that has a part in it, by this server's clock; a region without
// agents is seen now, with the reason.
func (s *Service) Observe(ctx context.Context, r release.Record) (map[string]release.Observed, error) {
	members, err := s.membersOf(ctx, r.Place)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", r.Place, err)
	}
	all := map[string]release.Observed{}
	for i := range members {
		m := &members[i]
		if m.Rollout != r.ID {
			continue // it is another's by now, or still
		}
		if all[m.Region], err = s.region(ctx, m); err != nil {
			return nil, fmt.Errorf("look at %s: %w", m.instances(), err)
		}
	}
	return all, nil
}

// membersOf are the placements of a rollout's place, with their parts and configurations.
func (s *Service) membersOf(ctx context.Context, p release.Place) ([]member, error) {
	return s.readMembers(ctx, of(p))
}

func (s *Service) readMembers(ctx context.Context, which func(*bun.SelectQuery) *bun.SelectQuery) ([]member, error) {
	var rows []placementRow
	if err := s.o.DB.NewSelect().Model(&rows).Apply(which).Order("environment", "service", "wave", "region").Scan(ctx); err != nil {
		return nil, err
	}
	var parts []partRow
	if err := s.o.DB.NewSelect().Model(&parts).Apply(which).Order("agent").Scan(ctx); err != nil {
		return nil, err
	}
	by := map[place][]partRow{}
	for _, p := range parts {
		by[p.place] = append(by[p.place], p)
	}
	members := make([]member, len(rows))
	for i := range rows {
		members[i] = member{placementRow: rows[i], parts: by[rows[i].place]}
		if err := s.describe(ctx, &members[i]); err != nil {
			return nil, err
		}
	}
	return members, nil
}

// view is what one agent's report says of a placement.
type view struct {
	kept kept
	at   time.Time
	part *partRow
	// known says that the agent has what it shall have of the placement; applied that its routes are those.
	known, applied bool
	healthy        map[string]int
	running        map[string]int
	failed         map[string]string
}

func (s *Service) view(ctx context.Context, m *member, part *partRow) (view, error) {
	k, at, err := s.seen(ctx, part.Agent)
	v := view{kept: k, at: at, part: part, healthy: map[string]int{}, running: map[string]int{}, failed: map[string]string{}}
	if err != nil || at.IsZero() {
		return v, err
	}
	o := &k.Observed
	v.known, v.applied = o.Generation >= part.Generation, o.Applied >= part.Generation
	wanted := map[string]string{}
	for group, list := range part.Numbers.V {
		for _, n := range list {
			wanted[instanceID(m.place, group, n)] = group
		}
	}
	well := map[string]bool{}
	for _, id := range k.Well {
		well[id] = true
	}
	there := map[string]bool{}
	for i := range o.Instances {
		st := &o.Instances[i]
		if st.Labels["service"] != m.instances() {
			continue
		}
		group := st.Labels["version"]
		v.running[group]++
		if wanted[st.ID] != group {
			continue
		}
		there[st.ID] = true
		if st.Well() {
			v.healthy[group]++
		}
		if why := failure(st, well[st.ID]); why != "" && v.failed[group] == "" {
			v.failed[group] = st.ID + " on " + part.Agent + ": " + why
		}
	}
	now := s.o.Now()
	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		// What is not there and has a problem for long does not come by itself.
		if why := o.Problems[id]; why != "" && !there[id] && now.Sub(k.Troubles[id]) >= patience && v.failed[wanted[id]] == "" {
			v.failed[wanted[id]] = id + " on " + part.Agent + ": " + why
		}
	}
	return v, nil
}

// failure says why an instance does not become healthy, where that is known. One that was healthy before may crash once: it is started again.
func failure(st *process.Status, well bool) string {
	switch {
	case st.CrashLoop:
	case well || st.Crashes == 0:
		return ""
	case st.State != process.Crashed && st.State != process.Starting:
		return ""
	}
	reason := st.Reason
	if st.State == process.Starting && st.LastExit != "" {
		reason = st.LastExit
	}
	if reason == "" {
		reason = "it crashed"
	}
	var last string
	for _, h := range st.Health {
		if !h.OK && h.Reason != "" {
			last = h.Reason
		}
	}
	if last != "" && !strings.Contains(reason, last) {
		reason += "; its last check: " + last
	}
	return reason
}

// region adds up what the agents of a region say.
func (s *Service) region(ctx context.Context, m *member) (release.Observed, error) {
	d := m.Desired.V
	g := groupsOf(d)
	o := release.Observed{Healthy: map[release.Candidate]int{}, Running: map[release.Candidate]int{}, Failed: map[release.Candidate]string{},
		Weights: map[release.Candidate]int{}, Requests: map[release.Candidate]int64{}}
	fresh, old := d.New.Candidate, d.Old.Candidate
	fail := func(c release.Candidate, why string) {
		if !c.IsZero() && why != "" && o.Failed[c] == "" {
			o.Failed[c] = why
		}
	}
	// Without an agent, nothing is there and nobody has anything: that is known now.
	o.At = s.o.Now()
	fail(fresh, m.Problem)
	views := make([]view, len(m.parts))
	for i := range m.parts {
		part := &m.parts[i]
		v, err := s.view(ctx, m, part)
		if err != nil {
			return o, err
		}
		views[i] = v
		if v.at.Before(o.At) {
			o.At = v.at
		}
		fail(fresh, part.Problem)
		fail(fresh, v.failed[g.fresh])
		fail(old, v.failed[g.old])
		add := func(c release.Candidate, groups ...string) {
			if c.IsZero() {
				return
			}
			for _, group := range groups {
				if group == "" {
					continue
				}
				o.Healthy[c] += v.healthy[group]
				o.Running[c] += v.running[group]
				o.Requests[c] += v.kept.total(m.place, group)
			}
			if !v.known && v.running[groups[0]] == 0 && part.count(groups[0]) == 0 {
				o.Running[c]++ // it may have been asked for one before, and not know yet that it is not wanted any more
			}
		}
		add(fresh, g.fresh)
		add(old, g.old, g.baseline)
		if why := v.kept.Observed.Problems["routes"]; why != "" && !v.applied && s.o.Now().Sub(v.kept.Troubles["routes"]) >= patience {
			fail(fresh, part.Agent+" cannot route as it shall: "+why)
		}
		for _, n := range part.Numbers.V[g.fresh] {
			fail(fresh, s.lacks(part.Agent, instanceID(m.place, g.fresh, n)))
		}
	}
	if fresh.IsZero() && old.IsZero() {
		return o, nil
	}
	share := regionShare(m, g, views)
	if !fresh.IsZero() {
		o.Weights[fresh] = share
	}
	if !old.IsZero() {
		o.Weights[old] = release.Whole - share
	}
	return o, nil
}

// regionShare is what the new version has of a region's traffic: what was asked for when each agent does what it was asked to, else what is really
// there. Sessions of TCP have no weights, and a service that nobody calls has no traffic: there an agent does what it was asked to when it has
// applied it, and has a healthy instance of whom it shall lead to.
func regionShare(m *member, g groups, views []view) int {
	d := m.Desired.V
	if g.fresh == "" || d.New.Instances == 0 || d.Weight == 0 && g.old == "" {
		return 0 // where nothing was before, no share can go to anybody else: it ends with the instances
	}
	serving, sum, asked := 0, 0, true
	for i := range views {
		v := &views[i]
		w := weigh(d, g, m.parts, v.part.Agent)
		if !w.serves {
			asked = asked && v.applied // one that does not know yet that it has no traffic may still take some
			continue
		}
		serving++
		real, ok := v.share(m, g, w)
		sum += real
		asked = asked && ok
	}
	switch {
	case asked && serving > 0:
		return d.Weight
	case asked:
		return 0
	}
	// What was asked for is only said when it is so.
	got := sum / max(serving, 1)
	if got == d.Weight {
		got = max(got-1, 0)
		if d.Weight == 0 {
			got = 1
		}
	}
	return got
}

// share is what the new version really has on one agent, and whether that is what was asked for.
func (v *view) share(m *member, g groups, w arms) (int, bool) {
	if !v.applied {
		got, _ := v.weighed(m, g, w)
		return got, false
	}
	got, found := v.weighed(m, g, w)
	if found {
		return got, got == w.fresh
	}
	// Nothing is weighed here.
	if w.fresh > 0 && v.healthy[g.fresh] == 0 {
		return 0, false
	}
	return w.fresh, true
}

// weighed is the least share of the new version among the ports that have weights.
func (v *view) weighed(m *member, g groups, w arms) (least int, found bool) {
	for service, versions := range v.kept.Observed.Weights {
		if !ownPort(m.place, service) || !weighable(m, service) {
			continue
		}
		got := versions[g.fresh]
		// Further from what was asked for is what counts: on the way up the least, on the way down the most.
		if !found || abs(got-w.fresh) > abs(least-w.fresh) {
			least, found = got, true
		}
	}
	return least, found
}

func abs(n int) int { return max(n, -n) }

// ownPort says whether a routed service is a port of the placement; a preview is none.
func ownPort(p place, service string) bool {
	port, ok := strings.CutPrefix(service, p.instances()+"/")
	return ok && port != "" && !strings.ContainsAny(port, ":/")
}

// weighable says whether both versions have the port, and it has weights.
func weighable(m *member, service string) bool {
	port := strings.TrimPrefix(service, m.instances()+"/")
	for _, s := range []*project.Service{m.fresh, m.old} {
		if s == nil {
			continue
		}
		p := s.Port(port)
		if p == nil || !p.Protocol.Weighable() {
			return false
		}
	}
	return true
}
