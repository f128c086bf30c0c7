package metrics

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// admission decides about new series. A limit of samples a scrape does not stop a target whose series are others every time: each of them takes
// memory until the head of the database is next written out, also if its scrape was dropped.
type admission struct {
	perTarget, total int64
	// open is false while the write-ahead log is read: what is in there has been admitted, and refusing it would lose it.
	open atomic.Bool

	series atomic.Int64
	mu     sync.Mutex
	owned  map[owner]int64
}

// owner is the target that a series comes from. Its labels are ours: a target that has labels of the same names gets them renamed.
type owner struct{ job, instance, version string }

var _ tsdb.SeriesLifecycleCallback = (*admission)(nil)

func newAdmission(l Limits) *admission {
	return &admission{perTarget: int64(l.TargetSeries), total: int64(l.Series), owned: map[owner]int64{}}
}

// ownerOf returns whose a series is; what was sent without saying which instance it comes from is nobody's.
func ownerOf(ls labels.Labels) (owner, bool) {
	instance := ls.Get(model.InstanceLabel)
	return owner{ls.Get(model.JobLabel), instance, ls.Get(labelVersion)}, instance != ""
}

// PreCreation is asked before a series is made. Several may be asked at a time before any of them is counted, so the limits are near, not exact.
func (a *admission) PreCreation(ls labels.Labels) error {
	if !a.open.Load() {
		return nil
	}
	// What the scraper says of a target is still taken when nothing else is: that a target is down must not be lost because it has too many series.
	// But not without a limit, for a target can give its series these names too.
	var forTarget, forAll int64
	if reported(ls) {
		forTarget, forAll = 100, a.total/10
	}
	if a.total > 0 && a.series.Load() >= a.total+forAll {
		return fmt.Errorf("%w: there are %d in memory in all", ErrSeriesLimit, a.total)
	}
	if o, ok := ownerOf(ls); ok && a.perTarget > 0 {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.owned[o] >= a.perTarget+forTarget {
			return fmt.Errorf("%w: the target has %d in memory", ErrSeriesLimit, a.perTarget)
		}
	}
	return nil
}

// reported reports whether a series has the name of what the scraper says of its target.
func reported(ls labels.Labels) bool {
	switch ls.Get(model.MetricNameLabel) {
	case "up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added":
		return true
	}
	return false
}

// PostCreation counts.
func (a *admission) PostCreation(ls labels.Labels) {
	a.series.Add(1)
	if o, ok := ownerOf(ls); ok {
		a.mu.Lock()
		a.owned[o]++
		a.mu.Unlock()
	}
}

// PostDeletion counts back.
func (a *admission) PostDeletion(gone map[chunks.HeadSeriesRef]labels.Labels) {
	a.series.Add(-int64(len(gone)))
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, ls := range gone {
		o, ok := ownerOf(ls)
		if !ok {
			continue
		}
		if a.owned[o]--; a.owned[o] <= 0 {
			delete(a.owned, o)
		}
	}
}
