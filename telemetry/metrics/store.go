package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"
	"github.com/prometheus/prometheus/util/notifications"

	v1 "github.com/prometheus/prometheus/web/api/v1"
)

// Store is an embedded Prometheus. It is safe for concurrent use.
type Store struct {
	opts     Options
	started  time.Time
	registry *prometheus.Registry
	config   *config.Config

	db *tsdb.DB
	// storage is the database and, where samples are also sent elsewhere, those who note what there is to send.
	storage storage.Storage
	remote  *remote.Storage
	tracker *promql.ActiveQueryTracker
	parser  parser.Parser
	engine  *promql.Engine
	scraper *scraper
	rules   *rules.Manager
	notices *notifications.Notifications
	// api is made when it is first asked for: what it has for OTLP's deltas never ends.
	api func() *v1.API

	// ruleFiles serialises changes of the rules.
	ruleFiles sync.Mutex
	running   sync.WaitGroup
	gate      *gate
	closing   sync.Once
	closed    error
}

var _ Querier = (*Store)(nil)

// Open opens the database in a directory and starts what works on it. A write-ahead log that a killed process left is read first: that takes
// about a second for each million samples in it. If its end is damaged, that is cut off, and the log has a warning. The error is [ErrInUse] if another process has the directory.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{opts: o, started: time.Now(), registry: prometheus.NewRegistry(), gate: newGate(), parser: parser.NewParser(parser.Options{})}
	if s.config, err = o.config(); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open makes the parts and starts them, those first that the others write to.
func (s *Store) open() error {
	if err := os.MkdirAll(s.opts.Dir, 0o750); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	if err := s.openDB(); err != nil {
		return err
	}
	if err := s.openRemote(); err != nil {
		return err
	}
	tracker, err := promql.NewActiveQueryTracker(s.opts.Dir, s.opts.MaxQueries, s.opts.Log)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	s.tracker = tracker
	s.engine = promql.NewEngine(promql.EngineOpts{
		Logger:               s.opts.Log,
		Reg:                  s.registry,
		MaxSamples:           s.opts.MaxSamples,
		Timeout:              s.opts.QueryTimeout,
		ActiveQueryTracker:   tracker,
		LookbackDelta:        s.opts.Lookback,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 {
			return s.opts.RuleInterval.Milliseconds()
		},
		Parser: s.parser,
	})
	if err := s.openScraper(); err != nil {
		return err
	}
	s.openRules()
	s.notices = notifications.NewNotifications(16, s.registry)
	s.api = sync.OnceValue(s.newAPI)
	return nil
}

func (s *Store) openDB() error {
	admission := newAdmission(s.opts.Limits)
	o := tsdb.DefaultOptions()
	o.RetentionDuration = s.opts.Retention.Milliseconds()
	o.MaxBytes = s.opts.MaxBytes
	o.MinBlockDuration = s.opts.blockDuration.Milliseconds()
	// As Prometheus does it: blocks are put together up to a tenth of the retention, or a month.
	o.MaxBlockDuration = max(o.MinBlockDuration, min(o.RetentionDuration/10, (31*24*time.Hour).Milliseconds()))
	o.OutOfOrderTimeWindow = max(0, s.opts.OutOfOrder.Milliseconds())
	o.EnableExemplarStorage = s.opts.Exemplars > 0
	o.MaxExemplars = int64(max(0, s.opts.Exemplars))
	o.WALCompression = compression.Snappy
	o.SeriesLifecycleCallback = admission
	// The default suits millions of series, and takes 10 MB with none.
	o.StripeSize = 1 << 11
	if s.opts.MaxBytes > 0 {
		// Segments of the log are removed as a whole: with a small limit they are small.
		o.WALSegmentSize = int(min(int64(o.WALSegmentSize), max(s.opts.MaxBytes/16, 4<<20))) / 32768 * 32768
	}
	db, err := tsdb.Open(s.opts.Dir, s.opts.Log, s.registry, o, nil)
	if err != nil {
		return fmt.Errorf("open the metrics in %s: %w", s.opts.Dir, inUse(err))
	}
	admission.open.Store(true)
	s.db, s.storage = db, db
	return nil
}

// inUse makes ErrInUse of the error of a directory that is locked.
func inUse(err error) error {
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return err
}

// Close ends scraping, rules and what is being asked, sends what is still to be sent for at most 5 s, and closes the database. It may be called more than once.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.gate.close()
		if s.scraper != nil {
			s.scraper.close()
		}
		if s.rules != nil {
			s.rules.Stop()
		}
		s.running.Wait()
		var errs []error
		if s.remote != nil {
			errs = append(errs, s.remote.Close())
		}
		if s.engine != nil {
			errs = append(errs, s.engine.Close())
		} else if s.tracker != nil {
			errs = append(errs, s.tracker.Close())
		}
		if s.db != nil {
			errs = append(errs, s.db.Close())
		}
		if err := errors.Join(errs...); err != nil {
			s.closed = fmt.Errorf("close the metrics in %s: %w", s.opts.Dir, err)
		}
	})
	return s.closed
}

// Gatherer has the figures of the store itself, under Prometheus' own names (prometheus_tsdb_…, prometheus_remote_storage_…),
// which the usual dashboards and alerts know.
func (s *Store) Gatherer() prometheus.Gatherer { return s.registry }

// Append keeps samples, all or none. Each is newer than the one before of its series, or not older than [Options.OutOfOrder] allows.
// When it returns without an error, they survive a kill -9.
func (s *Store) Append(ctx context.Context, samples ...Sample) error {
	ctx, leave, ok := s.gate.enter(ctx)
	if !ok {
		return fmt.Errorf("keep %d samples: %w: %w", len(samples), ErrUnavailable, errClosed)
	}
	defer leave()
	app := s.storage.AppenderV2(ctx)
	for _, one := range samples {
		ls := labels.FromMap(one.Labels)
		if ls.Get(labels.MetricName) == "" {
			return errors.Join(fmt.Errorf("keep a sample of %s: it has no %s", ls, labels.MetricName), app.Rollback())
		}
		if _, err := app.Append(0, ls, 0, timestamp.FromTime(one.Time), one.Value, nil, nil, storage.AOptions{}); err != nil {
			return errors.Join(fmt.Errorf("keep a sample of %s: %w", ls, err), app.Rollback())
		}
	}
	if err := app.Commit(); err != nil {
		return fmt.Errorf("keep %d samples: %w", len(samples), err)
	}
	return nil
}

// Stats is how much there is.
type Stats struct {
	// Series is how many are in memory, with those of the last 2 to 3 hours that are no longer written.
	Series int
	// Oldest and Newest are the times of the first and the last sample; zero if there are none.
	Oldest, Newest time.Time
	// Bytes is what is on the disk: blocks, write-ahead log and what belongs to it.
	Bytes int64
	// Blocks is how many there are besides the one in memory.
	Blocks int
}

// Stats says how much there is.
func (s *Store) Stats() Stats {
	head := s.db.Head()
	st := Stats{Series: int(head.NumSeries()), Bytes: head.Size()}
	oldest, newest := head.MinTime(), head.MaxTime()
	if head.NumSeries() == 0 {
		oldest, newest = math.MaxInt64, math.MinInt64
	}
	for _, b := range s.db.Blocks() {
		st.Blocks++
		st.Bytes += b.Size()
		oldest, newest = min(oldest, b.MinTime()), max(newest, b.MaxTime()-1)
	}
	if oldest <= newest {
		st.Oldest, st.Newest = timestamp.Time(oldest), timestamp.Time(newest)
	}
	return st
}
