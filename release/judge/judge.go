package judge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/store"
)

// Configs reads configuration documents by their digests.
type Configs interface {
	Config(ctx context.Context, digest string) (project.Config, error)
}

// Options of the service. DB, Configs and Samples are required. Without Queries each query is an error.
type Options struct {
	DB      *store.DB
	Configs Configs
	Samples Samples
	Queries Queries
	Now     func() time.Time
	Log     *slog.Logger
}

// Service watches rollouts. It implements [release.Judge], and is safe for concurrent use.
type Service struct {
	o  Options
	mu sync.Mutex
	// held are the states of the rollouts that this process judges.
	held map[int64]*held
}

type held struct {
	mu sync.Mutex
	l  *loaded
	// used is when it was asked for last.
	used time.Time
}

// keep is how long a state that nobody asks for is kept in memory.
const keep = 10 * time.Minute

// nothing is what is said of a service without anything to judge by.
const nothing = "there is nothing to judge by: no port whose requests are counted, or errors and latency are none; name a metric below analysis.queries or " +
	"analysis.slos in gantry.yaml, or switch analysis.errors or analysis.latency on for a service with a public port of HTTP"

// New makes the room's tables where they are missing.
func New(ctx context.Context, o Options) (*Service, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.DB.Migrate(ctx, "judge", migrations); err != nil {
		return nil, fmt.Errorf("open the judgements: %w", err)
	}
	return &Service{o: o, held: map[int64]*held{}}, nil
}

func (s *Service) hold(rollout int64, now time.Time) *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, h := range s.held {
		if id != rollout && now.Sub(h.used) > keep {
			delete(s.held, id)
		}
	}
	h := s.held[rollout]
	if h == nil {
		h = &held{}
		s.held[rollout] = h
	}
	h.used = now
	return h
}

// Judge looks at a rollout, not more often than its interval, and says what there is to say: fail as soon as the watch has found it worse, the verdict of a
// step at its end, and nothing before. It may be asked before there is traffic, to learn what the old version is like. An error says that it cannot look.
func (s *Service) Judge(ctx context.Context, r release.Record) (release.Opinion, error) {
	now := s.o.Now()
	h := s.hold(r.ID, now)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.l == nil {
		l, err := s.load(ctx, r.ID)
		if err != nil {
			return release.Opinion{}, err
		}
		h.l = l
	}
	o, err := s.judge(ctx, r, h.l, now)
	if err != nil {
		h.l = nil // what is stored is what counts
		if errors.Is(err, errReplaced) {
			s.o.Log.WarnContext(ctx, "a judge was replaced", "rollout", r.ID)
		}
	}
	return o, err
}

func (s *Service) judge(ctx context.Context, r release.Record, l *loaded, now time.Time) (release.Opinion, error) {
	changed := false
	if l.version == 0 || l.Wave != r.State.Wave {
		if err := s.beginWave(ctx, r, l); err != nil {
			return release.Opinion{}, err
		}
		changed = true
	}
	if l.Step.of(r) {
		changed = true
	}
	var full *chunk
	var made []Judgement
	if l.due(r, now) && l.Failed == nil {
		sc, ok, err := s.scrape(ctx, r, l, now)
		if err != nil {
			return release.Opinion{}, err
		}
		if ok {
			changed = true
			failure, err := s.observe(ctx, r, l, sc, now)
			if err != nil {
				return release.Opinion{}, err
			}
			if failure != nil {
				made = append(made, *failure)
			}
		}
	}
	if l.Failed == nil {
		before := l.Step
		verdict, err := s.conclude(ctx, r, l, now)
		if err != nil {
			return release.Opinion{}, err
		}
		changed = changed || l.Step != before
		if verdict != nil {
			made = append(made, *verdict)
		}
	}
	if !changed {
		return l.opinion(r), nil
	}
	if len(l.Open.Scrapes) >= chunkScrapes || len(l.Open.Scrapes) > 0 && l.Open.Wave != l.Wave {
		closed := l.Open
		full = &closed
		l.Chunks++
		l.Open = chunk{Wave: l.Wave, Start: cloned(l.Watch)}
	}
	if err := s.save(ctx, r, l, full, made); err != nil {
		return release.Opinion{}, err
	}
	return l.opinion(r), nil
}

