package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/store"
)

// Me is who the token belongs to.
type Me struct {
	Identity    auth.Identity            `json:"identity"`
	Permissions map[string][]auth.Action `json:"permissions"`
	Server      struct {
		Version  string `json:"version"`
		Database string `json:"database"`
	} `json:"server"`
}

// Me says who the token belongs to and what it may do.
func (c *Client) Me(ctx context.Context) (*Me, error) {
	var m Me
	return &m, c.do(ctx, get("/me", nil), &m)
}

// SecretInfo is what may be known of a secret.
type SecretInfo struct {
	Name        string     `json:"name"`
	Environment string     `json:"environment"`
	Version     int64      `json:"version"`
	UpdatedAt   store.Time `json:"updated_at"`
	UpdatedBy   string     `json:"updated_by"`
}

// every reads all parts of a list.
func every[T any](ctx context.Context, c *Client, path string, query url.Values, limit int) ([]T, error) {
	q := url.Values{}
	for k, v := range query {
		q[k] = v
	}
	out := []T{}
	for {
		size := 200
		if limit > 0 {
			size = min(size, limit-len(out))
		}
		q.Set("limit", strconv.Itoa(size))
		var p jobs.Page[T]
		if err := c.do(ctx, get(path, q), &p); err != nil {
			return nil, err
		}
		out = append(out, p.Items...)
		if p.Next == "" || limit > 0 && len(out) >= limit {
			return out, nil
		}
		q.Set("after", p.Next)
	}
}

// list reads a list that comes whole.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	var p jobs.Page[T]
	err := c.do(ctx, get(path, query), &p)
	return p.Items, err
}

// Projects lists all that the token may see.
func (c *Client) Projects(ctx context.Context) ([]runs.Project, error) {
	return every[runs.Project](ctx, c, "/projects", nil, 0)
}

// Project reads one.
func (c *Client) Project(ctx context.Context, id string) (*runs.Project, error) {
	var p runs.Project
	return &p, c.do(ctx, get(path("projects", id), nil), &p)
}

// CreateProject adds one.
func (c *Client) CreateProject(ctx context.Context, p runs.Project) (*runs.Project, error) {
	var made runs.Project
	return &made, c.do(ctx, post("/projects", p), &made)
}

// UpdateProject changes one; p.Version is the one that the change was made from.
func (c *Client) UpdateProject(ctx context.Context, p runs.Project) (*runs.Project, error) {
	var changed runs.Project
	return &changed, c.do(ctx, call{method: http.MethodPut, path: path("projects", p.ID), in: p}, &changed)
}

// DeleteProject removes one with its runs.
func (c *Client) DeleteProject(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path("projects", id)}, nil)
}

// Pipelines lists those of a project at a ref.
func (c *Client) Pipelines(ctx context.Context, project, ref string) ([]runs.PipelineInfo, error) {
	return list[runs.PipelineInfo](ctx, c, path("projects", project, "pipelines"), nonEmpty("ref", ref))
}

// nonEmpty makes a query of pairs whose values are not empty.
func nonEmpty(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// Start asks for runs by hand.
func (c *Client) Start(ctx context.Context, project, file, ref string, inputs map[string]string) (*runs.Started, error) {
	in := map[string]any{"file": file, "ref": ref}
	if len(inputs) > 0 {
		in["inputs"] = inputs
	}
	var s runs.Started
	return &s, c.do(ctx, post(path("projects", project, "runs"), in), &s)
}

// Runs lists up to limit runs (0: all), the newest first.
func (c *Client) Runs(ctx context.Context, q runs.RunQuery, limit int) ([]runs.Run, error) {
	v := nonEmpty("branch", q.Branch, "event", q.Event, "actor", q.Actor, "file", q.File, "sha", q.SHA, "text", q.Text)
	v["project"] = q.Projects
	for _, s := range q.Status {
		v.Add("status", string(s))
	}
	if q.PullRequest > 0 {
		v.Set("pull_request", strconv.Itoa(q.PullRequest))
	}
	return every[runs.Run](ctx, c, "/runs", v, limit)
}

// Run reads one.
func (c *Client) Run(ctx context.Context, id string) (*runs.Run, error) {
	var r runs.Run
	return &r, c.do(ctx, get(path("runs", id), nil), &r)
}

// Jobs lists those of an attempt (0: the newest).
func (c *Client) Jobs(ctx context.Context, run string, attempt int) ([]jobs.Job, error) {
	q := url.Values{}
	if attempt > 0 {
		q.Set("attempt", strconv.Itoa(attempt))
	}
	return list[jobs.Job](ctx, c, path("runs", run, "jobs"), q)
}

// Job reads one.
func (c *Client) Job(ctx context.Context, id string) (*jobs.Job, error) {
	var j jobs.Job
	return &j, c.do(ctx, get(path("jobs", id), nil), &j)
}

// Annotations lists those of a run's newest attempt.
func (c *Client) Annotations(ctx context.Context, run string) ([]jobs.Annotation, error) {
	return list[jobs.Annotation](ctx, c, path("runs", run, "annotations"), nil)
}

// Artifacts lists those of a run.
func (c *Client) Artifacts(ctx context.Context, run string) ([]jobs.Artifact, error) {
	return list[jobs.Artifact](ctx, c, path("runs", run, "artifacts"), nil)
}

// OpenArtifact reads one as a zip archive.
func (c *Client) OpenArtifact(ctx context.Context, run, name string) (io.ReadCloser, error) {
	res, err := c.open(ctx, get(path("runs", run, "artifacts", name), nil))
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// Cancel asks a run to stop; kill: at once.
func (c *Client) Cancel(ctx context.Context, run string, kill bool) (*runs.Run, error) {
	var r runs.Run
	return &r, c.do(ctx, call{method: http.MethodPost, path: path("runs", run, "cancel"), in: map[string]bool{"kill": kill}}, &r)
}

// Rerun starts a new attempt.
func (c *Client) Rerun(ctx context.Context, run string, mode runs.RerunMode, job string) (*runs.Run, error) {
	in := map[string]string{"mode": string(mode)}
	if job != "" {
		in["job"] = job
	}
	var r runs.Run
	return &r, c.do(ctx, post(path("runs", run, "rerun"), in), &r)
}

// Log reads a range of a job's log.
func (c *Client) Log(ctx context.Context, job string, from int64, limit int) (*jobs.LogPage, error) {
	var p jobs.LogPage
	q := url.Values{"from": {strconv.FormatInt(from, 10)}, "limit": {strconv.Itoa(limit)}}
	return &p, c.do(ctx, get(path("jobs", job, "log"), q), &p)
}

// Approvals lists up to limit (0: all), the newest first.
func (c *Client) Approvals(ctx context.Context, q runs.ApprovalQuery, limit int) ([]runs.Approval, error) {
	v := nonEmpty("run", q.Run)
	v["project"] = q.Projects
	for _, s := range q.Status {
		v.Add("status", string(s))
	}
	return every[runs.Approval](ctx, c, "/approvals", v, limit)
}

// Decide approves or rejects.
func (c *Client) Decide(ctx context.Context, approval string, approve bool, comment string) (*runs.Approval, error) {
	var a runs.Approval
	return &a, c.do(ctx, call{method: http.MethodPost, path: path("approvals", approval, "decision"), in: map[string]any{"approve": approve, "comment": comment}}, &a)
}

// Secrets lists names, never values.
func (c *Client) Secrets(ctx context.Context, project string) ([]SecretInfo, error) {
	return list[SecretInfo](ctx, c, path("projects", project, "secrets"), nil)
}

// PutSecret sets one.
func (c *Client) PutSecret(ctx context.Context, project, environment, name, value string) (*SecretInfo, error) {
	var i SecretInfo
	return &i, c.do(ctx, call{method: http.MethodPut, path: path("projects", project, "secrets", name), query: nonEmpty("environment", environment), in: map[string]string{"value": value}}, &i)
}

// DeleteSecret removes one.
func (c *Client) DeleteSecret(ctx context.Context, project, environment, name string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path("projects", project, "secrets", name), query: nonEmpty("environment", environment)}, nil)
}

