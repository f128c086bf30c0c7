package ship

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gantry-ops/gantry/engine"
)

// UnderWay is what [Builds] may be able to do beside: to say which runs of the commit are under way already, as after a push. They are waited for before
// any is started.
type UnderWay interface {
	UnderWay(ctx context.Context, project, commit, pipeline string) (runs []string, err error)
}

// patience is how often in a row a build may fail to be looked for or started before the release fails for it: databases and forges come back.
const patience = 5

// build looks for the candidates that are missing, and has those made that nobody has made yet.
func (s *Service) build(ctx context.Context, l *engine.Lease, r *record) error {
	if r.Held {
		r.Release.Reason = "paused"
		return nil
	}
	var waits []string
	for _, one := range r.plan.Services {
		if _, ok := r.Release.candidate(one.Name); ok {
			continue
		}
		found, err := s.find(ctx, r, one)
		if err == nil && !found {
			var wait string
			if wait, err = s.make(ctx, r, one); err == nil && !slices.Contains(waits, wait) {
				waits = append(waits, wait)
			}
		}
		if err != nil {
			if ctx.Err() != nil || !errors.Is(err, ErrRefused) && l.Failures < patience {
				return fmt.Errorf("build %s for the release %s: %w", one.Name, r.key(), err)
			}
			r.fail(fmt.Sprintf("%s: %v", one.Name, err))
			return nil
		}
	}
	r.Release.Reason = strings.Join(waits, "; ")
	slices.SortStableFunc(r.Release.Candidates, func(a, b Candidate) int { return r.plan.order(a.Service) - r.plan.order(b.Service) })
	return nil
}

func (p *plan) order(service string) int {
	return slices.IndexFunc(p.Services, func(s planService) bool { return s.Name == service })
}

// find takes a service's artifact as its candidate where there is one.
func (s *Service) find(ctx context.Context, r *record, one planService) (bool, error) {
	a, ok, err := s.o.Builds.Find(ctx, r.Release.Project, r.Release.Commit, one.Pipeline, one.Artifact)
	if err != nil || !ok {
		return false, err
	}
	c, err := s.keep(ctx, r, one.Name, a)
	if err != nil {
		return false, err
	}
	r.Release.Candidates = append(r.Release.Candidates, c)
	// Only a run that has succeeded is found, and it may be found before anybody has asked how it stands.
	for i := range r.Release.Builds {
		if b := &r.Release.Builds[i]; b.Run == a.Run {
			b.Status, b.Reason = Succeeded, ""
		}
	}
	return true, nil
}

// make sees to it that a service's pipeline runs, and says what is waited for. An error that is [ErrRefused] says that nothing will come of it.
func (s *Service) make(ctx context.Context, r *record, one planService) (string, error) {
	var mine []*Build
	for i := range r.Release.Builds {
		if r.Release.Builds[i].Pipeline == one.Pipeline {
			mine = append(mine, &r.Release.Builds[i])
		}
	}
	if len(mine) == 0 {
		var runs []string
		var err error
		if u, ok := s.o.Builds.(UnderWay); ok {
			if runs, err = u.UnderWay(ctx, r.Release.Project, r.Release.Commit, one.Pipeline); err != nil {
				return "", err
			}
		}
		if len(runs) == 0 {
			if runs, err = s.o.Builds.Start(ctx, r.Release.Project, r.Release.Commit, r.Release.Ref, one.Pipeline, r.Release.Actor, r.key()+"/"+one.Pipeline); err != nil {
				return "", err
			}
		}
		if len(runs) == 0 {
			return "", fmt.Errorf("%w: no pipeline of %.12s makes the artifact %s", ErrRefused, r.Release.Commit, one.Artifact)
		}
		for _, run := range runs {
			r.Release.Builds = append(r.Release.Builds, Build{Run: run, Pipeline: one.Pipeline, Status: Running})
		}
		return waitsFor(runs), nil
	}
	var left []string
	var why error
	for _, b := range mine {
		if b.Status == Running {
			ended, ok, reason, err := s.o.Builds.State(ctx, b.Run)
			switch {
			case err != nil:
				return "", err
			case !ended:
				left = append(left, b.Run)
				continue
			case ok:
				b.Status, b.Reason = Succeeded, ""
			default:
				b.Status, b.Reason = Failed, reason
			}
		}
		if b.Status == Failed && why == nil {
			why = fmt.Errorf("%w: the run %s that makes it failed: %s", ErrRefused, b.Run, b.Reason)
		}
	}
	if len(left) > 0 {
		return waitsFor(left), nil
	}
	// What a run has left may have come after the first look.
	if found, err := s.find(ctx, r, one); err != nil || found {
		return "takes what was built", err
	}
	if why == nil {
		why = fmt.Errorf("%w: the run %s succeeded and left no artifact %s", ErrRefused, mine[len(mine)-1].Run, one.Artifact)
	}
	return "", why
}

func waitsFor(runs []string) string {
	if len(runs) == 1 {
		return "waits for the run " + runs[0]
	}
	return "waits for the runs " + strings.Join(runs, ", ")
}

// fail ends a release that cannot go on before anything has begun.
func (r *record) fail(why string) {
	r.Release.Status, r.Release.Reason = Failed, why
	for i := range r.Release.Environments {
		r.Release.Environments[i].Status, r.Release.Environments[i].Reason = Skipped, "there is no candidate"
	}
}
