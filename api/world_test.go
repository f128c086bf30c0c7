package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/engine"
	"github.com/gantry-ops/gantry/pipeline"
	"github.com/gantry-ops/gantry/pipeline/githubactions"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/secret"
	"github.com/gantry-ops/gantry/store"
	"github.com/gantry-ops/gantry/store/storetest"
)

// password is that of all accounts of a world.
const password = "a long enough passphrase"

// workflowFile is the one pipeline of each project of a world.
const workflowFile = ".github/workflows/ci.yml"

// twoJobs has a second job, which waits for an approval where the environment "live" asks for one.
const twoJobs = simple + "  deploy: {runs-on: x, environment: live, steps: [{run: \"true\"}]}\n"

// simple is a pipeline of one job that a push or a person starts.
const simple = "on: {push: {}, workflow_dispatch: {}}\njobs:\n  build: {runs-on: x, steps: [{run: \"true\"}]}\n"

// tree is a dummy of sources and formats: one workflow, in every commit.
type tree struct {
	mu       sync.Mutex
	workflow string
	// fails, where set, is what asking for files ends with.
	fails error
	// slow, where set, is waited for before files are given.
	slow chan struct{}
}

const treeSHA = "1111111111111111111111111111111111111111"

func (t *tree) get() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.workflow, t.fails
}

func (t *tree) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fails = err
}

// hold has files wait until release is called.
func (t *tree) hold() (release func()) {
	slow := make(chan struct{})
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slow = slow
	return sync.OnceFunc(func() { close(slow) })
}

// Heads implements [runs.Sources].
func (t *tree) Heads(context.Context, *runs.Project) (map[string]string, string, error) {
	_, err := t.get()
	return map[string]string{"refs/heads/main": treeSHA}, "main", err
}

