package ship

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-ops/gantry/project"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// decision is a person's, with which of the demanded roles they had when they decided.
type decision struct {
	Decision
	Person string   `json:"person"`
	Roles  []string `json:"roles,omitempty"`
}

const (
	approve = "approve"
	reject  = "reject"
)

// gated says whether an environment has gates.
func gated(g *project.Gates) bool { return len(g.Approvals)+len(g.Freezes)+len(g.Require) > 0 }

// look at the gates of an environment. The reason is why they are closed; empty is open.
func (s *Service) gates(ctx context.Context, r *record, e *planEnvironment) (*Gates, string, error) {
	if !gated(&e.Gates) {
		return nil, "", nil
	}
	g := &Gates{Approvals: counted(e.Gates.Approvals, r.part(e.Name).Decisions), Required: []Required{}}
	var closed []string
	if len(e.Gates.Require) > 0 {
		found, err := s.required(ctx, r.Release.Project, r.Release.Commit, e.Gates.Require)
		if err != nil {
			return nil, "", err
		}
		g.Required = found
		for _, c := range found {
			if !c.OK {
				closed = append(closed, fmt.Sprintf("%s has to succeed: %s", c.Name, c.Reason))
			}
		}
	}
	for _, a := range g.Approvals {
		if left := a.Needed - len(a.Given); left > 0 {
			who := "people"
			if left == 1 {
				who = "person"
			}
			of := ""
			if a.Role != "" {
				of = " with the role " + a.Role
			}
			closed = append(closed, fmt.Sprintf("waits for the approval of %d %s%s", left, who, of))
		}
	}
	if until, why := e.Gates.Frozen(s.o.Now()); why != "" {
		g.FrozenUntil, g.FrozenReason = store.At(until.Truncate(time.Minute)), why // the end of one without an end moves with the clock
		closed = append(closed, frozen(until, why))
	}
	return g, strings.Join(closed, "; "), nil
}

func frozen(until time.Time, why string) string {
	return fmt.Sprintf("frozen until %s: %s", until.UTC().Format("2006-01-02 15:04 MST"), why)
}

// required asks for the checks of a commit. What is not answered has not succeeded.
func (s *Service) required(ctx context.Context, project, commit string, names []string) ([]Required, error) {
	var found []Required
	if s.o.Checks != nil {
		var err error
		if found, err = s.o.Checks.Checks(ctx, project, commit, names); err != nil {
			return nil, fmt.Errorf("look for the checks of %.12s: %w", commit, err)
		}
	}
	all := make([]Required, 0, len(names))
	for _, name := range names {
		one := Required{Name: name, Reason: "nothing is known of it for this commit"}
		if i := slices.IndexFunc(found, func(c Required) bool { return c.Name == name }); i >= 0 {
			one = found[i]
		}
		all = append(all, one)
	}
	return all, nil
}

// counted gives each approval to one demand that it can serve, so that as many are met as can be: nobody counts twice. It is the maximum matching of
// people and demanded places by augmenting paths; people come in the order of their decisions, so that an approval never makes another one void.
func counted(demands []project.Approval, decisions []decision) []Approvals {
	out := []Approvals{}
	var places []int // the demand of each place
	for i, d := range demands {
		out = append(out, Approvals{Needed: d.Count, Role: d.Role, Given: []Decision{}})
		for range d.Count {
			places = append(places, i)
		}
	}
	taken := make([]int, len(places)) // who has each place, from 1
	var seat func(who int, seen []bool) bool
	seat = func(who int, seen []bool) bool {
		for p, demand := range places {
			role := demands[demand].Role
			if seen[p] || role != "" && !slices.Contains(decisions[who].Roles, role) {
				continue
			}
			seen[p] = true
			if taken[p] == 0 || seat(taken[p]-1, seen) {
				taken[p] = who + 1
				return true
			}
		}
		return false
	}
	for i := range decisions {
		if decisions[i].Decision.Decision == approve {
			seat(i, make([]bool, len(places)))
		}
	}
	for p, who := range taken {
		if who > 0 {
			demand := &out[places[p]]
			demand.Given = append(demand.Given, decisions[who-1].Decision)
		}
	}
	for i := range out {
		slices.SortStableFunc(out[i].Given, func(a, b Decision) int { return a.At.Compare(b.At.Time) })
	}
	return out
}

// maxComment bounds what a person says, in bytes.
const maxComment = 2000

// Approve records that somebody agrees to a release in an environment that waits for it. [ErrNotYours] is for who started it, has decided already or has
// none of the roles that are still asked for.
func (s *Service) Approve(ctx context.Context, by By, id, environment, comment string) (Release, error) {
	return s.decide(ctx, by, id, environment, comment, approve)
}

