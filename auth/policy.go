package auth

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
)

//go:embed policies.cedar
var policyText []byte

// policies are what decides; compiled once.
var policies = mustCompile("policies.cedar", policyText)

// mustCompile is for the embedded text alone, which a test compiles too.
func mustCompile(name string, text []byte) cedar.PolicyIterator {
	list, err := cedar.NewPolicyListFromBytes(name, text)
	if err != nil {
		panic(err)
	}
	set := cedar.NewPolicySet()
	for i, p := range list {
		id := cedar.PolicyID(p.Annotations()["id"])
		if id == "" {
			id = cedar.PolicyID(fmt.Sprintf("%s#%d", name, i))
		}
		if !set.Add(id, p) {
			panic(fmt.Sprintf("%s: two policies are called %s", name, id))
		}
	}
	return set
}

// The types of entities, as schema.cedarschema declares them.
const (
	typeAccount = types.EntityType("Account")
	typeRunner  = types.EntityType("Runner")
	typeProject = types.EntityType("Project")
	typeAction  = types.EntityType("Action")
)

// server is the project that all others lie in.
var server = types.NewEntityUID(typeProject, AllProjects)

// inServer are the parents of every other project.
var inServer = types.NewEntityUIDSet(server)

// actions are all there are, with whether each is the server's.
var actions = map[Action]bool{
	ProjectRead: false, ProjectWrite: false, ProjectDelete: false,
	RunRead: false, RunStart: false, RunCancel: false, RunRerun: false, RunDelete: false,
	ApprovalRead: false, ApprovalDecide: false,
	ReleaseRead: false, ReleaseStart: false, ReleaseControl: false, ReleasePromote: false,
	SecretList: false, SecretWrite: false,
	EventRead:     false,
	ProjectCreate: true, RunnerRead: true, RunnerWrite: true, RunnerWork: true,
	AgentRead: true, AgentWrite: true, MetricsRead: true, MetricsWrite: true,
	AccountRead: true, AccountWrite: true, TokenOwn: true, SettingsRead: true, SettingsWrite: true,
}

// Actions returns all actions, those on a project first, both in the order of the constants.
func Actions() (project, ofServer []Action) {
	return []Action{ProjectRead, ProjectWrite, ProjectDelete, RunRead, RunStart, RunCancel, RunRerun, RunDelete, ApprovalRead, ApprovalDecide,
			ReleaseRead, ReleaseStart, ReleaseControl, ReleasePromote, SecretList, SecretWrite, EventRead},
		[]Action{ProjectCreate, RunnerRead, RunnerWrite, AgentRead, AgentWrite, MetricsRead, MetricsWrite, AccountRead, AccountWrite, TokenOwn, SettingsRead, SettingsWrite, RunnerWork}
}

// Roles returns all roles, from the one that may least to the one that may most.
func Roles() []Role { return []Role{Viewer, Developer, Releaser, Auditor, Admin} }

// family is the part of an action before the colon.
func (a Action) family() string {
	f, _, _ := strings.Cut(string(a), ":")
	return f
}

// judge is an identity in one place, a project or the server, in the policies' words.
type judge struct {
	principal types.Entity
	resource  types.EntityUID
	token     types.Record
	restrict  bool
}

// newJudge leaves out the grants on other projects: a project lies in the server and in nothing else, so they cannot matter to any
// policy, and somebody may have hundreds.
func newJudge(id *Identity, project string) *judge {
	j := &judge{resource: types.NewEntityUID(typeProject, types.String(project))}
	if id.Kind == KindRunner {
		j.principal = types.Entity{UID: types.NewEntityUID(typeRunner, types.String(id.Runner))}
		return j
	}
	roles := map[Role][]types.Value{}
	for _, g := range id.Grants {
		if g.Project != project && g.Project != AllProjects {
			continue
		}
		roles[g.Role] = append(roles[g.Role], types.NewEntityUID(typeProject, types.String(g.Project)))
	}
	attributes := types.RecordMap{}
	for _, r := range Roles() {
		attributes[types.String(r)] = types.NewSet(roles[r]...)
	}
	j.principal = types.Entity{UID: types.NewEntityUID(typeAccount, types.String(id.Account)), Attributes: types.NewRecord(attributes)}
	if id.Kind == KindToken {
		var scopes, projects []types.Value
		for _, s := range id.Scopes {
			scopes = append(scopes, types.String(s))
		}
		for _, p := range id.Projects {
			projects = append(projects, types.NewEntityUID(typeProject, types.String(p)))
		}
		j.restrict = true
		j.token = types.NewRecord(types.RecordMap{"scopes": types.NewSet(scopes...), "projects": types.NewSet(projects...)})
	}
	return j
}

// Get implements types.EntityGetter: every project lies in the server, whether there is such a project or not.
func (j *judge) Get(uid types.EntityUID) (types.Entity, bool) {
	switch {
	case uid == j.principal.UID:
		return j.principal, true
	case uid == server:
		return types.Entity{UID: uid}, true
	case uid.Type == typeProject:
		return types.Entity{UID: uid, Parents: inServer}, true
	}
	return types.Entity{}, false
}

// request is a question in the policies' words.
func (j *judge) request(a Action) types.Request {
	context := types.RecordMap{"action": types.String(a), "family": types.String(a.family())}
	if j.restrict {
		context["token"] = j.token
	}
	return types.Request{
		Principal: j.principal.UID,
		Action:    types.NewEntityUID(typeAction, types.String(a)),
		Resource:  j.resource,
		Context:   types.NewRecord(context),
	}
}

// allows decides. A policy that cannot be evaluated allows nothing: a forbid that failed would otherwise be missing.
func (j *judge) allows(a Action) bool {
	if _, known := actions[a]; !known {
		return false
	}
	decision, diagnostic := cedar.Authorize(policies, j, j.request(a))
	return decision == cedar.Allow && len(diagnostic.Errors) == 0
}
