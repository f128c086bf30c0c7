package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gantry-ops/gantry/store"
)

// Types of the room's events. Their subject is an account's name, a token's or runner's ID; of access.refused the action.
const (
	eventLogin         = "login.succeeded"
	eventLogout        = "login.ended"
	eventLoginRefused  = "login.refused"
	eventLink          = "login.link"
	eventAccessRefused = "access.refused"
	// eventDeliveryRefused is the same type as the runs' own: those are about deliveries that were signed.
	eventDeliveryRefused = "delivery.refused"
	eventAccountCreated  = "account.created"
	eventAccountChanged  = "account.changed"
	eventAccountDeleted  = "account.deleted"
	eventPassword        = "account.password"
	eventGrantGiven      = "grant.given"
	eventGrantTaken      = "grant.taken"
	eventTokenCreated    = "token.created"
	eventTokenRevoked    = "token.revoked"
	eventRunnerToken     = "runner.token"
	eventRunnerRevoked   = "runner.revoked"
)

// anonymous is the actor of events about somebody who proved to be nobody.
const anonymous = "anonymous"

// Each refusal is an event, but no flood of them may fill the disk. The first of a kind (same type, actor, subject, project, reason and
// address block) is written at once. Those that follow within a minute are counted, and written as one event with their count
// when the minute is over. When more kinds come than a bucket of writes allows (a hundred at once, one a second after that), or more than
// are remembered, they are counted by type and reason alone. So the audit trail has every refusal as a number, most with all that is known,
// and grows by at most about two events a second.
//
// What is counted but not yet written is lost when the process is killed; Close writes it.
const (
	refusalWindow = time.Minute
	refusalBurst  = 100
	refusalKinds  = 1000
)

// refusal is the data of an event about one.
type refusal struct {
	// Reason is why, in one word: "password", "unknown", "expired", "disabled", "csrf", "role", "limited", ….
	Reason string `json:"reason"`
	// Action is what was to be done, for access.refused.
	Action Action `json:"action,omitempty"`
	// Address is the client's; that of the first where several are counted.
	Address string `json:"address,omitempty"`
	// Detail is what else there is to say.
	Detail string `json:"detail,omitempty"`
	// apart keeps refusals from being counted together that the event does not tell apart.
	apart string
	// Count is how many more there were since a time, where several are told of at once.
	Count int         `json:"count,omitempty"`
	Since *store.Time `json:"since,omitempty"`
}

// kind is what makes two refusals alike. In an overflow, all but the first two are empty.
type kind struct {
	event, reason           string
	actor, subject, project string
	apart                   string
	block                   netip.Prefix
}

type counted struct {
	event store.Event
	data  refusal
	since time.Time
	count int // beyond the first, which was written
}

// refusals writes them. It is safe for concurrent use.
type refusals struct {
	now func() time.Time
	log *slog.Logger
	// sink writes a list as one transaction, later calls a function after a time; tests have their own.
	sink  func(context.Context, []*counted) error
	later func(time.Duration, func())

	mu     sync.Mutex
	kinds  map[kind]*counted
	writes float64
	at     time.Time
	wound  bool // later will call
}

func newRefusals(db *store.DB, now func() time.Time, log *slog.Logger) *refusals {
	return &refusals{now: now, log: log, kinds: map[kind]*counted{}, writes: refusalBurst, at: now(),
		later: func(d time.Duration, f func()) { time.AfterFunc(d, f) },
		sink: func(ctx context.Context, list []*counted) error {
			return db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
				for _, c := range list {
					if err := tx.Append(c.event, c.data); err != nil {
						return err
					}
				}
				return nil
			})
		}}
}

// record writes or counts a refusal. That it cannot be written does not make what was refused allowed: it is logged.
func (r *refusals) record(ctx context.Context, e store.Event, data refusal) {
	if !r.first(e, data) {
		return
	}
	// The client may be gone already: what it did is told all the same.
	r.write(context.WithoutCancel(ctx), []*counted{{event: e, data: data}})
}

// first counts a refusal and reports whether it is to be written at once.
func (r *refusals) first(e store.Event, data refusal) bool {
	address, _ := netip.ParseAddr(data.Address)
	k := kind{event: e.Type, reason: data.Reason, actor: e.Actor, subject: e.Subject, project: e.Project, apart: data.apart, block: block(address)}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if c := r.kinds[k]; c != nil {
		c.count++
		return false
	}
	r.wind()
	r.writes = min(refusalBurst, r.writes+now.Sub(r.at).Seconds())
	r.at = now
	if r.writes >= 1 && len(r.kinds) < refusalKinds {
		r.writes--
		r.kinds[k] = &counted{event: e, data: data, since: now}
		return true
	}
	rest := kind{event: e.Type, reason: data.Reason}
	c := r.kinds[rest]
	if c == nil {
		c = &counted{event: store.Event{Type: e.Type, Actor: anonymous}, data: refusal{Reason: data.Reason, Detail: "from many"}, since: now}
		r.kinds[rest] = c
	}
	c.count++
	return false
}

// wind sees to it that what is counted now will be written; r.mu is held.
func (r *refusals) wind() {
	if r.wound {
		return
	}
	r.wound = true
	r.later(refusalWindow, func() {
		r.flush(context.Background(), false)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.wound = false
		if len(r.kinds) > 0 {
			r.wind()
		}
	})
}

// flush writes what was counted: all of it, or what has been counted for long enough.
func (r *refusals) flush(ctx context.Context, all bool) error {
	r.mu.Lock()
	now := r.now()
	var due []*counted
	for k, c := range r.kinds {
		if !all && now.Sub(c.since) < refusalWindow {
			continue
		}
		delete(r.kinds, k)
		if c.count > 0 {
			since := store.At(c.since)
			c.data.Count, c.data.Since = c.count, &since
			due = append(due, c)
		}
	}
	r.mu.Unlock()
	slices.SortFunc(due, func(a, b *counted) int { return a.since.Compare(b.since) })
	return r.write(ctx, due)
}

func (r *refusals) write(ctx context.Context, list []*counted) error {
	if len(list) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := r.sink(ctx, list)
	if err != nil {
		for _, c := range list {
			r.log.Error("a refusal could not be written to the audit trail", "error", err, "event", c.event.Type, "actor", c.event.Actor,
				"subject", c.event.Subject, "project", c.event.Project, "reason", c.data.Reason, "address", c.data.Address, "count", c.data.Count)
		}
		return fmt.Errorf("write refusals to the audit trail: %w", err)
	}
	return nil
}
