package runs

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/store"
)

// deliveryRow is a delivery as the table has it.
type deliveryRow struct {
	bun.BaseModel `bun:"table:deliveries,alias:d"`

	Project string `bun:",pk"`
	ID      string `bun:",pk"`
	Event   string
	Outcome string
	Reason  string
	Runs    document[[]string]
	At      store.Time
}

// maxDeliveryText bounds what a sender can have us keep of its words.
const maxDeliveryText = 500

// RecordDelivery keeps what became of a webhook, for people who look why nothing started. A refused one is an event, too. One that was
// taken is not replaced by a refusal with the same ID.
func (s *Service) RecordDelivery(ctx context.Context, d Delivery) error {
	switch d.Outcome {
	case "started", "ignored", "refused":
	default:
		return invalid("outcome", d.Outcome, "must be started, ignored or refused")
	}
	if d.ID == "" {
		return invalid("id", d.ID, "is required")
	}
	r := &deliveryRow{Project: d.Project, ID: cut(d.ID, maxDeliveryText), Event: cut(d.Event, maxDeliveryText), Outcome: d.Outcome, Reason: cut(d.Reason, maxDeliveryText), Runs: doc(d.Runs), At: store.At(d.At.Time)}
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if r.At.IsZero() {
			r.At = store.At(tx.Now())
		}
		q := tx.NewInsert().Model(r)
		if d.Outcome == "refused" {
			q = q.On("CONFLICT (project, id) DO NOTHING")
		} else {
			q = q.On("CONFLICT (project, id) DO UPDATE").Set("event = EXCLUDED.event").Set("outcome = EXCLUDED.outcome").
				Set("reason = EXCLUDED.reason").Set("runs = EXCLUDED.runs").Set("at = EXCLUDED.at")
		}
		if _, err := q.Exec(ctx); err != nil {
			return err
		}
		if d.Outcome != "refused" {
			return nil
		}
		return tx.Append(store.Event{Type: "delivery.refused", Project: d.Project, Subject: r.ID, Actor: byGantry}, map[string]string{"event": r.Event, "reason": r.Reason})
	})
	if err != nil {
		return fmt.Errorf("record the delivery %s: %w", r.ID, err)
	}
	return nil
}

// Deliveries lists the newest 100 of a project.
func (s *Service) Deliveries(ctx context.Context, project string) ([]Delivery, error) {
	if _, err := s.project(ctx, project); err != nil {
		return nil, err
	}
	var rows []deliveryRow
	if err := s.o.DB.NewSelect().Model(&rows).Where("project = ?", project).Order("at DESC", "id").Limit(100).Scan(ctx); err != nil {
		return nil, fmt.Errorf("list the deliveries of %s: %w", project, err)
	}
	out := make([]Delivery, len(rows))
	for i, r := range rows {
		out[i] = Delivery{ID: r.ID, Project: r.Project, Event: r.Event, Outcome: r.Outcome, Reason: r.Reason, Runs: r.Runs.V, At: r.At}
		if out[i].Runs == nil {
			out[i].Runs = []string{}
		}
	}
	return out, nil
}

// cut shortens a text from outside to what a column is meant for.
func cut(s string, most int) string {
	s = valid(s)
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xc0 == 0x80 {
		most--
	}
	return s[:most]
}
