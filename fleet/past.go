package fleet

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gantry-ops/gantry/release"
)

const (
	// mostPast is how many counts are remembered of a version on a port: some five minutes, as agents report each second.
	mostPast = 300
	// pastApart is how far counts are apart at least: a report that could not wait adds nothing.
	pastApart = 900 * time.Millisecond
)

// Count is what was counted until a time, by this server's clock.
type Count struct {
	At               time.Time
	Requests, Errors int64
}

// Trail are counts of one version on one port of an agent, the oldest first. They only grow. Times are as far apart as reports are, so there are gaps where
// the agent was silent.
type Trail struct {
	Version string
	Counts  []Count
}

// Past is what the agents of a place have counted of its old version lately, by region. It is only in this process' memory: after a start, or a new
// boot of an agent, it begins again.
func (s *Service) Past(ctx context.Context, p release.Place) (map[string][]Trail, error) {
	members, err := s.membersOf(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("read what was counted before at %s: %w", p, err)
	}
	all := map[string][]Trail{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range members {
		m := &members[i]
		old := groupsOf(m.Desired.V).old
		if old == "" {
			continue
		}
		for j := range m.parts {
			l := s.live[m.parts[j].Agent]
			if l == nil || m.parts[j].count(old) == 0 {
				continue
			}
			for service, versions := range l.past {
				if counts := versions[old]; ownPort(m.place, service) && len(counts) > 0 {
					all[m.Region] = append(all[m.Region], Trail{Version: old, Counts: slices.Clone(counts)})
				}
			}
		}
	}
	return all, nil
}

// remember takes a report's counts into an agent's past; the service's mu is held. Versions that the report does not have are forgotten, and all of them
// with a new boot.
func (l *live) remember(next *kept, now time.Time) {
	past := map[string]map[string][]Count{}
	for service, versions := range next.Traffic {
		past[service] = make(map[string][]Count, len(versions))
		for version, t := range versions {
			var counts []Count
			if l.kept.Boot == next.Boot {
				counts = l.past[service][version]
			}
			if n := len(counts); n == 0 || now.Sub(counts[n-1].At) >= pastApart || now.Before(counts[n-1].At) {
				if n > 0 && now.Before(counts[n-1].At) {
					counts = nil // the clock was set back: what was before cannot be told apart from what comes
				}
				if len(counts) == mostPast {
					counts = slices.Delete(counts, 0, 1)
				}
				counts = append(counts, Count{now, t.Requests, t.Errors})
			}
			past[service][version] = counts
		}
	}
	l.past = past
}
