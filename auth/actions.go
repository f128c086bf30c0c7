package auth

// Action is something that the policies decide about.
type Action string

// All actions. Those on a project are decided for that project, the rest for the server.
const (
	ProjectRead    Action = "project:read"
	ProjectWrite   Action = "project:write" // change settings, environments, variables
	ProjectCreate  Action = "project:create"
	ProjectDelete  Action = "project:delete"
	RunRead        Action = "run:read" // also logs, artifacts, tests
	RunStart       Action = "run:start"
	RunCancel      Action = "run:cancel"
	RunRerun       Action = "run:rerun"
	RunDelete      Action = "run:delete"
	ApprovalRead   Action = "approval:read"
	ApprovalDecide Action = "approval:decide"
	ReleaseRead    Action = "release:read"
	ReleaseStart   Action = "release:start"
	ReleaseControl Action = "release:control" // pause, resume, abort, roll back: all that holds a release, or takes it back
	ReleasePromote Action = "release:promote" // go on without a verdict, or before its time
	SecretList     Action = "secret:list"     // names, never values
	SecretWrite    Action = "secret:write"
	EventRead      Action = "event:read" // the audit trail of a project, or of the server
	RunnerRead     Action = "runner:read"
	RunnerWrite    Action = "runner:write"
	AgentRead      Action = "agent:read"  // hosts, what runs there, and its logs
	AgentWrite     Action = "agent:write" // who may be an agent
	MetricsRead    Action = "metrics:read"
	MetricsWrite   Action = "metrics:write" // send samples
	AccountRead    Action = "account:read"
	AccountWrite   Action = "account:write" // accounts and grants
	TokenOwn       Action = "token:own"     // one's own tokens and password
	SettingsRead   Action = "settings:read"
	SettingsWrite  Action = "settings:write"
	// RunnerWork is what runners' tokens may do, and nothing else may.
	RunnerWork Action = "runner:work"
)

// Role is what a grant gives on a project, or on all ("*").
type Role string

// The roles. A viewer reads; a developer also starts, cancels and runs again, and begins releases and takes them back; a releaser also
// approves, promotes without a verdict, and keeps secrets and environments; an auditor reads everything, the audit trail of the server included, and changes nothing; an admin may all.
// Nobody approves by being a developer: who writes code and who releases it are different roles.
const (
	Viewer    Role = "viewer"
	Developer Role = "developer"
	Releaser  Role = "releaser"
	Auditor   Role = "auditor"
	Admin     Role = "admin"
)

// AllProjects is the project of a grant on the whole server.
const AllProjects = "*"

// Grant gives an account a role.
type Grant struct {
	// Project is a project's ID, or AllProjects.
	Project string `json:"project"`
	Role    Role   `json:"role"`
}

// Identity is who makes a request.
type Identity struct {
	// Kind is "account", "token" (of an account) or "runner".
	Kind string `json:"kind"`
	// Account is the account's name (the owner's, for a token); Runner the runner's ID.
	Account string `json:"account,omitempty"`
	Runner  string `json:"runner,omitempty"`
	// Actor is how events name it: "account:NAME", "token:ID", "runner:ID".
	Actor string `json:"actor"`
	// Display is the name for people.
	Display string `json:"name"`
	// Grants are the account's; Scopes, for tokens, restrict them: actions or their first parts ("run"), with Projects. Empty: all.
	Grants   []Grant  `json:"grants"`
	Scopes   []string `json:"scopes,omitempty"`
	Projects []string `json:"projects,omitempty"`
	// Session is the ID of the session of a browser; empty for tokens. CSRF is the token that such a request has to carry.
	Session string `json:"-"`
	CSRF    string `json:"csrf,omitempty"`
}
