package auth

import (
	"context"
	"slices"

	"github.com/gantry-ops/gantry/store"
)

// Kinds of identities.
const (
	KindAccount = "account"
	KindToken   = "token"
	KindRunner  = "runner"
)

// place is what an action is decided for: the project, or the server.
func place(action Action, project string) string {
	if project == "" || actions[action] {
		return AllProjects
	}
	return project
}

// Authorize decides whether an identity may do something in a project, or on the server (project "" or AllProjects). Actions that are
// the server's are decided for the server whatever the project. It returns nil or a *RefusedError, and records the refusal. A nil
// identity is refused everything.
func (s *Service) Authorize(ctx context.Context, id *Identity, action Action, project string) error {
	if s.Allowed(id, action, project) {
		return nil
	}
	project = place(action, project)
	actor := anonymous
	if id != nil {
		actor = id.Actor
	}
	e := store.Event{Type: eventAccessRefused, Actor: actor, Subject: string(action)}
	if project != AllProjects {
		e.Project = project
	}
	s.refusals.record(ctx, e, refusal{Reason: "role", Action: action})
	return &RefusedError{Actor: actor, Action: action, Project: project}
}

// Allowed is Authorize for who only wants to know: nothing is recorded.
func (s *Service) Allowed(id *Identity, action Action, project string) bool {
	return id != nil && newJudge(id, place(action, project)).allows(action)
}

// Permissions returns what an identity may do: on the server, under AllProjects, and in each project that its grants or its token name.
// What it may do in all projects is under AllProjects too, and repeated for those projects only.
func (s *Service) Permissions(id *Identity) map[string][]Action {
	out := map[string][]Action{AllProjects: {}}
	if id == nil {
		return out
	}
	ofProject, ofServer := Actions()
	everywhere := newJudge(id, AllProjects)
	for _, a := range slices.Concat(ofProject, ofServer) {
		if everywhere.allows(a) {
			out[AllProjects] = append(out[AllProjects], a)
		}
	}
	for _, p := range named(id) {
		out[p] = []Action{}
		here := newJudge(id, p)
		for _, a := range ofProject {
			if here.allows(a) {
				out[p] = append(out[p], a)
			}
		}
	}
	return out
}

// ReadableProjects returns the IDs of the projects that an identity may read, sorted; nil: all of them. An empty list is not nil.
func (s *Service) ReadableProjects(id *Identity) []string { return s.ProjectsFor(id, ProjectRead) }

// ProjectsFor is ReadableProjects for any action of projects. Only the projects that the identity's grants or its token name are looked
// at where it may not do the action in all.
func (s *Service) ProjectsFor(id *Identity, action Action) []string {
	if s.Allowed(id, action, AllProjects) {
		return nil
	}
	out := []string{}
	if id == nil {
		return out
	}
	for _, p := range named(id) {
		if s.Allowed(id, action, p) {
			out = append(out, p)
		}
	}
	return out
}

// Covers reports whether an identity's scopes leave an action to it, wherever it may do it. Only tokens have scopes.
func (s *Service) Covers(id *Identity, action Action) bool {
	if id == nil || id.Kind != KindToken {
		return id != nil
	}
	whole := *id
	whole.Grants, whole.Projects = []Grant{{Project: AllProjects, Role: Admin}}, nil
	return s.Allowed(&whole, action, AllProjects)
}

// named are the projects that an identity's grants or restrictions name, sorted.
func named(id *Identity) []string {
	var out []string
	for _, g := range id.Grants {
		out = append(out, g.Project)
	}
	out = append(out, id.Projects...)
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(p string) bool { return p == AllProjects })
}
