package release

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// View is a rollout as people are shown it.
type View struct {
	Record
	// VersionNew and VersionOld are the short names of both candidates; the second is empty where nothing was there.
	VersionNew string `json:"version_new"`
	VersionOld string `json:"version_old"`
	// Steps are the plan that State.Step counts in.
	Steps []Step `json:"steps"`
	// Regions are what was seen of each when the targets were last looked at.
	Regions map[string]Seen `json:"regions"`
	// May are the commands that its state allows; what the caller may do is for others to say.
	May []Command `json:"may"`
}

// Seen is what was seen of a region, with versions by their short names. Weights are in ten-thousandths.
type Seen struct {
	At       store.Time        `json:"at"`
	Healthy  map[string]int    `json:"healthy"`
	Running  map[string]int    `json:"running"`
	Weights  map[string]int    `json:"weights"`
	Requests map[string]int64  `json:"requests"`
	Failed   map[string]string `json:"failed,omitempty"`
}

// View returns a rollout with what was last seen of its regions.
func (s *Service) View(ctx context.Context, id int64) (View, error) {
	r, err := s.Get(ctx, id)
	if err != nil {
		return View{}, err
	}
	all, err := s.Views(ctx, []Record{r})
	if err != nil {
		return View{}, err
	}
	return all[0], nil
}

// Views adds to rollouts what was last seen of their regions.
func (s *Service) Views(ctx context.Context, all []Record) ([]View, error) {
	ids := make([]int64, len(all))
	for i := range all {
		ids[i] = all[i].ID
	}
	stored, err := readLooks(ctx, s.o.DB, ids)
	if err != nil {
		return nil, err
	}
	views := make([]View, len(all))
	for i, r := range all {
		seen := stored[r.ID]
		if own, ok := s.looks.get(r.ID); ok && own.at.After(seen.at) {
			seen = own
		}
		if seen.regions == nil {
			seen.regions = map[string]Seen{}
		}
		views[i] = View{Record: r, VersionNew: r.State.New.Version(), VersionOld: r.State.Old.Version(), Steps: r.State.steps(), Regions: seen.regions, May: r.State.Allows(s.o.Now())}
	}
	return views, nil
}

// Allows are the commands that the rollout's state allows now.
func (r Rollout) Allows(now time.Time) []Command {
	allowed := []Command{}
	for _, c := range []Command{Pause, Resume, Approve, Promote, Abort} {
		if _, err := r.Tell(now, c, ""); err == nil && !(c == Pause && r.Paused) {
			allowed = append(allowed, c)
		}
	}
	return allowed
}

// look is what was seen of a rollout's regions.
type look struct {
	at      time.Time
	stored  time.Time
	regions map[string]Seen
}

// looks are the last ones of this server.
type looks struct {
	mu  sync.Mutex
	all map[int64]look
}

func (l *looks) get(id int64) (look, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.all[id]
	return one, ok
}

// storeLook is how often what is seen is stored, for people who look at it on another server: more often would be a write a second for each rollout.
const storeLook = 3 * time.Second

// saw keeps what was seen of a rollout's regions. What cannot be stored is not missed: it is for people's eyes alone.
func (s *Service) saw(ctx context.Context, r Record, regions map[string]Observed) {
	now := s.o.Now()
	one := look{at: now, regions: map[string]Seen{}}
	for name, o := range regions {
		one.regions[name] = o.seen()
	}
	s.looks.mu.Lock()
	one.stored = s.looks.all[r.ID].stored
	due := now.Sub(one.stored) >= storeLook || now.Before(one.stored)
	if due {
		one.stored = now
	}
	s.looks.all[r.ID] = one
	s.looks.mu.Unlock()
	if !due {
		return
	}
	if err := s.storeLook(ctx, r.ID, one); err != nil {
		s.o.Log.WarnContext(ctx, "what was seen of a rollout was not stored", "rollout", r.ID, "error", err)
	}
}

// forget lets go of what was seen of a rollout that has ended, once it is stored.
func (s *Service) forget(ctx context.Context, id int64) {
	one, ok := s.looks.get(id)
	if !ok {
		return
	}
	if err := s.storeLook(ctx, id, one); err != nil {
		s.o.Log.WarnContext(ctx, "what was seen of a rollout was not stored", "rollout", id, "error", err)
	}
	s.looks.mu.Lock()
	delete(s.looks.all, id)
	s.looks.mu.Unlock()
}

func (s *Service) storeLook(ctx context.Context, id int64, one look) error {
	b, err := json.Marshal(one.regions)
	if err != nil {
		return err
	}
	return s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO rollout_looks (rollout, at, regions) VALUES (?, ?, ?)
			ON CONFLICT (rollout) DO UPDATE SET at = excluded.at, regions = excluded.regions WHERE rollout_looks.at <= excluded.at`, id, store.At(one.at), string(b))
		return err
	})
}

func readLooks(ctx context.Context, db bun.IDB, ids []int64) (map[int64]look, error) {
	all := map[int64]look{}
	for len(ids) > 0 {
		n := min(len(ids), mostListed)
		var rows []struct {
			Rollout int64
			At      store.Time
			Regions store.JSON[map[string]Seen]
		}
		if err := db.NewSelect().Table("rollout_looks").Column("rollout", "at", "regions").Where("rollout IN (?)", bun.In(ids[:n])).Scan(ctx, &rows); err != nil {
			return nil, fmt.Errorf("read what was seen of rollouts: %w", err)
		}
		for _, r := range rows {
			all[r.Rollout] = look{at: r.At.Time, regions: r.Regions.V}
		}
		ids = ids[n:]
	}
	return all, nil
}

func (o Observed) seen() Seen {
	return Seen{At: store.At(o.At), Healthy: byVersion(o.Healthy), Running: byVersion(o.Running), Weights: byVersion(o.Weights),
		Requests: byVersion(o.Requests), Failed: byVersion(o.Failed)}
}

func byVersion[V any](m map[Candidate]V) map[string]V {
	all := make(map[string]V, len(m))
	for c, v := range m {
		if !c.IsZero() {
			all[c.Version()] = v
		}
	}
	return all
}
