package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/fleet"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/release/judge"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/ship"
)

// OfRelease is the parameter of everything below a release.
type OfRelease struct {
	Release string `path:"release" maxLength:"32"`
}

// OfRollout is that of everything below a rollout.
type OfRollout struct {
	Rollout int64 `path:"rollout" minimum:"1"`
}

// OfJudgement is that of everything below a judgement.
type OfJudgement struct {
	Judgement int64 `path:"judgement" minimum:"1"`
}

// commandActions are what the commands of a release need.
var commandActions = map[string]auth.Action{
	"pause": auth.ReleaseControl, "resume": auth.ReleaseControl, "abort": auth.ReleaseControl, "rollback": auth.ReleaseControl,
	"promote": auth.ReleasePromote, "approve": auth.ApprovalDecide, "reject": auth.ApprovalDecide,
}

// may narrows commands to those that the caller may give.
func (s *Server) may(ctx context.Context, project string, commands []string) []string {
	out := []string{}
	for _, c := range commands {
		if a, ok := commandActions[c]; ok && s.o.Auth.Allowed(identity(ctx), a, project) {
			out = append(out, c)
		}
	}
	return out
}

// shown completes a release with what its caller may do.
func (s *Server) shown(ctx context.Context, r ship.Release) ship.Release {
	r.May = s.may(ctx, r.Project, r.Allows())
	// Nobody decides about what they have begun, whatever their role.
	own := r.Actor == identity(ctx).Actor
	if own {
		r.May = slices.DeleteFunc(r.May, func(c string) bool { return c == "approve" || c == "reject" })
	}
	for i := range r.Environments {
		if g := r.Environments[i].Gate; g != nil {
			g.MayApprove = !own && s.o.Auth.Allowed(identity(ctx), auth.ApprovalDecide, r.Project) && r.Environments[i].Status == ship.Gated
		}
	}
	for i := range r.Rollouts {
		r.Rollouts[i] = s.shownRollout(ctx, r.Rollouts[i])
	}
	return r
}

func (s *Server) shownRollout(ctx context.Context, v release.View) release.View {
	may := []release.Command{}
	for _, c := range v.May {
		if len(s.may(ctx, v.Project, []string{string(c)})) > 0 {
			may = append(may, c)
		}
	}
	v.May = may
	return v
}

// shipBy is who asks, for releases.
func shipBy(id *auth.Identity) ship.By {
	return ship.By{Actor: id.Actor, Name: id.Display, Account: id.Account}
}

