package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/store"
)

// storeEvery is how often a report is stored when nothing in it has changed that a rollout looks at.
const storeEvery = 3 * time.Second

// report takes what an agent says of its host. With an error nothing has changed.
func (s *Service) report(w http.ResponseWriter, r *http.Request) error {
	row, err := s.caller(r, false)
	if err != nil {
		return err
	}
	if err := s.mayReport(row.Name); err != nil {
		return err
	}
	var said link.Report
	if err := readJSON(w, r, mostReport, &said); err != nil {
		return err
	}
	if err := checkReport(&said); err != nil {
		return problem(http.StatusUnprocessableEntity, "the report is refused: %v", err)
	}
	if err := s.take(r.Context(), row, said); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// take stores a report, where it has something to store, and remembers it.
func (s *Service) take(ctx context.Context, row *agentRow, said link.Report) error {
	l := s.get(row.Name)
	l.reporting.Lock()
	defer l.reporting.Unlock()
	now := s.o.Now()
	s.mu.Lock()
	before, at, stored, mark := l.kept, l.at, l.stored, l.mark
	s.mu.Unlock()
	if at.IsZero() {
		var err error
		if before, at, err = s.seen(ctx, row.Name); err != nil {
			return err
		}
	}
	next, ok := before.after(said, now)
	if !ok {
		return nil
	}
	newMark, err := markOf(&next)
	if err != nil {
		return err
	}
	labels := !maps.Equal(row.Info.V.Labels, said.Info.Labels)
	changed := row.State != StateOnline || labels || !sameHost(row.Info.V, said.Info) || said.Observed.Generation > row.Generation
	if changed || newMark != mark || now.Sub(stored) >= storeEvery || now.Before(stored) {
		if err := s.storeReport(ctx, row, &next, now, changed, newMark != mark); err != nil {
			return fmt.Errorf("store the report of %s: %w", row.Name, err)
		}
		stored, mark = now, newMark
	}
	s.mu.Lock()
	// What there is to scrape are instances, and where they are.
	moved := l.mark != mark
	l.remember(&next, now)
	l.kept, l.at, l.stored, l.mark = next, now, stored, mark
	s.mu.Unlock()
	if moved {
		s.change()
	}
	return nil
}

// sameHost compares what is told of a host beside its labels.
func sameHost(a, b link.Info) bool {
	a.Labels, b.Labels = nil, nil
	return reflect.DeepEqual(a, b)
}

// markOf is what of a report rollouts and people look at: with another one it is stored at once.
func markOf(k *kept) (string, error) {
	type instance struct {
		ID                string
		State             process.State
		Reason            string
		Restarts, Crashes int
		Ports             map[string]int
	}
	o := &k.Observed
	var list []instance
	for i := range o.Instances {
		st := &o.Instances[i]
		list = append(list, instance{st.ID, st.State, st.Reason, st.Restarts, st.Crashes, st.Ports})
	}
	slices.SortFunc(list, func(a, b instance) int { return strings.Compare(a.ID, b.ID) })
	b, err := json.Marshal(map[string]any{
		"boot": k.Boot, "generation": o.Generation, "applied": o.Applied, "instances": list, "problems": o.Problems, "weights": o.Weights, "addresses": o.Addresses, "tasks": o.Tasks,
	})
	return string(b), err
}

func (s *Service) storeReport(ctx context.Context, row *agentRow, k *kept, now time.Time, host, mark bool) error {
	return s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		there, err := tx.NewSelect().Table("agents").Where("name = ?", row.Name).Exists(ctx)
		if err == nil && !there {
			err = errRemoved // while its report was on its way
		}
		if err != nil {
			return err
		}
		_, err = tx.NewInsert().Model(&reportRow{Agent: row.Name, At: store.At(now), Report: store.AsJSON(*k)}).
			On("CONFLICT (agent) DO UPDATE").Set("at = EXCLUDED.at, report = EXCLUDED.report").Exec(ctx)
		if err != nil {
			return err
		}
		var again []string
		if host {
			if again, err = s.hostChanged(ctx, tx, row.Name, k); err != nil {
				return err
			}
		}
		if mark {
			ended, err := s.takeTasks(ctx, tx, row.Name, k.Observed.Tasks)
			if err != nil {
				return err
			}
			if ended {
				again = append(again, row.Name)
			}
		}
		return s.recompose(ctx, tx, again)
	})
}

// hostChanged stores what is new about a host: that it is there, what it is, and that it has seen a generation that is not known here, as after the
// database was brought back from a copy. It returns the agents that shall be something else since labels have changed.
func (s *Service) hostChanged(ctx context.Context, tx *store.Tx, name string, k *kept) (again []string, err error) {
	var row agentRow
	q := tx.NewSelect().Model(&row).Where("name = ?", name)
	if lock := tx.ForUpdate(); lock != "" {
		q = q.For(lock)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, err
	}
	generation := row.Generation
	if seen := k.Observed.Generation; seen > generation {
		generation = seen + 1
		tx.AfterCommit(func() { s.wake(name) })
	}
	_, err = tx.NewUpdate().Table("agents").Set("info = ?", store.AsJSON(k.Info)).Set("state = ?", StateOnline).Set("generation = ?", generation).Where("name = ?", name).Exec(ctx)
	if err != nil {
		return nil, err
	}
	if row.State != StateOnline {
		if err := tx.Append(store.Event{Type: "agent.online", Subject: name, Actor: "agent:" + name}, map[string]any{"version": k.Info.Version}); err != nil {
			return nil, err
		}
	}
	before := row.effective()
	row.Info.V = k.Info
	if maps.Equal(before, row.effective()) && row.State != StateNew {
		return nil, nil
	}
	return s.replace(ctx, tx)
}

// replace spreads all placements anew, since there are other agents, or other labels. It returns the agents that have a part.
func (s *Service) replace(ctx context.Context, tx *store.Tx) (again []string, err error) {
	var rows []placementRow
	q := tx.NewSelect().Model(&rows).Order("project", "environment", "service", "region")
	if lock := tx.ForUpdate(); lock != "" {
		q = q.For(lock)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, err
	}
	for i := range rows {
		agents, err := s.place(ctx, tx, &rows[i])
		if err != nil {
			return nil, err
		}
		again = append(again, agents...)
	}
	return again, nil
}
