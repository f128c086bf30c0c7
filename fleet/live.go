package fleet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/agent/process"
)

// kept is a report with what was learned before it.
type kept struct {
	link.Report
	// Former are boots of the agent before this one, the newest first: what they say comes late.
	Former []string `json:"former,omitempty"`
	// Carried are the requests of former boots, by the route's service and version.
	Carried map[string]map[string]int64 `json:"carried,omitempty"`
	// Well are instances that have been healthy.
	Well []string `json:"well,omitempty"`
	// Troubles is since when each of the report's problems is there.
	Troubles map[string]time.Time `json:"troubles,omitempty"`
}

const mostFormer = 8

// after is what is known with a report more. It is false for one that comes late.
func (k *kept) after(r link.Report, now time.Time) (kept, bool) {
	if slices.Contains(k.Former, r.Boot) || r.Boot == k.Boot && r.Seq <= k.Seq {
		return kept{}, false
	}
	next := kept{Report: r, Former: k.Former, Carried: k.Carried, Troubles: map[string]time.Time{}}
	if k.Boot != "" && k.Boot != r.Boot {
		next.Former = append([]string{k.Boot}, k.Former...)
		next.Former = next.Former[:min(len(next.Former), mostFormer)]
		next.Carried = map[string]map[string]int64{}
		// Services that nobody names any more are forgotten with the second boot that does not.
		for s, versions := range k.Traffic {
			next.Carried[s] = map[string]int64{}
			for v, t := range versions {
				next.Carried[s][v] = k.Carried[s][v] + t.Requests
			}
		}
	}
	for what := range r.Observed.Problems {
		next.Troubles[what] = now
		if since, ok := k.Troubles[what]; ok {
			next.Troubles[what] = since
		}
	}
	was := map[string]bool{}
	for _, id := range k.Well {
		was[id] = true
	}
	for i := range r.Observed.Instances {
		st := &r.Observed.Instances[i]
		if was[st.ID] || st.State == process.Healthy || st.State == process.Unhealthy || st.WasHealthy {
			next.Well = append(next.Well, st.ID)
		}
	}
	return next, true
}

// requests are those that a version of a routed service has answered so far.
func (k *kept) requests(service, version string) int64 {
	return k.Carried[service][version] + k.Traffic[service][version].Requests
}

// live is an agent as this server knows it.
type live struct {
	// reporting is held by the report that is being taken.
	reporting sync.Mutex

	// What is below is guarded by the service's mu.

	kept kept
	// at is when the report came, by this server's clock; stored is when one was stored last, and mark what of it rollouts look at.
	at, stored time.Time
	mark       string
	// past are the counts of some minutes, by the route's service and version. Those of a version are changed by reports alone, in place.
	past map[string]map[string][]Count
	// polls are those that wait now; reports those since window.
	polls, reports int
	window         time.Time
	// missing says which secrets instances and tasks lack, by their IDs; short are those of them that are held back for it, and asked is when that was
	// looked at. They are replaced, never changed.
	missing, short map[string]string
	asked          time.Time
	// news is closed when the agent shall be something else.
	news    chan struct{}
	tunnels tunnels
}

// get returns an agent of this server.
func (s *Service) get(name string) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.locked(name)
}

func (s *Service) locked(name string) *live {
	l := s.live[name]
	if l == nil {
		l = &live{news: make(chan struct{}), tunnels: tunnels{arrived: make(chan struct{})}}
		s.live[name] = l
	}
	return l
}

const (
	// mostPolls is how many requests of an agent may wait at a time; one that was cut off may not have been noticed yet.
	mostPolls = 8
	// mostReports is how many reports an agent may make in a window: one a second, and those that cannot wait.
	mostReports  = 300
	reportWindow = 10 * time.Second
)

// poll counts a request that waits, until the returned function is called.
func (s *Service) poll(name string) (end func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.locked(name)
	if l.polls >= mostPolls {
		return nil, problem(http.StatusTooManyRequests, "%d requests of this agent are waiting already", l.polls)
	}
	l.polls++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		l.polls--
	}, nil
}

// mayReport counts a report.
func (s *Service) mayReport(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, now := s.locked(name), s.o.Now()
	if age := now.Sub(l.window); age >= reportWindow || age < 0 {
		l.window, l.reports = now, 0
	}
	if l.reports++; l.reports > mostReports {
		return problem(http.StatusTooManyRequests, "more than %d reports in %v", mostReports, reportWindow)
	}
	return nil
}

// wake tells those who wait for what an agent shall be.
func (s *Service) wake(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.locked(name)
	close(l.news)
	l.news = make(chan struct{})
}

// seen is the newest report of an agent, this server's own or one that another has stored; its time is zero where there is none. What it returns
// is not changed by anybody.
func (s *Service) seen(ctx context.Context, name string) (kept, time.Time, error) {
	s.mu.Lock()
	var k kept
	var at time.Time
	if l := s.live[name]; l != nil {
		k, at = l.kept, l.at
	}
	s.mu.Unlock()
	// Reports come each second: what is here is newer than what is stored.
	if s.o.Now().Sub(at) < 2*link.ReportEvery && !at.IsZero() {
		return k, at, nil
	}
	var row reportRow
	err := s.o.DB.NewSelect().Model(&row).Where("agent = ?", name).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return k, at, nil
	}
	if err != nil {
		return k, at, fmt.Errorf("read the report of %s: %w", name, err)
	}
	if row.At.After(at) {
		return row.Report.V, row.At.Time, nil
	}
	return k, at, nil
}

// total adds up what was counted for a group in a placement, over the ports that are its own.
func (k *kept) total(p place, group string) (n int64) {
	for service := range maps.Keys(k.Traffic) {
		if ownPort(p, service) {
			n += k.requests(service, group)
		}
	}
	return n
}
