package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/release"
)

// Counters are what one agent has counted of one version, over all of its own ports, since its process began.
type Counters struct {
	Agent string
	// Boot is another one when the counters have begun again.
	Boot string
	// Version is the candidate's, also of a baseline.
	Version  string
	Baseline bool
	// At is when the report came, by this server's clock.
	At      time.Time
	Traffic link.Traffic
}

// Counters are those of a place, by region. An agent that shall have instances of a version and has counted nothing of it yet is there with zeros;
// one that has not reported is there with a zero At. What an agent counts of versions that it has no instances of does not count.
func (s *Service) Counters(ctx context.Context, p release.Place) (map[string][]Counters, error) {
	members, err := s.membersOf(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read the counters of %s: %w", p, err)
	}
	all := map[string][]Counters{}
	for i := range members {
		m := &members[i]
		g := groupsOf(m.Desired.V)
		for j := range m.parts {
			part := &m.parts[j]
			k, at, err := s.seen(ctx, part.Agent)
			if err != nil {
				return nil, fmt.Errorf("read the counters of %s: %w", p, err)
			}
			for _, group := range []string{g.fresh, g.old, g.baseline} {
				if group == "" || part.count(group) == 0 {
					continue
				}
				version, baseline := strings.CutSuffix(group, baselineSuffix)
				all[m.Region] = append(all[m.Region], Counters{Agent: part.Agent, Boot: k.Boot, Version: version, Baseline: baseline, At: at, Traffic: k.traffic(m.place, group)})
			}
		}
	}
	return all, nil
}

// traffic adds up what was counted of a group over the ports of a placement.
func (k *kept) traffic(p place, group string) (sum link.Traffic) {
	buckets := map[int64]int64{}
	for service, versions := range k.Traffic {
		t, ok := versions[group]
		if !ok || !ownPort(p, service) {
			continue
		}
		sum.Requests += t.Requests
		sum.Errors += t.Errors
		for _, b := range t.Latency {
			buckets[b[0]] += b[1]
		}
	}
	for b, n := range buckets {
		sum.Latency = append(sum.Latency, [2]int64{b, n})
	}
	slices.SortFunc(sum.Latency, func(a, b [2]int64) int { return int(a[0] - b[0]) })
	return sum
}
