package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gantry-ops/gantry/fleet"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/judge"
	"github.com/gantry-ops/gantry/ship"
	"github.com/gantry-ops/gantry/store"
)

// Ship is what a release is asked for with; empty fields are the default branch, all environments, all services.
type Ship struct {
	Ref          string   `json:"ref,omitempty"`
	Environments []string `json:"environments,omitempty"`
	Services     []string `json:"services,omitempty"`
}

// Ship begins a release. It is begun once, however often the request has to be sent.
func (c *Client) Ship(ctx context.Context, project string, s Ship) (ship.Release, error) {
	var r ship.Release
	return r, c.do(ctx, post(path("projects", project, "releases"), s), &r)
}

// Release reads one with its rollouts.
func (c *Client) Release(ctx context.Context, id string) (ship.Release, error) {
	var r ship.Release
	return r, c.do(ctx, get(path("releases", id), nil), &r)
}

// Releases lists them, the newest first; limit 0 is all.
func (c *Client) Releases(ctx context.Context, q ship.Query, limit int) ([]ship.Release, error) {
	v := nonEmpty("service", q.Service, "environment", q.Environment)
	for _, p := range q.Projects {
		v.Add("project", p)
	}
	for _, s := range q.Status {
		v.Add("status", string(s))
	}
	return every[ship.Release](ctx, c, "/releases", v, limit)
}

// Telling is what goes with a command for a release. Service and Environment narrow it.
type Telling struct {
	Service     string `json:"service,omitempty"`
	Environment string `json:"environment,omitempty"`
	Reason      string `json:"reason,omitempty"`
}

// TellRelease gives a release a command: pause, resume, promote, abort or rollback.
func (c *Client) TellRelease(ctx context.Context, id, command string, t Telling) (ship.Release, error) {
	var r ship.Release
	return r, c.do(ctx, post(path("releases", id, command), t), &r)
}

// DecideRelease lets a release into an environment, or refuses it; an empty environment is the one that waits.
func (c *Client) DecideRelease(ctx context.Context, id, environment string, approve bool, comment string) (ship.Release, error) {
	verb := "reject"
	if approve {
		verb = "approve"
	}
	var r ship.Release
	return r, c.do(ctx, post(path("releases", id, verb), struct {
		Environment string `json:"environment,omitempty"`
		Comment     string `json:"comment,omitempty"`
	}{environment, comment}), &r)
}

// Rollout reads one.
func (c *Client) Rollout(ctx context.Context, id int64) (release.View, error) {
	var v release.View
	return v, c.do(ctx, get(path("rollouts", strconv.FormatInt(id, 10)), nil), &v)
}

// Judgements are those of a rollout, the oldest first.
func (c *Client) Judgements(ctx context.Context, rollout int64) ([]judge.Judgement, error) {
	return list[judge.Judgement](ctx, c, path("rollouts", strconv.FormatInt(rollout, 10), "judgements"), nil)
}

// Explain computes a judgement again and says it in words.
func (c *Client) Explain(ctx context.Context, judgement int64) (judge.Explanation, error) {
	var e judge.Explanation
	return e, c.do(ctx, get(path("judgements", strconv.FormatInt(judgement, 10), "explain"), nil), &e)
}

// Placed is what runs in a region, as the API shows it.
type Placed struct {
	fleet.Placed
	Versions []PlacedVersion `json:"versions"`
}

// PlacedVersion is a version there, with the release that it came by.
type PlacedVersion struct {
	fleet.PlacedVersion
	Commit     string     `json:"commit,omitempty"`
	Release    string     `json:"release,omitempty"`
	ReleasedAt store.Time `json:"released_at,omitzero"`
}

// Status is what runs where.
func (c *Client) Status(ctx context.Context, project string) ([]Placed, error) {
	return list[Placed](ctx, c, path("projects", project, "status"), nil)
}

// Agents lists all hosts.
func (c *Client) Agents(ctx context.Context) ([]fleet.Agent, error) {
	return list[fleet.Agent](ctx, c, "/agents", nil)
}

// Agent reads one.
func (c *Client) Agent(ctx context.Context, name string) (fleet.Agent, error) {
	var a fleet.Agent
	return a, c.do(ctx, get(path("agents", name), nil), &a)
}

// RemoveAgent takes one out.
func (c *Client) RemoveAgent(ctx context.Context, name string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path("agents", name), repeat: true}, nil)
}

// InstanceLine is a line that an instance has written.
type InstanceLine struct {
	Time   store.Time `json:"time"`
	Stream string     `json:"stream"`
	Text   string     `json:"text"`
}

// InstanceLog are the last lines of an instance.
func (c *Client) InstanceLog(ctx context.Context, agent, instance string, tail int) ([]InstanceLine, error) {
	return list[InstanceLine](ctx, c, path("agents", agent, "instances", instance, "logs"), url.Values{"tail": {strconv.Itoa(tail)}})
}

// MakeAgentToken lets a host join once; the token is shown this once. ttl is in seconds; 0 is the server's default.
func (c *Client) MakeAgentToken(ctx context.Context, name string, labels map[string]string, ttl int) (fleet.Token, error) {
	var t fleet.Token
	return t, c.do(ctx, post("/agent-tokens", struct {
		Name   string            `json:"name,omitempty"`
		Labels map[string]string `json:"labels,omitempty"`
		TTL    int               `json:"ttl,omitempty"`
	}{name, labels, ttl}), &t)
}

// AgentTokens lists them.
func (c *Client) AgentTokens(ctx context.Context) ([]fleet.Token, error) {
	return list[fleet.Token](ctx, c, "/agent-tokens", nil)
}

// RevokeAgentToken ends one.
func (c *Client) RevokeAgentToken(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path("agent-tokens", id), repeat: true}, nil)
}