// opinion is what there is to say now.
func (l *loaded) opinion(r release.Record) release.Opinion {
	switch {
	case l.Failed != nil:
		return *l.Failed
	case !l.Plan.decides():
		return release.Opinion{Verdict: analysis.Inconclusive, Reason: nothing}
	case r.State.Phase == release.Holding && l.Step.Opinion != nil:
		return *l.Step.Opinion
	}
	return release.Opinion{}
}

// beginWave makes a wave's plan, and a watch of its own: other regions have other traffic.
func (s *Service) beginWave(ctx context.Context, r release.Record, l *loaded) error {
	doc, err := s.o.Configs.Config(ctx, r.State.New.Config)
	if err != nil {
		return fmt.Errorf("read what the rollout %d is judged by: %w", r.ID, err)
	}
	p, err := makePlan(doc, r, regions(r))
	if err != nil {
		return fmt.Errorf("read what the rollout %d is judged by: %w", r.ID, err)
	}
	open := l.Open
	l.state = state{Plan: p, Wave: r.State.Wave, At: l.At, Chunks: l.Chunks, Open: open, Step: l.Step}
	if len(open.Scrapes) == 0 {
		l.Open = chunk{Wave: l.Wave}
	}
	return nil
}

func regions(r release.Record) []string {
	return r.State.Waves[min(r.State.Wave, len(r.State.Waves)-1)]
}

// of brings the step up to date with where the rollout is, and reports whether that has changed.
func (st *stepped) of(r release.Record) bool {
	same := st.Phase == r.State.Phase && st.Wave == r.State.Wave && st.Step == r.State.Step
	if same && st.Since.Equal(r.State.Since) {
		return false
	}
	next := stepped{Phase: r.State.Phase, Wave: r.State.Wave, Step: r.State.Step, Since: r.State.Since, Begin: r.State.Since}
	if same && st.Opinion != nil && st.Opinion.Verdict == analysis.Inconclusive {
		next.Begin = st.Begin
	}
	*st = next
	return true
}

const (
	// slower is by how much looks are further apart as a phase grows old, in parts of its age, so that a rollout that is kept warm for days, or waits for a
	// person, is not looked at each second.
	slower = 600
	// slowest bounds that.
	slowest = time.Minute
)

// due says whether it is time for a look. A clock that was set back is no reason to wait.
func (l *loaded) due(r release.Record, now time.Time) bool {
	if !l.Plan.decides() && len(l.Plan.Metrics) == 0 {
		return false
	}
	apart := max(l.Plan.Interval, min((now.Sub(r.State.Since))/slower, slowest))
	passed := now.Sub(l.At)
	return passed >= apart || passed < 0 || l.ended(r, now) && l.At.Before(now) && l.Step.Opinion == nil && l.At.Before(r.State.Since.Add(step(r).Hold))
}

func step(r release.Record) release.Step {
	steps := r.State.Strategy.Plan(!r.State.Old.IsZero())
	if r.State.Step < len(steps) {
		return steps[r.State.Step]
	}
	return release.Step{}
}

// ended says whether the time of a step that wants a verdict is over.
func (l *loaded) ended(r release.Record, now time.Time) bool {
	st := step(r)
	return r.State.Phase == release.Holding && st.Analyse && !now.Before(r.State.Since.Add(st.Hold))
}

// scrape looks at counters and queries. It reports false where there is nothing new.
func (s *Service) scrape(ctx context.Context, r release.Record, l *loaded, now time.Time) (scrape, bool, error) {
	all, err := s.o.Samples.Counters(ctx, r.Place)
	if err != nil {
		return scrape{}, false, fmt.Errorf("read the counters of %s: %w", r.Place, err)
	}
	begun := len(l.Last) > 0 || l.Watch != nil
	sc, next, ok := difference(l.Last, all, r, regions(r), now, l.Plan.Interval)
	if !ok {
		return scrape{}, false, nil
	}
	l.Last = next
	sc.From, sc.At, sc.Phase, sc.Step = l.At, now, r.State.Phase, r.State.Step
	if !begun || sc.From.IsZero() || sc.From.After(now) {
		sc.From = now
	}
	sc.Values = s.ask(ctx, r, &l.Plan, now)
	return sc, true, nil
}

