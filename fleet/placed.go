package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// Placed is a service in a region as it is now.
type Placed struct {
	Project     string `json:"project"`
	Environment string `json:"environment"`
	Service     string `json:"service"`
	Region      string `json:"region"`
	// Wave counts from 0.
	Wave int `json:"wave"`
	// Instances is how many there shall be, of all versions.
	Instances int `json:"instances"`
	// Rollout is the last one that has said something, Since when it came.
	Rollout  int64           `json:"rollout"`
	Since    store.Time      `json:"since"`
	Versions []PlacedVersion `json:"versions"`
	Problems []string        `json:"problems"`
	// Addresses are where its ports are, on all agents, as agents have them: "eu-1 :8080".
	Addresses []string `json:"addresses"`
	Agents    []string `json:"agents"`
}

// PlacedVersion is a candidate there.
type PlacedVersion struct {
	Version  string `json:"version"`
	Artifact string `json:"artifact"`
	Config   string `json:"config"`
	Healthy  int    `json:"healthy"`
	Running  int    `json:"running"`
	// Weight is its share of the traffic in ten-thousandths.
	Weight   int    `json:"weight"`
	Baseline bool   `json:"baseline"`
	Failed   string `json:"failed,omitempty"`
}

// Placed are the placements of a project, by environment, service, wave and region. Those that have nothing any more are left out.
func (s *Service) Placed(ctx context.Context, project string) ([]Placed, error) {
	members, err := s.readMembers(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("project = ?", project) })
	if err != nil {
		return nil, fmt.Errorf("read what is placed of %s: %w", project, err)
	}
	all := []Placed{}
	for i := range members {
		m := &members[i]
		d := m.Desired.V
		if d.New.Instances+d.Old.Instances+d.Baseline == 0 && !slices.ContainsFunc(m.parts, func(p partRow) bool { return len(p.Numbers.V) > 0 }) {
			continue
		}
		p, err := s.placed(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("read what is placed of %s: %w", project, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func (s *Service) placed(ctx context.Context, m *member) (Placed, error) {
	d := m.Desired.V
	g := groupsOf(d)
	p := Placed{Project: m.Project, Environment: m.Environment, Service: m.Service, Region: m.Region, Wave: m.Wave, Instances: d.New.Instances + d.Old.Instances + d.Baseline,
		Rollout: m.Rollout, Since: m.Since, Versions: []PlacedVersion{}, Problems: []string{}, Addresses: []string{}, Agents: []string{}}
	o, err := s.region(ctx, m)
	if err != nil {
		return p, err
	}
	tell := func(text string) {
		if text != "" && !slices.Contains(p.Problems, text) {
			p.Problems = append(p.Problems, text)
		}
	}
	tell(m.Problem)
	var base PlacedVersion
	for i := range m.parts {
		part := &m.parts[i]
		v, err := s.view(ctx, m, part)
		if err != nil {
			return p, err
		}
		base.Healthy += v.healthy[g.baseline]
		base.Running += v.running[g.baseline]
		if len(part.Numbers.V) == 0 {
			continue
		}
		p.Agents = append(p.Agents, part.Agent)
		if part.Problem != "" {
			tell(part.Agent + ": " + part.Problem)
		}
		if v.at.IsZero() {
			tell(part.Agent + " has not reported yet")
		} else if ago := s.o.Now().Sub(v.at); ago > silent {
			tell(fmt.Sprintf("nothing is heard of %s since %s", part.Agent, v.at.UTC().Format("2006-01-02 15:04:05 UTC")))
		}
		for _, l := range s.listensFor(m, part.Agent, &v) {
			p.Addresses = append(p.Addresses, part.Agent+" "+l)
		}
	}
	add := func(c release.Candidate, group string, count int, baseline bool) {
		if group == "" {
			return
		}
		one := PlacedVersion{Version: c.Version(), Artifact: c.Artifact, Config: c.Config, Healthy: o.Healthy[c], Running: o.Running[c], Weight: o.Weights[c], Failed: o.Failed[c], Baseline: baseline}
		if baseline {
			one.Healthy, one.Running, one.Failed = base.Healthy, base.Running, ""
			one.Weight = min(d.Weight, o.Weights[c])
		} else if group == g.old {
			one.Healthy -= base.Healthy
			one.Running -= base.Running
			if d.Baseline > 0 {
				one.Weight = max(one.Weight-d.Weight, 0)
			}
		}
		if count+one.Running+one.Healthy > 0 {
			tell(one.Failed)
			p.Versions = append(p.Versions, one)
		}
	}
	add(d.New.Candidate, g.fresh, d.New.Instances, false)
	add(d.Old.Candidate, g.old, d.Old.Instances, false)
	add(d.Old.Candidate, g.baseline, d.Baseline, true)
	return p, nil
}

// listensFor are the addresses on an agent that lead to the placement.
func (s *Service) listensFor(m *member, agent string, v *view) (found []string) {
	l := newListeners()
	l.add(m, groupsOf(m.Desired.V), weigh(m.Desired.V, groupsOf(m.Desired.V), m.parts, agent))
	for _, name := range slices.Sorted(maps.Keys(l.all)) {
		if address := v.kept.Observed.Addresses[name]; address != "" {
			found = append(found, address)
		}
	}
	return found
}