// Snapshot implements [runs.Sources].
func (t *tree) Snapshot(ctx context.Context, p *runs.Project, ref string) (*runs.Snapshot, func(), error) {
	if _, err := t.get(); err != nil {
		return nil, nil, err
	}
	t.mu.Lock()
	slow := t.slow
	t.mu.Unlock()
	if slow != nil {
		select {
		case <-slow:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	sha := treeSHA
	switch {
	case len(ref) == len(treeSHA):
		sha = ref // all commits are alike
	case !slices.Contains([]string{"", "main", "refs/heads/main"}, ref):
		return nil, nil, &runs.InvalidError{Field: "ref", Value: ref, Message: "the repository has no such branch, tag or commit"}
	}
	return &runs.Snapshot{
		Dir: sha, Repository: pipeline.Repository{Owner: "acme", Name: p.ID, DefaultBranch: "main"},
		Change: pipeline.Change{SHA: sha, Ref: "refs/heads/main", Message: "Change things"},
	}, func() {}, nil
}

// ChangedFiles implements [runs.Sources].
func (t *tree) ChangedFiles(context.Context, *runs.Project, string, string, bool) ([]string, bool, error) {
	return nil, false, nil
}

// Archive implements [runs.Sources].
func (t *tree) Archive(_ context.Context, _ *runs.Project, _ string, w io.Writer) error {
	_, err := io.WriteString(w, "# v2 git bundle\n")
	return err
}

// Pipelines implements [runs.Formats].
func (t *tree) Pipelines(context.Context, string) ([]runs.PipelineInfo, error) {
	_, err := t.get()
	return []runs.PipelineInfo{{File: workflowFile, Name: "ci"}}, err
}

// Load implements [runs.Formats].
func (t *tree) Load(context.Context, string, string) (*pipeline.Pipeline, error) {
	text, err := t.get()
	if err != nil {
		return nil, err
	}
	p, diags := githubactions.Parse(workflowFile, []byte(text), githubactions.Options{})
	return p, diags.Err()
}

// Select implements [runs.Formats].
func (t *tree) Select(ctx context.Context, dir string, tr *runs.Trigger, run *pipeline.Run, _ pipeline.Object) ([]runs.Start, []runs.NotStarted, error) {
	if tr.File != "" && tr.File != workflowFile {
		return nil, []runs.NotStarted{{File: tr.File, Reason: "there is no such file"}}, nil
	}
	p, err := t.Load(ctx, dir, workflowFile)
	if err != nil {
		return nil, nil, err
	}
	names := map[string]string{"push": "push", "tag": "push", "pull_request": "pull_request", "schedule": "schedule", "manual": "workflow_dispatch"}
	facts := &pipeline.Run{Started: run.Started, Repository: run.Repository, Change: run.Change, Actor: run.Actor, File: workflowFile, Pipeline: "ci"}
	facts.Event = pipeline.Event{Name: names[tr.Event], Payload: pipeline.NewMap("ref", run.Change.Ref)}
	if ok, reason := githubactions.Select(p, facts); !ok {
		return nil, []runs.NotStarted{{File: workflowFile, Name: "ci", Reason: reason}}, nil
	}
	return []runs.Start{{Pipeline: p, Run: facts, Inputs: pipeline.NewMap()}}, nil, nil
}

// world is a server with its rooms, and what tests do there.
type world struct {
	*Server
	t       testing.TB
	db      *store.DB
	runs    *runs.Service
	auth    *auth.Service
	secrets *secret.Store
	tree    *tree
	blobs   *blob.Bucket
	shipped *shipped
	http    *httptest.Server
	// log is what the server has logged from Warn on.
	log *logs

	mu     sync.Mutex
	tokens map[string]string
}

// shared is what servers of one database have in common besides it.
type shared struct {
	keys  string
	tree  *tree
	blobs *blob.Bucket
}

// newWorld makes a server on a new SQLite database. The engine runs, and no worker: jobs stay in the queue until a test claims them.
func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	return newWorldOn(t, storetest.Open(t), change...)
}

// newWorldOn makes one on a database that is empty.
func newWorldOn(t testing.TB, db *store.DB, change ...func(*Options)) *world {
	t.Helper()
	bucket := memblob.OpenBucket(nil)
	t.Cleanup(func() { _ = bucket.Close() })
	return newServer(t, db, shared{filepath.Join(t.TempDir(), "keys"), &tree{workflow: simple}, bucket}, change...)
}

// again makes another server on the world's database.
func (w *world) again(change ...func(*Options)) *world {
	w.t.Helper()
	return newServer(w.t, storetest.Again(w.t, w.db), shared{"", w.tree, w.blobs}, append([]func(*Options){func(o *Options) { o.Secrets = w.secrets }}, change...)...)
}

func newServer(t testing.TB, db *store.DB, sh shared, change ...func(*Options)) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &world{t: t, db: db, tree: sh.tree, blobs: sh.blobs, log: &logs{}, tokens: map[string]string{}}
	log := slog.New(w.log)
	must := func(err error) {
		t.Helper()
		if err != nil {
			cancel()
			t.Fatal(err)
		}
	}
	e, err := engine.New(ctx, db, engine.Options{TTL: 2 * time.Second, Poll: 50 * time.Millisecond, Log: log})
	must(err)
	if sh.keys != "" {
		w.secrets, err = secret.Open(ctx, secret.Options{DB: db, KeyFile: sh.keys})
		must(err)
	}
	w.auth, err = auth.New(ctx, db, auth.Options{URL: "http://ci.example.com", Cost: auth.Cost{Time: 1, Memory: 64, Threads: 1}, Log: log})
	must(err)
	o := Options{
		Auth: w.auth, Secrets: w.secrets, DB: db, Log: log, TokenSecret: secret.Own + "token", HookSecret: secret.Own + "hook",
		Info: Info{Version: "1.0.0", Database: "sqlite", URL: "http://ci.example.com", Listen: "127.0.0.1:7070"},
	}
	vault := &own{}
	w.runs, err = runs.New(ctx, runs.Options{DB: db, Engine: e, Blobs: w.blobs, Sources: w.tree, Formats: w.tree, Secrets: vault, Log: log})
	must(err)
	o.Runs = w.runs
	w.shipped, err = openReleases(ctx, t, db, e, log, &o)
	must(err)
	for _, c := range change {
		c(&o)
	}
	w.secrets = o.Secrets
	vault.Store = o.Secrets
	w.Server, err = New(ctx, o)
	must(err)
	w.http = httptest.NewServer(w.Server)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := e.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		w.http.CloseClientConnections()
		w.http.Close()
		cancel()
		wg.Wait()
		if err := errors.Join(w.runs.Close(), w.auth.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	return w
}

// own gives the rooms the secrets of a store that is known later.
type own struct{ *secret.Store }

// logs keeps what was logged from Warn on. It implements [slog.Handler].
type logs struct {
	mu    sync.Mutex
	lines []string
}

// Enabled implements [slog.Handler].
func (l *logs) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

// Handle implements [slog.Handler].
func (l *logs) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&b, " %s", a); return true })
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, b.String())
	return nil
}

// WithAttrs implements [slog.Handler].
func (l *logs) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements [slog.Handler].
func (l *logs) WithGroup(string) slog.Handler { return l }

// take returns what was logged so far, and forgets it.
func (l *logs) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.lines
	l.lines = nil
	return out
}