// watched says whether a phase has both sides' traffic, or only the reference's.
func watched(r release.Record) bool {
	switch r.State.Phase {
	case release.Placing, release.Checking, release.Routing:
		return true
	case release.Holding:
		return step(r).Weight < release.Whole
	}
	return false
}

// observe takes a look in. It returns the judgement of a watch that has failed by it.
func (s *Service) observe(ctx context.Context, r release.Record, l *loaded, sc scrape, now time.Time) (*Judgement, error) {
	l.At = now
	if l.Open.Wave != l.Wave && len(l.Open.Scrapes) == 0 {
		l.Open = chunk{Wave: l.Wave}
	}
	reference := sum(sc.Old, sc.Baseline)
	if watched(r) && !reference.Missing {
		l.Past.Requests, l.Past.Errors = l.Past.Requests+reference.Requests, l.Past.Errors+reference.Errors
	}
	if l.Open.Wave != l.Wave {
		// The first look of a wave closes the chunk of the one before; it is not of a watch yet.
		return nil, nil
	}
	l.Open.Scrapes = append(l.Open.Scrapes, sc)
	if !watched(r) || !l.Plan.decides() {
		return nil, nil
	}
	config := l.Plan.config(l.Plan.Watch)
	begins := l.Watch == nil
	w, err := analysis.Resume(config, l.Watch)
	if err != nil {
		return nil, fmt.Errorf("resume the watch of the rollout %d: %w", r.ID, err)
	}
	if begins {
		if err := s.learn(ctx, r, l, w, sc.From); err != nil {
			return nil, err
		}
	}
	failed := w.Observe(sc.both())
	l.Watch = cloned(w.State())
	if !failed {
		return nil, nil
	}
	chunks, err := s.chunks(ctx, r.ID, l, max(0, l.Chunks-recorded), time.Time{})
	if err != nil {
		return nil, err
	}
	var start *analysis.State
	var seen []analysis.Scrape
	for _, c := range chunks {
		if c.Wave != l.Wave {
			continue
		}
		if seen == nil {
			start = c.Start
		}
		for i := range c.Scrapes {
			if c.Scrapes[i].ofWatch(r) {
				seen = append(seen, c.Scrapes[i].both())
			}
		}
	}
	record, err := analysis.NewWatchRecord(config, start, seen)
	if err != nil {
		return nil, fmt.Errorf("record the watch of the rollout %d: %w", r.ID, err)
	}
	l.Failed = &release.Opinion{Verdict: record.Judgement.Verdict, Early: true, Reason: because(record.Judgement)}
	j := judgement(r, WatchKind, record, l.Failed.Reason, now)
	return &j, nil
}

// learn tells a watch that begins what the old version did before. How it stands after that is its beginning, for whoever computes its judgement again.
func (s *Service) learn(ctx context.Context, r release.Record, l *loaded, w *analysis.Watch, until time.Time) error {
	if r.State.Old.IsZero() {
		return nil
	}
	past, err := s.o.Samples.Past(ctx, r.Place)
	if err != nil {
		return err
	}
	var all []Trail
	for _, region := range regions(r) {
		all = append(all, past[region]...)
	}
	windows := earlier(all, r.State.Old.Version(), until, l.Plan.Interval)
	w.Learn(windows)
	l.Open.Start = cloned(w.State())
	for i := range windows {
		l.Past = sum(l.Past, windows[i])
	}
	return nil
}

// recorded is how many chunks the record of a watch goes back; where it stood before them is in it.
const recorded = 10

// both are the sides of a look as the watch sees them.
func (sc *scrape) both() analysis.Scrape {
	return analysis.Scrape{Canary: sc.New, Reference: sum(sc.Old, sc.Baseline)}
}

// ofWatch says whether the watch has taken a look in.
func (sc *scrape) ofWatch(r release.Record) bool {
	r.State.Phase, r.State.Step = sc.Phase, sc.Step
	return watched(r)
}
