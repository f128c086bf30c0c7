package fleet

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/project"
)

// ScrapeTarget is something on a host that has metrics, to be reached by [Service.Dial].
type ScrapeTarget struct {
	Agent string
	// Instance is empty for the agent's own metrics. Port is the name of the instance's.
	Instance string
	Path     string
	Port     string
	Interval time.Duration
	// Labels are those of the target: agent; for an instance also project, environment, region, service, version and instance. An agent says them itself
	// of each of its series.
	Labels map[string]string
}

const (
	// agentScrape is how often an agent's own metrics are read.
	agentScrape = 5 * time.Second
	// scrapeWithin bounds how long the targets are looked for.
	scrapeWithin = 10 * time.Second
)

// ScrapeTargets are those of the agents that are connected to this server. During a rollout an instance is scraped as often as its analysis looks,
// where that is more often than its metrics say.
func (s *Service) ScrapeTargets() []ScrapeTarget {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWithin)
	defer cancel()
	s.mu.Lock()
	connected := map[string]kept{}
	for name, l := range s.live {
		if s.o.Now().Sub(l.at) < silent && !l.at.IsZero() {
			connected[name] = l.kept
		}
	}
	s.mu.Unlock()
	if len(connected) == 0 {
		return nil
	}
	var targets []ScrapeTarget
	names := slices.Sorted(maps.Keys(connected))
	for _, name := range names {
		targets = append(targets, ScrapeTarget{Agent: name, Path: "/metrics", Interval: agentScrape, Labels: map[string]string{"agent": name}})
	}
	members, err := s.readMembers(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q })
	if err != nil {
		s.o.Log.Error("the instances to scrape could not be read", "error", err)
		return targets
	}
	for i := range members {
		for j := range members[i].parts {
			part := &members[i].parts[j]
			if k, ok := connected[part.Agent]; ok {
				targets = append(targets, instancesToScrape(&members[i], part, &k)...)
			}
		}
	}
	return targets
}

func instancesToScrape(m *member, part *partRow, k *kept) (targets []ScrapeTarget) {
	g := groupsOf(m.Desired.V)
	running := map[string]bool{}
	for i := range k.Observed.Instances {
		st := &k.Observed.Instances[i]
		switch st.State {
		case process.Starting, process.Healthy, process.Unhealthy:
			running[st.ID] = true
		}
	}
	add := func(group string, s *project.Service) {
		if group == "" || s == nil || s.Metrics.Path == "" {
			return
		}
		every := s.Metrics.Interval.Duration()
		if both := m.Desired.V.New.Instances > 0 && m.Desired.V.Old.Instances > 0; both {
			every = min(every, s.Analysis.Interval.Duration())
		}
		for _, n := range part.Numbers.V[group] {
			id := instanceID(m.place, group, n)
			if !running[id] {
				continue
			}
			targets = append(targets, ScrapeTarget{Agent: part.Agent, Instance: id, Path: s.Metrics.Path, Port: s.Metrics.Port, Interval: max(every, time.Second), Labels: map[string]string{
				"agent": part.Agent, "instance": id, "project": m.Project, "environment": m.Environment, "region": m.Region, "service": m.Service, "version": group,
			}})
		}
	}
	add(g.fresh, m.fresh)
	add(g.old, m.old)
	add(g.baseline, m.old)
	return targets
}