func (s *Server) releases() {
	if s.o.Ship == nil {
		return
	}
	const tag = "Releases"
	handle(s, operation{id: "get-status", method: http.MethodGet, path: "/api/v1/projects/{project}/status", tag: tag, scope: onProject, action: auth.ReleaseRead, summary: "What runs where: services in the regions of environments"},
		func(ctx context.Context, in *OfProject) (*answer[items[placed]], error) {
			list, err := s.placed(ctx, in.Project)
			return listOf(list), err
		})
	handle(s, operation{id: "list-releases", method: http.MethodGet, path: "/api/v1/releases", tag: tag, scope: onList, action: auth.ReleaseRead, summary: "Releases, the newest first"},
		func(ctx context.Context, in *struct {
			Paged
			Project     []string `query:"project,explode" maxItems:"100" doc:"May be repeated."`
			Status      []string `query:"status,explode" maxItems:"16" enum:"building,waiting,running,paused,returning,succeeded,failed,rolled-back,cancelled" doc:"May be repeated."`
			Service     string   `query:"service" maxLength:"63"`
			Environment string   `query:"environment" maxLength:"63"`
		}) (*answer[jobs.Page[ship.Release]], error) {
			q := ship.Query{Projects: s.visible(ctx, auth.ReleaseRead, in.Project), Service: in.Service, Environment: in.Environment, After: in.After, Limit: in.Limit}
			for _, st := range in.Status {
				q.Status = append(q.Status, ship.Status(st))
			}
			found, err := s.o.Ship.Releases(ctx, q)
			if err != nil {
				return nil, err
			}
			page := jobs.Page[ship.Release]{Items: []ship.Release{}, Next: found.Next}
			for _, r := range found.Items {
				page.Items = append(page.Items, s.shown(ctx, r))
			}
			return &answer[jobs.Page[ship.Release]]{page}, nil
		})
	handle(s, operation{id: "ship", method: http.MethodPost, path: "/api/v1/projects/{project}/releases", tag: tag, scope: onProject, action: auth.ReleaseStart, status: http.StatusCreated, once: true,
		summary: "Begin a release", description: "Acknowledged once the release is recorded. gantry.yaml is read at the commit; what is wrong with it is the answer, each with its place."},
		func(ctx context.Context, in *struct {
			OfProject
			Body struct {
				Ref          string   `json:"ref,omitempty" maxLength:"512" doc:"A branch, a tag or a commit; empty: the default branch."`
				Environments []string `json:"environments,omitempty" maxItems:"100" doc:"Empty: all, in the order of gantry.yaml."`
				Services     []string `json:"services,omitempty" maxItems:"500" doc:"Empty: all."`
			}
		}) (*answer[ship.Release], error) {
			r, err := s.o.Ship.Start(ctx, shipBy(identity(ctx)), ship.Request{Project: in.Project, Ref: in.Body.Ref, Environments: in.Body.Environments, Services: in.Body.Services, Key: delivery(ctx)})
			return &answer[ship.Release]{s.shown(ctx, r)}, err
		})
	handle(s, operation{id: "get-release", method: http.MethodGet, path: "/api/v1/releases/{release}", tag: tag, scope: onRelease, action: auth.ReleaseRead, summary: "One release, with its rollouts"},
		func(ctx context.Context, in *OfRelease) (*answer[ship.Release], error) {
			r, err := s.o.Ship.Release(ctx, in.Release)
			return &answer[ship.Release]{s.shown(ctx, r)}, err
		})
	for _, verb := range []string{"approve", "reject"} {
		summary := map[string]string{"approve": "Let a release into an environment", "reject": "Refuse a release an environment"}[verb]
		handle(s, operation{id: verb + "-release", method: http.MethodPost, path: "/api/v1/releases/{release}/" + verb, tag: tag, scope: onRelease, action: auth.ApprovalDecide, summary: summary,
			description: "Nobody decides about a release that they have begun."},
			func(ctx context.Context, in *struct {
				OfRelease
				Body struct {
					Environment string `json:"environment,omitempty" maxLength:"63" doc:"Empty: the one that waits."`
					Comment     string `json:"comment,omitempty" maxLength:"4096"`
				}
			}) (*answer[ship.Release], error) {
				decide := s.o.Ship.Reject
				if verb == "approve" {
					decide = s.o.Ship.Approve
				}
				r, err := decide(ctx, shipBy(identity(ctx)), in.Release, in.Body.Environment, in.Body.Comment)
				return &answer[ship.Release]{s.shown(ctx, r)}, err
			})
	}
	summaries := map[string]string{
		"pause": "Hold a release where it is", "resume": "Go on", "promote": "Leave what is watched now, without its time and its verdict", "abort": "Take a release that is under way back",
		"rollback": "Bring back what was there before a release",
	}
	for _, verb := range []string{"pause", "resume", "promote", "abort", "rollback"} {
		handle(s, operation{id: verb + "-release", method: http.MethodPost, path: "/api/v1/releases/{release}/" + verb, tag: tag, scope: onRelease, action: commandActions[verb], summary: summaries[verb], once: verb == "rollback"},
			func(ctx context.Context, in *struct {
				OfRelease
				Body *struct {
					Service     string `json:"service,omitempty" maxLength:"63" doc:"Only the rollouts of this service."`
					Environment string `json:"environment,omitempty" maxLength:"63" doc:"Only those in this environment."`
					Reason      string `json:"reason,omitempty" maxLength:"2000" doc:"Kept with the event."`
				}
			}) (*answer[ship.Release], error) {
				t := ship.Command{Do: verb}
				if in.Body != nil {
					t.Service, t.Environment, t.Reason = in.Body.Service, in.Body.Environment, in.Body.Reason
				}
				r, err := s.o.Ship.Tell(ctx, shipBy(identity(ctx)), in.Release, t)
				return &answer[ship.Release]{s.shown(ctx, r)}, err
			})
	}
	s.rollouts(tag)
}

