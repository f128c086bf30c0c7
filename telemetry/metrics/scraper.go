package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/scrape"
)

// keyLabel is how one of Prometheus' targets is known as one of ours. Labels that begin with two underscores are on no series.
const keyLabel = "__gantry_target__"

// reloadInterval is how often the scrape manager looks for new targets, if there are any.
const reloadInterval = 50 * time.Millisecond

// scraper is the scrape manager and what it was told.
type scraper struct {
	opts    Options
	manager *scrape.Manager
	updates chan map[string][]*targetgroup.Group
	done    chan struct{}

	// setting serialises changes, so that the last one wins.
	setting sync.Mutex
	mu      sync.Mutex
	targets map[string]Target
	refused []TargetStatus
}

func (s *Store) openScraper() error {
	o := &scrape.Options{
		DiscoveryReloadInterval:  model.Duration(reloadInterval),
		DiscoveryReloadOnStartup: true,
	}
	if s.opts.Dial != nil {
		o.HTTPClientOptions = append(o.HTTPClientOptions, commonconfig.WithDialContextFunc(s.opts.Dial))
	}
	// What is wrong with the files of a certificate is only logged by the manager, which then scrapes nothing.
	if _, err := commonconfig.NewRoundTripperFromConfig(s.config.ScrapeConfigs[0].HTTPClientConfig, pool); err != nil {
		return fmt.Errorf("metrics: scrape: %w", err)
	}
	manager, err := scrape.NewManager(o, s.opts.Log, nil, nil, s.storage, prometheus.WrapRegistererWith(nil, s.registry))
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if err := manager.ApplyConfig(s.config); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	sc := &scraper{opts: s.opts, manager: manager, updates: make(chan map[string][]*targetgroup.Group), done: make(chan struct{})}
	s.running.Go(func() { _ = manager.Run(sc.updates) }) // It has no error to return.
	s.scraper = sc
	// The pool is made with the first targets, and must not be made by a manager that was stopped meanwhile: nobody would end it.
	if err := sc.set(nil); err != nil {
		return err
	}
	made := time.NewTicker(time.Millisecond)
	defer made.Stop()
	late := time.After(time.Minute)
	for len(manager.ScrapePools()) == 0 {
		select {
		case <-made.C:
		case <-late:
			return errors.New("metrics: the scrape manager did not start; its log has the reason")
		}
	}
	return nil
}

// close ends all scrapes and waits for them.
func (s *scraper) close() {
	close(s.done)
	s.manager.Stop()
}

func (s *scraper) set(targets []Target) error {
	s.setting.Lock()
	defer s.setting.Unlock()
	var (
		problems []error
		refused  []TargetStatus
		groups   = []*targetgroup.Group{}
		known    = map[string]Target{}
	)
	for _, t := range targets {
		t = t.normal(s.opts)
		key := t.labels().String()
		err := t.check()
		if _, twice := known[key]; err == nil && twice {
			err = fmt.Errorf("target %s: %w", t.Address, errTwice)
		}
		if err != nil {
			problems = append(problems, err)
			refused = append(refused, TargetStatus{Target: t, Health: Refused, Reason: err.Error()})
			continue
		}
		known[key] = t
		groups = append(groups, t.group(key))
	}
	select {
	case s.updates <- map[string][]*targetgroup.Group{pool: groups}:
	case <-s.done:
		return fmt.Errorf("set targets: %w: %w", ErrUnavailable, errClosed)
	}
	s.mu.Lock()
	s.targets, s.refused = known, refused
	s.mu.Unlock()
	return errors.Join(problems...)
}

func (s *scraper) status(empty map[string]bool) []TargetStatus {
	s.mu.Lock()
	known := s.targets
	all := slices.Clone(s.refused)
	s.mu.Unlock()
	scraped := map[string]*scrape.Target{}
	for _, t := range s.manager.TargetsActive()[pool] {
		scraped[t.GetValue(keyLabel)] = t
	}
	for key, t := range known {
		st := TargetStatus{Target: t, Health: Unknown}
		if active := scraped[key]; active != nil {
			st.Health, st.LastScrape, st.LastDuration = Health(active.Health()), active.LastScrape(), active.LastScrapeDuration()
			if err := active.LastError(); err != nil {
				st.Reason = s.explain(err)
			} else if st.Health == Up && empty[key] {
				st.Health, st.Reason = Empty, "the answer has no samples: it is empty, or it is something else than metrics"
			}
		}
		all = append(all, st)
	}
	slices.SortFunc(all, func(a, b TargetStatus) int {
		return cmp.Or(strings.Compare(a.Address, b.Address), strings.Compare(a.labels().String(), b.labels().String()))
	})
	return all
}

// explain adds to what went wrong with a scrape what the limit is that it passed. Prometheus' errors for them are not exported.
func (s *scraper) explain(err error) string {
	reason, l := err.Error(), s.opts.Limits
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return reason + ": the target did not answer in time"
	case strings.Contains(reason, "sample limit exceeded"):
		return fmt.Sprintf("%s: the answer has more than %d samples", reason, l.Samples)
	case strings.Contains(reason, "body size limit exceeded"):
		return fmt.Sprintf("%s: the answer has more than %d bytes", reason, l.BodyBytes)
	}
	return reason
}
