package api

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gantry-ops/gantry/agent/link"
	"github.com/gantry-ops/gantry/auth"
	"github.com/gantry-ops/gantry/fleet"
	"github.com/gantry-ops/gantry/release"
	"github.com/gantry-ops/gantry/release/analysis"
	"github.com/gantry-ops/gantry/runs"
	"github.com/gantry-ops/gantry/runs/jobs"
	"github.com/gantry-ops/gantry/ship"
	"github.com/gantry-ops/gantry/store"
)

var update = flag.Bool("update", false, "write the golden files and generated documentation")

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	was, is := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range max(len(was), len(is)) {
		var a, b string
		if i < len(was) {
			a = was[i]
		}
		if i < len(is) {
			b = is[i]
		}
		if a != b {
			t.Fatalf("%s is another than it was at line %d; review it and write it by -update\n was: %s\n  is: %s", file, i+1, a, b)
		}
	}
}

// gated puts a job behind an approval.
const gated = "on: {push: {}, workflow_dispatch: {}}\njobs:\n  build: {runs-on: x, steps: [{run: \"true\"}]}\n  deploy: {runs-on: x, environment: prod, steps: [{run: \"true\"}]}\n"

// shop is a world with one of everything that an operation can be called for, in the project shop.
type shop struct {
	*world
	// params are the parameters of paths.
	params map[string]string
	runner string // a runner's token
}

func newShop(t testing.TB, change ...func(*Options)) *shop {
	t.Helper()
	w := newWorld(t, change...)
	ctx := context.Background()
	w.tree.workflow = gated
	w.project("shop")
	w.project("other")
	w.admin()
	if _, err := w.runs.PutEnvironment(ctx, jobs.By{Actor: "account:ann", Name: "ann", Account: "ann"}, runs.Environment{Project: "shop", Name: "prod", Approvals: 1}); err != nil {
		t.Fatal(err)
	}
	run := w.start("shop")
	s := &shop{world: w, params: map[string]string{"project": "shop", "run": run.ID, "name": "ann", "id": "none"}}
	s.params["runner"], s.runner = w.runnerToken("near")
	until(t, "an approval", func() bool {
		p, err := w.runs.Approvals(ctx, runs.ApprovalQuery{Run: run.ID, ListOptions: jobs.ListOptions{Limit: 1}})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Items) == 1 {
			s.params["approval"] = p.Items[0].ID
		}
		return len(p.Items) == 1
	})
	list, err := w.runs.Jobs(ctx, run.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.params["job"] = list[0].ID
	s.releases()
	return s
}

// releases begins a release of the shop, which waits for the approval of its second environment, and names what there is of it.
func (s *shop) releases() {
	s.t.Helper()
	ctx := context.Background()
	r, err := s.o.Ship.Start(ctx, ship.By{Actor: "account:cy", Name: "cy", Account: "cy"}, ship.Request{Project: "shop"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.params["release"], s.params["agent"], s.params["instance"], s.params["token"], s.params["judgement"] = r.ID, s.agent("eu"), "none", "none", "1"
	until(s.t, "a rollout", func() bool {
		all, err := s.o.Rollouts.List(ctx, release.Query{Project: "shop"})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(all) > 0 {
			s.params["rollout"] = strconv.FormatInt(all[0].ID, 10)
			s.judgement(all[0])
		}
		return len(all) > 0
	})
}

// judgement keeps what a judge could have said of a rollout: without samples.
func (s *shop) judgement(r release.Record) {
	s.t.Helper()
	ctx := context.Background()
	rec, err := analysis.NewRecord(analysis.Config{Metrics: []analysis.Metric{{Name: "errors", Kind: analysis.Errors, Samples: 50}}}.WithDefaults(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	record, err := json.Marshal(rec)
	if err != nil {
		s.t.Fatal(err)
	}
	results, err := json.Marshal(rec.Judgement.Results)
	if err != nil {
		s.t.Fatal(err)
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO judgements (rollout, wave, step, weight, phase, kind, verdict, reason, at, hash, results, record) VALUES (?, 0, 0, 10000, 'holding', 'step', ?, ?, ?, ?, ?, ?)`,
			r.ID, rec.Judgement.Verdict, rec.Judgement.Reason, store.At(tx.Now()), rec.Hash, string(results), string(record))
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := s.o.Judge.Judgements(ctx, r.ID)
	if err != nil || len(list) == 0 {
		s.t.Fatalf("the rollout was not judged: %v, %v", list, err)
	}
	s.params["judgement"] = strconv.FormatInt(list[0].ID, 10)
}

// agent has a host join, and returns its name.
func (s *shop) agent(name string) string {
	s.t.Helper()
	token, err := s.o.Fleet.MakeToken(context.Background(), "account:ann", fleet.TokenRequest{Name: name})
	if err != nil {
		s.t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := json.Marshal(link.Join{Token: token.Token, Name: name, PublicKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	if err != nil {
		s.t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.o.Fleet.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, link.PathJoin, bytes.NewReader(body)))
	if w.Code != http.StatusOK {
		s.t.Fatalf("the agent %s does not join: %d %s", name, w.Code, w.Body)
	}
	return name
}

// call is an operation as the document describes it.
type call struct {
	*operation
	doc *huma.Operation
}

// calls are all operations, by their paths.
func (w *world) calls() []call {
	var out []call
	for _, op := range w.operations {
		c := call{op, described(w.OpenAPI(), op)}
		if c.doc.OperationID == "" {
			w.t.Errorf("%s is not in the document", op.id)
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b call) int {
		return strings.Compare(a.path+" "+a.method, b.path+" "+b.method)
	})
	return out
}

// url is the operation's, with the parameters that it cannot do without.
func (c call) url(params map[string]string, query ...string) string {
	p := c.path
	for _, param := range c.doc.Parameters {
		switch {
		case param.In == "path":
			p = strings.ReplaceAll(p, "{"+param.Name+"}", params[param.Name])
		case param.In == "query" && param.Required:
			query = append(query, param.Name+"=1")
		}
	}
	if len(query) > 0 {
		p += "?" + strings.Join(query, "&")
	}
	return p
}

// session signs an account in, which it makes, and returns what its browser sends.
func (w *world) session(name string, grants ...auth.Grant) map[string]string {
	w.t.Helper()
	w.account(name, grants...)
	in, err := w.auth.Login(context.Background(), auth.Client{}, name, password)
	if err != nil {
		w.t.Fatal(err)
	}
	cookie := in.Cookie.Name + "=" + in.Cookie.Value
	var me Me
	w.do(request{method: "GET", path: "/api/v1/me", header: map[string]string{"Cookie": cookie}}).into(w.t, http.StatusOK, &me)
	if me.Identity.CSRF == "" {
		w.t.Fatal("GET /me tells a session no CSRF token")
	}
	return map[string]string{"Cookie": cookie, "X-CSRF-Token": me.Identity.CSRF}
}

// apiToken makes a token of an account that may all, restricted.
func (w *world) apiToken(restricted auth.NewToken) string {
	w.t.Helper()
	grants := []auth.Grant{{Project: auth.AllProjects, Role: auth.Admin}}
	w.account("owner", grants...)
	restricted.Name = "restricted"
	token, _, err := w.auth.CreateToken(context.Background(), &auth.Identity{Kind: auth.KindAccount, Account: "owner", Actor: "account:owner", Grants: grants}, restricted)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// sort is the sort of problem that an answer is, or "".
func (r *reply) sort() string {
	var p Problem
	if json.Unmarshal(r.body, &p) != nil {
		return ""
	}
	return strings.TrimPrefix(p.Type, "/problems/")
}
