package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/store"
)

const (
	kindAgents = "fleet-agents"
	// lookAfterEvery is how often the agents are looked after, by one of the servers.
	lookAfterEvery = 5 * time.Second
)

// lookAfter finds agents that are silent, lets go of parts that nobody has any more, and forgets tokens that ended long ago.
func (s *Service) lookAfter(ctx context.Context, l *engine.Lease) (time.Duration, error) {
	now := s.o.Now()
	var online []agentRow
	if err := s.o.DB.NewSelect().Model(&online).Column("name", "joined_at").Where("state = ?", StateOnline).Scan(ctx); err != nil {
		return 0, fmt.Errorf("look after the agents: %w", err)
	}
	for i := range online {
		_, at, err := s.seen(ctx, online[i].Name)
		if err != nil {
			return 0, err
		}
		if now.Sub(at) < silent || now.Sub(s.started) < silent {
			continue
		}
		err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := l.Guard(ctx, tx); err != nil {
				return err
			}
			res, err := tx.NewUpdate().Table("agents").Set("state = ?", StateOffline).Where("name = ? AND state = ?", online[i].Name, StateOnline).Exec(ctx)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n == 0 {
				return err
			}
			return tx.Append(store.Event{Type: "agent.offline", Subject: online[i].Name, Actor: "gantry"}, map[string]any{"seen_at": store.At(at)})
		})
		if err != nil {
			return 0, fmt.Errorf("mark the agent %s as away: %w", online[i].Name, err)
		}
		s.change()
	}
	if err := s.letGo(ctx, l); err != nil {
		return 0, fmt.Errorf("let go of parts: %w", err)
	}
	over := store.At(now.Add(-keepTokens))
	old, err := s.o.DB.NewSelect().Table("agent_tokens").Where("expires_at < ?", over).Exists(ctx)
	if err == nil && old {
		err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := l.Guard(ctx, tx); err != nil {
				return err
			}
			_, err := tx.NewDelete().Table("agent_tokens").Where("expires_at < ?", over).Exec(ctx)
			return err
		})
	}
	if err != nil {
		return 0, fmt.Errorf("forget old join tokens: %w", err)
	}
	return lookAfterEvery, nil
}

// letGo removes parts that are empty, once the agent has nothing of the placement any more; and placements that are empty with them.
func (s *Service) letGo(ctx context.Context, l *engine.Lease) error {
	var parts []partRow
	if err := s.o.DB.NewSelect().Model(&parts).Where("numbers = ?", store.AsJSON(map[string][]int{})).Scan(ctx); err != nil {
		return err
	}
	for i := range parts {
		p := &parts[i]
		m := &member{placementRow: placementRow{place: p.place}}
		v, err := s.view(ctx, m, p)
		if err != nil {
			return err
		}
		if !v.known || len(v.running) > 0 {
			continue
		}
		err = s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			if err := l.Guard(ctx, tx); err != nil {
				return err
			}
			_, err := tx.NewDelete().Table("placement_parts").
				Where("project = ? AND environment = ? AND service = ? AND region = ? AND agent = ?", p.Project, p.Environment, p.Service, p.Region, p.Agent).
				Where("numbers = ? AND generation = ?", store.AsJSON(map[string][]int{}), p.Generation).Exec(ctx)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
