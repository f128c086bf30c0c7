package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/agent/process"
	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/fleet"
)

// OfAgent is the parameter of everything below an agent.
type OfAgent struct {
	Agent string `path:"agent" maxLength:"63"`
}

// instanceLog is a line that an instance has written.
type instanceLog struct {
	Time   time.Time `json:"time"`
	Stream string    `json:"stream" enum:"stdout,stderr,agent"`
	Text   string    `json:"text"`
}

// agentLogLines is how many lines of an instance's log are shown where nothing else is said, mostAgentLogLines how many at most.
const (
	agentLogLines     = 200
	mostAgentLogLines = 5000
)

func (s *Server) agents() {
	if s.o.Fleet == nil {
		return
	}
	const tag = "Agents"
	handle(s, operation{id: "list-agents", method: http.MethodGet, path: "/api/v1/agents", tag: tag, scope: onServer, action: auth.AgentRead, summary: "Hosts that workloads run on"},
		func(ctx context.Context, _ *none) (*answer[items[fleet.Agent]], error) {
			list, err := s.o.Fleet.Agents(ctx)
			return listOf(list), err
		})
	handle(s, operation{id: "get-agent", method: http.MethodGet, path: "/api/v1/agents/{agent}", tag: tag, scope: onServer, action: auth.AgentRead, summary: "One host, with its instances"},
		func(ctx context.Context, in *OfAgent) (*answer[fleet.Agent], error) {
			a, err := s.o.Fleet.Agent(ctx, in.Agent)
			return &answer[fleet.Agent]{a}, err
		})
	handle(s, operation{id: "delete-agent", method: http.MethodDelete, path: "/api/v1/agents/{agent}", tag: tag, scope: onServer, action: auth.AgentWrite, status: http.StatusNoContent, summary: "Take a host out",
		description: "Its certificate is refused from then on. What runs there runs on until somebody ends it on the host."},
		func(ctx context.Context, in *OfAgent) (*none, error) {
			return nil, s.o.Fleet.RemoveAgent(ctx, identity(ctx).Actor, in.Agent)
		})
	handle(s, operation{id: "read-instance-log", method: http.MethodGet, path: "/api/v1/agents/{agent}/instances/{instance}/logs", tag: tag, scope: onServer, action: auth.AgentRead, slow: true, summary: "The last lines that an instance has written"},
		func(ctx context.Context, in *struct {
			OfAgent
			Instance string `path:"instance" maxLength:"100"`
			Tail     int    `query:"tail" minimum:"0" maximum:"5000" doc:"How many lines; 0: 200."`
		}) (*answer[items[instanceLog]], error) {
			lines, err := s.instanceLog(ctx, in.Agent, in.Instance, in.Tail)
			return listOf(lines), err
		})
	handle(s, operation{id: "create-agent-token", method: http.MethodPost, path: "/api/v1/agent-tokens", tag: tag, scope: onServer, action: auth.AgentWrite, status: http.StatusCreated, summary: "Let a host join, once"},
		func(ctx context.Context, in *struct {
			Body struct {
				Name   string            `json:"name,omitempty" maxLength:"63" doc:"What the agent has to be called; empty: as it likes."`
				Labels map[string]string `json:"labels,omitempty" maxProperties:"64" doc:"What targets may ask for; without any, the host says them itself."`
				TTL    int               `json:"ttl,omitempty" minimum:"0" maximum:"2592000" doc:"Seconds in which it has to be used; 0: a day."`
			}
		}) (*answer[fleet.Token], error) {
			t, err := s.o.Fleet.MakeToken(ctx, identity(ctx).Actor, fleet.TokenRequest{Name: in.Body.Name, Labels: in.Body.Labels, TTL: time.Duration(in.Body.TTL) * time.Second})
			return &answer[fleet.Token]{t}, err
		})
	handle(s, operation{id: "list-agent-tokens", method: http.MethodGet, path: "/api/v1/agent-tokens", tag: tag, scope: onServer, action: auth.AgentWrite, summary: "Tokens that hosts may still join by"},
		func(ctx context.Context, _ *none) (*answer[items[fleet.Token]], error) {
			list, err := s.o.Fleet.Tokens(ctx)
			return listOf(list), err
		})
	handle(s, operation{id: "delete-agent-token", method: http.MethodDelete, path: "/api/v1/agent-tokens/{token}", tag: tag, scope: onServer, action: auth.AgentWrite, status: http.StatusNoContent, summary: "Revoke a token"},
		func(ctx context.Context, in *struct {
			Token string `path:"token" maxLength:"64"`
		}) (*none, error) {
			return nil, s.o.Fleet.RevokeToken(ctx, identity(ctx).Actor, in.Token)
		})
}

// instanceLog asks the host for the lines through its tunnel.
func (s *Server) instanceLog(ctx context.Context, agent, instance string, tail int) ([]instanceLog, error) {
	a, err := s.o.Fleet.Agent(ctx, agent)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(a.Instances, func(i process.Status) bool { return i.ID == instance }) {
		return nil, newProblem(http.StatusNotFound, "not-found", fmt.Sprintf("there is no instance %.80q on the agent %s", instance, agent))
	}
	if tail == 0 {
		tail = agentLogLines
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := s.o.Fleet.Dial(ctx, agent, link.TunnelRequest{To: "logs"})
	if err != nil {
		return nil, unavailable(fmt.Sprintf("the agent %s cannot be reached: %v", agent, err))
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(d)
	}
	q := url.Values{"instance": {instance}, "tail": {strconv.Itoa(min(tail, mostAgentLogLines))}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/logs?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	r.Close = true
	if err := r.Write(conn); err != nil {
		return nil, unavailable(fmt.Sprintf("the agent %s cannot be reached: %v", agent, err))
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		return nil, unavailable(fmt.Sprintf("the agent %s does not answer: %v", agent, err))
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotFound {
		return nil, errNotFound
	}
	out := []instanceLog{}
	d := json.NewDecoder(io.LimitReader(res.Body, 16<<20))
	for {
		var l instanceLog
		if err := d.Decode(&l); err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, unavailable(fmt.Sprintf("the log of %s cannot be read: %v", instance, err))
		}
		out = append(out, l)
	}
}

// unavailable is an answer for what may be there at another time.
func unavailable(detail string) *Problem {
	p := newProblem(http.StatusServiceUnavailable, "unavailable", detail)
	p.retry = 5 * time.Second
	return p
}