// Reject ends a release before it enters an environment that waits for approval.
func (s *Service) Reject(ctx context.Context, by By, id, environment, comment string) (Release, error) {
	return s.decide(ctx, by, id, environment, comment, reject)
}

func (s *Service) decide(ctx context.Context, by By, id, environment, comment, what string) (Release, error) {
	if len(comment) > maxComment {
		return Release{}, &InvalidError{"comment", nil, fmt.Sprintf("must have at most %d bytes", maxComment)}
	}
	return s.change(ctx, by, id, func(r *record, tx *store.Tx) error {
		e, pe := r.Release.Environment(environment), r.plan.environment(environment)
		if e == nil || pe == nil {
			return &UnknownError{What: "environment", Name: environment, Known: r.names()}
		}
		if e.Status != Gated || len(pe.Gates.Approvals) == 0 {
			return fmt.Errorf("%s: %w: %s does not wait for an approval (%s)", what, ErrNotNow, environment, e.Status)
		}
		p := r.part(environment)
		one := decision{Person: by.person(), Decision: Decision{By: by.person(), Name: by.Name, At: store.At(tx.Now()), Comment: comment, Decision: what}}
		if what == approve {
			if one.Person == r.Account || by.Actor == r.Release.Actor {
				return fmt.Errorf("%s: %w: nobody approves a release that they have started", what, ErrNotYours)
			}
			if slices.ContainsFunc(p.Decisions, func(d decision) bool { return d.Person == one.Person }) {
				return fmt.Errorf("%s: %w: you have decided already, and each approval is by another person", what, ErrNotYours)
			}
			var err error
			if one.Roles, err = s.roles(ctx, r.Release.Project, by, pe.Gates.Approvals); err != nil {
				return err
			}
			if before, after := given(counted(pe.Gates.Approvals, p.Decisions)), given(counted(pe.Gates.Approvals, append(slices.Clone(p.Decisions), one))); before == after {
				return fmt.Errorf("%s: %w: what is still asked for is %s", what, ErrNotYours, wanted(counted(pe.Gates.Approvals, p.Decisions)))
			}
		}
		p.Decisions = append(p.Decisions, one)
		if e.Gate != nil {
			e.Gate.Approvals = counted(pe.Gates.Approvals, p.Decisions)
		}
		if what == reject {
			r.StopBy = by.Actor
			r.Stop = "rejected by " + by.Name
			if by.Name == "" {
				r.Stop = "rejected by " + one.Person
			}
			if comment != "" {
				r.Stop += ": " + comment
			}
		}
		return tell(tx, r, by.Actor, "release."+map[string]string{approve: "approved", reject: "rejected"}[what], map[string]any{"environment": environment, "comment": comment})
	})
}

func given(all []Approvals) (n int) {
	for _, a := range all {
		n += len(a.Given)
	}
	return n
}

func wanted(all []Approvals) string {
	var left []string
	for _, a := range all {
		if len(a.Given) < a.Needed {
			if a.Role == "" {
				left = append(left, "anybody's approval")
			} else {
				left = append(left, "the approval of the role "+a.Role)
			}
		}
	}
	if len(left) == 0 {
		return "nobody's"
	}
	return strings.Join(left, ", ")
}

// roles are those of the demanded roles that somebody has.
func (s *Service) roles(ctx context.Context, project string, by By, demands []project.Approval) ([]string, error) {
	var has []string
	for _, d := range demands {
		if d.Role == "" || s.o.Roles == nil || slices.Contains(has, d.Role) {
			continue
		}
		ok, err := s.o.Roles.HasRole(ctx, project, by, d.Role)
		if err != nil {
			return nil, fmt.Errorf("ask for the role %s of %s: %w", d.Role, by.Actor, err)
		}
		if ok {
			has = append(has, d.Role)
		}
	}
	return has, nil
}

// Closed says why a rollout may not go on now: its environment is frozen, or its release is paused. It implements [release.Gate]. Nothing holds what goes
// back.
func (s *Service) Closed(ctx context.Context, rollout release.Record, now time.Time) (string, error) {
	id, err := strconv.ParseInt(rollout.Release, 10, 64)
	if err != nil || rollout.Kind != "" {
		return "", nil
	}
	r, err := s.read(ctx, s.o.DB, id)
	if err != nil {
		return "", err
	}
	if r.Held {
		return "the release is paused", nil
	}
	e := r.plan.environment(rollout.Environment)
	if e == nil || r.Release.Kind == Rollback {
		return "", nil
	}
	if until, why := e.Gates.Frozen(now); why != "" {
		return frozen(until, why), nil
	}
	return "", nil
}

var _ release.Gate = (*Service)(nil)