// Runners lists all.
func (c *Client) Runners(ctx context.Context) ([]jobs.Runner, error) {
	return list[jobs.Runner](ctx, c, "/runners", nil)
}

// CreateRunner lets a machine take jobs; the token is shown this once.
func (c *Client) CreateRunner(ctx context.Context, name string, labels []string) (r *jobs.Runner, token string, err error) {
	var made struct {
		Runner *jobs.Runner `json:"runner"`
		Token  string       `json:"token"`
	}
	err = c.do(ctx, call{method: http.MethodPost, path: "/runners", in: map[string]any{"name": name, "labels": labels}}, &made)
	return made.Runner, made.Token, err
}

// DeleteRunner takes one out.
func (c *Client) DeleteRunner(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: path("runners", id)}, nil)
}

// SignIn makes an API token by a name and a password, for the use of this machine. The session that this needs is ended again.
func SignIn(ctx context.Context, o Options, name, password, tokenName string, days int) (token string, info *auth.TokenInfo, err error) {
	jar := &jar{}
	o.Token = ""
	c, err := New(o)
	if err != nil {
		return "", nil, err
	}
	browser := *c.http
	browser.Jar = jar
	c.http = &browser
	if err := c.do(ctx, call{method: http.MethodPost, path: "/session", in: map[string]string{"name": name, "password": password}, header: c.origin("")}, nil); err != nil {
		return "", nil, err
	}
	me, err := c.Me(ctx)
	if err != nil {
		return "", nil, err
	}
	var made struct {
		Token string          `json:"token"`
		Info  *auth.TokenInfo `json:"info"`
	}
	in := map[string]any{"name": tokenName}
	if days > 0 {
		in["expires_in_days"] = days
	}
	err = c.do(ctx, call{method: http.MethodPost, path: "/tokens", in: in, header: c.origin(me.Identity.CSRF)}, &made)
	if out := c.do(ctx, call{method: http.MethodDelete, path: "/session", header: c.origin(me.Identity.CSRF)}, nil); err == nil {
		err = out
	}
	return made.Token, made.Info, err
}

// origin are the headers by which a server tells its own pages from others'.
func (c *Client) origin(csrf string) http.Header {
	h := http.Header{"Origin": {c.base.Scheme + "://" + c.base.Host}}
	if csrf != "" {
		h.Set("X-CSRF-Token", csrf)
	}
	return h
}

// jar keeps the cookies of one server for the length of a sign-in.
type jar struct{ cookies []*http.Cookie }

// SetCookies implements http.CookieJar.
func (j *jar) SetCookies(_ *url.URL, cookies []*http.Cookie) { j.cookies = cookies }

// Cookies implements http.CookieJar.
func (j *jar) Cookies(*url.URL) []*http.Cookie { return j.cookies }

// FirstAccount makes the first account of a new server, an administrator, by the token of the one-time link that it prints.
func FirstAccount(ctx context.Context, o Options, token, name, password string) error {
	o.Token = ""
	c, err := New(o)
	if err != nil {
		return err
	}
	in := map[string]string{"token": token, "name": name, "password": password}
	return c.do(ctx, call{method: http.MethodPost, path: "/session/link", in: in, header: c.origin("")}, nil)
}

// SignOut makes the client's own token void.
func (c *Client) SignOut(ctx context.Context) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/session"}, nil)
}