// account makes an account with grants, and returns an API token of it that may all that the account may.
func (w *world) account(name string, grants ...auth.Grant) string {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if token := w.tokens[name]; token != "" {
		return token
	}
	ctx := context.Background()
	if _, err := w.auth.CreateAccount(ctx, "test", auth.NewAccount{Name: name, Password: password, Grants: grants}); err != nil {
		w.t.Fatal(err)
	}
	token, _, err := w.auth.CreateToken(ctx, &auth.Identity{Kind: auth.KindAccount, Account: name, Actor: "account:" + name, Grants: grants}, auth.NewToken{Name: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.tokens[name] = token
	return token
}

// admin is the token of ann, who may all.
func (w *world) admin() string {
	w.t.Helper()
	return w.account("ann", auth.Grant{Project: auth.AllProjects, Role: auth.Admin})
}

// signIn signs an account in and returns the headers that its browser sends.
func (w *world) signIn(name string) map[string]string {
	w.t.Helper()
	in, err := w.auth.Login(context.Background(), auth.Client{}, name, password)
	if err != nil {
		w.t.Fatal(err)
	}
	return map[string]string{"Cookie": in.Cookie.Name + "=" + in.Cookie.Value, "X-CSRF-Token": in.Identity.CSRF}
}

// runnerToken registers a runner and returns its ID and its token.
func (w *world) runnerToken(name string) (id, token string) {
	w.t.Helper()
	ctx := context.Background()
	r, err := w.runs.RegisterRunner(ctx, jobs.By{Actor: "account:ann", Name: "ann", Account: "ann"}, name, []string{"x"})
	if err != nil {
		w.t.Fatal(err)
	}
	if token, err = w.auth.IssueRunnerToken(ctx, "account:ann", r.ID); err != nil {
		w.t.Fatal(err)
	}
	return r.ID, token
}

// project makes a project.
func (w *world) project(id string, change ...func(*runs.Project)) *runs.Project {
	w.t.Helper()
	p := runs.Project{ID: id, Source: runs.Source{URL: "https://example.com/acme/" + id + ".git"}}
	for _, c := range change {
		c(&p)
	}
	made, err := w.runs.CreateProject(context.Background(), jobs.By{Actor: "account:ann", Name: "ann", Account: "ann"}, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return made
}

// start starts a run by hand.
func (w *world) start(project string) *runs.Run {
	w.t.Helper()
	s, err := w.runs.Trigger(context.Background(), runs.Trigger{Project: project, Event: "manual", Actor: "account:ann", ActorName: "ann", Account: "ann"})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(s.Runs) != 1 {
		w.t.Fatalf("started %+v, not one run", s)
	}
	return &s.Runs[0]
}

// claim waits for a job as a runner of the server's own, or as another.
func (w *world) claim(change ...func(*jobs.Worker)) *jobs.Task {
	w.t.Helper()
	worker := jobs.Worker{ID: "here", Session: "one", Name: "here", Labels: []string{"*"}, Places: 100, Embedded: true}
	for _, c := range change {
		c(&worker)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		task, err := w.runs.Claim(ctx, worker, time.Second)
		if err != nil {
			w.t.Fatal(err)
		}
		if task != nil {
			return task
		}
	}
	w.t.Fatal("there was never a job to take")
	return nil
}

// request is one request of a test. Body may be a string, bytes, a reader, or what is made JSON of.
type request struct {
	method, path string
	token        string
	body         any
	header       map[string]string
}

// reply is the answer to one.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r *reply) String() string { return fmt.Sprintf("%d %s", r.status, r.body) }

// do makes a request over the network.
func (w *world) do(q request) *reply {
	w.t.Helper()
	r, err := w.try(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// try is do for goroutines other than the test's own.
func (w *world) try(ctx context.Context, q request) (*reply, error) {
	var body io.Reader
	switch b := q.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	case []byte:
		body = bytes.NewReader(b)
	case io.Reader:
		body = b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, w.http.URL+q.path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	for _, k := range slices.Sorted(maps.Keys(q.header)) {
		r.Header.Set(k, q.header[k])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return &reply{resp.StatusCode, resp.Header, b}, err
}

// into reads a JSON answer of the status that is expected.
func (r *reply) into(t testing.TB, status int, v any) {
	t.Helper()
	if r.status != status {
		t.Fatalf("answered %s, not %d", r, status)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("the answer %s: %v", r, err)
	}
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("there was never %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestWorld(t *testing.T) {
	w := newWorld(t)
	w.project("shop")
	var page jobs.Page[runs.Project]
	w.do(request{method: "GET", path: "/api/v1/projects", token: w.admin()}).into(t, http.StatusOK, &page)
	if len(page.Items) != 1 || page.Items[0].ID != "shop" {
		t.Errorf("the projects are %+v", page)
	}
	run := w.start("shop")
	task := w.claim()
	if !strings.HasPrefix(task.Job, run.ID) {
		t.Errorf("claimed %s, not a job of %s", task.Job, run.ID)
	}
	if lines := w.log.take(); len(lines) > 0 {
		t.Errorf("the server has logged %q", lines)
	}
}
