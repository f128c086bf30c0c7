package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// Apply implements [release.Target].
func (s *Service) Apply(ctx context.Context, r release.Record, desired map[string]release.Desired) error {
	// Configurations are read before anything is locked; they are asked for again from memory then.
	for _, c := range []release.Candidate{r.State.New, r.State.Old} {
		if c.IsZero() {
			continue
		}
		if _, err := s.config(ctx, c.Config); err != nil {
			return err
		}
	}
	var before []placementRow
	if err := s.o.DB.NewSelect().Model(&before).Apply(of(r.Place)).Scan(ctx); err != nil {
		return fmt.Errorf("read the placements of %s: %w", r.Place, err)
	}
	if unchanged(before, r, desired) {
		return nil
	}
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error { return s.apply(ctx, tx, r, desired) })
	if errors.Is(err, errOvertaken) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("store what %s shall be: %w", r.Place, err)
	}
	return nil
}

// older says whether a rollout was overtaken at its place.
func older(rows []placementRow, r release.Record) bool {
	return slices.ContainsFunc(rows, func(p placementRow) bool {
		return r.ID < p.Rollout || r.ID == p.Rollout && r.Version < p.Version
	})
}

// unchanged says whether there is nothing to store.
func unchanged(rows []placementRow, r release.Record, desired map[string]release.Desired) bool {
	if older(rows, r) {
		return true
	}
	seen := 0
	for i := range rows {
		p := &rows[i]
		d, ok := desired[p.Region]
		if !ok {
			if drops(r) {
				return false
			}
			continue
		}
		if seen++; p.Rollout != r.ID || p.Version != r.Version || p.Desired.V != d {
			return false
		}
	}
	return seen == len(desired)
}

// drops says whether regions that a rollout does not have are given up: when it ends the old version in those that it has.
func drops(r release.Record) bool {
	return r.State.Phase == release.Retiring || r.State.Phase == release.Succeeded
}

func (s *Service) apply(ctx context.Context, tx *store.Tx, r release.Record, desired map[string]release.Desired) error {
	var rows []placementRow
	q := tx.NewSelect().Model(&rows).Apply(of(r.Place)).Order("region")
	if lock := tx.ForUpdate(); lock != "" {
		q = q.For(lock)
	}
	if err := q.Scan(ctx); err != nil {
		return err
	}
	if unchanged(rows, r, desired) {
		return nil
	}
	known := map[string]*placementRow{}
	for i := range rows {
		known[rows[i].Region] = &rows[i]
	}
	now := store.At(s.o.Now())
	var touched []string
	for region, row := range known {
		if _, ok := desired[region]; ok || !drops(r) {
			continue
		}
		row.Desired.V, row.Rollout, row.Version, row.ChangedAt = release.Desired{}, r.ID, r.Version, now
		desired = maps.Clone(desired)
		desired[region] = release.Desired{}
	}
	for _, region := range slices.Sorted(maps.Keys(desired)) {
		row := known[region]
		if row == nil {
			row = &placementRow{place: place{Project: r.Project, Environment: r.Environment, Region: region, Service: r.Service}, CreatedAt: now}
		}
		if row.Rollout != r.ID {
			row.Since = now
		}
		row.Rollout, row.Version, row.Desired, row.ChangedAt = r.ID, r.Version, store.AsJSON(desired[region]), now
		row.Reverting = r.State.Phase.Reverting()
		if row.Wave = slices.IndexFunc(r.State.Waves, func(w []string) bool { return slices.Contains(w, region) }); row.Wave < 0 {
			row.Wave = 0
		}
		agents, err := s.place(ctx, tx, row)
		if err != nil {
			return err
		}
		touched = append(touched, agents...)
	}
	return s.recompose(ctx, tx, touched)
}
