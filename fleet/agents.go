package fleet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/store"
)

// ErrNotFound: there is no such agent, or no such token.
var ErrNotFound = errors.New("there is no such agent or join token")

// Agent is a host as it is known here.
type Agent struct {
	Name string `json:"name"`
	// State is [StateNew], [StateOnline] or [StateOffline].
	State string `json:"state"`
	// Info is what the host says of itself; its labels are those that targets choose by.
	Info                 link.Info  `json:"info"`
	JoinedAt             store.Time `json:"joined_at"`
	SeenAt               store.Time `json:"seen_at"`
	CertificateExpiresAt store.Time `json:"certificate_expires_at"`
	// Generation is that of what the host shall be, Applied that of the routes in effect there.
	Generation int64 `json:"generation"`
	Applied    int64 `json:"applied"`
	// Problems say what keeps the host from being as it is desired: by instance, "routes", or the placement's name.
	Problems  map[string]string `json:"problems"`
	Instances []process.Status  `json:"instances"`
	Addresses map[string]string `json:"addresses"`
}

// Agents are all of them, in the order of their names.
func (s *Service) Agents(ctx context.Context) ([]Agent, error) {
	return s.agents(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q })
}

// Agent is one of them. Its error is [ErrNotFound].
func (s *Service) Agent(ctx context.Context, name string) (Agent, error) {
	all, err := s.agents(ctx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("name = ?", name) })
	if err != nil {
		return Agent{}, err
	}
	if len(all) == 0 {
		return Agent{}, fmt.Errorf("agent %s: %w", name, ErrNotFound)
	}
	return all[0], nil
}

func (s *Service) agents(ctx context.Context, which func(*bun.SelectQuery) *bun.SelectQuery) ([]Agent, error) {
	var rows []agentRow
	if err := s.o.DB.NewSelect().Model(&rows).ExcludeColumn("desired").Apply(which).Order("name").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the agents: %w", err)
	}
	var parts []partRow
	if err := s.o.DB.NewSelect().Model(&parts).Where("problem <> ''").Order("agent", "project", "environment", "service", "region").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read the agents' problems: %w", err)
	}
	all := make([]Agent, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		k, at, err := s.seen(ctx, r.Name)
		if err != nil {
			return nil, err
		}
		a := Agent{
			Name: r.Name, State: r.State, Info: r.Info.V, JoinedAt: r.JoinedAt, SeenAt: store.At(at), CertificateExpiresAt: r.ExpiresAt, Generation: r.Generation,
			Applied: k.Observed.Applied, Problems: map[string]string{}, Instances: k.Observed.Instances, Addresses: k.Observed.Addresses,
		}
		a.Info.Labels = r.effective()
		maps.Copy(a.Problems, k.Observed.Problems)
		for j := range parts {
			if parts[j].Agent == r.Name {
				a.Problems[parts[j].instances()] = parts[j].Problem
			}
		}
		s.mu.Lock()
		if l := s.live[r.Name]; l != nil {
			maps.Copy(a.Problems, l.missing)
		}
		s.mu.Unlock()
		if a.Instances == nil {
			a.Instances = []process.Status{}
		}
		if a.Addresses == nil {
			a.Addresses = map[string]string{}
		}
		all = append(all, a)
	}
	return all, nil
}

// RemoveAgent forgets an agent: its certificates are refused from now on, and its instances are started elsewhere. What runs on the host runs on
// until somebody ends it there. Its error is [ErrNotFound].
func (s *Service) RemoveAgent(ctx context.Context, actor, name string) error {
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		res, err := tx.NewDelete().Table("agents").Where("name = ?", name).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrNotFound, err)
		}
		if _, err := tx.NewDelete().Table("agent_reports").Where("agent = ?", name).Exec(ctx); err != nil {
			return err
		}
		if err := s.failTasks(ctx, tx, name, "the agent "+name+" was removed"); err != nil {
			return err
		}
		again, err := s.replace(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.NewDelete().Table("placement_parts").Where("agent = ?", name).Exec(ctx); err != nil {
			return err
		}
		tx.AfterCommit(func() { s.forget(name) })
		if err := tx.Append(store.Event{Type: "agent.removed", Subject: name, Actor: actor}, nil); err != nil {
			return err
		}
		return s.recompose(ctx, tx, again)
	})
	if err != nil {
		return fmt.Errorf("remove the agent %s: %w", name, err)
	}
	return nil
}

// forget ends what this server has with an agent.
func (s *Service) forget(name string) {
	s.mu.Lock()
	l := s.live[name]
	delete(s.live, name)
	s.mu.Unlock()
	if l != nil {
		close(l.news)
		l.tunnels.close()
	}
	s.change()
}

// row reads an agent, without what it shall be unless that is asked for; nil where there is none.
func (s *Service) row(ctx context.Context, name string, desired bool) (*agentRow, error) {
	var r agentRow
	q := s.o.DB.NewSelect().Model(&r).Where("name = ?", name)
	if !desired {
		q = q.ExcludeColumn("desired")
	}
	err := q.Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the agent %s: %w", name, err)
	}
	return &r, nil
}

// silent is after which time an agent that reports each second is taken to be away.
const silent = 15 * time.Second
