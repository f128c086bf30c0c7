package fleet

import (
	"github.com/uptrace/bun"

	"github.com/gantry-ops/gantry/agent"
	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/store"
)

var migrations = []store.Migration{{
	Name: "0001 agents, tokens, placements and tasks",
	SQL: `
CREATE TABLE agents (
	name TEXT PRIMARY KEY,
	labels $JSON NOT NULL, -- that its token has prescribed
	info $JSON NOT NULL,
	prints $JSON NOT NULL, -- of the certificates that hold
	expires_at BIGINT NOT NULL,
	state TEXT NOT NULL,
	joined_at BIGINT NOT NULL,
	generation BIGINT NOT NULL,
	desired $JSON NOT NULL
);
CREATE TABLE agent_reports (
	agent TEXT PRIMARY KEY,
	at BIGINT NOT NULL,
	report $JSON NOT NULL
);
CREATE TABLE agent_tokens (
	id TEXT PRIMARY KEY,
	hash TEXT NOT NULL UNIQUE,
	name TEXT NOT NULL,
	labels $JSON NOT NULL,
	created_by TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	used_at BIGINT NOT NULL,
	used_by TEXT NOT NULL,
	used_key TEXT NOT NULL,
	revoked_at BIGINT NOT NULL
);
CREATE TABLE placements (
	project TEXT NOT NULL,
	environment TEXT NOT NULL,
	region TEXT NOT NULL,
	service TEXT NOT NULL,
	wave BIGINT NOT NULL,
	rollout BIGINT NOT NULL,
	version BIGINT NOT NULL,
	desired $JSON NOT NULL,
	reverting BOOLEAN NOT NULL,
	problem TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	since BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	PRIMARY KEY (project, environment, service, region)
);
CREATE TABLE placement_parts (
	project TEXT NOT NULL,
	environment TEXT NOT NULL,
	region TEXT NOT NULL,
	service TEXT NOT NULL,
	agent TEXT NOT NULL,
	numbers $JSON NOT NULL, -- of instances, by version
	generation BIGINT NOT NULL, -- of the agent, in which the part became what it is
	problem TEXT NOT NULL,
	PRIMARY KEY (project, environment, service, region, agent)
);
CREATE INDEX placement_parts_by_agent ON placement_parts (agent);
CREATE TABLE agent_tasks (
	id TEXT PRIMARY KEY,
	rollout BIGINT NOT NULL,
	agent TEXT NOT NULL,
	state TEXT NOT NULL,
	reason TEXT NOT NULL,
	output TEXT NOT NULL,
	migration TEXT NOT NULL, -- by its place and name, empty for others
	task $JSON NOT NULL,
	created_at BIGINT NOT NULL,
	ended_at BIGINT NOT NULL
);
CREATE INDEX agent_tasks_migrations ON agent_tasks (migration) WHERE migration <> '';
CREATE INDEX agent_tasks_open ON agent_tasks (agent) WHERE ended_at = 0;
`,
}}

// States of an agent.
const (
	// StateNew has joined and not reported yet.
	StateNew     = "new"
	StateOnline  = "online"
	StateOffline = "offline"
)

type agentRow struct {
	bun.BaseModel `bun:"table:agents"`

	Name       string `bun:",pk"`
	Labels     store.JSON[map[string]string]
	Info       store.JSON[link.Info]
	Prints     store.JSON[[]string]
	ExpiresAt  store.Time
	State      string
	JoinedAt   store.Time
	Generation int64
	Desired    store.JSON[wanted]
}

// effective are the labels by which targets choose: those that the token has prescribed, else those that the host says itself.
func (r *agentRow) effective() map[string]string {
	if len(r.Labels.V) > 0 {
		return r.Labels.V
	}
	return r.Info.V.Labels
}

// wanted is what a host shall be, as it is stored: without a secret's value.
type wanted struct {
	agent.Desired
	// Secrets are the names of the secrets of each instance and task, by its ID.
	Secrets map[string]secretNames `json:"secrets,omitempty"`
}

// secretNames are secrets of a project's environment, by the variable that they are for.
type secretNames struct {
	Project     string            `json:"project"`
	Environment string            `json:"environment"`
	Names       map[string]string `json:"names"`
}

type reportRow struct {
	bun.BaseModel `bun:"table:agent_reports"`

	Agent  string `bun:",pk"`
	At     store.Time
	Report store.JSON[kept]
}

type tokenRow struct {
	bun.BaseModel `bun:"table:agent_tokens"`

	ID        string `bun:",pk"`
	Hash      string
	Name      string
	Labels    store.JSON[map[string]string]
	CreatedBy string
	CreatedAt store.Time
	ExpiresAt store.Time
	UsedAt    store.Time
	UsedBy    string
	UsedKey   string
	RevokedAt store.Time
}

// place is where one placement is: a service in a region of an environment.
type place struct {
	Project     string `bun:",pk"`
	Environment string `bun:",pk"`
	Region      string `bun:",pk"`
	Service     string `bun:",pk"`
}

// instances is the name that the instances' service has on hosts.
func (p place) instances() string {
	return p.Project + "/" + p.Environment + "/" + p.Region + "/" + p.Service
}

// routed is the name of the service that a port's listener leads to.
func (p place) routed(port string) string { return p.instances() + "/" + port }

func (p place) release() release.Place {
	return release.Place{Project: p.Project, Service: p.Service, Environment: p.Environment}
}

// of are the placements of a rollout's place.
func of(p release.Place) func(*bun.SelectQuery) *bun.SelectQuery {
	return func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("project = ? AND environment = ? AND service = ?", p.Project, p.Environment, p.Service)
	}
}

type placementRow struct {
	bun.BaseModel `bun:"table:placements"`

	place
	Wave      int
	Rollout   int64
	Version   int64
	Desired   store.JSON[release.Desired]
	Reverting bool
	// Problem is why the region has no agent.
	Problem string
	// CreatedAt is when the place was first used: who was first keeps an address. Since is when the rollout came.
	CreatedAt store.Time
	Since     store.Time
	ChangedAt store.Time
}

type partRow struct {
	bun.BaseModel `bun:"table:placement_parts"`

	place
	Agent      string `bun:",pk"`
	Numbers    store.JSON[map[string][]int]
	Generation int64
	Problem    string
}

// count is how many instances of a group the part has.
func (p *partRow) count(group string) int { return len(p.Numbers.V[group]) }

type taskRow struct {
	bun.BaseModel `bun:"table:agent_tasks"`

	ID        string `bun:",pk"`
	Rollout   int64
	Agent     string
	State     string
	Reason    string
	Output    string
	Migration string
	Task      store.JSON[keptTask]
	CreatedAt store.Time
	EndedAt   store.Time
}