func (s *Server) rollouts(tag string) {
	handle(s, operation{id: "get-rollout", method: http.MethodGet, path: "/api/v1/rollouts/{rollout}", tag: tag, scope: onRollout, action: auth.ReleaseRead, summary: "One rollout: a candidate on its way into an environment"},
		func(ctx context.Context, in *OfRollout) (*answer[release.View], error) {
			v, err := s.o.Rollouts.View(ctx, in.Rollout)
			return &answer[release.View]{s.shownRollout(ctx, v)}, err
		})
	s.judgements(tag)
}

// placed is what runs at a place, with the releases that its versions come from.
type placed struct {
	fleet.Placed
	Versions []placedVersion `json:"versions"`
}

type placedVersion struct {
	fleet.PlacedVersion
	Commit  string `json:"commit,omitempty"`
	Release string `json:"release,omitempty"`
	// Since is when that release began.
	Since time.Time `json:"released_at,omitzero"`
}

// placed joins what the hosts say with where it came from.
func (s *Server) placed(ctx context.Context, project string) ([]placed, error) {
	list, err := s.o.Fleet.Placed(ctx, project)
	if err != nil {
		return nil, err
	}
	out := []placed{}
	for _, p := range list {
		one := placed{Placed: p, Versions: []placedVersion{}}
		for _, v := range p.Versions {
			shown := placedVersion{PlacedVersion: v}
			o, ok, err := s.o.Ship.Origin(ctx, p.Project, p.Service, v.Artifact)
			if err != nil {
				return nil, err
			}
			if ok {
				shown.Commit, shown.Release, shown.Since = o.Commit, o.Release, o.At.Time
			}
			one.Versions = append(one.Versions, shown)
		}
		out = append(out, one)
	}
	return out, nil
}

// judgements are what was said of rollouts, and why.
func (s *Server) judgements(tag string) {
	handle(s, operation{id: "list-judgements", method: http.MethodGet, path: "/api/v1/rollouts/{rollout}/judgements", tag: tag, scope: onRollout, action: auth.ReleaseRead, summary: "What was judged of a rollout"},
		func(ctx context.Context, in *OfRollout) (*answer[items[judge.Judgement]], error) {
			list, err := s.o.Judge.Judgements(ctx, in.Rollout)
			return listOf(list), err
		})
	handle(s, operation{id: "watch-rollout", method: http.MethodGet, path: "/api/v1/rollouts/{rollout}/watch", tag: tag, scope: onRollout, action: auth.ReleaseRead, summary: "How a rollout that is watched stands now"},
		func(ctx context.Context, in *OfRollout) (*answer[judge.Watching], error) {
			w, err := s.o.Judge.Watching(ctx, in.Rollout)
			if errors.Is(err, judge.ErrNotFound) {
				w, err = judge.Watching{Verdict: analysis.Inconclusive, Reason: "nothing is watched", Results: []analysis.Result{}}, nil
			}
			return &answer[judge.Watching]{w}, err
		})
	handle(s, operation{id: "get-series", method: http.MethodGet, path: "/api/v1/rollouts/{rollout}/series", tag: tag, scope: onRollout, action: auth.ReleaseRead, summary: "Requests, errors and latency of both versions over time"},
		func(ctx context.Context, in *OfRollout) (*answer[items[judge.Point]], error) {
			list, err := s.o.Judge.Series(ctx, in.Rollout)
			if errors.Is(err, judge.ErrNotFound) {
				err = nil // nothing was seen of it yet
			}
			return listOf(list), err
		})
	handle(s, operation{id: "get-judgement", method: http.MethodGet, path: "/api/v1/judgements/{judgement}", tag: tag, scope: onJudgement, action: auth.ReleaseRead, summary: "A judgement with everything that it used"},
		func(ctx context.Context, in *OfJudgement) (*answer[judge.Judgement], error) {
			j, err := s.o.Judge.Judgement(ctx, in.Judgement)
			return &answer[judge.Judgement]{j}, err
		})
	handle(s, operation{id: "explain-judgement", method: http.MethodGet, path: "/api/v1/judgements/{judgement}/explain", tag: tag, scope: onJudgement, action: auth.ReleaseRead, summary: "A judgement in words, computed again from its samples"},
		func(ctx context.Context, in *OfJudgement) (*answer[judge.Explanation], error) {
			e, err := s.o.Judge.Explain(ctx, in.Judgement)
			return &answer[judge.Explanation]{e}, err
		})
}
