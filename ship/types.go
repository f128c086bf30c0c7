package ship

import (
	"slices"

	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

// Status is where a release, or its part in an environment, is.
type Status string

const (
	// Building waits for candidates.
	Building Status = "building"
	// Waiting is a release whose next environment has a closed gate, or another release under way.
	Waiting Status = "waiting"
	// Pending is an environment, or a service, whose turn has not come.
	Pending Status = "pending"
	// Gated is an environment whose gates are closed.
	Gated Status = "gated"
	// Running has rollouts under way.
	Running Status = "running"
	// Paused waits for a person.
	Paused Status = "paused"
	// Returning is on the way back.
	Returning Status = "returning"
	// Succeeded, Failed, RolledBack, Skipped and Cancelled are ends. An environment is skipped when the release does not come to it.
	Succeeded  Status = "succeeded"
	Failed     Status = "failed"
	RolledBack Status = "rolled-back"
	Skipped    Status = "skipped"
	Cancelled  Status = "cancelled"
	// Unchanged is a service whose place has the candidate already, Queued one whose rollout waits for an earlier one; other states of a service are
	// the phases of its rollout ([release.Phase]).
	Unchanged Status = "unchanged"
	Queued    Status = "queued"
)

// Ended says whether nothing more is begun.
func (s Status) Ended() bool {
	return slices.Contains([]Status{Succeeded, Failed, RolledBack, Skipped, Cancelled}, s)
}

// Kind is what a release does.
type Kind string

const (
	// Ship brings a commit.
	Ship Kind = "ship"
	// Rollback brings what was there before another release.
	Rollback Kind = "rollback"
)

// Release is a commit on its way through environments.
type Release struct {
	ID      string `json:"id"`
	Project string `json:"project"`
	// Number counts the project's releases from 1.
	Number int  `json:"number"`
	Kind   Kind `json:"kind"`
	// Of is the release that a rollback takes back.
	Of     string `json:"of,omitempty"`
	Ref    string `json:"ref"`
	Commit string `json:"commit"`
	Title  string `json:"title"`
	Status Status `json:"status"`
	// Reason says why it is where it is.
	Reason    string     `json:"reason"`
	Actor     string     `json:"actor"`
	ActorName string     `json:"actor_name"`
	CreatedAt store.Time `json:"created_at"`
	UpdatedAt store.Time `json:"updated_at"`
	EndedAt   store.Time `json:"ended_at,omitzero"`
	// Notes were said before it began: what a rollback will not cross, what it supersedes.
	Notes        []string      `json:"notes"`
	Builds       []Build       `json:"builds"`
	Candidates   []Candidate   `json:"candidates"`
	Environments []Environment `json:"environments"`
	// May are the commands that the caller may give now; left to who knows the caller.
	May []string `json:"may"`
	// Rollouts are in full where one release is asked for.
	Rollouts []release.View `json:"rollouts,omitempty"`
}

// Build is a run that was waited for.
type Build struct {
	Run      string `json:"run"`
	Pipeline string `json:"pipeline"`
	// Status is running, succeeded or failed.
	Status Status `json:"status"`
	Reason string `json:"reason,omitempty"`
}

// Candidate is what a service is released as.
type Candidate struct {
	Service string `json:"service"`
	// Artifact is the digest of the bytes as they are kept, "sha256:" and hexadecimal digits; Size is their number.
	Artifact string `json:"artifact"`
	Size     int64  `json:"size"`
	// Run has made it as the artifact Name.
	Run  string `json:"run"`
	Name string `json:"name"`
}

// Environment is a release's part in an environment.
type Environment struct {
	Name   string `json:"name"`
	Status Status `json:"status"`
	Reason string `json:"reason"`
	// Gate is nil where the environment has none.
	Gate     *Gates   `json:"gate,omitempty"`
	Services []Member `json:"services"`
}

// Member is a release's part for a service in an environment.
type Member struct {
	Service string   `json:"service"`
	Needs   []string `json:"needs"`
	// Rollout brings the candidate, Back takes it back where the first had ended; 0 is none.
	Rollout    int64  `json:"rollout,omitempty"`
	Back       int64  `json:"back,omitempty"`
	Status     Status `json:"status"`
	Version    string `json:"version"`
	OldVersion string `json:"old_version"`
	Reason     string `json:"reason"`
	// Config is the digest of the configuration document.
	Config string `json:"config"`
}

// Gates are an environment's as they are now.
type Gates struct {
	FrozenUntil  store.Time  `json:"frozen_until,omitzero"`
	FrozenReason string      `json:"frozen_reason,omitempty"`
	Approvals    []Approvals `json:"approvals"`
	Required     []Required  `json:"required"`
	// MayApprove says whether the caller may; left to who knows the caller.
	MayApprove bool `json:"may_approve"`
}

// Approvals are those of one of an environment's demands.
type Approvals struct {
	Needed int        `json:"needed"`
	Role   string     `json:"role,omitempty"`
	Given  []Decision `json:"given"`
}

// Decision is a person's.
type Decision struct {
	// By is the account, or who acted where there is none.
	By      string     `json:"by"`
	Name    string     `json:"name"`
	At      store.Time `json:"at"`
	Comment string     `json:"comment"`
	// Decision is "approve" or "reject".
	Decision string `json:"decision"`
}

// Required is a job or a check that has to have succeeded for the commit.
type Required struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason"`
}

// Environment returns the part in an environment, or nil.
func (r *Release) Environment(name string) *Environment {
	for i := range r.Environments {
		if r.Environments[i].Name == name {
			return &r.Environments[i]
		}
	}
	return nil
}

// Service returns the part for a service, or nil.
func (e *Environment) Service(name string) *Member {
	for i := range e.Services {
		if e.Services[i].Service == name {
			return &e.Services[i]
		}
	}
	return nil
}

// candidate returns what a service is released as.
func (r *Release) candidate(service string) (Candidate, bool) {
	for _, c := range r.Candidates {
		if c.Service == service {
			return c, true
		}
	}
	return Candidate{}, false
}

// Allows are the commands that the release's state allows: pause, resume, promote, abort and rollback, and approve and reject where an environment waits
// for people. Who may give them is another question.
func (r Release) Allows() []string {
	may := []string{}
	add := func(ok bool, names ...string) {
		if ok {
			may = append(may, names...)
		}
	}
	any := func(of func(Environment) bool) bool { return slices.ContainsFunc(r.Environments, of) }
	moving := any(func(e Environment) bool {
		return (e.Status == Running || e.Status == Paused || e.Status == Succeeded) && slices.ContainsFunc(e.Services, func(s Member) bool {
			return slices.Contains([]release.Phase{release.Holding, release.Soaking, release.Warm}, release.Phase(s.Status))
		})
	})
	done := any(func(e Environment) bool {
		return e.Status == Succeeded && slices.ContainsFunc(e.Services, func(s Member) bool { return s.Rollout != 0 })
	})
	add(any(func(e Environment) bool { return e.Status == Gated && e.Gate != nil && len(e.Gate.Approvals) > 0 }), "approve", "reject")
	add(!r.Status.Ended() && r.Status != Returning && r.Status != Paused, "pause")
	add(r.Status == Paused, "resume")
	add(moving && r.Status != Returning, "promote")
	add(!r.Status.Ended() && r.Status != Returning, "abort")
	add(r.Status.Ended() && done, "rollback")
	return may
}
